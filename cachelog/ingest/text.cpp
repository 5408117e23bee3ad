// cachelog.ingest._text: lines of text to those who read them.
//
//   Sorter(modules)                  modules: [(envelope, [hints], [telling], shape)], in any order
//   Sorter.block(block, rows)        -> Sorted: lines that newlines end; rows (uint32) of those to be read, None for all
//   Sorter.column(data, offsets, rows) -> Sorted: texts of an Arrow column (large_utf8) and their rows; no envelopes
//   Sorted.bad, .blank               bytes: uint32 rows that are no UTF-8, and empty
//   Sorted.odd()                     Table (row, text) of lines to be unwrapped or cleaned first, and of objects of JSON
//   Sorted.asked(m), .quiet(m)       bytes: uint32 numbers of lines not yet taken that module m is to be asked about,
//                                    and that are its own for sure and say nothing
//   Sorted.take(numbers)             these are read
//   Sorted.rows(numbers)             bytes: the uint32 rows of lines
//   Sorted.texts(numbers)            Table (row, text)
//   Sorted.drop(m, numbers)          these are not module m's: it is not to be asked about them again
//   Reader(kind, spec, words)        kind "logfmt" or "access"; spec: [(field, kind, [aliases, best first])], as in scan.cpp
//     more of logfmt: [flags], [prose]; of access: [statuses], [texts in queries that name a model or a version]
//   Reader.read(sorted, numbers)     -> (rows, said, claimed, others): Tables as in scan.cpp, the numbers of lines that
//                                    the dialect claims, all of which are read, and of those that are not its own
//
// A line is asked about when it has one of the module's hints and its shape; a module without them is always asked.
// The GIL is released while lines are sorted.

#include "access.hpp"

namespace {

using namespace cachelog;

struct Types {  // of the module
  PyObject* sorter;
  PyObject* sorted;
  PyObject* table;
  PyObject* reader;
};

struct PyReader {
  PyObject_HEAD
  Reading* reading;
  bool busy;
};

struct PySorter {
  PyObject_HEAD
  Sorter* sorter;
  bool busy;
};

struct PySorted {
  PyObject_HEAD
  Sorted* sorted;
  Py_buffer view;
};

PyObject* as_bytes(const vector<uint32_t>& numbers) {
  return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(numbers.data()), static_cast<Py_ssize_t>(numbers.size() * sizeof(uint32_t)));
}

bool read_numbers(PyObject* o, vector<uint32_t>& numbers) {
  Py_buffer view;
  if (PyObject_GetBuffer(o, &view, PyBUF_SIMPLE)) return false;
  numbers.resize(static_cast<size_t>(view.len) / sizeof(uint32_t));
  if (view.len) std::memcpy(numbers.data(), view.buf, numbers.size() * sizeof(uint32_t));
  PyBuffer_Release(&view);
  return true;
}

PyObject* as_table(const Types& types, std::unique_ptr<Stream> stream) {
  PyObject* made = allocate(types.table);
  if (made) self_as<PyTable>(made)->stream = stream.release();
  return made;
}

// -- Sorted

Sorted& sorted_of(PyObject* self) { return *self_as<PySorted>(self)->sorted; }

void sorted_dealloc(PyObject* self) {
  delete self_as<PySorted>(self)->sorted;
  if (self_as<PySorted>(self)->view.obj) PyBuffer_Release(&self_as<PySorted>(self)->view);
  release_object(self);
}

uint32_t row_of(const Sorted& sorted, size_t line) { return sorted.rows.empty() ? static_cast<uint32_t>(line) : sorted.rows[line]; }

PyObject* sorted_kind(PyObject* self, void* closure) {
  const Sorted& sorted = sorted_of(self);
  auto wanted = static_cast<Line>(reinterpret_cast<intptr_t>(closure));
  vector<uint32_t> rows;
  for (size_t i = 0; i < sorted.lines.size(); i++)
    if (sorted.lines.kinds[i] == wanted) rows.push_back(row_of(sorted, i));
  return as_bytes(rows);
}

PyObject* numbers_asked(PyObject* self, PyObject* module, Ask wanted) {
  const Sorted& sorted = sorted_of(self);
  size_t m = PyLong_AsSize_t(module);
  if (PyErr_Occurred()) return nullptr;
  if (m >= sorted.asks.size()) {
    PyErr_SetString(PyExc_IndexError, "there is no such module");
    return nullptr;
  }
  vector<uint32_t> numbers;
  const vector<Ask>& asks = sorted.asks[m];
  for (size_t i = 0; i < asks.size(); i++)
    if (asks[i] == wanted && sorted.lines.kinds[i] == Line::plain) numbers.push_back(static_cast<uint32_t>(i));
  return as_bytes(numbers);
}

PyObject* sorted_asked(PyObject* self, PyObject* module) { return numbers_asked(self, module, Ask::yes); }
PyObject* sorted_quiet(PyObject* self, PyObject* module) { return numbers_asked(self, module, Ask::quiet); }

// Reads numbers of lines; false with an error where one is none.
bool read_lines(PyObject* self, PyObject* o, vector<uint32_t>& numbers) {
  if (!read_numbers(o, numbers)) return false;
  for (uint32_t n : numbers)
    if (n >= sorted_of(self).lines.size()) {
      PyErr_SetString(PyExc_IndexError, "there is no such line");
      return false;
    }
  return true;
}

PyObject* sorted_take(PyObject* self, PyObject* o) {
  vector<uint32_t> numbers;
  if (!read_lines(self, o, numbers)) return nullptr;
  for (uint32_t n : numbers) sorted_of(self).lines.kinds[n] = Line::gone;
  Py_IncRef(Py_None);
  return Py_None;
}

PyObject* sorted_drop(PyObject* self, PyObject* args) {
  Py_ssize_t m;
  PyObject* given;
  vector<uint32_t> numbers;
  if (!PyArg_ParseTuple(args, "nO:drop", &m, &given) || !read_lines(self, given, numbers)) return nullptr;
  Sorted& sorted = sorted_of(self);
  if (m >= 0 && static_cast<size_t>(m) < sorted.asks.size() && !sorted.asks[static_cast<size_t>(m)].empty())
    for (uint32_t n : numbers) sorted.asks[static_cast<size_t>(m)][n] = Ask::no;
  Py_IncRef(Py_None);
  return Py_None;
}

PyObject* sorted_rows(PyObject* self, PyObject* o) {
  vector<uint32_t> numbers;
  if (!read_lines(self, o, numbers)) return nullptr;
  for (uint32_t& n : numbers) n = row_of(sorted_of(self), n);
  return as_bytes(numbers);
}

// A table of the rows and texts of lines; whole: with the blanks at their ends.
PyObject* as_texts(PyObject* self, const vector<uint32_t>& numbers, bool whole) {
  const Sorted& sorted = sorted_of(self);
  auto types = static_cast<Types*>(PyType_GetModuleState(Py_TYPE(self)));
  Texts texts;
  vector<uint32_t> rows;
  texts.ends.push_back(0);
  for (uint32_t n : numbers) {
    texts.data.append(whole ? sorted.lines.whole(n) : sorted.lines.text(n));
    texts.ends.push_back(texts.data.size());
    rows.push_back(row_of(sorted, n));
  }
  Table table;
  add_values(table, "row", "I", std::move(rows), [](uint32_t) { return false; });
  auto holder = std::make_unique<Holds<Texts>>(std::move(texts));
  holder->buffers = {nullptr, holder->data.ends.data(), holder->data.data.data()};
  table.emplace_back("text", "U");
  make_array(&table.back().array, numbers.size(), std::move(holder));
  return as_table(*types, std::make_unique<Stream>(std::move(table), numbers.size()));
}

PyObject* sorted_texts(PyObject* self, PyObject* o) {
  vector<uint32_t> numbers;
  return read_lines(self, o, numbers) ? as_texts(self, numbers, false) : nullptr;
}

PyObject* sorted_odd(PyObject* self, PyObject*) {
  const Sorted& sorted = sorted_of(self);
  vector<uint32_t> numbers;
  for (size_t i = 0; i < sorted.lines.size(); i++)
    if (sorted.lines.kinds[i] == Line::odd) numbers.push_back(static_cast<uint32_t>(i));
  return as_texts(self, numbers, true);
}

void* nth(Line kind) { return reinterpret_cast<void*>(static_cast<intptr_t>(kind)); }

PyGetSetDef sorted_members[] = {{"bad", sorted_kind, nullptr, "uint32 rows that are no UTF-8.", nth(Line::bad)},
                                {"blank", sorted_kind, nullptr, "uint32 rows that are empty.", nth(Line::blank)},
                                {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyMethodDef sorted_methods[] = {{"odd", sorted_odd, METH_NOARGS, "Return the lines to be unwrapped or cleaned."},
                                {"asked", sorted_asked, METH_O, "Return the lines that a module is to be asked about."},
                                {"quiet", sorted_quiet, METH_O, "Return the lines of a module that say nothing."},
                                {"take", sorted_take, METH_O, "These lines are read."},
                                {"drop", sorted_drop, METH_VARARGS, "These lines are not a module's."},
                                {"rows", sorted_rows, METH_O, "Return the rows of lines."},
                                {"texts", sorted_texts, METH_O, "Return rows and texts of lines."},
                                {nullptr, nullptr, 0, nullptr}};
PyType_Slot sorted_slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(sorted_dealloc)},
                              {Py_tp_getset, sorted_members},
                              {Py_tp_methods, sorted_methods},
                              {0, nullptr}};
PyType_Spec sorted_spec = {"cachelog.ingest._text.Sorted", sizeof(PySorted), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, sorted_slots};

// -- Sorter

bool read_string(PyObject* o, string& out) {
  Py_ssize_t size;
  const char* text = o ? PyUnicode_AsUTF8AndSize(o, &size) : nullptr;
  if (text) out.assign(text, static_cast<size_t>(size));
  return text != nullptr;
}

bool read_strings(PyObject* list, vector<string>& out) {
  Py_ssize_t count = list ? PyList_Size(list) : -1;
  for (Py_ssize_t i = 0; i < count; i++) {
    out.emplace_back();
    if (!read_string(PyList_GetItem(list, i), out.back())) return false;
  }
  return count >= 0;
}

bool read_module(PyObject* entry, Sorter& sorter) {
  vector<string> hints, telling;
  string shape;
  PyObject* envelope = PyTuple_GetItem(entry, 0);
  if (!envelope || !read_strings(PyTuple_GetItem(entry, 1), hints) || !read_strings(PyTuple_GetItem(entry, 2), telling)) return false;
  if (!read_string(PyTuple_GetItem(entry, 3), shape)) return false;
  sorter.add(PyObject_IsTrue(envelope) == 1, hints, telling, shape);
  return true;
}

int sorter_init(PyObject* self, PyObject* args, PyObject*) {
  PyObject* modules;
  if (!PyArg_ParseTuple(args, "O:Sorter", &modules)) return -1;
  if (self_as<PySorter>(self)->sorter) {
    PyErr_SetString(PyExc_ValueError, "a sorter is made once");
    return -1;
  }
  try {
    auto made = std::make_unique<Sorter>();
    Py_ssize_t count = PyList_Size(modules);
    for (Py_ssize_t i = 0; i < count; i++) {
      PyObject* entry = PyList_GetItem(modules, i);
      if (!entry || !read_module(entry, *made)) return -1;
    }
    if (count < 0) return -1;
    self_as<PySorter>(self)->sorter = made.release();
    return 0;
  } catch (const std::invalid_argument& error) {
    PyErr_SetString(PyExc_ValueError, error.what());
  } catch (const std::exception&) {
    PyErr_NoMemory();
  }
  return -1;
}

void sorter_dealloc(PyObject* self) {
  delete self_as<PySorter>(self)->sorter;
  release_object(self);
}

// Only the lines of these rows, ascending, are to be read.
void keep(Sorted& sorted, const vector<uint32_t>& rows) {
  size_t next = 0;
  for (size_t i = 0; i < sorted.lines.size(); i++) {
    if (next < rows.size() && rows[next] == i) {
      next++;
    } else {
      sorted.lines.kinds[i] = Line::gone;
    }
  }
}

// Makes a Sorted that keeps the buffer; null with an error.
PyObject* new_sorted(PyObject* self, PyObject* data) {
  auto sorter = self_as<PySorter>(self);
  if (!sorter->sorter || sorter->busy) {
    PyErr_SetString(PyExc_RuntimeError, "this sorter was not made, or is at work in another thread");
    return nullptr;
  }
  auto types = static_cast<Types*>(PyType_GetModuleState(Py_TYPE(self)));
  Owned made(allocate(types->sorted));
  if (!made || PyObject_GetBuffer(data, &self_as<PySorted>(made.get())->view, PyBUF_SIMPLE)) return nullptr;
  self_as<PySorted>(made.get())->sorted = new (std::nothrow) Sorted;
  return self_as<PySorted>(made.get())->sorted ? made.release() : PyErr_NoMemory();
}

// Does the work without the GIL; what it throws is memory that ran out.
template <class Work>
PyObject* worked(PyObject* self, Owned made, Work work) {
  bool enough = true;
  self_as<PySorter>(self)->busy = true;
  Py_BEGIN_ALLOW_THREADS
  try {
    work(sorted_of(made.get()));
  } catch (const std::exception&) {
    enough = false;
  }
  Py_END_ALLOW_THREADS
  self_as<PySorter>(self)->busy = false;
  return enough ? made.release() : PyErr_NoMemory();
}

PyObject* sorter_block(PyObject* self, PyObject* args) {
  PyObject *data, *asked;
  vector<uint32_t> rows;
  if (!PyArg_ParseTuple(args, "OO:block", &data, &asked)) return nullptr;
  bool some = asked != Py_None;
  if (some && !read_numbers(asked, rows)) return nullptr;
  Owned made(new_sorted(self, data));
  if (!made) return nullptr;
  const Py_buffer& view = self_as<PySorted>(made.get())->view;
  return worked(self, std::move(made), [&](Sorted& sorted) {
    sorted.lines.by_newline(static_cast<const char*>(view.buf), static_cast<size_t>(view.len));
    if (some) keep(sorted, rows);
    self_as<PySorter>(self)->sorter->sort(sorted, true);
  });
}

// Are there as many offsets as rows want, ascending and within the data?
bool sound(const vector<int64_t>& offsets, size_t count, Py_ssize_t size) {
  if (offsets.size() != count + 1 || offsets[0] < 0 || offsets[count] > size) return false;
  for (size_t i = 0; i < count; i++)
    if (offsets[i] > offsets[i + 1] || offsets[i + 1] - offsets[i] > INT_MAX) return false;
  return true;
}

bool read_offsets(PyObject* o, vector<int64_t>& offsets) {
  Py_buffer view;
  if (PyObject_GetBuffer(o, &view, PyBUF_SIMPLE)) return false;
  offsets.resize(static_cast<size_t>(view.len) / sizeof(int64_t));
  if (view.len) std::memcpy(offsets.data(), view.buf, offsets.size() * sizeof(int64_t));
  PyBuffer_Release(&view);
  return true;
}

PyObject* sorter_column(PyObject* self, PyObject* args) {
  PyObject *data, *places, *asked;
  vector<uint32_t> rows;
  vector<int64_t> offsets;
  if (!PyArg_ParseTuple(args, "OOO:column", &data, &places, &asked) || !read_numbers(asked, rows) || !read_offsets(places, offsets)) return nullptr;
  Owned made(new_sorted(self, data));
  if (!made) return nullptr;
  const Py_buffer& view = self_as<PySorted>(made.get())->view;
  if (!sound(offsets, rows.size(), view.len)) {
    PyErr_SetString(PyExc_ValueError, "these are no offsets of texts");
    return nullptr;
  }
  return worked(self, std::move(made), [&](Sorted& sorted) {
    sorted.lines.by_offsets(static_cast<const char*>(view.buf), offsets.data(), rows.size());
    sorted.rows = std::move(rows);
    self_as<PySorter>(self)->sorter->sort(sorted, false);
  });
}

PyMethodDef sorter_methods[] = {{"block", sorter_block, METH_VARARGS, "Sort the lines of a block."},
                                {"column", sorter_column, METH_VARARGS, "Sort the texts of a column."},
                                {nullptr, nullptr, 0, nullptr}};
PyType_Slot sorter_slots[] = {{Py_tp_new, reinterpret_cast<void*>(PyType_GenericNew)},
                              {Py_tp_init, reinterpret_cast<void*>(sorter_init)},
                              {Py_tp_dealloc, reinterpret_cast<void*>(sorter_dealloc)},
                              {Py_tp_methods, sorter_methods},
                              {0, nullptr}};
PyType_Spec sorter_spec = {"cachelog.ingest._text.Sorter", sizeof(PySorter), 0, Py_TPFLAGS_DEFAULT, sorter_slots};

// -- Reader

// What a reader made while the GIL was released.
struct Made {
  std::unique_ptr<Stream> rows, said;
  vector<uint32_t> claimed, others;
};

Made make(Reading& reading, const Sorted& sorted, const vector<uint32_t>& numbers) {
  Made made;
  Filler& filler = reading.filler;
  filler.begin();
  for (uint32_t n : numbers) {
    Verdict verdict = reading.read(sorted.lines.text(n), row_of(sorted, n));
    if (verdict == Verdict::yes) made.claimed.push_back(n);
    if (verdict == Verdict::no) made.others.push_back(n);
  }
  size_t rows = filler.block->row.size();
  made.said = std::make_unique<Stream>(said_table(filler.fields, filler.words, *filler.block), filler.block->said.size());
  made.rows = std::make_unique<Stream>(rows_table(filler.fields, *filler.block), rows);
  filler.block.reset();
  return made;
}

PyObject* as_result(const Types& types, Made& made) {
  Owned rows(as_table(types, std::move(made.rows))), said(as_table(types, std::move(made.said)));
  Owned claimed(as_bytes(made.claimed)), others(as_bytes(made.others));
  if (!rows || !said || !claimed || !others) return nullptr;
  return PyTuple_Pack(4, rows.get(), said.get(), claimed.get(), others.get());
}

PyObject* reader_read(PyObject* self, PyObject* args) {
  PyObject *sorted, *given;
  vector<uint32_t> numbers;
  auto types = static_cast<Types*>(PyType_GetModuleState(Py_TYPE(self)));
  auto reader = self_as<PyReader>(self);
  if (!PyArg_ParseTuple(args, "O!O:read", types->sorted, &sorted, &given) || !read_lines(sorted, given, numbers)) return nullptr;
  if (!reader->reading || reader->busy) {
    PyErr_SetString(PyExc_RuntimeError, "this reader was not made, or is at work in another thread");
    return nullptr;
  }
  Made made;
  bool enough = true;
  reader->busy = true;
  Py_BEGIN_ALLOW_THREADS
  try {
    made = make(*reader->reading, sorted_of(sorted), numbers);
  } catch (const std::exception&) {
    enough = false;
  }
  Py_END_ALLOW_THREADS
  reader->busy = false;
  return enough ? as_result(*types, made) : PyErr_NoMemory();
}

// A field of the spec: its name and kind, and its aliases.
bool read_field(PyObject* entry, Field& field, vector<string>& aliases) {
  static const char* const names[] = {"time", "label", "hash", "number", "measure", "word"};
  string kind;
  if (!read_string(PyTuple_GetItem(entry, 0), field.name) || !read_string(PyTuple_GetItem(entry, 1), kind)) return false;
  auto found = std::find(std::begin(names), std::end(names), kind);
  if (found == std::end(names)) {
    PyErr_SetString(PyExc_ValueError, ("no such kind of field: " + kind).c_str());
    return false;
  }
  field.kind = static_cast<Kind>(found - std::begin(names));
  return read_strings(PyTuple_GetItem(entry, 2), aliases);
}

std::unique_ptr<Reading> make_reading(const string& kind, vector<Field> fields, vector<vector<string>>& lists) {
  if (lists.size() != 3) throw std::invalid_argument("too few or too many lists of words");
  if (kind == "access") return std::make_unique<Access>(std::move(fields), std::move(lists[0]), std::move(lists[1]), std::move(lists[2]));
  if (kind != "logfmt") throw std::invalid_argument("no such kind of lines: " + kind);
  auto made = std::make_unique<Logfmt>(std::move(fields));
  for (const string& name : lists[0]) made->pairs.key(name).flag = true;
  for (const string& name : lists[1]) made->pairs.key(name).prose = true;
  made->owned = std::move(lists[2]);
  return made;
}

bool init_reader(PyReader& reader, const string& kind, PyObject* spec, PyObject* words) {
  vector<Field> fields;
  vector<vector<string>> aliases, lists;
  Py_ssize_t count = PyList_Size(spec);
  for (Py_ssize_t i = 0; i < count; i++) {
    fields.emplace_back();
    aliases.emplace_back();
    if (!read_field(PyList_GetItem(spec, i), fields.back(), aliases.back())) return false;
  }
  Py_ssize_t many = PyList_Size(words);
  for (Py_ssize_t i = 0; i < many; i++) {
    lists.emplace_back();
    if (!read_strings(PyList_GetItem(words, i), lists.back())) return false;
  }
  if (count < 0 || many < 0) return false;
  auto made = make_reading(kind, std::move(fields), lists);
  for (size_t f = 0; f < aliases.size(); f++)
    for (size_t i = 0; i < aliases[f].size(); i++) made->pairs.key(aliases[f][i]).targets.emplace_back(static_cast<uint32_t>(f), static_cast<uint32_t>(i));
  reader.reading = made.release();
  return true;
}

int reader_init(PyObject* self, PyObject* args, PyObject*) {
  const char* kind;
  PyObject *spec, *words;
  if (!PyArg_ParseTuple(args, "sOO:Reader", &kind, &spec, &words)) return -1;
  if (self_as<PyReader>(self)->reading) {
    PyErr_SetString(PyExc_ValueError, "a reader is made once");
    return -1;
  }
  try {
    return init_reader(*self_as<PyReader>(self), kind, spec, words) ? 0 : -1;
  } catch (const std::invalid_argument& error) {
    PyErr_SetString(PyExc_ValueError, error.what());
  } catch (const std::exception&) {
    PyErr_NoMemory();
  }
  return -1;
}

void reader_dealloc(PyObject* self) {
  delete self_as<PyReader>(self)->reading;
  release_object(self);
}

PyMethodDef reader_methods[] = {{"read", reader_read, METH_VARARGS, "Read lines."}, {nullptr, nullptr, 0, nullptr}};
PyType_Slot reader_slots[] = {{Py_tp_new, reinterpret_cast<void*>(PyType_GenericNew)},
                              {Py_tp_init, reinterpret_cast<void*>(reader_init)},
                              {Py_tp_dealloc, reinterpret_cast<void*>(reader_dealloc)},
                              {Py_tp_methods, reader_methods},
                              {0, nullptr}};
PyType_Spec reader_spec = {"cachelog.ingest._text.Reader", sizeof(PyReader), 0, Py_TPFLAGS_DEFAULT, reader_slots};

bool add_type(PyObject* module, const char* name, PyType_Spec* spec, PyObject*& kept) {
  kept = PyType_FromModuleAndSpec(module, spec, nullptr);
  return kept && PyModule_AddObjectRef(module, name, kept) == 0;
}

void free_module(void* module) {
  auto types = static_cast<Types*>(PyModule_GetState(static_cast<PyObject*>(module)));
  for (PyObject* type : {types->sorter, types->sorted, types->table, types->reader}) Py_DecRef(type);
}

PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_text", "Lines of text to those who read them.", sizeof(Types), nullptr, nullptr, nullptr, nullptr, free_module};

}  // namespace

PyMODINIT_FUNC PyInit__text(void) {
  Owned module(PyModule_Create(&definition));
  if (!module) return nullptr;
  auto types = static_cast<Types*>(PyModule_GetState(module.get()));
  bool made = add_type(module.get(), "Sorter", &sorter_spec, types->sorter) && add_type(module.get(), "Sorted", &sorted_spec, types->sorted) &&
              add_type(module.get(), "Table", &table_spec, types->table) && add_type(module.get(), "Reader", &reader_spec, types->reader);
  return made ? module.release() : nullptr;
}

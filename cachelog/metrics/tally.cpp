// cachelog.metrics._tally: lookups into cells of (window, place), and what came before them, by the million.
//
//   mark(said, replica, ts, rows, columns, places, first, width, seen)      sets seen[cell] to 1 for each lookup
//   count(said, replica, ts, seconds, rows, columns, places, first, width, cells, words, sums)
//
// said, replica: uint32; ts: int64 microseconds; seconds: doubles, NaN for none. A lookup's place is
// places[rows[said] + columns[replica]] (int32), where rows[said] (int32) is negative for what is no lookup, and a place
// is negative for what is not counted. Its cell is window * number + place, the window (ts - first) / width, `number`
// one more than the largest place. cells: uint32, the row of the sums that a cell has. words: 3 uint32 a thing said: its
// outcome (0 hit, 1 miss, others), 1 where it expired, and how many lookups it stands for. sums: 12 columns of int64:
// hits, misses, stale, bypass, errors, expired, nanoseconds and number of timed hits, the same of misses, first, last.
//   follow(kind, head, start, before, filled, evicted, expired)
//
// kind: uint8, what each row of a history is (metrics/reuse.py); head: 1 where an entry begins. The others, int64, get
// where the row's entry begins, and its last lookup, filling, eviction and expiry before the row, -1 for none.
// metrics/tally.py and metrics/reuse.py say the same in numpy and are held to it by tests/test_tally.py and
// tests/test_causes.py. The GIL is released.

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <cmath>
#include <cstdint>

namespace {

constexpr size_t kColumns = 12;
constexpr int64_t kNoTime = INT64_MIN;

struct Buffer {
  Py_buffer view{};
  ~Buffer() {
    if (view.obj) PyBuffer_Release(&view);
  }
  template <class T>
  T* as() const {
    return static_cast<T*>(view.buf);
  }
  template <class T>
  size_t size() const {
    return static_cast<size_t>(view.len) / sizeof(T);
  }
};

struct Lookups {
  Buffer said, replica, ts, rows, columns, places;
  long long first = 0, width = 1, number = 1;

  // Returns the cell of a lookup, -1 for none.
  int64_t cell(size_t at) const {
    int32_t row = rows.as<int32_t>()[said.as<uint32_t>()[at]];
    int64_t time = ts.as<int64_t>()[at];
    if (row < 0 || time == kNoTime) return -1;
    int32_t place = places.as<int32_t>()[static_cast<uint32_t>(row) + columns.as<uint32_t>()[replica.as<uint32_t>()[at]]];
    return place < 0 ? -1 : (time - first) / width * number + place;
  }
};

void mark_all(const Lookups& lookups, uint8_t* seen) {
  for (size_t at = 0, end = lookups.said.size<uint32_t>(); at < end; at++) {
    int64_t cell = lookups.cell(at);
    if (cell >= 0) seen[cell] = 1;
  }
}

struct Sums {
  const uint32_t* cells;
  const uint32_t* words;
  int64_t* sums;
  size_t rows;
  const double* seconds;

  void add(int64_t cell, uint32_t said, int64_t time, double took) const {
    int64_t* row = sums + cells[cell];
    auto sum = [&](size_t column) -> int64_t& { return row[column * rows]; };
    const uint32_t* word = words + static_cast<size_t>(said) * 3;
    uint32_t outcome = word[0];
    if (outcome < 5) sum(outcome) += word[2];
    if (word[1]) sum(5) += word[2];
    double nanoseconds = std::nearbyint(took * 1e9);
    if (outcome < 2 && std::fabs(nanoseconds) < 9e18) {
      sum(6 + 2 * outcome) += static_cast<int64_t>(nanoseconds);
      sum(7 + 2 * outcome) += 1;
    }
    if (time < sum(10)) sum(10) = time;
    if (time > sum(11)) sum(11) = time;
  }
};

void count_all(const Lookups& lookups, const Sums& sums) {
  const uint32_t* said = lookups.said.as<uint32_t>();
  const int64_t* ts = lookups.ts.as<int64_t>();
  for (size_t at = 0, end = lookups.said.size<uint32_t>(); at < end; at++) {
    int64_t cell = lookups.cell(at);
    if (cell >= 0) sums.add(cell, said[at], ts[at], sums.seconds[at]);
  }
}

PyObject* mark(PyObject*, PyObject* args) {
  Lookups l;
  Buffer seen;
  if (!PyArg_ParseTuple(args, "y*y*y*y*y*y*LLLw*:mark", &l.said.view, &l.replica.view, &l.ts.view, &l.rows.view, &l.columns.view,
                        &l.places.view, &l.first, &l.width, &l.number, &seen.view))
    return nullptr;
  Py_BEGIN_ALLOW_THREADS
  mark_all(l, seen.as<uint8_t>());
  Py_END_ALLOW_THREADS
  Py_RETURN_NONE;
}

PyObject* count(PyObject*, PyObject* args) {
  Lookups l;
  Buffer seconds, cells, words, sums;
  if (!PyArg_ParseTuple(args, "y*y*y*y*y*y*LLLy*y*y*w*:count", &l.said.view, &l.replica.view, &l.ts.view, &l.rows.view, &l.columns.view,
                        &l.places.view, &l.first, &l.width, &l.number, &seconds.view, &cells.view, &words.view, &sums.view))
    return nullptr;
  Py_BEGIN_ALLOW_THREADS
  count_all(l, {cells.as<uint32_t>(), words.as<uint32_t>(), sums.as<int64_t>(), sums.size<int64_t>() / kColumns, seconds.as<double>()});
  Py_END_ALLOW_THREADS
  Py_RETURN_NONE;
}

enum Kind : uint8_t { kHit, kStale, kEvict, kExpire, kMiss, kExpired };

struct Followed {
  int64_t *start, *before, *filled, *evicted, *expired;
};

void follow_all(const uint8_t* kind, const uint8_t* head, size_t rows, const Followed& out) {
  int64_t start = 0, before = -1, filled = -1, evicted = -1, expired = -1;
  for (size_t at = 0; at < rows; at++) {
    auto row = static_cast<int64_t>(at);
    if (head[at]) start = row, before = filled = evicted = expired = -1;
    out.start[at] = start;
    out.before[at] = before;
    out.filled[at] = filled;
    out.evicted[at] = evicted;
    out.expired[at] = expired;
    uint8_t what = kind[at];
    if (what == kEvict) evicted = row;
    else if (what == kExpire) expired = row;
    else before = row;
    if (what >= kMiss || what == kStale) filled = row;
  }
}

PyObject* follow(PyObject*, PyObject* args) {
  Buffer kind, head, start, before, filled, evicted, expired;
  if (!PyArg_ParseTuple(args, "y*y*w*w*w*w*w*:follow", &kind.view, &head.view, &start.view, &before.view, &filled.view,
                        &evicted.view, &expired.view))
    return nullptr;
  Py_BEGIN_ALLOW_THREADS
  follow_all(kind.as<uint8_t>(), head.as<uint8_t>(), kind.size<uint8_t>(),
             {start.as<int64_t>(), before.as<int64_t>(), filled.as<int64_t>(), evicted.as<int64_t>(), expired.as<int64_t>()});
  Py_END_ALLOW_THREADS
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {{"mark", mark, METH_VARARGS, "Mark the cells that have lookups."},
                           {"count", count, METH_VARARGS, "Add lookups to the sums of their cells."},
                           {"follow", follow, METH_VARARGS, "Say what came before each row in its entry."},
                           {nullptr, nullptr, 0, nullptr}};
PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_tally", "Lookups into cells.", -1, functions, nullptr, nullptr, nullptr, nullptr};

}  // namespace

PyMODINIT_FUNC PyInit__tally(void) { return PyModule_Create(&definition); }

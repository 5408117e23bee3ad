// What JSON envelopes say, for scan.cpp. contract/layout.py declares how they lie around records, contract/opening.py is
// the definition of what is read of them.

#ifndef CACHELOG_ENVELOPE_HPP
#define CACHELOG_ENVELOPE_HPP

#include "scan.hpp"

namespace cachelog {

// ---------------------------------------------------------------------------------------------- slices of valid JSON

enum class Shape : uint8_t { none, text, number, word, object, array };

// A value of a line that is known to be valid: of a text the inside, of others all of it.
struct Capture {
  string_view raw;
  Shape shape = Shape::none;
  bool escaped = false;
  explicit operator bool() const { return shape != Shape::none; }
};

inline const char* skip_string(const char* p) {
  for (p++; *p != '"'; p++)
    if (*p == '\\') p++;
  return p + 1;
}

// Returns behind the value at p.
inline const char* skip(const char* p) {
  if (*p == '"') return skip_string(p);
  if (*p != '{' && *p != '[') {
    while (*p != ',' && *p != ']' && *p != '}' && *p != ' ' && *p != '\t' && *p != '\r' && *p != '\n') p++;
    return p;
  }
  int depth = 0;
  do {
    if (*p == '"') {
      p = skip_string(p);
      continue;
    }
    depth += *p == '{' || *p == '[';
    depth -= *p == '}' || *p == ']';
    p++;
  } while (depth);
  return p;
}

inline Capture capture_of(string_view value) {
  switch (value[0]) {
    case '{': return {value, Shape::object};
    case '[': return {value, Shape::array};
    case 't': case 'f': return {value, Shape::word};
    case 'n': return {};
    case '"': {
      string_view inside = value.substr(1, value.size() - 2);
      return {inside, Shape::text, inside.find('\\') != string_view::npos};
    }
    default: return {value, Shape::number};
  }
}

inline string_view slice(const char* from, const char* to) { return {from, static_cast<size_t>(to - from)}; }

template <class Do>
void elements(string_view array, Do each) {
  for (const char* p = blanks(array.data() + 1); *p != ']';) {
    if (*p == ',') p = blanks(p + 1);
    const char* end = skip(p);
    each(slice(p, end));
    p = blanks(end);
  }
}

template <class Do>
void members(string_view object, Do each) {
  for (const char* p = blanks(object.data() + 1); *p != '}';) {
    if (*p == ',') p = blanks(p + 1);
    const char* end = skip_string(p);
    string_view key = slice(p + 1, end - 1);
    p = blanks(blanks(end) + 1);
    end = skip(p);
    each(key, slice(p, end));
    p = blanks(end);
  }
}

inline bool same_key(string_view raw, string_view name) {
  if (raw.find('\\') == string_view::npos) return raw == name;
  string made;
  unescape(raw, made);
  return made == name;
}

// The first members of these names, null ones too; a missing one is empty.
template <size_t N>
void find_members(string_view object, const string_view (&names)[N], string_view (&found)[N]) {
  members(object, [&](string_view key, string_view value) {
    for (size_t i = 0; i < N; i++)
      if (found[i].empty() && same_key(key, names[i])) found[i] = value;
  });
}

// ---------------------------------------------------------------------------------------------- OTLP and lists of pairs

constexpr string_view kTyped[] = {"stringValue", "intValue", "doubleValue", "boolValue", "bytesValue", "kvlistValue", "arrayValue"};
constexpr size_t kPairs = 5, kValues = 6;  // of kTyped: a list of pairs, and of values

// Takes the wrapping of an AnyValue off; `kind` is its place in kTyped, or their number for none.
inline string_view any_value(string_view value, size_t& kind) {
  kind = std::size(kTyped);
  if (value[0] != '{') return value;
  string_view found[std::size(kTyped)];
  find_members(value, kTyped, found);
  for (size_t i = 0; i < std::size(kTyped); i++)
    if (!found[i].empty() && found[i][0] != 'n') {
      kind = i;
      return found[i];
    }
  return value;
}

inline void append_pairs(string& out, string_view array, bool typed, bool& any);

// Writes a value as JSON, without the wrapping of an AnyValue.
inline void append_value(string& out, string_view value, bool typed) {
  size_t kind = std::size(kTyped);
  if (typed) value = any_value(value, kind);
  if (kind == kValues) {
    out += "null";
  } else if (kind == kPairs) {
    constexpr string_view names[] = {"values"};
    string_view found[1];
    if (value[0] == '{') find_members(value, names, found);
    bool any = false;
    out += '{';
    if (!found[0].empty() && found[0][0] == '[') append_pairs(out, found[0], typed, any);
    out += '}';
  } else {
    out += value;
  }
}

// Where the first colon of a text is, also where it is escaped, and behind it; both the end where there is none.
inline void find_colon(string_view text, size_t& at, size_t& behind) {
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == ':') {
      at = i;
      behind = i + 1;
      return;
    }
    if (text[i] != '\\') continue;
    if (text[i + 1] == 'u' && hex4(text.data() + i + 2) == ':') {
      at = i;
      behind = i + 6;
      return;
    }
    i++;
  }
  at = behind = text.size();
}

// Is the element of a list a text "name:value"? Then `value` is the inside of the rest.
inline bool is_tag(string_view element, string_view name, string_view& value) {
  if (element[0] != '"') return false;
  string_view inside = element.substr(1, element.size() - 2);
  size_t at, behind;
  find_colon(inside, at, behind);
  if (at == inside.size() || !same_key(inside.substr(0, at), name)) return false;
  value = inside.substr(behind);
  return true;
}

// Key and value of a pair; no key where it is none.
inline void pair_of(string_view element, string_view& key, string_view& value) {
  if (element[0] != '{') return;
  constexpr string_view names[] = {"key", "field", "value"};
  string_view found[3];
  find_members(element, names, found);
  key = found[0].empty() ? found[1] : found[0];
  if (!key.empty() && key[0] != '"') key = {};
  value = found[2].empty() ? string_view("null") : found[2];
}

// Writes a list of pairs as members of an object.
inline void append_pairs(string& out, string_view array, bool typed, bool& any) {
  elements(array, [&](string_view element) {
    string_view key, value;
    pair_of(element, key, value);
    if (key.empty()) return;
    if (any) out += ',';
    any = true;
    out.append(key).append(1, ':');
    append_value(out, value, typed);
  });
}

inline Capture find_pair(string_view array, string_view name, bool typed) {
  Capture found;
  bool done = false;
  elements(array, [&](string_view element) {
    if (done) return;
    string_view key, value;
    if (is_tag(element, name, value)) {
      found = {value, Shape::text, value.find('\\') != string_view::npos};
      done = true;
      return;
    }
    pair_of(element, key, value);
    if (key.empty() || !same_key(key.substr(1, key.size() - 2), name)) return;
    size_t kind = std::size(kTyped);
    string_view bare = typed ? any_value(value, kind) : value;
    found = kind == kValues ? Capture() : kind == kPairs ? Capture{value, Shape::object} : capture_of(bare);
    done = true;
  });
  return found;
}

// ---------------------------------------------------------------------------------------------- layouts

struct Place {
  uint32_t level, slot;
  string pair;
};
using Places = vector<Place>;  // best first

struct Layout {
  vector<vector<Places>> payloads;  // best first, each with its parts
  Places roles[3];                  // time, replica, stream
  Places unless;
  vector<Places> tells;
  bool loose = false, typed = false;
  char opens = '{';  // how a record begins
  uint32_t level = 0;
};

constexpr size_t kParts = 4;
enum Role { kTime, kReplica, kStream, kRoles };

struct Record {
  uint32_t layout = 0;
  bool valid = true;   // it begins as a record does
  bool joins = false;  // the payload is put together from parts
  uint32_t told = 0;   // bits of the groups of tells that are there
  Capture parts[kParts];
  Capture roles[kRoles];
  bool payload() const {
    for (const Capture& part : parts)
      if (part) return true;
    return false;
  }
};

// What envelopes of a block say. The inner lines are in `lines`, each ended by a newline.
struct Opened {
  explicit Opened(uint64_t seed) : texts{Dictionary(seed), Dictionary(seed), Dictionary(seed)} {}
  size_t wrapped = 0;  // lines of the block
  vector<uint32_t> row, layout;
  vector<uint8_t> ended;  // does the payload end with a newline?
  vector<uint32_t> codes[kRoles];
  Dictionary texts[kRoles];
  string lines;
};

// A block of JSON lines, and what was in envelopes.
struct Found : Block {
  Found(const vector<Field>& fields, size_t words, uint64_t seed) : Block(fields, words, seed), opened(seed) {}
  Opened opened;
  size_t lines() const { return row.size() + bad.size() + blank.size() + other.size() + opened.wrapped; }
};

inline Table opened_table(Opened& opened) {
  Table table;
  auto never = [](auto) { return false; };
  add_values(table, "row", "I", std::move(opened.row), never);
  add_values(table, "layout", "I", std::move(opened.layout), never);
  add_values(table, "ended", "C", std::move(opened.ended), never);
  const char* const names[] = {"env_time", "env_replica", "stream"};
  for (size_t role = 0; role < kRoles; role++) add_texts(table, names[role], opened.codes[role], opened.texts[role]);
  return table;
}

// Finds what is at places of one level in captured slots.
class Finder {
 public:
  explicit Finder(const vector<Capture>& slots) : slots_(slots) {}

  Capture at(const Place& place, bool typed) const {
    const Capture& found = slots_[place.slot];
    if (place.pair.empty()) return found;
    return found.shape == Shape::array ? find_pair(found.raw, place.pair, typed) : Capture();
  }

  bool any(const Places& places, uint32_t level, bool typed) const {
    for (const Place& place : places)
      if (place.level == level && at(place, typed)) return true;
    return false;
  }

  // Adds to a record what its layout looks for at a level.
  void fill(Record& record, const Layout& layout, uint32_t level) const {
    if (!record.payload()) fill_payload(record, layout, level);
    for (size_t role = 0; role < kRoles; role++)
      for (const Place& place : layout.roles[role]) {
        if (record.roles[role]) break;
        if (place.level != level) continue;
        Capture found = at(place, layout.typed);
        if (found.shape == Shape::text || found.shape == Shape::number || (role != kTime && found.shape == Shape::word)) record.roles[role] = found;
      }
    for (size_t i = 0; i < layout.tells.size(); i++)
      if (any(layout.tells[i], level, layout.typed)) record.told |= 1u << i;
  }

 private:
  const vector<Capture>& slots_;

  void fill_payload(Record& record, const Layout& layout, uint32_t level) const {
    for (const vector<Places>& parts : layout.payloads) {
      size_t count = 0;
      for (const Places& places : parts) {
        for (const Place& place : places)
          if (place.level == level && !record.parts[count]) record.parts[count] = part(at(place, layout.typed), layout.typed, parts.size() > 1);
        count += static_cast<bool>(record.parts[count]);
      }
      record.joins = parts.size() > 1;
      if (count) return;
    }
  }

  // A part as it counts: without the wrapping of an AnyValue, and nothing where it is empty.
  static Capture part(const Capture& found, bool typed, bool joins) {
    if (!joins) return found;
    Capture bare = found;
    size_t kind;
    if (typed && found.shape == Shape::object) {
      bare = capture_of(any_value(found.raw, kind));
      if (kind == kValues) return {};
      if (kind == kPairs) {
        constexpr string_view names[] = {"values"};
        string_view values[1];
        if (bare.shape == Shape::object) find_members(bare.raw, names, values);
        bare = values[0].empty() || values[0][0] != '[' ? Capture() : capture_of(values[0]);
      }
    }
    bool empty = (bare.shape == Shape::object || bare.shape == Shape::array) && blanks(bare.raw.data() + 1) == bare.raw.data() + bare.raw.size() - 1;
    return empty ? Capture() : bare;
  }
};

// Writes the inner line of a record: its payload, nothing where it has none, and "{", which is bad, where it is no record.
class Payload {
 public:
  // Returns whether a text ended with a newline.
  bool write(const Record& record, bool typed, string& out) {
    size_t start = out.size();
    bool ended = false;
    if (!record.valid) {
      out += '{';
    } else if (record.payload()) {
      ended = record.joins ? joined(record, typed, out) : single(record.parts[0], out);
    }
    for (size_t at = start; (at = out.find('\n', at)) != string::npos; at++) out[at] = ' ';
    out += '\n';
    return ended;
  }

  bool text(string_view raw, bool escaped, string& out) {
    if (escaped) {
      unescape(raw, made_);
      raw = made_;
    }
    bool ended = !raw.empty() && raw.back() == '\n';
    if (ended) raw.remove_suffix(1);
    out += raw;
    return ended;
  }

 private:
  string made_;

  bool single(const Capture& part, string& out) {
    switch (part.shape) {
      case Shape::text: return text(part.raw, part.escaped, out);
      case Shape::object: out += part.raw; break;
      case Shape::array: return bytes(part.raw, out);
      default: out += '{';
    }
    return false;
  }

  // journald writes a text with bytes that are no UTF-8 or no printable characters as an array of numbers.
  bool bytes(string_view array, string& out) {
    string read;
    bool valid = true;
    elements(array, [&](string_view element) {
      unsigned value = 256;
      auto end = std::from_chars(element.data(), element.data() + element.size(), value).ptr;
      valid &= value < 256 && end == element.data() + element.size();
      read += static_cast<char>(value);
    });
    if (valid && valid_utf8(read)) return text(read, false, out);
    out += '{';
    return false;
  }

  bool joined(const Record& record, bool typed, string& out) {
    const Capture& first = record.parts[0];
    if (!record.parts[1] && first.shape == Shape::text) return text(first.raw, first.escaped, out);
    bool any = false;
    out += '{';
    for (const Capture& part : record.parts)
      if (part) join(part, typed, out, any);
    out += '}';
    return false;
  }

  static void join(const Capture& part, bool typed, string& out, bool& any) {
    if (part.shape == Shape::array) return append_pairs(out, part.raw, typed, any);
    if (any) out += ',';
    any = true;
    if (part.shape == Shape::object) {
      out += part.raw.substr(1, part.raw.size() - 2);
    } else if (part.shape == Shape::text) {
      out.append("\"message\":\"").append(part.raw).append(1, '"');
    } else {
      out.append("\"message\":").append(part.raw);
    }
  }
};

// ---------------------------------------------------------------------------------------------- messages

inline bool letter(char c) { return static_cast<unsigned char>((c | 0x20) - 'a') < 26; }
inline bool capital(char c) { return static_cast<unsigned char>(c - 'A') < 26; }

// Where the words before the equals sign of a telling pair may end.
inline bool has_pair(string_view text) {
  constexpr string_view names[] = {"model", "model_name", "modelName", "cache", "cache_status"};
  for (size_t at = 0; (at = text.find('=', at)) != string_view::npos; at++)
    for (string_view name : names) {
      if (at < name.size() || text.substr(at - name.size(), name.size()) != name) continue;
      if (at == name.size()) return true;
      char before = text[at - name.size() - 1];
      if (!letter(before) && !digit(before) && before != '_') return true;
    }
  return false;
}

// May a message be a line of its own? contract/opening.py has the pattern.
inline bool is_record(string_view text) {
  size_t i = 0;
  while (i < text.size() && (text[i] == ' ' || (text[i] >= '\t' && text[i] <= '\r'))) i++;
  string_view rest = text.substr(i);
  if (rest.empty()) return false;
  if (std::strchr("[(<{", rest[0]) && rest[0]) return true;
  if (rest.size() > 1 && digit(rest[0]) && digit(rest[1])) return true;
  size_t n = 0;
  while (n < rest.size() && capital(rest[n])) n++;
  if (n) {
    while (n < rest.size() && digit(rest[n])) n++;
    if (n < rest.size() && rest[n] == ' ') return true;
  } else {
    while (n < rest.size() && ((letter(rest[n]) && !capital(rest[n])) || rest[n] == '_')) n++;
    if (n && n < rest.size() && rest[n] == '=') return true;
  }
  return has_pair(text);
}

}  // namespace cachelog

#endif

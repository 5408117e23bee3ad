// What the native scanners share: bytes, text and numbers, times, dictionaries, and the hand-over as Arrow tables.

#ifndef CACHELOG_INGEST_SCAN_HPP
#define CACHELOG_INGEST_SCAN_HPP

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <algorithm>
#include <charconv>
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#if defined(__SSE2__) || defined(_M_X64)
#define SCAN_SSE2 1
#include <emmintrin.h>
#endif
#ifdef _MSC_VER
#include <intrin.h>
#endif

extern "C" {  // https://arrow.apache.org/docs/format/CDataInterface.html and CStreamInterface.html
struct ArrowSchema {
  const char* format;
  const char* name;
  const char* metadata;
  int64_t flags;
  int64_t n_children;
  ArrowSchema** children;
  ArrowSchema* dictionary;
  void (*release)(ArrowSchema*);
  void* private_data;
};
struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void** buffers;
  ArrowArray** children;
  ArrowArray* dictionary;
  void (*release)(ArrowArray*);
  void* private_data;
};
struct ArrowArrayStream {
  int (*get_schema)(ArrowArrayStream*, ArrowSchema*);
  int (*get_next)(ArrowArrayStream*, ArrowArray*);
  const char* (*get_last_error)(ArrowArrayStream*);
  void (*release)(ArrowArrayStream*);
  void* private_data;
};
}

namespace cachelog {

using std::string;
using std::string_view;
using std::vector;

constexpr size_t kPad = 64;             // bytes that may be read, not used, behind a line
constexpr uint32_t kNone = UINT32_MAX;  // no code
constexpr size_t kMaxLabels = 1 << 14;  // different labels of a block that are worth a dictionary
constexpr int64_t kDay = 86'400'000'000;
constexpr int64_t kNoTime = INT64_MIN;

// ---------------------------------------------------------------------------------------------- bytes

inline unsigned first_bit(uint32_t mask) {
#ifdef _MSC_VER
  unsigned long at;
  _BitScanForward(&at, mask);
  return at;
#else
  return static_cast<unsigned>(__builtin_ctz(mask));
#endif
}

inline uint64_t little(const char* p, int bytes) {  // `bytes` is 4 or 8
  uint64_t word = 0;
  std::memcpy(&word, p, static_cast<size_t>(bytes));
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  return word;
}

inline uint64_t byte(char c) { return static_cast<unsigned char>(c); }

// The last one to seven bytes of a text as a little-endian word.
inline uint64_t rest(const char* p, size_t n) {
  if (n >= 4) return little(p, 4) | little(p + n - 4, 4) << (8 * (n - 4));
  return byte(p[0]) | byte(p[n / 2]) << (8 * (n / 2)) | byte(p[n - 1]) << (8 * (n - 1));
}

constexpr uint64_t kSeed = 0x51A7C0DE5EEDF00D;  // of key hashes: fixed, so that runs and machines agree
constexpr uint64_t kOdd1 = 0x9E3779B97F4A7C15;
constexpr uint64_t kOdd2 = 0xD6E8FEB86659FD93;

inline uint64_t finish(uint64_t h) {
  h = (h ^ h >> 32) * kOdd2;
  h = (h ^ h >> 29) * kOdd1;
  return h ^ h >> 32;
}

// ingest/keys.py computes the same on columns.
inline uint64_t hash(string_view text, uint64_t seed) {
  const char* p = text.data();
  size_t n = text.size();
  uint64_t h = seed ^ n * kOdd2;
  for (; n >= 8; p += 8, n -= 8) {
    h = (h ^ little(p, 8)) * kOdd1;
    h ^= h >> 32;
  }
  if (n) {
    h = (h ^ rest(p, n)) * kOdd1;
    h ^= h >> 32;
  }
  return finish(h);
}

// ---------------------------------------------------------------------------------------------- text

inline bool digit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

inline bool digits(const char* p, int n) {
  for (int i = 0; i < n; i++)
    if (!digit(p[i])) return false;
  return true;
}

inline int two(const char* p) { return (p[0] - '0') * 10 + (p[1] - '0'); }

inline const char* blanks(const char* p) {
  while (*p == ' ' || *p == '\t' || *p == '\r') p++;
  return p;
}

inline int hex(char c) {
  if (digit(c)) return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Returns the value of four hexadecimal digits, -1 where one is none; reads no further than the first that is none.
inline int hex4(const char* p) {
  int value = 0;
  for (int i = 0; i < 4; i++) {
    int d = hex(p[i]);
    if (d < 0) return -1;
    value = value * 16 + d;
  }
  return value;
}

// Is the text, of two bytes or more, in the data? Looks where its first and last byte are in their places.
inline bool holds(string_view data, string_view text) {
  const char* p = data.data();
  const size_t back = text.size() - 1;
  const char* end = p + (data.size() > back ? data.size() - back : 0);  // where it can begin
  auto here = [&](const char* at) { return !std::memcmp(at, text.data(), text.size()); };
#ifdef SCAN_SSE2
  const __m128i head = _mm_set1_epi8(text.front()), tail = _mm_set1_epi8(text.back());
  for (; end - p >= 16; p += 16) {
    __m128i first = _mm_cmpeq_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), head);
    __m128i last = _mm_cmpeq_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + back)), tail);
    for (auto mask = static_cast<uint32_t>(_mm_movemask_epi8(_mm_and_si128(first, last))); mask; mask &= mask - 1)
      if (here(p + first_bit(mask))) return true;
  }
#endif
  for (; p < end; p++)
    if (*p == text.front() && here(p)) return true;
  return false;
}

inline bool continues(const unsigned char* p, int n) {
  for (int i = 0; i < n; i++)
    if ((p[i] & 0xC0) != 0x80) return false;
  return true;
}

// Unicode 15, table 3-7.
inline bool valid_utf8(string_view text) {
  auto p = reinterpret_cast<const unsigned char*>(text.data());
  auto end = p + text.size();
  while (p < end) {
    unsigned char c = *p;
    if (c < 0x80) {
      p++;
      continue;
    }
    int more = c >= 0xC2 && c < 0xE0 ? 1 : c >= 0xE0 && c < 0xF0 ? 2 : c >= 0xF0 && c < 0xF5 ? 3 : 0;
    if (!more || end - p <= more || !continues(p + 1, more)) return false;
    unsigned char d = p[1];
    if ((c == 0xE0 && d < 0xA0) || (c == 0xED && d > 0x9F) || (c == 0xF0 && d < 0x90) || (c == 0xF4 && d > 0x8F)) return false;
    p += more + 1;
  }
  return true;
}

inline void append_utf8(string& out, uint32_t c) {
  auto put = [&](uint32_t b) { out += static_cast<char>(b); };
  if (c < 0x80) return put(c);
  if (c < 0x800) {
    put(0xC0 | c >> 6);
  } else {
    if (c < 0x10000) {
      put(0xE0 | c >> 12);
    } else {
      put(0xF0 | c >> 18);
      put(0x80 | (c >> 12 & 0x3F));
    }
    put(0x80 | (c >> 6 & 0x3F));
  }
  put(0x80 | (c & 0x3F));
}

// Decodes \uXXXX at p (the four digits are known to be there), with the low half of a pair; returns behind it.
inline const char* unescape_unicode(const char* p, const char* end, string& out) {
  auto c = static_cast<uint32_t>(hex4(p + 2));
  p += 6;
  if (c >= 0xD800 && c < 0xDC00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
    auto low = static_cast<uint32_t>(hex4(p + 2));
    if (low >= 0xDC00 && low < 0xE000) {
      c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
      p += 6;
    }
  }
  append_utf8(out, c >= 0xD800 && c < 0xE000 ? 0xFFFD : c);
  return p;
}

// Unescapes the inside of a string that string_end() found to be valid.
inline void unescape(string_view text, string& out) {
  const char* p = text.data();
  const char* end = p + text.size();
  out.clear();
  while (p < end) {
    if (*p != '\\') {
      out += *p++;
      continue;
    }
    if (p[1] == 'u') {
      p = unescape_unicode(p, end, out);
      continue;
    }
    switch (p[1]) {
      case 'b': out += '\b'; break;
      case 'f': out += '\f'; break;
      case 'n': out += '\n'; break;
      case 'r': out += '\r'; break;
      case 't': out += '\t'; break;
      default: out += p[1];
    }
    p += 2;
  }
}

// Returns the end of the number that begins at p, null where there is none.
inline const char* number_end(const char* p) {
  if (*p == '-') p++;
  if (*p == '0') {
    p++;
  } else {
    if (!digit(*p)) return nullptr;
    while (digit(*p)) p++;
  }
  if (*p == '.') {
    if (!digit(*++p)) return nullptr;
    while (digit(*p)) p++;
  }
  if (*p == 'e' || *p == 'E') {
    p++;
    if (*p == '+' || *p == '-') p++;
    if (!digit(*p)) return nullptr;
    while (digit(*p)) p++;
  }
  return p;
}

// Is the number, known to be out of a double's range, too small rather than too large?
inline bool underflows(string_view number) {
  size_t e = std::min(number.find_first_of("eE"), number.size());
  long long exponent = 0;
  if (e < number.size()) {
    const char* from = number.data() + e + 1 + (number[e + 1] == '+');
    auto read = std::from_chars(from, number.data() + number.size(), exponent);
    if (read.ec != std::errc()) return number[e + 1] == '-';
  }
  string_view mantissa = number.substr(0, e);
  size_t first = mantissa.find_first_of("123456789");
  size_t dot = std::min(mantissa.find('.'), mantissa.size());
  auto magnitude = first < dot ? static_cast<long long>(dot - first) : -static_cast<long long>(first - dot);
  return exponent + magnitude < 0;
}

// Reads a number of at most 15 digits and no exponent, which divided by a power of ten is rounded once, so exactly.
inline bool short_double(string_view number, double& value) {
  static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  if (number.size() > 16) return false;
  int64_t figures = 0;
  size_t dot = number.size();
  for (size_t i = number[0] == '-'; i < number.size(); i++) {
    if (digit(number[i])) {
      figures = figures * 10 + (number[i] - '0');
    } else if (number[i] == '.') {
      dot = i + 1;
    } else {
      return false;
    }
  }
  if (figures >= 1'000'000'000'000'000) return false;
  value = static_cast<double>(figures) / powers[number.size() - dot];
  if (number[0] == '-') value = -value;
  return true;
}

// Returns the double that a JSON number means; NaN where it is too large for one.
inline double to_double(string_view number) {
  double value = 0;
  if (short_double(number, value)) return value;
  auto read = std::from_chars(number.data(), number.data() + number.size(), value);
  if (read.ec == std::errc()) return value;
  return underflows(number) ? (number[0] == '-' ? -0.0 : 0.0) : std::nan("");
}

// Writes the shortest digits that give this double again, without an exponent.
inline void append_double(string& out, double value) {
  char raw[40];
  auto end = std::to_chars(raw, raw + sizeof raw, value, std::chars_format::scientific).ptr;
  string_view text(raw, static_cast<size_t>(end - raw));
  size_t e = text.find('e');
  int exponent = 0;
  std::from_chars(text.data() + e + 1 + (text[e + 1] == '+'), end, exponent);
  string figures;
  for (char c : text.substr(0, e))
    if (digit(c)) figures += c;
  if (text[0] == '-') out += '-';
  auto count = static_cast<int>(figures.size());
  if (exponent < 0) {
    out.append("0.").append(static_cast<size_t>(-exponent - 1), '0').append(figures);
  } else if (count <= exponent + 1) {
    out.append(figures).append(static_cast<size_t>(exponent + 1 - count), '0');
  } else {
    out.append(figures, 0, static_cast<size_t>(exponent) + 1).append(1, '.').append(figures, static_cast<size_t>(exponent) + 1, string::npos);
  }
}

// The text of a number in a time or measure: an integer as written, else the shortest text of its double.
inline void measure(string_view number, string& out) {
  out.clear();
  if (number.find_first_of(".eE") == string_view::npos) {
    out = number == "-0" ? "0" : number;
    return;
  }
  double value = to_double(number);
  if (std::isnan(value)) {
    out = number;
  } else {
    append_double(out, value);
  }
}

// ---------------------------------------------------------------------------------------------- time

inline int days_in(int year, int month) {
  if (month == 2) return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

// Days since 1970-01-01 (H. Hinnant, chrono-compatible low-level date algorithms).
inline int64_t days(int year, int month, int day) {
  year -= month <= 2;
  int era = year / 400;
  int of_era = year - era * 400;
  int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097LL + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

struct Instant {
  int64_t us = kNoTime;
  bool naive = false;
};

// Reads times of the two plain shapes; all others are left to ingest/clock.py, which reads these the same.
class Clock {
 public:
  Instant read(string_view text) {
    if (text.size() >= 19 && (text[4] == '-' || text[4] == '/')) return iso(text);
    return {epoch(text), false};
  }

 private:
  char day_[10] = {};
  int64_t day_us_ = 0;

  bool set_day(const char* p) {
    if (!std::memcmp(p, day_, sizeof day_)) return true;
    if (!digits(p, 4) || !digits(p + 5, 2) || !digits(p + 8, 2) || (p[7] != '-' && p[7] != '/')) return false;
    int year = two(p) * 100 + two(p + 2), month = two(p + 5), day = two(p + 8);
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_in(year, month)) return false;
    std::memcpy(day_, p, sizeof day_);
    day_us_ = days(year, month, day) * kDay;
    return true;
  }

  // YYYY-MM-DD HH:MM:SS of a text of 19 bytes or more.
  int64_t second(const char* p) {
    if ((p[10] != 'T' && p[10] != ' ') || p[13] != ':' || p[16] != ':') return kNoTime;
    if (!digits(p + 11, 2) || !digits(p + 14, 2) || !digits(p + 17, 2) || !set_day(p)) return kNoTime;
    int hour = two(p + 11), minute = two(p + 14), second = two(p + 17);
    if (hour > 23 || minute > 59 || second > 59) return kNoTime;
    return day_us_ + (hour * 3600LL + minute * 60 + second) * 1'000'000;
  }

  // Adds the fraction at p, at most nine digits; returns behind it, null where it is not plain.
  static const char* fraction(const char* p, const char* end, int64_t& us) {
    if (p == end || (*p != '.' && *p != ',')) return p;
    const char* first = ++p;
    int64_t part = 0;
    for (; p < end && digit(*p); p++)
      if (p - first < 6) part = part * 10 + (*p - '0');
    if (p == first || p - first > 9) return nullptr;
    for (auto n = p - first; n < 6; n++) part *= 10;
    us += part;
    return p;
  }

  Instant iso(string_view text) {
    const char* end = text.data() + text.size();
    int64_t us = second(text.data());
    if (us == kNoTime) return {};
    const char* p = fraction(text.data() + 19, end, us);
    if (!p) return {};
    if (p == end) return {us, true};
    if (*p == ' ') p++;
    if (end - p == 1 && (*p == 'Z' || *p == 'z')) return {us, false};
    bool colon = end - p == 6 && p[3] == ':';
    if ((end - p != 5 && !colon) || (*p != '+' && *p != '-')) return {};
    const char* minutes = p + 3 + colon;
    if (!digits(p + 1, 2) || !digits(minutes, 2) || two(p + 1) > 23 || two(minutes) > 59) return {};
    int64_t offset = (two(p + 1) * 3600LL + two(minutes) * 60) * 1'000'000;
    return {*p == '+' ? us - offset : us + offset, false};
  }

  // The number of digits before the dot tells the unit: 9-11 seconds, 12-14 ms, 15-17 us, 18 and more ns.
  static int64_t epoch(string_view text) {
    size_t whole = 0;
    while (whole < text.size() && digit(text[whole])) whole++;
    if (whole < 9 || whole > 18) return kNoTime;
    int64_t value = 0, nano = 0;
    std::from_chars(text.data(), text.data() + whole, value);
    if (whole < text.size()) {
      size_t count = text.size() - whole - 1;
      if (text[whole] != '.' || count < 1 || count > 9 || !digits(text.data() + whole + 1, static_cast<int>(count))) return kNoTime;
      std::from_chars(text.data() + whole + 1, text.data() + text.size(), nano);
      for (; count < 9; count++) nano *= 10;
    }
    if (whole <= 11) return value * 1'000'000 + nano / 1000;
    if (whole <= 14) return value * 1000 + nano / 1'000'000;
    return whole <= 17 ? value : value / 1000;
  }
};

// ---------------------------------------------------------------------------------------------- columns

// The distinct texts of a field in a block, numbered as they come.
class Dictionary {
 public:
  explicit Dictionary(uint64_t seed) : seed_(seed) {}

  uint32_t size() const { return static_cast<uint32_t>(hashes_.size()); }
  string_view at(uint32_t code) const { return {data.data() + ends[code], ends[code + 1] - ends[code]}; }

  uint32_t code(string_view text) {
    if (last_ != kNone && at(last_) == text) return last_;  // logs repeat themselves
    uint64_t h = hash(text, seed_);
    for (size_t i = h & mask_;; i = (i + 1) & mask_) {
      uint32_t found = table_[i];
      if (found == kNone) return last_ = add(text, h, i);
      if (hashes_[found] == h && at(found) == text) return last_ = found;
    }
  }

  vector<uint64_t> ends{0};  // Arrow's offsets of large_utf8
  string data;

 private:
  uint64_t seed_;
  size_t mask_ = 63;
  uint32_t last_ = kNone;
  vector<uint32_t> table_ = vector<uint32_t>(64, kNone);
  vector<uint64_t> hashes_;

  uint32_t add(string_view text, uint64_t h, size_t at) {
    uint32_t code = size();
    data.append(text);
    ends.push_back(data.size());
    hashes_.push_back(h);
    table_[at] = code;
    if (hashes_.size() * 2 > mask_) grow();
    return code;
  }

  void grow() {
    mask_ = mask_ * 2 + 1;
    table_.assign(mask_ + 1, kNone);
    for (uint32_t code = 0; code < size(); code++) {
      size_t i = hashes_[code] & mask_;
      while (table_[i] != kNone) i = (i + 1) & mask_;
      table_[i] = code;
    }
  }
};

// The distinct combinations of `width` codes in a block.
class Combinations {
 public:
  Combinations(size_t width, uint64_t seed) : seed_(seed), factors_(width) {
    for (size_t i = 0; i < width; i++) factors_[i] = finish(seed + i) | 1;
  }

  size_t size() const { return hashes_.size(); }
  uint32_t code(size_t combination, size_t field) const { return codes_[combination * factors_.size() + field]; }

  uint32_t find(const vector<uint32_t>& codes) {
    if (!hashes_.empty() && same(last_, codes)) return last_;
    uint64_t h = seed_;
    for (size_t i = 0; i < codes.size(); i++) h += (codes[i] ^ kOdd2) * factors_[i];
    h = finish(h);
    for (size_t i = h & mask_;; i = (i + 1) & mask_) {
      uint32_t found = table_[i];
      if (found == kNone) return last_ = add(codes, h, i);
      if (hashes_[found] == h && same(found, codes)) return last_ = found;
    }
  }

 private:
  uint64_t seed_;
  vector<uint64_t> factors_;
  size_t mask_ = 255;
  uint32_t last_ = 0;
  vector<uint32_t> table_ = vector<uint32_t>(256, kNone);
  vector<uint32_t> codes_;
  vector<uint64_t> hashes_;

  bool same(uint32_t at, const vector<uint32_t>& codes) const { return std::equal(codes.begin(), codes.end(), codes_.data() + at * codes.size()); }

  uint32_t add(const vector<uint32_t>& codes, uint64_t h, size_t at) {
    auto combination = static_cast<uint32_t>(size());
    codes_.insert(codes_.end(), codes.begin(), codes.end());
    hashes_.push_back(h);
    table_[at] = combination;
    if (size() * 2 > mask_) grow();
    return combination;
  }

  void grow() {
    mask_ = mask_ * 2 + 1;
    table_.assign(mask_ + 1, kNone);
    for (uint32_t c = 0; c < size(); c++) {
      size_t i = hashes_[c] & mask_;
      while (table_[i] != kNone) i = (i + 1) & mask_;
      table_[i] = c;
    }
  }
};

// A column that grows only when a row has a value: what lies between is null.
template <class T>
struct Sparse {
  T null;
  vector<T> values;

  explicit Sparse(T none) : null(none) {}
  void put(size_t row, T value) {
    values.resize(row, null);
    values.push_back(value);
  }
  bool empty() const { return values.empty(); }
};

// A table of things by name; the things stay where they are.
template <class T>
class Names {
 public:
  size_t size() const { return things_.size(); }

  T* find(string_view name) const {
    if (table_.empty()) return nullptr;
    size_t mask = table_.size() - 1;
    for (size_t i = hash(name, 0) & mask;; i = (i + 1) & mask)
      if (!table_[i] || table_[i]->name == name) return table_[i];
  }

  T& add(string_view name) {  // one that is not there
    things_.push_back(std::make_unique<T>());
    things_.back()->name = name;
    size_t size = 4;
    while (size < things_.size() * 4) size *= 2;
    table_.assign(size, nullptr);
    for (auto& thing : things_) {
      size_t i = hash(thing->name, 0) & (size - 1);
      while (table_[i]) i = (i + 1) & (size - 1);
      table_[i] = thing.get();
    }
    return *things_.back();
  }

 private:
  vector<std::unique_ptr<T>> things_;
  vector<T*> table_;
};

enum class Kind : uint8_t { time, label, hash, number, measure, word };

struct Field {
  string name;
  Kind kind;
};

// What a block gave of one field. Which members are used depends on the kind.
struct Column {
  explicit Column(uint64_t seed) : texts(seed) {}
  Sparse<uint32_t> codes{kNone};     // into texts; of a word only whether there is any
  Dictionary texts;                  // label, measure, word; time and number: what is not plain
  Sparse<int64_t> whole{kNoTime};    // time: us
  Sparse<uint64_t> hashes{0};        // hash
  Sparse<double> real{std::nan("")}; // number
  Sparse<uint8_t> naive{0};          // time
};

struct Block {
  Block(const vector<Field>& fields, size_t words, uint64_t seed) : said(words, seed) {
    columns.reserve(fields.size());
    for (size_t i = 0; i < fields.size(); i++) columns.emplace_back(seed);
  }
  vector<uint32_t> row, combination, bad, blank, other;
  Combinations said;
  vector<Column> columns;
};

// ---------------------------------------------------------------------------------------------- Arrow

// Keeps the memory of an array until the consumer releases it.
struct Holder {
  vector<const void*> buffers;
  vector<uint8_t> validity;
  virtual ~Holder() = default;
};

template <class T>
struct Holds : Holder {
  explicit Holds(T&& owned) : data(std::move(owned)) {}
  T data;
};

inline void release_array(ArrowArray* array) {
  for (int64_t i = 0; i < array->n_children; i++) {
    if (array->children[i]->release) array->children[i]->release(array->children[i]);
    delete array->children[i];
  }
  delete[] array->children;
  if (array->dictionary) {
    if (array->dictionary->release) array->dictionary->release(array->dictionary);
    delete array->dictionary;
  }
  delete static_cast<Holder*>(array->private_data);
  array->release = nullptr;
}

inline void release_schema(ArrowSchema* schema) {
  for (int64_t i = 0; i < schema->n_children; i++) {
    if (schema->children[i]->release) schema->children[i]->release(schema->children[i]);
    delete schema->children[i];
  }
  delete[] schema->children;
  if (schema->dictionary) {
    if (schema->dictionary->release) schema->dictionary->release(schema->dictionary);
    delete schema->dictionary;
  }
  delete static_cast<string*>(schema->private_data);
  schema->release = nullptr;
}

inline void make_schema(ArrowSchema* schema, const char* format, const string& name) {
  *schema = {};
  auto owned = std::make_unique<string>(name);
  schema->format = format;
  schema->name = owned->c_str();
  schema->flags = 2;  // nullable
  schema->private_data = owned.release();
  schema->release = release_schema;
}

inline void make_array(ArrowArray* array, size_t length, std::unique_ptr<Holder> holder) {
  *array = {};
  array->length = static_cast<int64_t>(length);
  array->n_buffers = static_cast<int64_t>(holder->buffers.size());
  array->buffers = holder->buffers.data();
  array->private_data = holder.release();
  array->release = release_array;
}

// One column ready to be handed over.
struct Export {
  string name;
  const char* format;
  ArrowArray array{};
  const char* dictionary = nullptr;  // format of the dictionary, where there is one

  Export(string n, const char* f) : name(std::move(n)), format(f) {}
  Export(Export&& other) noexcept : name(std::move(other.name)), format(other.format), array(other.array), dictionary(other.dictionary) {
    other.array.release = nullptr;
  }
  Export(const Export&) = delete;
  Export& operator=(const Export&) = delete;
  Export& operator=(Export&&) = delete;
  ~Export() {
    if (array.release) array.release(&array);
  }
};

using Table = vector<Export>;

template <class T, class Null>
size_t mark_nulls(const vector<T>& values, vector<uint8_t>& validity, Null is_null) {
  size_t nulls = 0;
  for (const T& v : values) nulls += is_null(v);
  if (!nulls) return 0;
  validity.assign((values.size() + 7) / 8, 0);
  for (size_t i = 0; i < values.size(); i++)
    if (!is_null(values[i])) validity[i >> 3] |= static_cast<uint8_t>(1 << (i & 7));
  return nulls;
}

template <class T, class Null>
void add_values(Table& table, const string& name, const char* format, vector<T>&& values, Null is_null) {
  size_t length = values.size();
  auto holder = std::make_unique<Holds<vector<T>>>(std::move(values));
  size_t nulls = mark_nulls(holder->data, holder->validity, is_null);
  if (nulls)
    for (T& v : holder->data)
      if (is_null(v)) v = T(0);
  holder->buffers = {nulls ? holder->validity.data() : nullptr, holder->data.data()};
  table.emplace_back(name, format);
  make_array(&table.back().array, length, std::move(holder));
  table.back().array.null_count = static_cast<int64_t>(nulls);
}

template <class T, class Null>
void add_sparse(Table& table, const string& name, const char* format, Sparse<T>& column, size_t rows, Null is_null) {
  if (column.empty()) return;
  column.values.resize(rows, column.null);
  add_values(table, name, format, std::move(column.values), is_null);
}

struct Texts {
  vector<uint64_t> ends;
  string data;
};

// A column of strings (Arrow large_utf8) by codes into a dictionary.
inline void add_texts(Table& table, const string& name, const vector<uint32_t>& codes, const Dictionary& texts) {
  Texts made;
  made.ends.reserve(codes.size() + 1);
  made.ends.push_back(0);
  for (uint32_t code : codes) {
    if (code != kNone) made.data.append(texts.at(code));
    made.ends.push_back(made.data.size());
  }
  auto holder = std::make_unique<Holds<Texts>>(std::move(made));
  size_t nulls = mark_nulls(codes, holder->validity, [](uint32_t c) { return c == kNone; });
  holder->buffers = {nulls ? holder->validity.data() : nullptr, holder->data.ends.data(), holder->data.data.data()};
  table.emplace_back(name, "U");
  make_array(&table.back().array, codes.size(), std::move(holder));
  table.back().array.null_count = static_cast<int64_t>(nulls);
}

inline void add_dictionary(Table& table, const string& name, Column& column, size_t rows) {
  add_sparse(table, name, "I", column.codes, rows, [](uint32_t c) { return c == kNone; });
  Export& made = table.back();
  size_t count = column.texts.size();
  auto holder = std::make_unique<Holds<Texts>>(Texts{std::move(column.texts.ends), std::move(column.texts.data)});
  holder->buffers = {nullptr, holder->data.ends.data(), holder->data.data.data()};
  made.array.dictionary = new ArrowArray{};
  make_array(made.array.dictionary, count, std::move(holder));
  made.dictionary = "U";
}

inline void add_strings(Table& table, const string& name, Column& column, size_t rows) {
  if (column.codes.empty()) return;
  column.codes.values.resize(rows, kNone);
  add_texts(table, name, column.codes.values, column.texts);
}

inline void add_naive(Table& table, Sparse<uint8_t>& naive, size_t rows) {
  if (naive.empty()) return;
  naive.values.resize(rows, 0);
  vector<uint8_t> bits((rows + 7) / 8, 0);
  for (size_t i = 0; i < rows; i++) bits[i >> 3] |= static_cast<uint8_t>(naive.values[i] << (i & 7));
  auto holder = std::make_unique<Holds<vector<uint8_t>>>(std::move(bits));
  holder->buffers = {holder->data.data(), holder->data.data()};  // null or true
  table.emplace_back("naive", "b");
  make_array(&table.back().array, rows, std::move(holder));
  table.back().array.null_count = -1;
}

inline void add_field(Table& table, const Field& field, Column& column, size_t rows) {
  switch (field.kind) {
    case Kind::time:
      add_sparse(table, "ts", "tsu:UTC", column.whole, rows, [](int64_t v) { return v == kNoTime; });
      add_naive(table, column.naive, rows);
      return add_strings(table, field.name, column, rows);
    case Kind::label:
      if (column.codes.empty()) return;
      if (column.texts.size() > kMaxLabels) return add_strings(table, field.name, column, rows);
      return add_dictionary(table, field.name, column, rows);
    case Kind::hash: return add_sparse(table, field.name, "L", column.hashes, rows, [](uint64_t v) { return v == 0; });
    case Kind::number:
      add_sparse(table, field.name, "g", column.real, rows, [](double v) { return std::isnan(v); });
      return add_strings(table, field.name + "_text", column, rows);
    case Kind::measure: return add_strings(table, field.name, column, rows);
    case Kind::word: return;
  }
}

inline Table rows_table(const vector<Field>& fields, Block& block) {
  Table table;
  size_t rows = block.row.size();
  auto never = [](uint32_t) { return false; };
  add_values(table, "row", "I", std::move(block.row), never);
  add_values(table, "said", "I", std::move(block.combination), never);
  for (size_t i = 0; i < fields.size(); i++) add_field(table, fields[i], block.columns[i], rows);
  return table;
}

inline Table said_table(const vector<Field>& fields, const vector<uint32_t>& words, const Block& block) {
  Table table;
  vector<uint32_t> codes(block.said.size());
  for (size_t slot = 0; slot < words.size(); slot++) {
    const Dictionary& texts = block.columns[words[slot]].texts;
    if (!texts.size()) continue;
    for (size_t i = 0; i < codes.size(); i++) codes[i] = block.said.code(i, slot);
    add_texts(table, fields[words[slot]].name, codes, texts);
  }
  return table;
}

// A stream of one record batch.
struct Stream {
  explicit Stream(Table&& owned, size_t length) : table(std::move(owned)), rows(length) {}
  Table table;
  size_t rows;
  bool done = false;
};

inline Stream* stream_of(ArrowArrayStream* stream) { return static_cast<Stream*>(stream->private_data); }

inline int stream_schema(ArrowArrayStream* stream, ArrowSchema* out) {
  *out = {};
  try {
    const Table& table = stream_of(stream)->table;
    make_schema(out, "+s", "");
    out->children = new ArrowSchema*[table.size()];
    for (const Export& column : table) {
      auto child = std::make_unique<ArrowSchema>();
      make_schema(child.get(), column.format, column.name);
      out->children[out->n_children++] = child.release();
      if (!column.dictionary) continue;
      auto values = std::make_unique<ArrowSchema>();
      make_schema(values.get(), column.dictionary, "");
      out->children[out->n_children - 1]->dictionary = values.release();
    }
    return 0;
  } catch (const std::bad_alloc&) {
    if (out->release) out->release(out);
    return 12;  // ENOMEM
  }
}

inline int stream_next(ArrowArrayStream* stream, ArrowArray* out) {
  *out = {};
  Stream& s = *stream_of(stream);
  if (s.done) return 0;  // a released array ends the stream
  try {
    auto holder = std::make_unique<Holder>();
    holder->buffers = {nullptr};
    make_array(out, s.rows, std::move(holder));
    out->children = new ArrowArray*[s.table.size()];
    for (Export& column : s.table) {
      out->children[out->n_children] = new ArrowArray(column.array);
      out->n_children++;
      column.array.release = nullptr;
    }
    s.done = true;
    return 0;
  } catch (const std::bad_alloc&) {
    if (out->release) out->release(out);
    return 12;  // ENOMEM
  }
}

inline const char* stream_error(ArrowArrayStream*) { return nullptr; }

inline void stream_release(ArrowArrayStream* stream) {
  delete stream_of(stream);
  stream->release = nullptr;
}

// ---------------------------------------------------------------------------------------------- Python

struct Decref {
  void operator()(PyObject* o) const { Py_DecRef(o); }
};
using Owned = std::unique_ptr<PyObject, Decref>;

struct State {  // of the module
  PyObject* scanner;
  PyObject* scan;
  PyObject* table;
};

struct PyTable {
  PyObject_HEAD
  Stream* stream;
};

template <class T>
T* self_as(PyObject* o) {
  return reinterpret_cast<T*>(o);
}

inline PyObject* allocate(PyObject* type) { return PyType_GenericAlloc(reinterpret_cast<PyTypeObject*>(type), 0); }

inline void release_object(PyObject* self) {
  auto type = reinterpret_cast<PyObject*>(Py_TYPE(self));
  PyObject_Free(self);
  Py_DecRef(type);
}

// -- Table

inline void table_dealloc(PyObject* self) {
  delete self_as<PyTable>(self)->stream;
  release_object(self);
}

inline void free_stream_capsule(PyObject* capsule) {
  auto stream = static_cast<ArrowArrayStream*>(PyCapsule_GetPointer(capsule, "arrow_array_stream"));
  if (!stream) return PyErr_Clear();
  if (stream->release) stream->release(stream);
  delete stream;
}

inline PyObject* table_stream(PyObject* self, PyObject*, PyObject*) {
  auto table = self_as<PyTable>(self);
  if (!table->stream) {
    PyErr_SetString(PyExc_RuntimeError, "this table was taken already");
    return nullptr;
  }
  auto stream = new (std::nothrow) ArrowArrayStream{stream_schema, stream_next, stream_error, stream_release, table->stream};
  if (!stream) return PyErr_NoMemory();
  PyObject* capsule = PyCapsule_New(stream, "arrow_array_stream", free_stream_capsule);
  if (!capsule) {
    delete stream;
    return nullptr;
  }
  table->stream = nullptr;
  return capsule;
}

inline PyMethodDef table_methods[] = {
    {"__arrow_c_stream__", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(table_stream)), METH_VARARGS | METH_KEYWORDS,
     "Hand the table over as an Arrow stream, once."},
    {nullptr, nullptr, 0, nullptr}};
inline PyType_Slot table_slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(table_dealloc)}, {Py_tp_methods, table_methods}, {0, nullptr}};
inline PyType_Spec table_spec = {"cachelog.ingest._scan.Table", sizeof(PyTable), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, table_slots};

}  // namespace cachelog

#endif

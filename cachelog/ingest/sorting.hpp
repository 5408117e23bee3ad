// Sorts the lines of a block in one pass: which are blank or damaged, and which modules are to be asked about which line.

#ifndef CACHELOG_INGEST_SORTING_HPP
#define CACHELOG_INGEST_SORTING_HPP

#include "shapes.hpp"

namespace cachelog {

// ---------------------------------------------------------------------------------------------- lines

enum class Line : uint8_t {
  plain,
  blank,
  bad,   // no UTF-8
  odd,   // to be cleaned or unwrapped first, or JSON
  gone,  // read by another, or taken
};

struct Span {
  uint64_t start;
  uint32_t size;   // without blanks at its end
  uint32_t whole;  // without the ends of lines only
};

// Lines of a text, by newlines or by offsets.
class Lines {
 public:
  void by_newline(const char* data, size_t size) {
    data_ = data;
    spans.reserve(size / 128 + 16);
    size_t start = 0, at = 0;
    uint32_t high = 0, escape = 0;
    for (; at + kStep <= size; at += kStep) {
      Seen seen = look(data + at);
      for (; seen.newline; seen.newline &= seen.newline - 1) {
        unsigned bit = first_bit(seen.newline);
        uint32_t before = (1u << bit) - 1;
        add(start, at + bit, high | (seen.high & before), escape | (seen.escape & before));
        start = at + bit + 1;
        high = escape = 0;
        seen.high &= ~before;
        seen.escape &= ~before;
      }
      high |= seen.high;
      escape |= seen.escape;
    }
    for (; at < size; at++) {
      if (data[at] == '\n') {
        add(start, at, high, escape);
        start = at + 1;
        high = escape = 0;
      }
      high |= static_cast<uint32_t>(byte(data[at]) >> 7);
      escape |= data[at] == '\x1b';
    }
    if (start < size) add(start, size, high, escape);
  }

  // Texts that are valid UTF-8 and clean; those with a newline or an escape inside are odd.
  void by_offsets(const char* data, const int64_t* offsets, size_t count) {
    data_ = data;
    for (size_t i = 0; i < count; i++) {
      auto start = static_cast<uint64_t>(offsets[i]), end = static_cast<uint64_t>(offsets[i + 1]);
      auto size = static_cast<uint32_t>(end - start);
      bool plain = size && !std::memchr(data + start, '\n', size) && !std::memchr(data + start, '\x1b', size) && !is_odd(data + start, size);
      spans.push_back({start, size, size});
      kinds.push_back(plain ? Line::plain : Line::odd);
    }
  }

  size_t size() const { return spans.size(); }
  string_view text(size_t i) const { return {data_ + spans[i].start, spans[i].size}; }
  string_view whole(size_t i) const { return {data_ + spans[i].start, spans[i].whole}; }

  vector<Span> spans;
  vector<Line> kinds;

 private:
  const char* data_ = nullptr;

  void add(uint64_t start, uint64_t end, uint32_t high, uint32_t escape) {
    const char* p = data_ + start;
    uint64_t n = end - start;
    Line kind = high && !valid_utf8({p, n}) ? Line::bad : Line::plain;
    while (n && (p[n - 1] == '\r' || p[n - 1] == '\n')) n--;
    uint64_t whole = n;
    while (n && (p[n - 1] == '\r' || p[n - 1] == ' ' || p[n - 1] == '\t')) n--;
    if (kind == Line::plain) kind = !n ? Line::blank : escape || is_odd(p, n) ? Line::odd : Line::plain;
    spans.push_back({start, static_cast<uint32_t>(n), static_cast<uint32_t>(whole)});
    kinds.push_back(kind);
  }

  static bool is_odd(const char* p, uint64_t n) {
    if (*p == '\0' || *p == '\xEF') return true;  // a BOM, or what a truncated file begins with
    uint64_t i = 0;
    while (i < n && (p[i] == ' ' || p[i] == '\t')) i++;
    return i == n || p[i] == '{';
  }

  struct Seen {
    uint32_t newline, high, escape;
  };
#ifdef SCAN_SSE2
  static constexpr size_t kStep = 16;
  static Seen look(const char* p) {
    __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    auto mask = [](__m128i v) { return static_cast<uint32_t>(_mm_movemask_epi8(v)); };
    return {mask(_mm_cmpeq_epi8(x, _mm_set1_epi8('\n'))), mask(x), mask(_mm_cmpeq_epi8(x, _mm_set1_epi8('\x1b')))};
  }
#else
  static constexpr size_t kStep = 8;
  static Seen look(const char* p) {
    Seen seen{};
    for (unsigned i = 0; i < kStep; i++) {
      seen.newline |= static_cast<uint32_t>(p[i] == '\n') << i;
      seen.high |= static_cast<uint32_t>(byte(p[i]) >> 7) << i;
      seen.escape |= static_cast<uint32_t>(p[i] == '\x1b') << i;
    }
    return seen;
  }
#endif
};

// ---------------------------------------------------------------------------------------------- literals

// Groups of texts, of which a line may have some; long ones are found in one pass, looking at every second place.
class Literals {
 public:
  uint32_t group(const vector<string>& texts) {
    auto made = static_cast<uint32_t>(groups_++);
    for (const string& text : texts)
      if (text.size() >= kLong) add(text, made);
    short_.emplace_back();
    for (const string& text : texts)
      if (text.size() < kLong) short_.back().push_back(text);
    return made;
  }

  // Looks for the groups' texts in one line: once for all long ones, and for short ones when their group is asked for.
  class Finder {
   public:
    explicit Finder(const Literals& literals) : literals_(literals), found_(literals.groups_, kUnknown) {}

    void begin(string_view line) {
      line_ = line;
      looked_ = false;
    }

    bool has(size_t group) {
      if (!looked_) {
        std::fill(found_.begin(), found_.end(), kUnknown);
        literals_.find(line_, found_.data());
        looked_ = true;
      }
      uint8_t& found = found_[group];
      if (found == kUnknown) found = literals_.has_short(line_, group) ? kYes : kNo;
      return found == kYes;
    }

   private:
    const Literals& literals_;
    vector<uint8_t> found_;
    string_view line_;
    bool looked_ = false;
  };

 private:
  static constexpr ptrdiff_t kGram = 3;
  static constexpr size_t kLong = 4;  // texts of which one of two neighbouring grams stands at an even place
  struct Text {
    string text;
    uint32_t group;
  };
  struct Place {
    uint32_t slot, text;
    ptrdiff_t offset;
  };
  static constexpr uint8_t kUnknown = 0, kYes = 1, kNo = 2;
  vector<vector<string>> short_;  // by group
  vector<Text> long_;
  vector<Place> places_;
  vector<uint64_t> filter_ = vector<uint64_t>(1024, 0);
  vector<uint16_t> first_ = vector<uint16_t>(1 << 16, 0);  // by slot, in places_
  size_t groups_ = 0;

  // Of the three bytes at the low end.
  static uint32_t slot(uint64_t word) { return static_cast<uint32_t>(word & 0xFFFFFF) * 0x9E3779B1u >> 16; }

  void try_slot(const char* p, const char* at, const char* end, uint32_t h, uint8_t* found) const {
    if (filter_[h >> 6] >> (h & 63) & 1) check(p, at, end, h, found);
  }

  // Marks each group with a long text in the line.
  void find(string_view line, uint8_t* found) const {
    const char* p = line.data();
    const char* end = p + line.size();
    const char* at = p;
    if (long_.empty()) at = end;
    for (; end - at >= 8; at += 6) {
      uint64_t word = little(at, 8);
      for (int i = 0; i < 6; i += 2, word >>= 16) try_slot(p, at + i, end, slot(word), found);
    }
    for (; end - at >= kGram; at += 2) try_slot(p, at, end, slot(byte(at[0]) | byte(at[1]) << 8 | byte(at[2]) << 16), found);
  }

  bool has_short(string_view line, size_t group) const {
    return std::any_of(short_[group].begin(), short_[group].end(), [&](const string& text) { return has(line, text); });
  }

  static bool has(string_view line, const string& text) {
    if (text.empty()) return true;
    if (text.size() == 1) return std::memchr(line.data(), text[0], line.size()) != nullptr;
    return holds(line, text);
  }

  // How often a gram may be in any line: letters and blanks are everywhere.
  static int common(const char* p) {
    int sum = 0;
    for (ptrdiff_t i = 0; i < kGram; i++) sum += p[i] == ' ' ? 4 : p[i] >= 'a' && p[i] <= 'z' ? 3 : digit(p[i]) ? 2 : 1;
    return sum;
  }

  void add(const string& text, uint32_t group) {
    size_t best = 0;
    int least = INT_MAX;
    for (size_t i = 0; i + kLong <= text.size(); i++) {
      int sum = common(text.data() + i) + common(text.data() + i + 1);
      if (sum >= least) continue;
      least = sum;
      best = i;
    }
    auto number = static_cast<uint32_t>(long_.size());
    long_.push_back({text, group});
    for (size_t i : {best, best + 1}) {
      uint32_t h = slot(byte(text[i]) | byte(text[i + 1]) << 8 | byte(text[i + 2]) << 16);
      filter_[h >> 6] |= uint64_t{1} << (h & 63);
      places_.push_back({h, number, static_cast<ptrdiff_t>(i)});
    }
    std::sort(places_.begin(), places_.end(), [](const Place& a, const Place& b) { return a.slot < b.slot; });
    if (places_.size() > UINT16_MAX) throw std::invalid_argument("too many hints");
    for (size_t i = places_.size(); i--;) first_[places_[i].slot] = static_cast<uint16_t>(i);
  }

  void check(const char* p, const char* at, const char* end, uint32_t h, uint8_t* found) const {
    auto place = places_.begin() + first_[h];
    for (; place != places_.end() && place->slot == h; ++place) {
      const Text& text = long_[place->text];
      if (found[text.group] || at - p < place->offset) continue;
      const char* first = at - place->offset;
      if (end - first >= static_cast<ptrdiff_t>(text.text.size()) && !std::memcmp(first, text.text.data(), text.text.size())) found[text.group] = kYes;
    }
  }
};

// ---------------------------------------------------------------------------------------------- sorting

// What a module says of its lines beforehand. An envelope's lines are odd, a dialect's are asked for by number.
struct Module {
  bool envelope = false;
  int hints = -1, telling = -1;  // groups of literals
  std::unique_ptr<Shape> shape;
};

enum class Ask : uint8_t { no, yes, quiet };  // quiet: it is the module's for sure, and says nothing

struct Sorted {
  Lines lines;
  vector<vector<Ask>> asks;  // by module, by line; empty: no line
  vector<uint32_t> rows;     // of lines; empty: the line's own number
};

class Sorter {
 public:
  void add(bool envelope, const vector<string>& hints, const vector<string>& telling, const string& shape) {
    Module made;
    made.envelope = envelope;
    if (!hints.empty()) made.hints = static_cast<int>(literals_.group(hints));
    if (!telling.empty()) made.telling = static_cast<int>(literals_.group(telling));
    if (!shape.empty()) made.shape = std::make_unique<Shape>(shape);
    for (uint64_t b = 0; b < 256; b++)
      if (!made.shape || made.shape->may_begin(b)) begins_[b].push_back(static_cast<uint32_t>(modules_.size()));
    modules_.push_back(std::move(made));
  }

  // Sorts plain lines; `envelopes`: those that an envelope may be around become odd.
  void sort(Sorted& sorted, bool envelopes) {
    Lines& lines = sorted.lines;
    sorted.asks.resize(modules_.size());
    Literals::Finder found(literals_);
    for (size_t i = 0; i < lines.size(); i++)
      if (lines.kinds[i] == Line::plain) one(sorted, i, envelopes, found);
  }

 private:
  vector<Module> modules_;
  Literals literals_;
  vector<uint32_t> begins_[256];  // modules whose lines may begin with the byte

  void one(Sorted& sorted, size_t i, bool envelopes, Literals::Finder& found) {
    string_view line = sorted.lines.text(i);
    found.begin(line);
    for (uint32_t m : begins_[byte(line[0])]) {
      Module& module = modules_[m];
      if (module.envelope && !envelopes) continue;
      Ask ask = asked(module, line, found);
      if (ask == Ask::no) continue;
      if (module.envelope) {
        sorted.lines.kinds[i] = Line::odd;
        return;
      }
      if (sorted.asks[m].empty()) sorted.asks[m].resize(sorted.lines.size(), Ask::no);
      sorted.asks[m][i] = ask;
    }
  }

  static Ask asked(Module& module, string_view line, Literals::Finder& found) {
    Answer answer = module.shape ? module.shape->of(line) : Answer::unsure;
    if (answer == Answer::no || (module.hints >= 0 && !found.has(static_cast<size_t>(module.hints)))) return Ask::no;
    bool silent = answer == Answer::yes && module.telling >= 0 && !found.has(static_cast<size_t>(module.telling));
    return silent ? Ask::quiet : Ask::yes;
  }
};

}  // namespace cachelog

#endif

// Lines of key=value pairs, as contract/pairs.py defines them, where every token is a pair or a plain word.
//
// Quoted values with escapes, the last of equal keys, `key=` and `key=""` as nothing, bare words for flags, and messages
// that go on over the words after them. A line of another kind is left to the definition.

#ifndef CACHELOG_INGEST_PAIRS_HPP
#define CACHELOG_INGEST_PAIRS_HPP

#include "sorting.hpp"

namespace cachelog {

enum class Quote : uint8_t { none, twice, once, spoken };

// A key that is asked for, and what the line says of it.
struct PairKey {
  string name;
  vector<std::pair<uint32_t, uint32_t>> targets;  // field and rank; 0 is the best alias
  bool flag = false, prose = false;
  uint64_t seen = 0, flagged = 0;  // numbers of the lines that have it as a pair, and as a bare word
  string_view value;
  Quote quote = Quote::none;
};

// A key as lines write it, asked for or not, and which keys followed it last.
struct PairGuess {
  string name;  // with =
  PairKey* key = nullptr;
  PairGuess* next[2] = {};
};

inline bool blank(char c) { return c == ' ' || c == '\t'; }
inline bool closes(char c) { return c == ',' || c == ';' || c == ')' || c == ']' || c == '}' || c == '>'; }
inline bool opens(char c) { return c == '(' || c == '[' || c == '{' || c == '<'; }
inline bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
inline bool begins_key(char c) { return letter(c) || c == '@' || c == '$'; }

// Marks what keys consist of.
struct KeyBytes {
  bool in[256] = {};
  KeyBytes() {
    for (int c = 0; c < 128; c++) in[c] = begins_key(static_cast<char>(c)) || digit(static_cast<char>(c)) || c == '.' || c == '/' || c == '-';
  }
};
inline const KeyBytes kKeyBytes;

// Drops , and ; at the end of a value, and closing brackets that it did not open.
inline string_view trimmed(string_view value) {
  bool nested = std::any_of(value.begin(), value.end(), opens);
  while (!value.empty() && (nested ? value.back() == ',' || value.back() == ';' : closes(value.back()))) value.remove_suffix(1);
  return value;
}

// Decodes what contract/quoting.py does; false where there is a code point, which is left to it.
inline bool unquote(string_view inner, string& out) {
  out.clear();
  for (size_t i = 0; i < inner.size(); i++) {
    if (inner[i] != '\\' || i + 1 == inner.size()) {
      out += inner[i];
      continue;
    }
    switch (inner[++i]) {
      case '"': case '\\': case '/': case '\'': out += inner[i]; break;
      case 'n': out += '\n'; break;
      case 't': out += '\t'; break;
      case 'r': out += '\r'; break;
      case 'b': out += '\b'; break;
      case 'f': out += '\f'; break;
      case 'u': return false;
      default: out += '\\'; i--;
    }
  }
  return true;
}

class Pairs {
 public:
  PairKey& key(const string& name) {
    PairKey* found = keys_.find(name);
    return found ? *found : keys_.add(name);
  }

  // Begins a line, and cuts it at blanks outside quotes. Words are given to `word`; false where that says so, or where a
  // token is neither pair nor word.
  template <class Word>
  bool cut(string_view line, Word word) {
    line_++;
    count = 0;
    touched.clear();
    before_ = &start_;
    const char* end = line.data() + line.size();
    for (const char* p = line.data();;) {
      while (p < end && blank(*p)) p++;
      if (p == end) return true;
      const char* after = pair(p, end);
      if (!after) {
        after = p;
        while (after < end && !blank(*after)) after++;
        string_view token(p, static_cast<size_t>(after - p));
        if (token.find('=') != string_view::npos || !word(token)) return false;
      }
      if (!sound_) return false;
      p = after;
    }
  }

  bool has(const PairKey& key) const { return key.seen == line_; }
  void flag(PairKey& key) {
    if (key.flagged != line_ && key.seen != line_) touched.push_back(&key);
    key.flagged = line_;
  }
  PairKey* find(string_view name) const { return keys_.find(name); }

  // What a line says of a key; `sound` becomes false where only the definition can tell.
  string_view said(const PairKey& key, string& made, bool& sound) const {
    if (!has(key)) return "true";
    if (key.quote == Quote::once) return key.value;
    if (key.quote == Quote::none) return trimmed(key.value);
    if (key.quote == Quote::spoken) return trimmed(single_blanks(key.value, made));
    if (key.value.find('\\') == string_view::npos) return key.value;
    sound = unquote(key.value, made) && sound;
    return made;
  }

  // Returns the quote that ends a string, null where there is none.
  static const char* closing(const char* p, const char* end) {
    for (; p < end; p++) {
      if (*p == '"') return p;
      if (*p == '\\') p++;
    }
    return nullptr;
  }

  size_t count = 0;          // pairs of the line
  PairKey* last = nullptr;   // of the pair cut last
  vector<PairKey*> touched;  // keys that the line has

 private:
  Names<PairKey> keys_;
  Names<PairGuess> guesses_;
  PairGuess start_;
  PairGuess* before_ = nullptr;
  uint64_t line_ = 0;
  bool sound_ = true;

  static string_view single_blanks(string_view text, string& made) {
    made.clear();
    for (char c : text)
      if (!blank(c)) {
        made += c;
      } else if (made.back() != ' ') {
        made += ' ';
      }
    return made;
  }

  // Returns the end of the pair that begins at p, null where there is none.
  const char* pair(const char* p, const char* end) {
    sound_ = true;
    if (!begins_key(*p)) return nullptr;
    PairGuess* guess = guessed(p, end);
    const char* equals = p;
    if (guess) {
      equals += guess->name.size() - 1;
    } else {
      while (equals < end && kKeyBytes.in[byte(*equals)]) equals++;
      if (equals == end || *equals != '=') return nullptr;
      guess = learn({p, static_cast<size_t>(equals - p + 1)});
    }
    count++;
    last = guess ? guess->key : keys_.find({p, static_cast<size_t>(equals - p)});
    return value(equals + 1, end);
  }

  PairGuess* guessed(const char* p, const char* end) {
    for (PairGuess* guess : before_->next)
      if (guess && static_cast<size_t>(end - p) >= guess->name.size() && !std::memcmp(p, guess->name.data(), guess->name.size())) return before_ = guess;
    return nullptr;
  }

  PairGuess* learn(string_view name) {
    PairGuess* known = guesses_.find(name);
    if (!known) {
      if (guesses_.size() >= 1024 || name.size() > 64) return nullptr;
      known = &guesses_.add(name);
      known->key = keys_.find(name.substr(0, name.size() - 1));
    }
    before_->next[1] = before_->next[0];
    before_->next[0] = known;
    return before_ = known;
  }

  // Notes the value that begins at p; returns its end.
  const char* value(const char* p, const char* end) {
    if (p < end && *p == '"') return quoted(p + 1, end, closing(p + 1, end), Quote::twice);
    if (p < end && *p == '\'') return quoted(p + 1, end, static_cast<const char*>(std::memchr(p + 1, '\'', static_cast<size_t>(end - p - 1))), Quote::once);
    const char* after = p;
    while (after < end && !blank(*after)) after++;
    note(p, after, Quote::none);
    return after;
  }

  const char* quoted(const char* p, const char* end, const char* close, Quote quote) {
    const char* after = close ? close + 1 : end;
    while (after < end && closes(*after)) after++;
    sound_ = close && (after == end || blank(*after));
    if (sound_) note(p, close, quote);
    return after;
  }

  void note(const char* p, const char* end, Quote quote) {
    if (!last) return;
    if (last->seen != line_ && last->flagged != line_) touched.push_back(last);
    last->seen = line_;
    last->value = {p, static_cast<size_t>(end - p)};
    last->quote = quote;
  }
};

// ---------------------------------------------------------------------------------------------- values

// Reads the time of an access log, 23/Nov/2026:15:13:01 +0000.
class AccessClock {
 public:
  static constexpr size_t kSize = 26;

  static bool has_shape(string_view text) {
    const char* p = text.data();
    if (text.size() != kSize || p[2] != '/' || p[6] != '/' || p[11] != ':' || p[14] != ':' || p[17] != ':' || p[20] != ' ') return false;
    return digits(p, 2) && digits(p + 7, 4) && digits(p + 12, 2) && digits(p + 15, 2) && digits(p + 18, 2) && (p[21] == '+' || p[21] == '-') && digits(p + 22, 4);
  }

  // Returns the month of a text of this shape, 0 for none.
  static int month(string_view text) {
    static constexpr string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    size_t at = months.find(text.substr(3, 3));
    return at == string_view::npos || at % 3 ? 0 : static_cast<int>(at / 3) + 1;
  }

  // Returns kNoTime where there is no such time, or one that only ingest/clock.py can tell.
  int64_t read(string_view text) {
    const char* p = text.data();
    if (!set_day(text)) return kNoTime;
    int hour = two(p + 12), minute = two(p + 15), second = two(p + 18), east = two(p + 22), minutes = two(p + 24);
    if (hour > 23 || minute > 59 || second > 59 || east > 23 || minutes > 59) return kNoTime;
    int64_t offset = (east * 60 + minutes) * 60'000'000LL;
    return day_us_ + ((hour * 60LL + minute) * 60 + second) * 1'000'000 - (p[21] == '-' ? -offset : offset);
  }

 private:
  char day_[11] = {};
  int64_t day_us_ = 0;

  bool set_day(string_view text) {
    const char* p = text.data();
    if (!std::memcmp(p, day_, sizeof day_)) return true;
    int year = two(p + 7) * 100 + two(p + 9), of_year = month(text), day = two(p);
    if (!of_year || year < 1 || day < 1 || day > days_in(year, of_year)) return false;
    std::memcpy(day_, p, sizeof day_);
    day_us_ = days(year, of_year, day) * kDay;
    return true;
  }
};

// Returns the value of a text that is one number as JSON writes it; NaN for any other.
inline double plain_number(string_view text) {
  char copy[48] = {};
  if (text.size() > 40) return std::nan("");
  std::memcpy(copy, text.data(), text.size());
  return number_end(copy) == copy + text.size() ? to_double(text) : std::nan("");
}

// Puts what lines say into a block of columns.
class Filler {
 public:
  explicit Filler(vector<Field> given) : fields(std::move(given)), slot_(fields.size(), 0), ranks_(fields.size(), kNone), texts_(fields.size()) {
    for (size_t i = 0; i < fields.size(); i++)
      if (fields[i].kind == Kind::word) {
        slot_[i] = static_cast<uint32_t>(words.size());
        words.push_back(static_cast<uint32_t>(i));
      }
    said_.assign(words.size(), kNone);
    seed_ = std::random_device{}();
  }

  void begin() { block = std::make_unique<Block>(fields, words.size(), seed_); }

  // Offers a text for a field of the line; of several the one with the best alias counts. It must last until emit.
  void offer(uint32_t field, uint32_t rank, string_view text) {
    if (text.empty() || rank >= ranks_[field]) return;
    if (ranks_[field] == kNone) touched_.push_back(field);
    ranks_[field] = rank;
    texts_[field] = text;
  }

  // Says instead what a field has a text for.
  void replace(uint32_t field, string_view text) { texts_[field] = text; }

  bool has(uint32_t field) const { return ranks_[field] != kNone; }
  string_view text(uint32_t field) const { return texts_[field]; }

  void emit(uint32_t row) {
    size_t at = block->row.size();
    for (uint32_t field : touched_) put(field, at);
    block->row.push_back(row);
    block->combination.push_back(block->said.find(said_));
    std::fill(said_.begin(), said_.end(), kNone);
    forget();
  }

  void forget() {
    for (uint32_t field : touched_) ranks_[field] = kNone;
    touched_.clear();
  }

  vector<Field> fields;
  vector<uint32_t> words;  // fields of kind word
  std::unique_ptr<Block> block;

 private:
  Clock clock_;
  AccessClock access_;
  vector<uint32_t> slot_, ranks_, touched_, said_;
  vector<string_view> texts_;
  uint64_t seed_;

  void put(uint32_t field, size_t at) {
    Column& column = block->columns[field];
    string_view text = texts_[field];
    switch (fields[field].kind) {
      case Kind::word: said_[slot_[field]] = column.texts.code(text); return;
      case Kind::hash: {
        uint64_t h = hash(text, kSeed);
        return column.hashes.put(at, h + !h);
      }
      case Kind::time: {
        Instant instant = AccessClock::has_shape(text) ? Instant{access_.read(text), false} : clock_.read(text);
        if (instant.us == kNoTime) break;
        column.whole.put(at, instant.us);
        if (instant.naive) column.naive.put(at, 1);
        return;
      }
      case Kind::number: {
        double real = plain_number(text);
        if (std::isnan(real)) break;
        return column.real.put(at, real);
      }
      default: break;
    }
    column.codes.put(at, column.texts.code(text));
  }
};

// Tells of a line: another's, claimed, or left to the definition.
enum class Verdict : uint8_t { no, yes, unsure };

// Reads the lines of one dialect.
class Reading {
 public:
  explicit Reading(vector<Field> fields) : filler(std::move(fields)) {}
  virtual ~Reading() = default;

  // Reads a line without blanks at its end, which may give a row.
  virtual Verdict read(string_view line, uint32_t row) = 0;

  Pairs pairs;
  Filler filler;
};

// The dialect logfmt.
class Logfmt : public Reading {
 public:
  using Reading::Reading;
  vector<string> owned;  // where one of these stands early in a line, it may be another dialect's

  Verdict read(string_view line, uint32_t row) override {
    if (!begins_with_key(line)) return Verdict::no;
    for (const string& text : owned)
      if (holds(line.substr(0, kEarly), text)) return Verdict::unsure;
    spoken_ = nullptr;
    size_t before = 0;
    bool regular = pairs.cut(line, [&](string_view token) {
      if (pairs.count != before) spoken_ = speaking();
      before = pairs.count;
      return word(token);
    });
    if (!regular) return Verdict::unsure;
    return pairs.count < 2 ? Verdict::no : fill(row);
  }

 private:
  static constexpr size_t kEarly = 64;
  PairKey* spoken_ = nullptr;  // an unquoted message that goes on over words
  vector<string> made_;

  static bool begins_with_key(string_view line) {
    size_t at = 0;
    while (at < line.size() && kKeyBytes.in[byte(line[at])]) at++;
    return at > 0 && at < line.size() && begins_key(line[0]) && line[at] == '=';
  }

  PairKey* speaking() {
    PairKey* key = pairs.last;
    return key && key->prose && key->quote == Quote::none && !key->value.empty() ? key : nullptr;
  }

  // Reads a word: of a message, a flag, or nothing. False where it is no plain word.
  bool word(string_view token) {
    if (!letter(token[0])) return false;
    bool plain = true;
    for (char c : token) {
      if (!letter(c)) plain = false;
      if (!letter(c) && !digit(c) && c != '.' && c != '-') return false;
    }
    if (spoken_) {
      spoken_->value = {spoken_->value.data(), static_cast<size_t>(token.data() + token.size() - spoken_->value.data())};
      spoken_->quote = Quote::spoken;
      return true;
    }
    PairKey* key = pairs.find(token);
    if (!key || !key->flag) return true;
    pairs.flag(*key);
    return plain;  // of others the definition says two things
  }

  Verdict fill(uint32_t row) {
    bool sound = true;
    made_.resize(std::max(made_.size(), pairs.touched.size()));
    for (size_t i = 0; i < pairs.touched.size(); i++) {
      const PairKey& key = *pairs.touched[i];
      string_view text = pairs.said(key, made_[i], sound);
      for (auto [field, rank] : key.targets) filler.offer(field, rank, text);
    }
    if (sound) {
      filler.emit(row);
    } else {
      filler.forget();
    }
    return sound ? Verdict::yes : Verdict::unsure;
  }
};

}  // namespace cachelog

#endif

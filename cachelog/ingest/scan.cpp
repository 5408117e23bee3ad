// cachelog.ingest._scan: blocks of JSON lines to Arrow tables.
//
//   Scanner(spec, line_bytes, depth, layouts=[], own=[])
//                                      spec: [(field, kind, [aliases, best first])]; layouts: Layout.spec() of envelopes;
//                                      own: fields by which an application's line is told from one around another
//   Scanner.scan(block, open=False, bodies=False) -> Scan   a block of whole lines, each ended by a newline; the GIL is released
//   Scan.rows, Scan.said               Tables (__arrow_c_stream__, each to be taken once)
//   Scan.opened, Scan.lines            a Table and bytes: what lines that are envelopes hold, and the lines in them
//   Scan.bad, .blank, .other           bytes: uint32 rows that are no JSON, empty, and no JSON lines at all
//   holds(block, text) -> bool         whether a text of two bytes or more is in a block; the GIL is released
//   newlines(block) -> int             how many newlines are in a block; the GIL is released
//
// `rows` has a row for each valid object: `row`, `said`, and by kind of field
//   time     `ts` (us, UTC), `naive` (true where the text has no zone, else null), and the text where its shape is not plain
//   label    a dictionary of strings; plain strings where a block holds too many different ones
//   hash     the key hash of the text (ingest/keys.py computes the same)
//   number   a double, and FIELD_text where a string is no plain number
//   measure  the text
// Fields of kind `word` are in `said`: the distinct combinations of what lines say; `rows.said` indexes it.
// A column without any value is left out.
//
// Where `open` is asked for, lines that are envelopes (with `bodies` also all that are nothing but a message) are not in `rows`. `opened` has a row for each record in them, `lines`
// an inner line for each in the same order: `row`, `layout` (its number, that of layouts for a message alone), `ended`
// (1 where a text ended with a newline), `env_time`, `env_replica`, and `stream` (of a message alone the logger).
//
// What a line means (json_app.py, the Polars engine, reads every line the same):
// * A line is valid when it is one JSON object by RFC 8259, valid UTF-8, not longer than line_bytes and not deeper
//   nested than `depth`. Everything is checked, also what no field asks for.
// * Of a key that occurs twice in one object the first counts. null, objects and arrays are no value: the next alias counts.
// * An alias "a.b" is the key "a.b" or, after it, b in the object a; what is behind kInto is in the object before it.
// * Strings are unescaped, a lone surrogate is U+FFFD. Numbers are text as written; in times and measures they are
//   doubles (shortest text, no exponent) unless they are integers.
//
// The fields of a line point into the block until the line is known to be valid. Reading is fast because keys are
// guessed: one comparison finds the key that followed the key before it the last time, or the time before that.

#include "envelope.hpp"

namespace {

using namespace cachelog;

constexpr size_t kGuess = 32;           // longest key that is guessed, with its closing quote
constexpr size_t kGuesses = 256;        // keys of one object that are remembered
constexpr char kInto = '\x1f';           // fields.INTO

// ---------------------------------------------------------------------------------------------- keys

struct Target {
  uint32_t field;
  uint32_t rank;  // 0 is the best alias
};

struct Node;
struct Items;

// A key that some field or envelope asks for: as a value, as an object or array to look into, or all of these.
struct Key {
  string name;
  vector<Target> targets;
  std::unique_ptr<Node> inside;
  std::unique_ptr<Items> items;
  uint32_t slot = kNone;  // where its value is kept for envelopes
  bool rare = false;      // a line that has it may be an envelope
  uint64_t seen = 0;      // number of the object that has it: only its first occurrence counts
};

// A key as lines write it, asked for or not, and which keys followed it last.
struct Guess {
  string name;
  char text[kGuess] = {};  // with the closing quote
  size_t size = 0;
  uint32_t high = 0;  // not zero: it has bytes above 0x7F
  Key* key = nullptr;
  Guess* next[2] = {};

  bool fits(const char* p) const {
#ifdef SCAN_SSE2
    if (differs(p, text) & low(size)) return false;
    return size <= 16 || !(differs(p + 16, text + 16) & low(size - 16));
#else
    return !std::memcmp(p, text, size);
#endif
  }

  void follow(Guess* other) {
    next[1] = next[0];
    next[0] = other;
  }

 private:
#ifdef SCAN_SSE2
  static uint32_t low(size_t n) { return n >= 16 ? 0xFFFF : (1u << n) - 1; }
  static uint32_t differs(const char* a, const char* b) {
    __m128i same = _mm_cmpeq_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a)), _mm_loadu_si128(reinterpret_cast<const __m128i*>(b)));
    return ~static_cast<uint32_t>(_mm_movemask_epi8(same));
  }
#endif
};

// The keys asked for in one object, and those that such objects had.
struct Node {
  Names<Key> keys;
  Names<Guess> guesses;
  Guess start;  // its followers are the first keys

  Key& key(string_view name) {
    Key* found = keys.find(name);
    return found ? *found : keys.add(name);
  }

  // Remembers a key without escapes; null where it is too long, or there are too many.
  Guess* learn(string_view name) {
    if (Guess* known = guesses.find(name)) return known;
    if (name.size() >= kGuess || guesses.size() >= kGuesses) return nullptr;
    Guess& made = guesses.add(name);
    std::memcpy(made.text, name.data(), name.size());
    made.text[name.size()] = '"';
    made.size = name.size() + 1;
    for (char c : name) made.high |= static_cast<unsigned char>(c) >> 7;
    made.key = keys.find(name);
    return &made;
  }
};

// The elements of an array, some of which may be records of envelopes.
struct Items {
  struct Use {
    uint32_t layout, level;
    bool record;  // else an element around records
  };
  Node node;
  vector<uint32_t> slots;  // of what is looked for in an element
  uint32_t self = kNone;   // slot of the whole element
  vector<Use> uses;
};

// ---------------------------------------------------------------------------------------------- lines

enum class Token : uint8_t { text, number, word };

struct Value {
  string_view text;
  Token token = Token::text;
  bool escaped = false;
  uint32_t rank = kNone;
};

enum class Open : uint8_t { none, envelopes, bodies };  // bodies: a message alone is a line, whatever it looks like

class Reader {
 public:
  Reader(vector<Field> fields, size_t line_bytes, unsigned depth)
      : fields_(std::move(fields)), slot_(fields_.size(), 0), values_(fields_.size()), line_bytes_(line_bytes), depth_(depth), open_(depth + 2) {
    for (size_t i = 0; i < fields_.size(); i++)
      if (fields_[i].kind == Kind::word) {
        slot_[i] = static_cast<uint32_t>(words_.size());
        words_.push_back(static_cast<uint32_t>(i));
      }
    said_.assign(words_.size(), kNone);
    seed_ = std::random_device{}();  // of dictionaries: no line can be made to collide, and no result depends on it
  }

  // Adds an envelope; of those that fit a line the first counts.
  void layout(Layout&& added) { layouts_.push_back(std::move(added)); }
  uint32_t layouts() const { return static_cast<uint32_t>(layouts_.size()); }

  // The array at a path below an element, an object of the line for none, or the line itself for an empty path.
  Items& array(Items* around, string_view path) {
    if (!around && path.empty()) return list_;
    Node* node = around ? &around->node : &root_;
    for (size_t dot; (dot = path.find('.')) != string_view::npos; path.remove_prefix(dot + 1)) node = &inside(*node, path.substr(0, dot));
    auto& items = node->key(path).items;
    if (!items) items = std::make_unique<Items>();
    return *items;
  }

  // The places of a path below an element, or the line for none: the key with its dots, and the keys between them.
  void place(Items* around, uint32_t level, const string& path, const string& pair, bool rare, Places& places) {
    if (path.empty()) {
      places.push_back({level, slot(around ? around->self : self_, around), pair});
      return;
    }
    Node* node = around ? &around->node : &root_;
    string_view tail = path;
    Key& whole = node->key(tail);
    places.push_back({level, slot(whole.slot, around), pair});
    whole.rare |= rare;
    if (path.find('.') == string::npos) return;
    for (size_t dot; (dot = tail.find('.')) != string_view::npos; tail.remove_prefix(dot + 1)) node = &inside(*node, tail.substr(0, dot));
    Key& nested = node->key(tail);
    places.push_back({level, slot(nested.slot, around), pair});
    nested.rare |= rare;
  }

  // Names the fields of a message alone, what is told of it, and those that tell it from an application's line.
  void speech(const vector<string>& own) {
    for (size_t i = 0; i < fields_.size(); i++) {
      for (size_t j = 0; j < std::size(kSpeech); j++)
        if (fields_[i].name == kSpeech[j]) speech_[j] = static_cast<uint32_t>(i);
      if (std::find(own.begin(), own.end(), fields_[i].name) != own.end()) own_.push_back(static_cast<uint32_t>(i));
    }
  }

  const vector<Field>& fields() const { return fields_; }
  const vector<uint32_t>& words() const { return words_; }

  void alias(uint32_t field, uint32_t order, string_view path) {
    Node* node = &root_;
    string_view tail = path;
    for (size_t into; (into = tail.find(kInto)) != string_view::npos; tail.remove_prefix(into + 1)) {
      node = &inside(*node, tail.substr(0, into));
    }
    const Node* outer = node;
    node->key(tail).targets.push_back({field, order * 2});
    for (size_t dot; (dot = tail.find('.')) != string_view::npos; tail.remove_prefix(dot + 1)) {
      node = &inside(*node, tail.substr(0, dot));
    }
    if (node != outer) node->key(tail).targets.push_back({field, order * 2 + 1});
  }

  std::unique_ptr<Found> scan(const char* data, size_t size, Open open) {
    auto block = std::make_unique<Found>(fields_, words_.size(), seed_);
    block_ = block.get();
    opening_ = open != Open::none;
    bodies_ = open == Open::bodies;
    forget();
    std::fill(said_.begin(), said_.end(), kNone);
    size_t safe = size > kPad ? size - kPad : 0;  // what stands before may be read over its end
    while (safe && data[safe - 1] != '\n') safe--;
    lines(data, data + safe);
    string tail(data + safe, size - safe);
    if (!tail.empty() && tail.back() != '\n') tail += '\n';
    size_t used = tail.size();
    tail.append(kPad, '\n');
    lines(tail.data(), tail.data() + used);
    block_ = nullptr;
    return block;
  }

 private:
  vector<Field> fields_;
  vector<uint32_t> slot_;   // of a word: its place in said_
  vector<uint32_t> words_;  // fields of kind word
  vector<Value> values_;    // of the line, by field
  vector<uint32_t> touched_;
  vector<uint32_t> said_;
  size_t line_bytes_;
  unsigned depth_;
  vector<uint8_t> open_;  // by depth: is the open container an object?
  Node root_;
  Clock clock_;
  Found* block_ = nullptr;
  uint64_t objects_ = 0;  // numbers every line, and every record in one, that this reader ever saw
  uint64_t object_ = 0;   // which of them is read
  uint32_t high_ = 0;  // was a byte above 0x7F seen in the line?
  string unescaped_, made_, fine_;
  uint64_t seed_;

  // -- envelopes
  static constexpr const char* kSpeech[] = {"message", "time", "replica", "origin", "nanos"};
  vector<Layout> layouts_;
  uint32_t speech_[5] = {kNone, kNone, kNone, kNone, kNone};
  vector<uint32_t> own_;
  Items list_;              // the elements of a line that is an array
  vector<Capture> slots_;   // what was kept of the line
  vector<uint32_t> kept_;   // slots that are in use
  uint32_t self_ = kNone;   // slot of the whole line
  vector<Record> records_;  // of arrays in the line
  bool opening_ = false;    // are envelopes looked for?
  bool bodies_ = false;     // is every message alone a line?
  bool rare_ = false;       // was a key or record of an envelope seen in the line?
  Payload payload_;

  static Node& inside(Node& node, string_view name) {
    Key& head = node.key(name);
    if (!head.inside) head.inside = std::make_unique<Node>();
    return *head.inside;
  }

  uint32_t slot(uint32_t& known, Items* around) {
    if (known == kNone) {
      known = static_cast<uint32_t>(slots_.size());
      slots_.emplace_back();
      if (around) around->slots.push_back(known);
    }
    return known;
  }

  void lines(const char* p, const char* end) {  // end[-1] is a newline
    auto& b = *block_;
    auto row = static_cast<uint32_t>(b.lines());
    for (; p < end; row++) {
      const char* first = p;
      p = blanks(p);
      const char* stop = nullptr;
      if (*p == '\n') {
        b.blank.push_back(row);
        p++;
        continue;
      }
      if (*p == '{') {
        object_ = ++objects_;
        high_ = 0;
        stop = whole(first, object(root_, p, 1));
        if (!stop) {
          b.bad.push_back(row);
        } else if (!opening_ || !(rare_ || speaks()) || !open(p, stop, row)) {
          emit(row);
        }
        forget();
      } else if (*p == '[' && opening_ && *blanks(p + 1) == '{') {
        object_ = ++objects_;
        high_ = 0;
        stop = whole(first, list(list_, p, 1));
        if (!stop || !open(p, stop, row)) b.other.push_back(row);
        forget();
      } else {
        b.other.push_back(row);
      }
      if (!stop) stop = static_cast<const char*>(std::memchr(p, '\n', static_cast<size_t>(end - p)));
      p = stop + 1;
    }
  }

  // Returns the newline that ends a valid line whose value ends at p, null where the line is bad.
  const char* whole(const char* first, const char* p) {
    if (!p) return nullptr;
    p = blanks(p);
    auto size = static_cast<size_t>(p - first);
    if (*p != '\n' || size > line_bytes_) return nullptr;
    return high_ && !valid_utf8({first, size}) ? nullptr : p;
  }

  void forget() {
    for (uint32_t field : touched_) values_[field].rank = kNone;
    touched_.clear();
    for (uint32_t kept : kept_) slots_[kept] = {};
    kept_.clear();
    records_.clear();
    rare_ = false;
  }

  // -- grammar: p stands on the first byte of the thing; what follows it is returned, null where it is no JSON.

  // Returns the quote that ends the string whose first byte is p.
  const char* string_end(const char* p, bool& escaped) {
    for (;;) {
      uint32_t mask = special(p);
      if (!mask) {
        p += kStep;
        continue;
      }
      p += first_bit(mask);
      if (*p == '"') return p;
      if (*p != '\\') return nullptr;
      escaped = true;
      if (p[1] == 'u') {
        if (hex4(p + 2) < 0) return nullptr;
        p += 6;
      } else {
        if (!p[1] || !std::strchr("\"\\/bfnrt", p[1])) return nullptr;
        p += 2;
      }
    }
  }

#ifdef SCAN_SSE2
  static constexpr int kStep = 16;
  // Marks quotes, backslashes and control characters in the next bytes, and remembers bytes above 0x7F.
  uint32_t special(const char* p) {
    __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    __m128i quote = _mm_cmpeq_epi8(x, _mm_set1_epi8('"'));
    __m128i slash = _mm_cmpeq_epi8(x, _mm_set1_epi8('\\'));
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1F)), x);
    high_ |= static_cast<uint32_t>(_mm_movemask_epi8(x));
    return static_cast<uint32_t>(_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, slash), control)));
  }
#else
  static constexpr int kStep = 8;
  uint32_t special(const char* p) {
    uint32_t mask = 0;
    for (int i = 0; i < kStep; i++) {
      auto c = static_cast<unsigned char>(p[i]);
      mask |= static_cast<uint32_t>(c == '"' || c == '\\' || c < 0x20) << i;
      high_ |= c >> 7;
    }
    return mask;
  }
#endif

  const char* object(Node& node, const char* p, unsigned depth) {
    if (depth > depth_) return nullptr;
    p = blanks(p + 1);
    if (*p == '}') return p + 1;
    for (Guess* before = &node.start;;) {
      if (*p != '"') return nullptr;
      Key* key;
      p = key_end(node, before, p + 1, key);
      if (!p || !(p = colon(p + 1))) return nullptr;
      p = value(key, p, depth);
      if (!p) return nullptr;
      p = blanks(p);
      if (*p == '}') return p + 1;
      if (*p != ',') return nullptr;
      p = blanks(p + 1);
    }
  }

  static const char* colon(const char* p) {
    p = blanks(p);
    return *p == ':' ? blanks(p + 1) : nullptr;
  }

  // Finds the key whose first byte is p: one that followed the key before it lately, else by its name.
  const char* key_end(Node& node, Guess*& before, const char* p, Key*& key) {
    for (Guess* guess : before->next)
      if (guess && guess->fits(p)) {
        before = guess;
        key = guess->key;
        high_ |= guess->high;
        return p + guess->size - 1;
      }
    bool escaped = false;
    const char* end = string_end(p, escaped);
    if (!end) return nullptr;
    string_view name(p, static_cast<size_t>(end - p));
    if (escaped) {
      unescape(name, unescaped_);
      key = node.keys.find(unescaped_);
    } else if (Guess* guess = node.learn(name)) {
      key = guess->key;
      before->follow(guess);
      before = guess;
    } else {
      key = node.keys.find(name);
    }
    return end;
  }

  const char* value(Key* key, const char* p, unsigned depth) {
    bool wanted = key && key->seen != object_;
    if (wanted) key->seen = object_;
    if (*p == '{' || *p == '[') {
      if (!wanted) return container(p, depth);
      const char* end = nested(*key, p, depth);
      if (end && *p == '[' && !key->targets.empty()) offer_single(*key, p);
      return end;
    }
    Value found;
    const char* end = scalar(p, found);
    if (end && wanted && *p != 'n') offer(*key, found);
    return end;
  }

  const char* nested(Key& key, const char* p, unsigned depth) {
    const char* end;
    if (*p == '{') {
      end = key.inside ? object(*key.inside, p, depth + 1) : container(p, depth);
    } else {
      end = key.items && opening_ ? list(*key.items, p, depth + 1) : container(p, depth);
    }
    if (end && key.slot != kNone) keep(key, {slice(p, end), *p == '{' ? Shape::object : Shape::array});
    return end;
  }

  void keep(const Key& key, const Capture& found) {
    slots_[key.slot] = found;
    kept_.push_back(key.slot);
    rare_ |= key.rare;
  }

  const char* list(Items& items, const char* p, unsigned depth) {
    if (depth > depth_) return nullptr;
    p = blanks(p + 1);
    if (*p == ']') return p + 1;
    for (uint64_t outer = object_;;) {
      object_ = ++objects_;
      p = element(items, p, depth);
      object_ = outer;
      if (!p) return nullptr;
      p = blanks(p);
      if (*p == ']') return p + 1;
      if (*p != ',') return nullptr;
      p = blanks(p + 1);
    }
  }

  const char* element(Items& items, const char* p, unsigned depth) {
    for (uint32_t slot : items.slots) slots_[slot] = {};
    size_t first = records_.size();
    Value unused;
    const char* end = *p == '{' ? object(items.node, p, depth + 1) : *p == '[' ? tuple(items, p, depth + 1) : scalar(p, unused);
    if (!end) return nullptr;
    if (items.self != kNone) {
      slots_[items.self] = capture_of(slice(p, end));
      kept_.push_back(items.self);
    }
    settle(items, first, p);
    return end;
  }

  // An array whose elements are looked for by their number.
  const char* tuple(Items& items, const char* p, unsigned depth) {
    if (depth > depth_) return nullptr;
    p = blanks(p + 1);
    if (*p == ']') return p + 1;
    for (size_t i = 0;; i++) {
      char digit = static_cast<char>('0' + i);
      p = value(i < 10 ? items.node.keys.find({&digit, 1}) : nullptr, p, depth);
      if (!p) return nullptr;
      p = blanks(p);
      if (*p == ']') return p + 1;
      if (*p != ',') return nullptr;
      p = blanks(p + 1);
    }
  }

  // Makes records of an element, or tells those in it what is around them.
  void settle(const Items& items, size_t first, const char* begin) {
    Finder finder(slots_);
    for (const Items::Use& use : items.uses) {
      const Layout& layout = layouts_[use.layout];
      if (use.record) {
        records_.emplace_back();
        Record& made = records_.back();
        made.layout = use.layout;
        made.valid = *begin == layout.opens;
        finder.fill(made, layout, use.level);
        rare_ = true;
      } else {
        for (size_t i = first; i < records_.size(); i++)
          if (records_[i].layout == use.layout) finder.fill(records_[i], layout, use.level);
      }
    }
  }

  const char* scalar(const char* p, Value& found) {
    if (*p == '"') {
      const char* end = string_end(p + 1, found.escaped);
      if (!end) return nullptr;
      found.text = {p + 1, static_cast<size_t>(end - p - 1)};
      return end + 1;
    }
    const char* end = *p == 't' ? word(p, "true") : *p == 'f' ? word(p, "false") : *p == 'n' ? word(p, "null") : number_end(p);
    if (!end) return nullptr;
    found.token = *p == '-' || digit(*p) ? Token::number : Token::word;
    found.text = {p, static_cast<size_t>(end - p)};
    return end;
  }

  static const char* word(const char* p, string_view expected) {
    return std::memcmp(p, expected.data(), expected.size()) ? nullptr : p + expected.size();
  }

  // Checks an object or array that no field asks for, without recursion.
  const char* container(const char* p, unsigned outer) {
    unsigned depth = outer;
    for (;;) {
      if (*p == '{' || *p == '[') {
        if (++depth > depth_) return nullptr;
        open_[depth] = *p == '{';
        p = blanks(p + 1);
        if (*p != (open_[depth] ? '}' : ']')) {
          if (open_[depth] && !(p = member(p))) return nullptr;
          continue;
        }
        p++;
        depth--;
      } else {
        Value unused;
        if (!(p = scalar(p, unused))) return nullptr;
      }
      if (!(p = closings(p, outer, depth))) return nullptr;
      if (depth == outer) return p;
    }
  }

  // From behind a value to the next one, through the brackets that close before it.
  const char* closings(const char* p, unsigned outer, unsigned& depth) {
    while (depth > outer) {
      p = blanks(p);
      if (*p == ',') {
        p = blanks(p + 1);
        return open_[depth] ? member(p) : p;
      }
      if (*p != (open_[depth] ? '}' : ']')) return nullptr;
      p++;
      depth--;
    }
    return p;
  }

  const char* member(const char* p) {
    bool escaped = false;
    if (*p != '"' || !(p = string_end(p + 1, escaped))) return nullptr;
    return colon(p + 1);
  }

  // -- values

  // An array of one string, which is known to be valid, is that string.
  void offer_single(const Key& key, const char* p) {
    p = blanks(p + 1);
    if (*p != '"') return;
    Value found;
    p = scalar(p, found);
    if (*blanks(p) == ']') take(key, found);
  }

  void offer(const Key& key, const Value& found) {
    if (key.slot != kNone) keep(key, capture(found));
    take(key, found);
  }

  void take(const Key& key, const Value& found) {
    for (const Target& target : key.targets) {
      Value& kept = values_[target.field];
      if (target.rank >= kept.rank) continue;
      if (kept.rank == kNone) touched_.push_back(target.field);
      kept = found;
      kept.rank = target.rank;
    }
  }

  // -- envelopes

  bool said(uint32_t field) const { return field != kNone && values_[field].rank != kNone; }

  bool owned() const {
    for (uint32_t field : own_)
      if (said(field)) return true;
    return false;
  }

  // Does the line say nothing but a message?
  bool speaks() const { return said(speech_[0]) && !owned(); }

  // Enters the records of a line that begins at p, ends at `stop`, and is an envelope.
  bool open(const char* p, const char* stop, uint32_t row) {
    if (self_ != kNone) {
      while (stop[-1] == ' ' || stop[-1] == '\t' || stop[-1] == '\r') stop--;
      slots_[self_] = capture_of(slice(p, stop));
      kept_.push_back(self_);
    }
    for (uint32_t l = 0; l < layouts_.size(); l++)
      if (fits(l, p)) {
        for (const Record& record : records_)
          if (record.layout == l) enter(record, row);
        block_->opened.wrapped++;
        return true;
      }
    return *p == '{' && speaks() && open_message(row);
  }

  // Is the line the l-th envelope? Then its records are ready.
  bool fits(uint32_t l, const char* p) {
    const Layout& layout = layouts_[l];
    Finder finder(slots_);
    if (!layout.level) {
      if (*p != '{' || (!layout.tells.empty() && !finder.any(layout.tells[0], 0, layout.typed))) return false;
      records_.emplace_back();
      records_.back().layout = l;
    }
    bool told = false;
    for (Record& record : records_) {
      if (record.layout != l) continue;
      finder.fill(record, layout, 0);
      told |= record.told == (1u << layout.tells.size()) - 1;
    }
    if (!told || finder.any(layout.unless, 0, layout.typed)) return false;
    return !layout.loose || (!owned() && is_line(records_.back()));
  }

  static bool is_line(const Record& record) { return record.parts[0].shape == Shape::text || record.parts[0].shape == Shape::object; }

  void enter(const Record& record, uint32_t row) {
    Opened& o = block_->opened;
    for (size_t role = 0; role < kRoles; role++) {
      const Capture& found = record.roles[role];
      o.codes[role].push_back(found ? o.texts[role].code(text_of(found, role)) : kNone);
    }
    append(row, record.layout, payload_.write(record, layouts_[record.layout].typed, o.lines));
  }

  void append(uint32_t row, uint32_t layout, bool ended) {
    Opened& o = block_->opened;
    o.row.push_back(row);
    o.layout.push_back(layout);
    o.ended.push_back(ended);
  }

  string_view text_of(const Capture& found, size_t role) {
    if (role == kTime && found.shape == Shape::number) {
      measure(found.raw, made_);
      return made_;
    }
    if (!found.escaped) return found.raw;
    unescape(found.raw, unescaped_);
    return unescaped_;
  }

  bool open_message(uint32_t row) {
    const Value& message = values_[speech_[0]];
    string_view text = message.text;
    if (message.escaped) {
      unescape(text, unescaped_);
      text = unescaped_;
    }
    if (!bodies_ && !is_record(text)) return false;
    Opened& o = block_->opened;
    for (size_t role = 0; role < kRoles; role++) {
      uint32_t field = speech_[role + 1];
      string_view told = said(field) ? text_of(capture(values_[field]), role) : string_view();
      if (role == kTime && said(field)) told = finer(told);
      o.codes[role].push_back(said(field) ? o.texts[role].code(told) : kNone);
    }
    Record record;
    record.parts[0] = {message.text, Shape::text, message.escaped};
    append(row, layouts(), payload_.write(record, false, o.lines));
    o.wrapped++;
    return true;
  }

  // Adds the nanoseconds that log4j writes apart from its whole seconds.
  string_view finer(string_view time) {
    uint32_t field = speech_[4];
    if (!said(field) || !all_digits(time)) return time;
    string nanos(text_of(capture(values_[field]), kReplica));
    if (!all_digits(nanos) || nanos.size() > 9) return time;
    fine_.assign(time).append(1, '.').append(9 - nanos.size(), '0').append(nanos);
    return fine_;
  }

  static bool all_digits(string_view text) { return !text.empty() && digits(text.data(), static_cast<int>(text.size())); }

  static Capture capture(const Value& value) {
    return {value.text, value.token == Token::text ? Shape::text : value.token == Token::number ? Shape::number : Shape::word, value.escaped};
  }

  void emit(uint32_t row) {
    auto& b = *block_;
    size_t at = b.row.size();
    for (uint32_t field : touched_) put(b.columns[field], field, at);
    b.row.push_back(row);
    b.combination.push_back(b.said.find(said_));
    for (uint32_t field : touched_)
      if (fields_[field].kind == Kind::word) said_[slot_[field]] = kNone;
  }

  void put(Column& column, uint32_t field, size_t at) {
    const Value& value = values_[field];
    string_view text = value.text;
    if (value.escaped) {
      unescape(text, unescaped_);
      text = unescaped_;
    }
    switch (fields_[field].kind) {
      case Kind::word:
        said_[slot_[field]] = column.texts.code(text);
        break;
      case Kind::label: column.codes.put(at, column.texts.code(text)); break;
      case Kind::hash: {
        uint64_t h = hash(text, kSeed);
        column.hashes.put(at, h + !h);
        break;
      }
      case Kind::number: put_number(column, value, text, at); break;
      case Kind::measure: column.codes.put(at, column.texts.code(plain(value, text))); break;
      case Kind::time: put_time(column, plain(value, text), at); break;
    }
  }

  string_view plain(const Value& value, string_view text) {
    if (value.token != Token::number) return text;
    measure(text, made_);
    return made_;
  }

  static void put_number(Column& column, const Value& value, string_view text, size_t at) {
    if (value.token == Token::number || (!text.empty() && number_end_within(text))) {
      double real = to_double(text);
      if (!std::isnan(real)) column.real.put(at, real);
    } else if (value.token == Token::text) {
      column.codes.put(at, column.texts.code(text));
    }
  }

  // Is the whole text one number as JSON writes it?
  static bool number_end_within(string_view text) {
    if (text.size() > 40) return false;
    char copy[48] = {};
    std::memcpy(copy, text.data(), text.size());
    return number_end(copy) == copy + text.size();
  }

  void put_time(Column& column, string_view text, size_t at) {
    Instant instant = clock_.read(text);
    if (instant.us == kNoTime) {
      column.codes.put(at, column.texts.code(text));
      return;
    }
    column.whole.put(at, instant.us);
    if (instant.naive) column.naive.put(at, 1);
  }
};

// ---------------------------------------------------------------------------------------------- Python

struct PyScanner {
  PyObject_HEAD
  Reader* reader;
  bool busy;
};
struct PyScan {
  PyObject_HEAD
  PyObject* members[7];  // rows, said, bad, blank, other, opened, lines
};
// -- Scan

void scan_dealloc(PyObject* self) {
  for (PyObject* member : self_as<PyScan>(self)->members) Py_DecRef(member);
  release_object(self);
}

PyObject* scan_member(PyObject* self, void* closure) {
  PyObject* member = self_as<PyScan>(self)->members[reinterpret_cast<intptr_t>(closure)];
  Py_IncRef(member);
  return member;
}

void* nth(intptr_t i) { return reinterpret_cast<void*>(i); }

PyGetSetDef scan_members[] = {{"rows", scan_member, nullptr, "One row for each valid object.", nth(0)},
                              {"said", scan_member, nullptr, "The distinct combinations of words.", nth(1)},
                              {"bad", scan_member, nullptr, "uint32 rows that are no JSON.", nth(2)},
                              {"blank", scan_member, nullptr, "uint32 rows that are empty.", nth(3)},
                              {"other", scan_member, nullptr, "uint32 rows that do not begin an object.", nth(4)},
                              {"opened", scan_member, nullptr, "One row for each record in an envelope.", nth(5)},
                              {"lines", scan_member, nullptr, "The inner lines, each ended by a newline.", nth(6)},
                              {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyType_Slot scan_slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(scan_dealloc)}, {Py_tp_getset, scan_members}, {0, nullptr}};
PyType_Spec scan_spec = {"cachelog.ingest._scan.Scan", sizeof(PyScan), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, scan_slots};

// -- Scanner

// What a scan made while the GIL was released.
struct Made {
  std::unique_ptr<Stream> rows, said, opened;
  std::unique_ptr<Found> block;
};

Made make(Reader& reader, const char* data, size_t size, Open open) {
  Made made;
  made.block = reader.scan(data, size, open);
  size_t records = made.block->opened.row.size();
  size_t rows = made.block->row.size();
  made.said = std::make_unique<Stream>(said_table(reader.fields(), reader.words(), *made.block), made.block->said.size());
  made.rows = std::make_unique<Stream>(rows_table(reader.fields(), *made.block), rows);
  made.opened = std::make_unique<Stream>(opened_table(made.block->opened), records);
  return made;
}

PyObject* as_bytes(const vector<uint32_t>& rows) {
  return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(rows.data()), static_cast<Py_ssize_t>(rows.size() * sizeof(uint32_t)));
}

PyObject* as_table(PyObject* type, std::unique_ptr<Stream>& stream) {
  PyObject* table = allocate(type);
  if (table) self_as<PyTable>(table)->stream = stream.release();
  return table;
}

PyObject* as_scan(const State& state, Made& made) {
  Owned result(allocate(state.scan));
  if (!result) return nullptr;
  auto& members = self_as<PyScan>(result.get())->members;
  members[0] = as_table(state.table, made.rows);
  members[1] = as_table(state.table, made.said);
  members[2] = as_bytes(made.block->bad);
  members[3] = as_bytes(made.block->blank);
  members[4] = as_bytes(made.block->other);
  members[5] = as_table(state.table, made.opened);
  const string& lines = made.block->opened.lines;
  members[6] = PyBytes_FromStringAndSize(lines.data(), static_cast<Py_ssize_t>(lines.size()));
  for (PyObject* member : members)
    if (!member) return nullptr;
  return result.release();
}

PyObject* scanner_scan(PyObject* self, PyObject* block, Open open) {
  auto scanner = self_as<PyScanner>(self);
  if (scanner->busy) {
    PyErr_SetString(PyExc_RuntimeError, "this scanner is at work in another thread");
    return nullptr;
  }
  Py_buffer view;
  if (PyObject_GetBuffer(block, &view, PyBUF_SIMPLE)) return nullptr;
  scanner->busy = true;
  Made made;
  bool enough = true;
  Py_BEGIN_ALLOW_THREADS
  try {
    made = make(*scanner->reader, static_cast<const char*>(view.buf), static_cast<size_t>(view.len), open);
  } catch (const std::exception&) {  // only memory can run out: the block is never trusted
    enough = false;
  }
  Py_END_ALLOW_THREADS
  scanner->busy = false;
  PyBuffer_Release(&view);
  if (!enough) return PyErr_NoMemory();
  auto state = static_cast<State*>(PyType_GetModuleState(Py_TYPE(self)));
  return state ? as_scan(*state, made) : nullptr;
}

bool read_text(PyObject* o, string& out) {
  Py_ssize_t size;
  const char* text = o ? PyUnicode_AsUTF8AndSize(o, &size) : nullptr;
  if (text) out.assign(text, static_cast<size_t>(size));
  return text != nullptr;
}

bool read_kind(const string& name, Kind& kind) {
  static const char* const names[] = {"time", "label", "hash", "number", "measure", "word"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (name == names[i]) {
      kind = static_cast<Kind>(i);
      return true;
    }
  PyErr_SetString(PyExc_ValueError, ("no such kind of field: " + name).c_str());
  return false;
}

struct Asked {
  Field field;
  vector<string> aliases;
};

bool read_field(PyObject* entry, Asked& asked) {
  string kind;
  PyObject* aliases = PyTuple_GetItem(entry, 2);
  if (!aliases || !read_text(PyTuple_GetItem(entry, 0), asked.field.name) || !read_text(PyTuple_GetItem(entry, 1), kind)) return false;
  if (!read_kind(kind, asked.field.kind)) return false;
  Py_ssize_t count = PyList_Size(aliases);
  for (Py_ssize_t i = 0; i < count; i++) {
    asked.aliases.emplace_back();
    if (!read_text(PyList_GetItem(aliases, i), asked.aliases.back())) return false;
  }
  return count >= 0;
}

bool read_spec(PyObject* spec, vector<Asked>& asked) {
  Py_ssize_t count = PyList_Size(spec);
  for (Py_ssize_t i = 0; i < count; i++) {
    asked.emplace_back();
    PyObject* entry = PyList_GetItem(spec, i);
    if (!entry || !read_field(entry, asked.back())) return false;
  }
  return count >= 0;
}

// A path as Layout.place gives it.
struct AskedPlace {
  unsigned level = 0;
  string key, pair;
};

struct AskedLayout {
  vector<string> arrays;
  vector<vector<AskedPlace>> payloads, tells;
  vector<AskedPlace> roles[kRoles], unless;
  bool loose = false, typed = false, of_arrays = false;
};

// Reads a list (or tuple) by reading each of its things.
template <class T, class Read>
bool read_list(PyObject* list, vector<T>& out, Read read) {
  Py_ssize_t count = list ? PySequence_Size(list) : -1;
  for (Py_ssize_t i = 0; i < count; i++) {
    out.emplace_back();
    Owned entry(PySequence_GetItem(list, i));
    if (!entry || !read(entry.get(), out.back())) return false;
  }
  return count >= 0;
}

bool read_place(PyObject* entry, AskedPlace& place) {
  PyObject* level = PyTuple_GetItem(entry, 0);
  if (!level || !read_text(PyTuple_GetItem(entry, 1), place.key) || !read_text(PyTuple_GetItem(entry, 2), place.pair)) return false;
  place.level = static_cast<unsigned>(PyLong_AsUnsignedLong(level));
  return !PyErr_Occurred();
}

bool read_places(PyObject* list, vector<AskedPlace>& out) { return read_list(list, out, read_place); }

bool read_layout(PyObject* entry, AskedLayout& layout) {
  auto item = [&](Py_ssize_t i) { return PyTuple_GetItem(entry, i); };
  if (!read_list(item(0), layout.arrays, read_text) || !read_list(item(1), layout.payloads, read_places)) return false;
  for (Py_ssize_t role = 0; role < kRoles; role++)
    if (!read_places(item(2 + role), layout.roles[role])) return false;
  if (!read_places(item(5), layout.unless) || !read_list(item(6), layout.tells, read_places)) return false;
  bool* const flags[] = {&layout.loose, &layout.typed, &layout.of_arrays};
  for (Py_ssize_t i = 0; i < 3; i++) {
    PyObject* flag = item(7 + i);
    if (!flag) return false;
    *flags[i] = PyObject_IsTrue(flag) == 1;
  }
  for (auto& parts : layout.payloads)
    if (parts.size() > kParts) PyErr_SetString(PyExc_ValueError, "a payload has too many parts");
  return !PyErr_Occurred();
}

// Lays an envelope over the keys of a reader.
void add_layout(Reader& reader, const AskedLayout& asked) {
  vector<Items*> around{nullptr};
  for (const string& array : asked.arrays) around.push_back(&reader.array(around.back(), array));
  Layout made;
  made.level = static_cast<uint32_t>(asked.arrays.size());
  made.loose = asked.loose;
  made.typed = asked.typed;
  made.opens = asked.of_arrays ? '[' : '{';
  for (uint32_t level = 1; level <= made.level; level++) around[level]->uses.push_back({reader.layouts(), level, level == made.level});
  auto places = [&](const vector<AskedPlace>& from, bool rare) {
    Places found;
    for (const AskedPlace& p : from)
      if (p.level < around.size()) reader.place(around[p.level], p.level, p.key, p.pair, rare, found);
    return found;
  };
  for (auto& parts : asked.payloads) {
    made.payloads.emplace_back();
    for (const AskedPlace& part : parts) made.payloads.back().push_back(places({part}, false));
  }
  for (size_t role = 0; role < kRoles; role++) made.roles[role] = places(asked.roles[role], false);
  made.unless = places(asked.unless, false);
  for (auto& group : asked.tells) made.tells.push_back(places(group, !made.level && made.tells.empty()));
  reader.layout(std::move(made));
}

struct Spec {
  vector<Asked> fields;
  vector<AskedLayout> layouts;
  vector<string> own;
};

Reader* make_reader(const Spec& spec, size_t line_bytes, unsigned depth) {
  vector<Field> fields;
  const vector<Asked>& asked = spec.fields;
  for (const Asked& a : asked) fields.push_back(a.field);
  auto reader = std::make_unique<Reader>(std::move(fields), line_bytes, depth);
  for (size_t f = 0; f < asked.size(); f++)
    for (size_t i = 0; i < asked[f].aliases.size(); i++) reader->alias(static_cast<uint32_t>(f), static_cast<uint32_t>(i), asked[f].aliases[i]);
  for (const AskedLayout& layout : spec.layouts) add_layout(*reader, layout);
  reader->speech(spec.own);
  return reader.release();
}

int scanner_init(PyObject* self, PyObject* args, PyObject*) {
  PyObject *fields, *layouts = nullptr, *own = nullptr;
  Py_ssize_t line_bytes;
  unsigned depth;
  if (!PyArg_ParseTuple(args, "OnI|OO:Scanner", &fields, &line_bytes, &depth, &layouts, &own)) return -1;
  auto scanner = self_as<PyScanner>(self);
  if (scanner->reader || line_bytes < 1 || depth < 1 || depth > 100'000) {
    PyErr_SetString(PyExc_ValueError, "a scanner is made once, with positive limits");
    return -1;
  }
  try {
    Spec spec;
    if (!read_spec(fields, spec.fields)) return -1;
    if (layouts && !read_list(layouts, spec.layouts, read_layout)) return -1;
    if (own && !read_list(own, spec.own, read_text)) return -1;
    scanner->reader = make_reader(spec, static_cast<size_t>(line_bytes), depth);
  } catch (const std::exception&) {
    PyErr_NoMemory();
    return -1;
  }
  return 0;
}

void scanner_dealloc(PyObject* self) {
  delete self_as<PyScanner>(self)->reader;
  release_object(self);
}

PyObject* scanner_scan_checked(PyObject* self, PyObject* args) {
  PyObject* block;
  int open = 0, bodies = 0;
  if (!PyArg_ParseTuple(args, "O|pp:scan", &block, &open, &bodies)) return nullptr;
  if (self_as<PyScanner>(self)->reader) return scanner_scan(self, block, !open ? Open::none : bodies ? Open::bodies : Open::envelopes);
  PyErr_SetString(PyExc_RuntimeError, "this scanner was not made");
  return nullptr;
}

PyMethodDef scanner_methods[] = {{"scan", scanner_scan_checked, METH_VARARGS, "Scan a block of whole lines."}, {nullptr, nullptr, 0, nullptr}};
PyType_Slot scanner_slots[] = {{Py_tp_new, reinterpret_cast<void*>(PyType_GenericNew)},
                               {Py_tp_init, reinterpret_cast<void*>(scanner_init)},
                               {Py_tp_dealloc, reinterpret_cast<void*>(scanner_dealloc)},
                               {Py_tp_methods, scanner_methods},
                               {0, nullptr}};
PyType_Spec scanner_spec = {"cachelog.ingest._scan.Scanner", sizeof(PyScanner), 0, Py_TPFLAGS_DEFAULT, scanner_slots};

PyObject* scan_holds(PyObject*, PyObject* args) {
  Py_buffer data, text;
  if (!PyArg_ParseTuple(args, "y*y*:holds", &data, &text)) return nullptr;
  bool found = false, asked = text.len > 1;
  Py_BEGIN_ALLOW_THREADS
  if (asked) found = holds({static_cast<const char*>(data.buf), static_cast<size_t>(data.len)}, {static_cast<const char*>(text.buf), static_cast<size_t>(text.len)});
  Py_END_ALLOW_THREADS
  PyBuffer_Release(&data);
  PyBuffer_Release(&text);
  if (asked) return PyBool_FromLong(found);
  PyErr_SetString(PyExc_ValueError, "a text of one byte or none is not looked for");
  return nullptr;
}

// Counts 16 bytes at a time: a match is -1 in its byte, and 255 of them fit.
size_t count_newlines(const char* p, size_t size) {
  const char* end = p + size;
  size_t count = 0;
#ifdef SCAN_SSE2
  const __m128i newline = _mm_set1_epi8('\n'), zero = _mm_setzero_si128();
  while (end - p >= 16) {
    __m128i sum = zero;
    for (int i = 0; i < 255 && end - p >= 16; i++, p += 16)
      sum = _mm_sub_epi8(sum, _mm_cmpeq_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), newline));
    __m128i halves = _mm_sad_epu8(sum, zero);
    count += static_cast<size_t>(_mm_cvtsi128_si32(halves)) + static_cast<size_t>(_mm_extract_epi16(halves, 4));
  }
#endif
  return count + static_cast<size_t>(std::count(p, end, '\n'));
}

PyObject* scan_newlines(PyObject*, PyObject* block) {
  Py_buffer view;
  if (PyObject_GetBuffer(block, &view, PyBUF_SIMPLE)) return nullptr;
  size_t count = 0;
  Py_BEGIN_ALLOW_THREADS
  count = count_newlines(static_cast<const char*>(view.buf), static_cast<size_t>(view.len));
  Py_END_ALLOW_THREADS
  PyBuffer_Release(&view);
  return PyLong_FromSize_t(count);
}

PyMethodDef functions[] = {{"newlines", scan_newlines, METH_O, "Return how many newlines are in a block."},
                           {"holds", scan_holds, METH_VARARGS, "Return whether a text of two bytes or more is in a block."}, {nullptr, nullptr, 0, nullptr}};

bool add_type(PyObject* module, const char* name, PyType_Spec* spec, PyObject*& kept) {
  kept = PyType_FromModuleAndSpec(module, spec, nullptr);
  return kept && PyModule_AddObjectRef(module, name, kept) == 0;
}

void free_module(void* module) {
  auto state = static_cast<State*>(PyModule_GetState(static_cast<PyObject*>(module)));
  for (PyObject* type : {state->scanner, state->scan, state->table}) Py_DecRef(type);
}

PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_scan", "JSON lines to Arrow tables.", sizeof(State), functions, nullptr, nullptr, nullptr, free_module};

}  // namespace

PyMODINIT_FUNC PyInit__scan(void) {
  Owned module(PyModule_Create(&definition));
  if (!module) return nullptr;
  auto state = static_cast<State*>(PyModule_GetState(module.get()));
  bool made = add_type(module.get(), "Scanner", &scanner_spec, state->scanner) && add_type(module.get(), "Scan", &scan_spec, state->scan) &&
              add_type(module.get(), "Table", &table_spec, state->table);
  return made ? module.release() : nullptr;
}

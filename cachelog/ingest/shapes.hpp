// Regular expressions that tell from the beginning of a line whose it may be: a lazily built automaton each.
//
// Understood: bytes, escapes, classes, groups, alternatives, ? * + {m,n}, . and $, and (?s) at the beginning. Every
// expression is anchored, so that ^ may be there or not. Bytes above 0x7F are not decided on: the answer is then unsure.

#ifndef CACHELOG_INGEST_SHAPES_HPP
#define CACHELOG_INGEST_SHAPES_HPP

#include <bitset>
#include <map>
#include <stdexcept>

#include "scan.hpp"

namespace cachelog {

using Bytes = std::bitset<256>;

enum class Answer : uint8_t { no, yes, unsure };

// What an expression consists of.
struct Part {
  enum Type : uint8_t { bytes, sequence, choice, repeat, end } type = sequence;
  Bytes set;
  vector<Part> parts;
  int least = 0, most = 0;  // -1: any number
};

class Parser {
 public:
  explicit Parser(string_view text) : text_(text) {}

  Part parse() {
    dot_all_ = skip("(?s)");
    Part whole = choice();
    if (at_ != text_.size()) fail();
    return whole;
  }

 private:
  string_view text_;
  size_t at_ = 0;
  int open_ = 0;  // groups
  bool dot_all_ = false;

  [[noreturn]] void fail() const { throw std::invalid_argument("a shape cannot be read from byte " + std::to_string(at_) + ": " + string(text_)); }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  char next() {
    if (at_ == text_.size()) fail();
    return text_[at_++];
  }
  bool skip(string_view expected) {
    if (text_.substr(at_, expected.size()) != expected) return false;
    at_ += expected.size();
    return true;
  }

  Part choice() {
    Part made;
    made.type = Part::choice;
    do made.parts.push_back(sequence());
    while (skip("|"));
    return made;
  }

  Part sequence() {
    Part made;
    if (!open_) skip("^");
    while (at_ < text_.size() && peek() != '|' && peek() != ')') made.parts.push_back(repeated(atom()));
    return made;
  }

  Part atom() {
    Part made;
    made.type = Part::bytes;
    char c = next();
    if (c == '(') {
      if (!skip("?:") && peek() == '?') fail();
      open_++;
      made = choice();
      open_--;
      if (!skip(")")) fail();
    } else if (c == '[') {
      made.set = set();
    } else if (c == '$') {
      made.type = Part::end;
    } else if (c == '.') {
      made.set.set();
      if (!dot_all_) made.set.reset('\n');
    } else if (c == '\\') {
      made.set = escape();
    } else if (c == '*' || c == '+' || c == '?' || c == '{' || c == '^') {
      fail();
    } else {
      made.set.set(byte(c));
    }
    return made;
  }

  Part repeated(Part one) {
    int least = 0, most = -1;
    if (skip("?")) {
      most = 1;
    } else if (skip("+")) {
      least = 1;
    } else if (skip("{")) {
      least = number();
      most = !skip(",") ? least : peek() == '}' ? -1 : number();
      if (!skip("}") || (most >= 0 && most < least)) fail();
    } else if (!skip("*")) {
      return one;
    }
    skip("?");  // which repetition is tried first does not matter
    Part made;
    made.type = Part::repeat;
    made.least = least;
    made.most = most;
    made.parts.push_back(std::move(one));
    return made;
  }

  int number() {
    int value = 0;
    if (!digit(peek())) fail();
    while (digit(peek())) {
      value = value * 10 + (next() - '0');
      if (value > 1000) fail();
    }
    return value;
  }

  Bytes set() {
    Bytes made;
    bool inverse = skip("^");
    do {
      char from = next();
      if (from == '\\') {
        made |= escape();
      } else if (peek() == '-' && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        at_++;
        char to = next();
        if (to == '\\' || byte(to) < byte(from)) fail();
        for (uint64_t b = byte(from); b <= byte(to); b++) made.set(b);
      } else {
        made.set(byte(from));
      }
    } while (peek() != ']');
    at_++;
    return inverse ? ~made : made;
  }

  Bytes escape() {
    Bytes made;
    char c = next();
    auto range = [&](char from, char to) {
      for (uint64_t b = byte(from); b <= byte(to); b++) made.set(b);
    };
    switch (c) {
      case 'd': range('0', '9'); return made;
      case 's': range('\t', '\r'); made.set(' '); return made;
      case 'w': range('0', '9'); range('a', 'z'); range('A', 'Z'); made.set('_'); return made;
      case 't': made.set('\t'); return made;
      case 'n': made.set('\n'); return made;
      case 'r': made.set('\r'); return made;
      default: break;
    }
    if (digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) fail();
    made.set(byte(c));
    return made;
  }
};

class Shape {
 public:
  explicit Shape(string_view expression) {
    match_ = add({Node::match, {}, 0, 0});
    start_ = compile(Parser(expression).parse(), match_);
    classify();
    state({start_});
    if (states_.empty()) throw std::invalid_argument("nothing has this shape");
  }

  // Does a line begin like this?
  Answer of(string_view line) {
    if (states_[0].accepts) return Answer::yes;
    uint32_t at = 0;
    for (char c : line) {
      uint32_t to = table_[at + class_[byte(c)]];
      if (to == kOpen) to = follow(at, byte(c));
      if (to >= kLast) return to == kDead ? Answer::no : to == kAccepts ? Answer::yes : Answer::unsure;
      at = to;
    }
    return states_[at / classes_].accepts_end ? Answer::yes : Answer::no;
  }

  bool may_begin(uint64_t b) { return states_[0].accepts || follow(0, b) != kDead; }

 private:
  // What stands in the table beside states: not known yet, no match is possible, matched, not to be told.
  static constexpr uint32_t kOpen = kNone, kDead = kNone - 1, kAccepts = kNone - 2, kUnsure = kNone - 3, kLast = kUnsure;
  static constexpr size_t kStates = 2000;  // more are not worth it: lines are then asked about one by one
  static constexpr size_t kNodes = 20'000;

  struct Node {
    enum Type : uint8_t { bytes, split, end, match } type;
    Bytes set;
    uint32_t out, other;
  };
  struct State {
    vector<uint32_t> nodes;  // that wait for a byte
    bool accepts = false, accepts_end = false;
  };
  vector<Node> nodes_;
  vector<State> states_;
  vector<uint32_t> table_;  // by state and class of byte: where the next state stands in this table
  uint8_t class_[256] = {};  // bytes of one class are told apart by no part of the expression
  uint32_t classes_ = 1;
  std::map<std::pair<vector<uint32_t>, int>, uint32_t> known_;
  uint32_t match_, start_;

  uint32_t add(const Node& node) {
    if (nodes_.size() >= kNodes) throw std::invalid_argument("a shape is too large");
    nodes_.push_back(node);
    return static_cast<uint32_t>(nodes_.size() - 1);
  }

  // Returns where the part begins when `next` follows it.
  uint32_t compile(const Part& part, uint32_t next) {
    switch (part.type) {
      case Part::bytes: return add({Node::bytes, part.set, next, 0});
      case Part::end: return add({Node::end, {}, next, 0});
      case Part::repeat: return compile_repeat(part, next);
      case Part::sequence:
        for (auto p = part.parts.rbegin(); p != part.parts.rend(); ++p) next = compile(*p, next);
        return next;
      case Part::choice: {
        uint32_t made = compile(part.parts[0], next);
        for (size_t i = 1; i < part.parts.size(); i++) {
          uint32_t other = compile(part.parts[i], next);
          made = add({Node::split, {}, made, other});
        }
        return made;
      }
    }
    return next;
  }

  uint32_t compile_repeat(const Part& part, uint32_t next) {
    uint32_t made = next;
    if (part.most < 0) {
      made = add({Node::split, {}, next, next});
      uint32_t inside = compile(part.parts[0], made);
      nodes_[made].out = inside;
    }
    for (int i = part.least; i < part.most; i++) {
      uint32_t inside = compile(part.parts[0], made);
      made = add({Node::split, {}, inside, next});
    }
    for (int i = 0; i < part.least; i++) made = compile(part.parts[0], made);
    return made;
  }

  // Returns the state of these nodes and of all that can be reached from them without a byte.
  uint32_t state(const vector<uint32_t>& from) {
    State made;
    made.accepts = closure(from, false, made.nodes);
    vector<uint32_t> unused;
    made.accepts_end = closure(from, true, unused);
    if (made.nodes.empty() && !made.accepts && !made.accepts_end) return kDead;
    auto key = std::make_pair(made.nodes, made.accepts * 2 + made.accepts_end);
    auto found = known_.find(key);
    if (found != known_.end()) return found->second;
    if (states_.size() >= kStates) return kUnsure;
    states_.push_back(std::move(made));
    table_.resize(states_.size() * classes_, kOpen);
    return known_[key] = static_cast<uint32_t>(states_.size() - 1);
  }

  void classify() {
    std::map<vector<bool>, uint8_t> classes;
    for (uint64_t b = 0; b < 0x80; b++) {
      vector<bool> in;
      for (const Node& node : nodes_)
        if (node.type == Node::bytes) in.push_back(node.set[b]);
      class_[b] = classes.emplace(in, static_cast<uint8_t>(classes.size() + 1)).first->second;
    }
    classes_ = static_cast<uint32_t>(classes.size() + 1);  // all bytes above are of class 0, which is never known
  }

  bool closure(vector<uint32_t> open, bool at_end, vector<uint32_t>& waiting) const {
    vector<bool> seen(nodes_.size());
    bool matched = false;
    while (!open.empty()) {
      uint32_t n = open.back();
      open.pop_back();
      if (seen[n]) continue;
      seen[n] = true;
      const Node& node = nodes_[n];
      if (node.type == Node::match) matched = true;
      if (node.type == Node::bytes) waiting.push_back(n);
      if (node.type == Node::split) open.insert(open.end(), {node.out, node.other});
      if (node.type == Node::end && at_end) open.push_back(node.out);
    }
    std::sort(waiting.begin(), waiting.end());
    return matched;
  }

  uint32_t follow(uint32_t at, uint64_t b) {
    if (b >= 0x80) return kUnsure;
    vector<uint32_t> open;
    for (uint32_t n : states_[at / classes_].nodes)
      if (nodes_[n].set[b]) open.push_back(nodes_[n].out);
    uint32_t to = open.empty() ? kDead : state(open);
    if (to < kLast) to = states_[to].accepts ? kAccepts : to * classes_;
    return table_[at + class_[b]] = to;
  }
};

}  // namespace cachelog

#endif

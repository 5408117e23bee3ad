// Access logs of nginx in the form of NCSA, combined, with what a log_format appends: what dialects/nginx.py reads of them.
//
// A line of another form, and one of whose tail only the definition can tell, is left to that.

#ifndef CACHELOG_INGEST_ACCESS_HPP
#define CACHELOG_INGEST_ACCESS_HPP

#include "pairs.hpp"

namespace cachelog {

class Access : public Reading {
 public:
  Access(vector<Field> fields, vector<string> statuses, vector<string> others, vector<string> telling)
      : Reading(std::move(fields)), statuses_(std::move(statuses)), others_(std::move(others)), telling_(std::move(telling)) {
    time_ = place("time");
    outcome_ = place("outcome");
    key_ = place("key");
    seconds_ = place("seconds");
    upstream_ = place("upstream");
    path_ = place("path");
  }

  Verdict read(string_view line, uint32_t row) override {
    if (!cut(line)) return Verdict::unsure;
    string_view tail = parts_.tail;
    if (tail.find('\\') != string_view::npos || tail.find('\t') != string_view::npos) return Verdict::unsure;
    if (holds(tail, " \"")) {
      if (!without_free_text(tail)) return Verdict::unsure;
      tail = bare_;
    }
    bool known = read_tail(tail);
    if (known && filler.has(outcome_)) {
      add_request();
      filler.emit(row);
    } else {
      filler.forget();
    }
    return known ? Verdict::yes : Verdict::unsure;
  }

 private:
  struct Parts {
    string_view before, time, method, path, tail;
  };
  uint32_t time_, outcome_, key_, seconds_, upstream_, path_;  // fields
  vector<string> statuses_;                                    // of the cache, as nginx writes them
  vector<string> others_;                                      // ... and others
  vector<string> telling_;                                     // in queries that name a model or a version
  Parts parts_;
  string bare_, made_;

  uint32_t place(string_view name) const {
    for (size_t i = 0; i < filler.fields.size(); i++)
      if (filler.fields[i].name == name) return static_cast<uint32_t>(i);
    throw std::invalid_argument("an access log has no field " + string(name));
  }

  // -- the line

  // Cuts a line of the form combined with a plain path into its parts.
  bool cut(string_view line) {
    size_t bracket = line.find('[');
    if (bracket == string_view::npos || !is_head(line.substr(0, bracket))) return false;
    parts_.before = line.substr(0, bracket);
    string_view rest = line.substr(bracket + 1);
    if (rest.size() < AccessClock::kSize + 3 || rest.substr(AccessClock::kSize, 3) != "] \"") return false;
    parts_.time = rest.substr(0, AccessClock::kSize);
    rest.remove_prefix(AccessClock::kSize + 3);
    if (!AccessClock::has_shape(parts_.time) || !AccessClock::month(parts_.time) || rest.size() < 3 || holds(rest, "] \"")) return false;  // a second may be of a proxy
    return cut_request(rest) && skip_numbers(rest) && skip_quoted(rest) && skip_quoted(rest, false) && (parts_.tail = rest, true);
  }

  // One to six words, each followed by one blank.
  static bool is_head(string_view head) {
    if (head.empty() || head.front() == ' ' || head.back() != ' ' || holds(head, "  ")) return false;
    return std::count(head.begin(), head.end(), ' ') <= 6;
  }

  bool cut_request(string_view& rest) {
    size_t blank = rest.find(' ');
    if (blank == string_view::npos || !blank || !capitals(rest.substr(0, blank))) return false;
    parts_.method = rest.substr(0, blank);
    rest.remove_prefix(blank + 1);
    size_t end = rest.find_first_of(" \"\\");
    if (end == string_view::npos || rest[0] != '/' || rest[end] != ' ') return false;
    parts_.path = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (rest.substr(0, 5) != "HTTP/") return false;
    size_t close = 5;
    while (close < rest.size() && (digit(rest[close]) || rest[close] == '.')) close++;
    if (close == 5 || close + 1 >= rest.size() || rest[close] != '"' || rest[close + 1] != ' ') return false;
    rest.remove_prefix(close + 2);
    return true;
  }

  static bool capitals(string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  }

  // The status and the bytes sent, each followed by a blank.
  static bool skip_numbers(string_view& rest) {
    if (rest.size() < 6 || !digits(rest.data(), 3) || rest[3] != ' ') return false;
    size_t end = 4;
    while (end < rest.size() && (digit(rest[end]) || rest[end] == '-')) end++;
    if (end == 4 || end == rest.size() || rest[end] != ' ') return false;
    rest.remove_prefix(end + 1);
    return true;
  }

  // A text in quotes, followed by a blank where one is expected.
  static bool skip_quoted(string_view& rest, bool blank_after = true) {
    if (rest.empty() || rest[0] != '"') return false;
    const char* close = Pairs::closing(rest.data() + 1, rest.data() + rest.size());
    if (!close) return false;
    rest.remove_prefix(static_cast<size_t>(close - rest.data()) + 1);
    if (!blank_after) return true;
    if (rest.empty() || rest[0] != ' ') return false;
    rest.remove_prefix(1);
    return true;
  }

  // -- the tail

  // Drops texts that are quoted by themselves and are more than capitals: agents may say anything.
  bool without_free_text(string_view tail) {
    bare_.clear();
    for (size_t at = 0;;) {
      size_t open = std::min(tail.find(" \"", at), tail.size());
      bare_.append(tail.substr(at, open - at));
      if (open == tail.size()) return true;
      size_t close = tail.find('"', open + 2);
      if (close == string_view::npos || (close + 1 < tail.size() && tail[close + 1] != ' ')) return false;
      if (may_be_status(tail.substr(open + 2, close - open - 2))) bare_.append(tail.substr(open, close + 1 - open));
      at = close + 1;
    }
  }

  static bool may_be_status(string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return (c >= 'A' && c <= 'Z') || c == '-'; });
  }

  bool is_status(string_view text) const { return std::find(statuses_.begin(), statuses_.end(), text) != statuses_.end(); }
  bool names_status(string_view text) const {
    auto named = [&](const string& status) { return text.find(status) != string_view::npos; };
    return std::any_of(statuses_.begin(), statuses_.end(), named) || std::any_of(others_.begin(), others_.end(), named);
  }

  static string_view unwrapped(string_view token) {
    if (token.size() < 3) return token;
    bool wrapped = (token.front() == '[' && token.back() == ']') || (token.front() == '"' && token.back() == '"');
    return wrapped ? token.substr(1, token.size() - 2) : token;
  }

  static bool is_seconds(string_view token) {
    size_t n = token.size();
    if (n < 5 || token[n - 4] != '.') return false;
    return digits(token.data(), static_cast<int>(n - 4)) && digits(token.data() + n - 3, 3);
  }

  // Reads pairs and words; false where only the definition can tell.
  bool read_tail(string_view tail) {
    string_view status, seconds;
    bool regular = pairs.cut(tail, [&](string_view token) {
      if (status.empty() && is_status(unwrapped(token))) status = unwrapped(token);
      if (seconds.empty() && is_seconds(token)) seconds = token;
      return true;
    });
    bool named = false;
    if (!regular || !offer_pairs(named)) return false;
    string_view before = status.empty() ? tail : tail.substr(0, static_cast<size_t>(status.data() - tail.data()));
    if (!named && names_status(before)) return false;
    if (!named) filler.offer(outcome_, 0, status.empty() ? user_status() : status);
    return offer_seconds(tail, seconds);
  }

  bool offer_pairs(bool& named) {
    bool sound = true;
    for (const PairKey* key : pairs.touched) {
      string_view text = pairs.said(*key, made_, sound);
      for (auto [field, rank] : key->targets) {
        named = named || (field == outcome_ && !text.empty());
        if (text != "-") filler.offer(field, rank, text);
      }
    }
    return sound;
  }

  // The status in the place of the user.
  string_view user_status() const {
    string_view words = parts_.before;
    while (!words.empty()) {
      size_t blank = words.find(' ');
      if (is_status(words.substr(0, blank))) return words.substr(0, blank);
      words.remove_prefix(blank + 1);
    }
    return {};
  }

  bool offer_seconds(string_view tail, string_view seconds) {
    if (!filler.has(seconds_)) {
      if (holds_quoted_blank(tail) || (seconds.empty() && (holds_more(tail) || holds_more(parts_.before)))) return false;
      filler.offer(seconds_, 0, seconds);
    }
    return !filler.has(seconds_) || !std::isnan(plain_number(filler.text(seconds_)));
  }

  // May seconds be there in another form: behind a colon, or before the request?
  static bool holds_more(string_view text) {
    for (size_t dot = text.find('.'); dot != string_view::npos; dot = text.find('.', dot + 1))
      if (text.size() - dot >= 4 && digits(text.data() + dot + 1, 3) && (text.size() - dot == 4 || text[dot + 4] == ' ')) return true;
    return false;
  }

  static bool holds_quoted_blank(string_view tail) {
    size_t quote = tail.find('"');
    return quote != string_view::npos && tail.find(' ', quote) != string_view::npos;
  }

  // -- the request

  void add_request() {
    filler.offer(time_, 0, parts_.time);
    if (parts_.method == "GET" || parts_.method == "HEAD") filler.offer(key_, kNone - 1, parts_.path);
    if (filler.has(upstream_)) filler.replace(upstream_, without_query(filler.text(upstream_)));
    filler.offer(path_, 0, without_query(parts_.path));
  }

  // Drops a query that names neither model nor version: what differs from request to request stands there.
  string_view without_query(string_view path) const {
    size_t query = path.find('?');
    if (query == string_view::npos) return path;
    for (const string& text : telling_)
      if (holds(path, text)) return path;
    return path.substr(0, query);
  }
};

}  // namespace cachelog

#endif

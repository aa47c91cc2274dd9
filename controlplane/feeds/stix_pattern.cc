// SPDX-License-Identifier: Apache-2.0
#include "controlplane/feeds/stix_pattern.h"

#include <algorithm>
#include <array>

#include "controlplane/feeds/lines.h"

namespace merlon::feeds {
namespace {

constexpr size_t kTermsMax = 10000;

enum class Kind : uint8_t { word, text, mark, end };

struct Token {
  Kind kind = Kind::end;
  std::string text = {};
};

constexpr std::string_view kMarks = "[](),=!<>";

class Lexer {
 public:
  explicit Lexer(std::string_view text) : rest_(text) {}
  // False at what no pattern can hold.
  bool next(Token& token) {
    while (!rest_.empty() && (is_blank(rest_[0]) || rest_[0] == '\n')) {
      rest_.remove_prefix(1);
    }
    token = {};
    if (rest_.empty()) {
      return true;
    }
    if (rest_[0] == '\'') {
      return take_text(token);
    }
    if (kMarks.find(rest_[0]) != kMarks.npos) {
      const bool two = rest_.starts_with("!=") || rest_.starts_with("<=") ||
                       rest_.starts_with(">=") || rest_.starts_with("<>") ||
                       rest_.starts_with("==");
      token = {Kind::mark, std::string(rest_.substr(0, two ? 2 : 1))};
      rest_.remove_prefix(token.text.size());
      return true;
    }
    return take_word(token);
  }

 private:
  bool take_text(Token& token) {
    token.kind = Kind::text;
    for (size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == '\'') {
        rest_.remove_prefix(i + 1);
        return true;
      }
      i += rest_[i] == '\\' && i + 1 < rest_.size() ? 1U : 0U;
      token.text.push_back(rest_[i]);
    }
    return false;
  }
  // Object paths may hold quoted parts: file:hashes.'SHA-256', and [*].
  bool take_word(Token& token) {
    token.kind = Kind::word;
    size_t at = 0;
    while (at < rest_.size()) {
      const char c = rest_[at];
      if (c == '\'' && at > 0) {
        const size_t close = rest_.find('\'', at + 1);
        if (close == rest_.npos) {
          return false;
        }
        at = close + 1;
      } else if (c == '[' && at > 0) {
        const size_t close = rest_.find(']', at);
        if (close == rest_.npos) {
          return false;
        }
        at = close + 1;
      } else if (is_blank(c) || c == '\n' || c == '\'' || kMarks.find(c) != kMarks.npos) {
        break;
      } else {
        ++at;
      }
    }
    token.text = rest_.substr(0, at);
    rest_.remove_prefix(at);
    return at > 0;
  }

  std::string_view rest_;
};

bool is_ours(std::string_view path) {
  static constexpr std::array<std::string_view, 4> kPaths = {"ipv4-addr:value", "ipv6-addr:value",
                                                             "domain-name:value", "url:value"};
  return std::find(kPaths.begin(), kPaths.end(), path) != kPaths.end() ||
         path == "network-traffic:dst_ref.value" || path == "network-traffic:src_ref.value" ||
         path.starts_with("domain-name:resolves_to_refs");
}

class Reader {
 public:
  explicit Reader(std::string_view pattern) : lexer_(pattern) {}
  Read<std::vector<StixTerm>> read() {
    if (!advance() || token_.text != "[") {
      return std::unexpected(RejectReason::bad_pattern);
    }
    while (token_.kind != Kind::end) {
      if (!step()) {
        return std::unexpected(RejectReason::bad_pattern);
      }
    }
    return depth_ == 0 && !terms_.empty() ? Read<std::vector<StixTerm>>(std::move(terms_))
                                          : std::unexpected(RejectReason::bad_pattern);
  }

 private:
  bool advance() { return lexer_.next(token_); }
  bool step() {
    if (token_.kind == Kind::mark) {
      depth_ += token_.text == "[" || token_.text == "(" ? 1 : 0;
      depth_ -= token_.text == "]" || token_.text == ")" ? 1 : 0;
      return depth_ >= 0 && kMarks.find(token_.text) < 4 && advance();
    }
    // Between comparisons: AND, OR, FOLLOWEDBY, and qualifiers such as WITHIN 300 SECONDS.
    if (token_.kind == Kind::word && token_.text.find(':') != std::string::npos &&
        !is_timestamp()) {
      return terms_.size() < kTermsMax && read_comparison();
    }
    return advance();
  }
  bool is_timestamp() const { return is_digit(token_.text[0]) || token_.text.starts_with("t'"); }

  bool read_comparison() {
    const std::string path = token_.text;
    if (!advance()) {
      return false;
    }
    bool negated = false;
    if (token_.kind == Kind::word && token_.text == "NOT") {
      negated = true;
      if (!advance()) {
        return false;
      }
    }
    const std::string operation = token_.text;
    if (token_.kind == Kind::text || token_.kind == Kind::end || !advance()) {
      return false;
    }
    if (token_.kind != Kind::mark) {
      return token_.kind != Kind::end && take(path, operation, negated) && advance();
    }
    if (token_.text != "(") {
      return false;
    }
    do {  // IN ('a', 'b')
      if (!advance() || (token_.kind != Kind::text && token_.kind != Kind::word) ||
          !take(path, operation, negated) || !advance()) {
        return false;
      }
    } while (token_.text == ",");
    return token_.text == ")" && advance();
  }

  bool take(const std::string& path, const std::string& operation, bool negated) {
    StixTerm term{path, token_.text, RejectReason::other_indicator, false};
    const bool listed =
        operation == "=" || operation == "==" || operation == "IN" || operation == "ISSUBSET";
    if (is_ours(path)) {
      negated = negated || operation == "!=" || operation == "<>";
      term.wanted = listed && !negated;
      term.reason = negated ? RejectReason::negated : RejectReason::pattern_operator;
    }
    terms_.push_back(std::move(term));
    return true;
  }

  Lexer lexer_;
  Token token_;
  int depth_ = 0;
  std::vector<StixTerm> terms_;
};

}  // namespace

Read<std::vector<StixTerm>> read_stix_pattern(std::string_view pattern) {
  return Reader(pattern).read();
}

}  // namespace merlon::feeds

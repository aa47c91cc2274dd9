// SPDX-License-Identifier: Apache-2.0
#include "controlplane/feeds/json_path.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "controlplane/feeds/parse.h"

namespace merlon::feeds {
namespace {

using nlohmann::json;

// Follows the parser through the document. Derived is told enter(key or nothing), leave() and
// leaf(value).
template <class Derived>
class Walker : public nlohmann::json_sax<json> {
 public:
  bool null() override { return leaf("", JsonLeaf::other); }
  bool boolean(bool) override { return leaf("", JsonLeaf::other); }
  bool number_integer(number_integer_t) override { return leaf("", JsonLeaf::other); }
  bool number_unsigned(number_unsigned_t) override { return leaf("", JsonLeaf::other); }
  bool number_float(number_float_t, const string_t&) override { return leaf("", JsonLeaf::other); }
  bool string(string_t& value) override { return leaf(value, JsonLeaf::text); }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return open(false); }
  bool start_array(size_t) override { return open(true); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& value) override {
    key_ = std::move(value);
    return true;
  }
  bool parse_error(size_t position, const std::string&, const json::exception&) override {
    error_at_ = position;
    return false;
  }

  Status run(std::string_view text) {
    if (json::sax_parse(text.begin(), text.end(), this)) {
      return {};
    }
    if (too_deep_) {
      return fail(ErrorCode::invalid_argument, "the JSON is nested more than {} levels deep",
                  kJsonDepthMax);
    }
    return fail(ErrorCode::invalid_argument,
                "malformed JSON at byte {} of {}{}: the feed is truncated or damaged", error_at_,
                text.size(), error_at_ >= text.size() ? ", its end" : "");
  }

 protected:
  bool in_array() const { return !arrays_.empty() && arrays_.back(); }
  const std::string& last_key() const { return key_; }

 private:
  Derived& self() { return static_cast<Derived&>(*this); }
  bool leaf(std::string_view value, JsonLeaf kind) {
    self().on_leaf(value, kind);
    return true;
  }
  bool open(bool array) {
    if (arrays_.size() == kJsonDepthMax) {
      too_deep_ = true;
      return false;
    }
    self().on_open();
    arrays_.push_back(array);
    return true;
  }
  bool close() {
    arrays_.pop_back();
    self().on_close();
    return true;
  }

  std::vector<bool> arrays_;
  std::string key_;
  size_t error_at_ = 0;
  bool too_deep_ = false;
};

// Which steps of each path the place may stand before: bit i = steps 0..i-1 are behind us.
class Matcher final : public Walker<Matcher> {
 public:
  Matcher(const std::vector<JsonPath>& paths, const JsonMatch& use) : paths_(paths), use_(use) {
    states_.emplace_back();
    for (const JsonPath& path : paths_) {
      states_.back().push_back(settle(path, 1U));
    }
  }
  void on_open() { states_.push_back(at_root_ ? states_.back() : next()), at_root_ = false; }
  void on_close() { states_.pop_back(); }
  void on_leaf(std::string_view value, JsonLeaf kind) {
    if (at_root_) {
      return;
    }
    const std::vector<uint32_t> states = next();
    for (size_t i = 0; i < paths_.size(); ++i) {
      if ((states[i] >> paths_[i].size() & 1U) != 0) {
        use_(value, kind);
        return;
      }
    }
  }

 private:
  // Before "any depth" means behind it, too.
  static uint32_t settle(const JsonPath& path, uint32_t state) {
    for (size_t i = 0; i < path.size(); ++i) {
      if (path[i].kind == JsonStep::Kind::any_depth && (state >> i & 1U) != 0) {
        state |= 1U << (i + 1);
      }
    }
    return state;
  }
  std::vector<uint32_t> next() const {
    std::vector<uint32_t> states(paths_.size());
    for (size_t p = 0; p < paths_.size(); ++p) {
      const uint32_t before = states_.back()[p];
      for (size_t i = 0; before != 0 && i < paths_[p].size(); ++i) {
        if ((before >> i & 1U) == 0) {
          continue;
        }
        const JsonStep& step = paths_[p][i];
        const bool fits = step.kind == JsonStep::Kind::any_item ? in_array()
                          : step.kind == JsonStep::Kind::key
                              ? !in_array() && step.key == last_key()
                              : step.kind == JsonStep::Kind::any_key && !in_array();
        states[p] |= fits ? 1U << (i + 1) : 0U;
        states[p] |= step.kind == JsonStep::Kind::any_depth ? 1U << i : 0U;
      }
      states[p] = settle(paths_[p], states[p]);
    }
    return states;
  }

  const std::vector<JsonPath>& paths_;
  const JsonMatch& use_;
  std::vector<std::vector<uint32_t>> states_;
  bool at_root_ = true;
};

class Namer final : public Walker<Namer> {
 public:
  explicit Namer(const JsonUse& use) : use_(use) {}
  void on_open() {
    sizes_.push_back(path_.size());
    if (sizes_.size() > 1) {
      append();
    }
  }
  void on_close() {
    path_.resize(sizes_.back());
    sizes_.pop_back();
  }
  void on_leaf(std::string_view value, JsonLeaf kind) {
    const size_t size = path_.size();
    append();
    use_(value, kind, path_);
    path_.resize(size);
  }

 private:
  void append() { path_ += in_array() ? "[*]" : (path_.empty() ? "" : ".") + last_key(); }

  const JsonUse& use_;
  std::string path_;
  std::vector<size_t> sizes_;
};

std::unexpected<Error> bad_path(std::string_view text) {
  return fail(ErrorCode::invalid_argument,
              "feed format: path \"{}\": must be keys, * and [*] with dots between, such as "
              "objects[*].ip, with at most {} steps",
              printable(text, 80), kJsonStepsMax);
}

}  // namespace

Result<JsonPath> parse_json_path(std::string_view text) {
  JsonPath path;
  std::string_view rest = text;
  while (!rest.empty()) {
    if (rest.starts_with("[*]") || rest.starts_with("[]")) {
      path.push_back({JsonStep::Kind::any_item});
      rest.remove_prefix(rest.starts_with("[*]") ? 3 : 2);
      continue;
    }
    if (rest.starts_with("..")) {
      path.push_back({JsonStep::Kind::any_depth});
      rest.remove_prefix(1);
    } else if (rest.starts_with('.') && path.empty()) {  // ".key" of jq
      rest.remove_prefix(1);
      continue;
    }
    if (rest.starts_with('.')) {
      rest.remove_prefix(1);
    }
    if (rest.starts_with('$')) {
      return bad_path(text);
    }
    const size_t end = rest.find_first_of(".[");
    const std::string_view key = rest.substr(0, end);
    if (key.empty()) {
      return bad_path(text);
    }
    path.push_back({key == "*" ? JsonStep::Kind::any_key : JsonStep::Kind::key, std::string(key)});
    rest.remove_prefix(key.size());
  }
  return path.empty() || path.size() > kJsonStepsMax ? Result<JsonPath>(bad_path(text))
                                                     : Result<JsonPath>(std::move(path));
}

Status walk_json(std::string_view text, const JsonUse& use) {
  return Namer(use).run(text);
}

Status match_json(std::string_view text, const std::vector<JsonPath>& paths, const JsonMatch& use) {
  return Matcher(paths, use).run(text);
}

}  // namespace merlon::feeds

// SPDX-License-Identifier: Apache-2.0
// Response policy zones as text. Triggers QNAME and response IP with an action that blocks
// (NXDOMAIN
// ".", NODATA "*.", drop, or a local answer) become entries; rpz-passthru is an exception; other
// triggers (client IP, name servers) are not about what a device looks up.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "controlplane/feeds/collector.h"
#include "controlplane/feeds/lines.h"
#include "controlplane/feeds/token.h"

namespace merlon::feeds {
namespace {

using Refused = std::unexpected<RejectReason>;

std::string folded(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  }
  return out;
}

bool is_type(std::string_view word) {
  static constexpr std::array<std::string_view, 12> kTypes = {
      "a", "aaaa", "cname", "soa", "ns", "txt", "dname", "mx", "ptr", "srv", "caa", "https"};
  return std::find(kTypes.begin(), kTypes.end(), word) != kTypes.end();
}

// 24.0.2.0.192 -> 192.0.2.0/24; 48.zz.2.2001 -> 2001:2::/48.
std::string address_of(std::string_view labels) {
  std::vector<std::string_view> parts;
  while (!labels.empty()) {
    const size_t dot = labels.rfind('.');
    parts.push_back(dot == labels.npos ? labels : labels.substr(dot + 1));
    labels = dot == labels.npos ? std::string_view{} : labels.substr(0, dot);
  }
  if (parts.size() < 3) {
    return "";
  }
  const std::string_view length = parts.back();
  parts.pop_back();
  const bool zz = std::find(parts.begin(), parts.end(), "zz") != parts.end();
  const bool v4 = parts.size() == 4 && !zz;
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (v4) {
      text += fmt::format("{}{}", i == 0 ? "" : ".", parts[i]);
    } else if (parts[i] == "zz") {
      text += i == 0 ? "::" : i + 1 == parts.size() ? "::" : ":";
    } else {
      text += fmt::format("{}{}", text.empty() || text.ends_with("::") ? "" : ":", parts[i]);
    }
  }
  return fmt::format("{}/{}", text, length);
}

class ZoneReader {
 public:
  ZoneReader(const Declaration& declaration, Collector& collector)
      : reader_(declaration), collector_(collector) {}

  void read(uint64_t number, std::string_view raw);

 private:
  Read<Value> trigger(std::string owner);
  bool skip_open(std::string_view line);

  TokenReader reader_;
  Collector& collector_;
  std::string origin_;
  std::string owner_;
  std::string text_;
  int open_ = 0;  // parentheses
};

Read<Value> ZoneReader::trigger(std::string owner) {
  if (owner.ends_with('.')) {
    owner.pop_back();
    if (!origin_.empty() && owner.ends_with("." + origin_)) {
      owner.resize(owner.size() - origin_.size() - 1);
    }
  }
  if (owner.ends_with(".rpz-ip")) {
    text_ = address_of(std::string_view(owner).substr(0, owner.size() - 7));
    return reader_.typed(read_network(text_));
  }
  if (owner.ends_with(".rpz-client-ip") || owner.ends_with(".rpz-nsdname") ||
      owner.ends_with(".rpz-nsip")) {
    return Refused(RejectReason::other_record);
  }
  text_ = owner.starts_with("*.") ? owner.substr(2) : owner;
  return reader_.read(text_);
}

// True for the lines of a record in parentheses, the first one included.
bool ZoneReader::skip_open(std::string_view line) {
  const bool was_open = open_ > 0;
  open_ += static_cast<int>(std::count(line.begin(), line.end(), '('));
  open_ = std::max(0, open_ - static_cast<int>(std::count(line.begin(), line.end(), ')')));
  return was_open || open_ > 0;
}

void ZoneReader::read(uint64_t number, std::string_view raw) {
  const std::string_view line = trim(raw.substr(0, raw.find(';')));
  if (line.empty() || line.starts_with('#') || skip_open(line)) {
    collector_.ignore_line();
    return;
  }
  std::string_view rest = line;
  const bool own = !is_blank(raw[0]);
  std::string word = folded(take_token(rest));
  if (word == "$origin") {
    origin_ = folded(rest);
    origin_.resize(origin_.size() - (origin_.ends_with('.') ? 1 : 0));
  }
  if (word.starts_with('$')) {
    collector_.ignore_line();
    return;
  }
  if (own) {
    owner_ = word;
    word = folded(take_token(rest));
  }
  while (!rest.empty() && !is_type(word)) {  // TTL and class
    word = folded(take_token(rest));
  }
  if (word == "soa" && origin_.empty() && owner_.ends_with('.')) {
    origin_ = owner_.substr(0, owner_.size() - 1);
  }
  if (word == "soa" || word == "ns") {
    collector_.ignore_line();
    return;
  }
  if (!is_type(word) || owner_ == "@" || owner_.empty()) {
    collector_.reject_line(number, line, RejectReason::not_a_rule);
    return;
  }
  const std::string target = folded(rest);
  if (word == "cname" &&
      (target.starts_with("rpz-passthru") || target.starts_with("rpz-tcp-only"))) {
    collector_.reject_line(number, line, RejectReason::allow_rule);
    return;
  }
  collector_.add_line(number, line, trigger(owner_));
}

}  // namespace

uint64_t parse_rpz(std::string_view text, const Declaration& declaration, Collector& collector) {
  ZoneReader zone(declaration, collector);
  uint64_t number = 0;
  if (text.starts_with("\xef\xbb\xbf")) {
    text.remove_prefix(3);
  }
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    ++number;
    if (trim(line).empty()) {
      collector.ignore_line();
    } else if (line.size() > kLineSizeMax) {
      collector.reject_too_long(number, line);
    } else {
      zone.read(number, line);
    }
    text = end == text.npos ? std::string_view{} : text.substr(end + 1);
  }
  return number;
}

}  // namespace merlon::feeds

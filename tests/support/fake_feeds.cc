// SPDX-License-Identifier: Apache-2.0
// The feeds of FakeOperations.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "tests/support/fake_begin.h"
#include "tests/support/fake_operations.h"
#include "zones/address/address.h"
#include "zones/base/bytes.h"
#include "zones/base/file.h"
#include "zones/name/name.h"

namespace merlon::tests {
namespace {

constexpr int64_t kEpoch = 1772366400;  // 2026-03-01T12:00:00Z
constexpr std::string_view kScheme = "file://";
constexpr size_t kExamplesMax = 10;
constexpr size_t kExampleSizeMax = 120;

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  const size_t last = text.find_last_not_of(" \t\r");
  return first == std::string_view::npos ? std::string_view()
                                         : text.substr(first, last - first + 1);
}

// The path of a file:// URL, %XX decoded.
std::string path_of(std::string_view url) {
  std::string path;
  for (size_t i = kScheme.size(); i < url.size(); ++i) {
    uint8_t byte = static_cast<uint8_t>(url[i]);
    if (url[i] == '%' && i + 2 < url.size() && from_hex(url.substr(i + 1, 2), {&byte, 1})) {
      i += 2;
    }
    path.push_back(static_cast<char>(byte));
  }
  return path;
}

// One entry a line, # begins a comment.
class LineParser {
 public:
  void line(std::string_view text) {
    ++state.line_count;
    const std::string_view entry = trimmed(text.substr(0, text.find('#')));
    if (entry.empty()) {
      return;
    }
    if (const auto prefix = address::parse_prefix(entry)) {
      if (prefix->family == address::Family::v4) {
        set.v4.push_back(prefix->v4());
      } else {
        set.v6.push_back(prefix->v6());
      }
    } else if (const std::string_view fault = name::host_name_fault(entry); fault.empty()) {
      set.domains.emplace_back(entry);
    } else {
      reject(entry, entry.find_first_of(".:") == std::string_view::npos ? "not_an_indicator"
                                                                        : "bad_indicator");
    }
  }

  store::FeedSet set;
  store::FeedState state;

 private:
  void reject(std::string_view entry, const std::string& reason) {
    ++state.rejected_count;
    auto at = std::find_if(state.rejected_by_reason.begin(), state.rejected_by_reason.end(),
                           [&](const auto& pair) { return pair.first == reason; });
    if (at == state.rejected_by_reason.end()) {
      at = state.rejected_by_reason.insert(at, {reason, 0});
    }
    ++at->second;
    if (state.rejected_examples.size() < kExamplesMax) {
      state.rejected_examples.push_back(
          {state.line_count, reason, std::string(entry.substr(0, kExampleSizeMax))});
    }
  }
};

LineParser parse_lines(std::string_view text) {
  LineParser parser;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    parser.line(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  parser.set.normalise();
  return parser;
}

std::set<std::string> values_of(const store::FeedSet& set) {
  std::set<std::string> values(set.domains.begin(), set.domains.end());
  for (const auto& prefix : set.v4) {
    values.insert(to_text(address::AnyPrefix{address::Family::v4, prefix.length, prefix.bits}));
  }
  for (const auto& prefix : set.v6) {
    values.insert(to_text(address::AnyPrefix{address::Family::v6, prefix.length, prefix.bits}));
  }
  return values;
}

constexpr std::string_view kUpload = "upload:";

Result<std::vector<uint8_t>> read_source(const std::string& url, uint64_t size_max) {
  return url.starts_with(kScheme)
             ? read_file(path_of(url), size_max)
             : fail(ErrorCode::unsupported, "{}: only file:// is fetched here", url);
}

}  // namespace

Result<std::vector<store::FeedRecord>> FakeOperations::feeds() {
  MERLON_BEGIN();
  std::vector<store::FeedRecord> records;
  for (const auto& [id, feed] : feeds_) {
    records.push_back(feed.record);
  }
  return records;
}

Result<store::FeedRecord> FakeOperations::feed(const std::string& id) {
  MERLON_BEGIN();
  const Result<Feed*> found = find_feed(id);
  if (!found) {
    return std::unexpected(found.error());
  }
  return (*found)->record;
}

Status FakeOperations::add_feed(const store::FeedDefinition& definition) {
  MERLON_BEGIN();
  const Status label = check_label("feed id", definition.id);
  if (!label) {
    return label;
  }
  if (feeds_.contains(definition.id)) {
    return fail(ErrorCode::conflict, "feed \"{}\" exists already", definition.id);
  }
  feeds_[definition.id].record.definition = definition;
  ++revision_;
  return {};
}

Status FakeOperations::remove_feed(const std::string& id) {
  MERLON_BEGIN();
  const Result<Feed*> found = find_feed(id);
  if (!found) {
    return std::unexpected(found.error());
  }
  const int64_t now = clock_();
  for (store::Observation& observation : observations_) {
    if (observation.feed == id && observation.listed) {
      observation.listed = false;
      observation.last_seen = now;
    }
  }
  feeds_.erase(id);
  ++revision_;
  return {};
}

void FakeOperations::apply(Feed& feed, store::FeedSet set, api::RefreshReport& report,
                           int64_t now) {
  const std::set<std::string> before = values_of(feed.set);
  const std::set<std::string> after = values_of(set);
  for (store::Observation& observation : observations_) {
    if (observation.feed != report.feed || !observation.listed) {
      continue;
    }
    observation.last_seen = now;
    if (!after.contains(observation.value)) {
      observation.listed = false;
      ++report.removed;
    }
  }
  for (const std::string& value : after) {
    if (!before.contains(value)) {
      observations_.push_back({value, report.feed, now, now, true});
      ++report.added;
    }
  }
  store::FeedState& state = feed.record.state;
  state.prefix4_count = set.v4.size();
  state.prefix6_count = set.v6.size();
  state.domain_count = set.domains.size();
  if (feed.set != set) {
    state.last_changed = now;
    ++revision_;
  }
  report.not_modified = feed.set == set;
  feed.set = std::move(set);
}

Status FakeOperations::put_content(const std::string& id, std::string_view content) {
  MERLON_BEGIN();
  const Result<Feed*> found = find_feed(id);
  if (!found) {
    return std::unexpected(found.error());
  }
  if ((*found)->record.definition.url != kUpload) {
    return fail(ErrorCode::invalid_argument, "feed {} takes no uploads", id);
  }
  (*found)->upload = content;
  return {};
}

// The source is read again, and all that is readable in it is taken.
Result<api::RefreshReport> FakeOperations::accept_feed(const std::string& id) {
  MERLON_BEGIN();
  const Result<Feed*> found = find_feed(id);
  if (!found) {
    return std::unexpected(found.error());
  }
  Feed& feed = **found;
  store::FeedState& state = feed.record.state;
  if (state.health != store::FeedHealth::quarantined) {
    return fail(ErrorCode::conflict, "feed {} has no content in quarantine; it is {}", id,
                to_string(state.health));
  }
  const auto bytes = read_source(feed.record.definition.url, feed.record.definition.size_max_bytes);
  if (!bytes) {
    return std::unexpected(bytes.error());
  }
  api::RefreshReport report;
  report.feed = id;
  const int64_t now = clock_();
  state.health = store::FeedHealth::good;
  state.reason.clear();
  state.last_good = now;
  apply(feed, parse_lines(as_text(*bytes)).set, report, now);
  report.state = state;
  return report;
}

Result<api::FeedSafety> FakeOperations::feed_safety(const std::string& id) {
  MERLON_BEGIN();
  const Result<Feed*> found = find_feed(id);
  if (!found) {
    return std::unexpected(found.error());
  }
  const store::FeedState& state = (*found)->record.state;
  api::FeedSafety safety;
  safety.feed = id;
  for (const auto& prefix : (*found)->set.v4) {
    if (prefix.bits >> 24 == 127) {
      ++safety.taken_out4;
      safety.examples.push_back(
          {address::to_text(prefix.range()), "127.0.0.0/8", "loopback, RFC 1122"});
    }
  }
  safety.trust = safety.taken_out4 == 0 ? 100 : 70;
  if (state.health == store::FeedHealth::quarantined) {
    safety.quarantines = 1;
    safety.held_at = state.last_attempt;
    safety.held_reason = state.reason;
  }
  return safety;
}

Result<api::FeedsReport> FakeOperations::feeds_report(const std::vector<std::string>& ids) {
  MERLON_BEGIN();
  api::FeedsReport report;
  for (const std::string& id : ids) {
    const Result<Feed*> found = find_feed(id);
    if (!found) {
      return std::unexpected(found.error());
    }
    report.feeds.push_back({.feed = id, .size = values_of((*found)->set).size()});
  }
  for (const std::string& a : ids) {
    const std::set<std::string> mine = values_of((*find_feed(a))->set);
    std::vector<uint64_t>& row = report.shared.emplace_back();
    for (const std::string& b : ids) {
      const std::set<std::string> theirs = values_of((*find_feed(b))->set);
      row.push_back(static_cast<uint64_t>(
          std::ranges::count_if(mine, [&](const auto& one) { return theirs.contains(one); })));
    }
  }
  return report;
}

Result<api::ProbeReport> FakeOperations::probe_feed(const std::string& url,
                                                    const std::string& format) {
  MERLON_BEGIN();
  const auto bytes = read_source(url, store::FeedDefinition{}.size_max_bytes);
  if (!bytes) {
    return std::unexpected(bytes.error());
  }
  const LineParser parser = parse_lines(as_text(*bytes));
  const std::set<std::string> values = values_of(parser.set);
  return api::ProbeReport{.url = url,
                          .format = format == "auto" ? "plain" : format,
                          .problem = values.empty() ? "nothing readable in it" : "",
                          .line_count = parser.state.line_count,
                          .rejected_count = parser.state.rejected_count,
                          .prefix4_count = parser.set.v4.size(),
                          .domain_count = parser.set.domains.size(),
                          .examples = {values.begin(), values.end()},
                          .rejected_by_reason = parser.state.rejected_by_reason,
                          .rejected_examples = parser.state.rejected_examples};
}

Result<api::RefreshReport> FakeOperations::refresh_feed(const std::string& id) {
  MERLON_BEGIN();
  const Result<Feed*> found = find_feed(id);
  if (!found) {
    return std::unexpected(found.error());
  }
  Feed& feed = **found;
  const int64_t now = clock_();
  api::RefreshReport report;
  report.feed = id;
  store::FeedState& state = feed.record.state;
  state.last_attempt = now;
  const Result<std::vector<uint8_t>> bytes =
      feed.record.definition.url == kUpload
          ? std::vector<uint8_t>(feed.upload.begin(), feed.upload.end())
          : read_source(feed.record.definition.url, feed.record.definition.size_max_bytes);
  if (!bytes) {
    state.health = store::FeedHealth::failed;
    state.reason = bytes.error().message;
    report.state = state;
    return report;
  }
  LineParser parser = parse_lines(as_text(*bytes));
  parser.state.last_attempt = now;
  parser.state.last_good = state.last_good;
  parser.state.last_changed = state.last_changed;
  parser.state.prefix4_count = state.prefix4_count;
  parser.state.prefix6_count = state.prefix6_count;
  parser.state.domain_count = state.domain_count;
  parser.state.size_bytes = bytes->size();
  parser.state.format = "lines";
  const uint64_t good = values_of(parser.set).size();
  state = std::move(parser.state);
  if (good == 0 || good < state.rejected_count) {
    state.health = store::FeedHealth::quarantined;
    state.reason = good == 0 ? "nothing readable in it" : "more than half of it is unreadable";
  } else {
    state.health = store::FeedHealth::good;
    state.last_good = now;
    apply(feed, std::move(parser.set), report, now);
  }
  report.state = state;
  return report;
}

}  // namespace merlon::tests

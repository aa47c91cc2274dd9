// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fake_operations.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "tests/support/fake_begin.h"
#include "zones/address/address.h"
#include "zones/address/range_set.h"
#include "zones/base/bytes.h"
#include "zones/base/file.h"
#include "zones/name/name.h"

namespace merlon::tests {
namespace {

constexpr int64_t kEpoch = 1772366400;  // 2026-03-01T12:00:00Z
constexpr std::string_view kSuffix = "merlon.internal.";
constexpr std::string_view kScheme = "file://";
constexpr size_t kExamplesMax = 10;
constexpr size_t kExampleSizeMax = 120;

address::AnyPrefix parsed(std::string_view text) {
  return address::parse_prefix(text).value();
}

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

Result<std::vector<uint8_t>> read_source(const std::string& url, uint64_t size_max) {
  return url.starts_with(kScheme)
             ? read_file(path_of(url), size_max)
             : fail(ErrorCode::unsupported, "{}: only file:// is fetched here", url);
}

address::IpSet never_block() {
  store::FeedSet set;
  for (const std::string_view text : kNeverBlock) {
    const address::AnyPrefix prefix = parsed(text);
    if (prefix.family == address::Family::v4) {
      set.v4.push_back(prefix.v4());
    } else {
      set.v6.push_back(prefix.v6());
    }
  }
  return set.addresses();
}

api::ListInfo make_list(std::string name, std::string kind, store::Tier tier) {
  api::ListInfo list;
  list.name = std::move(name);
  list.kind = std::move(kind);
  list.tier = tier;
  list.names.push_back(fmt::format("{}.{}", list.name, kSuffix));
  return list;
}

void count(api::ListInfo& list, const address::IpSet& all, uint64_t domain_count) {
  const address::IpSet kept = all.minus(never_block());
  list.address4_count = static_cast<uint64_t>(kept.v4.address_count());
  list.address6_count = static_cast<uint64_t>(kept.v6.address_count());
  list.protected_prefix_count =
      static_cast<uint64_t>(all.v4.address_count() - kept.v4.address_count() +
                            all.v6.address_count() - kept.v6.address_count());
  list.domain_count = domain_count;
}

}  // namespace

FakeOperations::FakeOperations(Clock clock)
    : clock_(clock ? std::move(clock) : [now = kEpoch]() mutable { return now++; }),
      dataplane_answer_(R"({"generation":0,"workers":1})") {
  started_ = clock_();
}

void FakeOperations::fail_next(Error error) {
  const std::lock_guard lock(mutex_);
  next_error_ = std::move(error);
}
void FakeOperations::throw_next(std::string message) {
  const std::lock_guard lock(mutex_);
  next_exception_ = std::move(message);
}
void FakeOperations::set_dataplane_away(std::string reason) {
  const std::lock_guard lock(mutex_);
  dataplane_away_ = std::move(reason);
}
void FakeOperations::set_dataplane_answer(std::string json) {
  const std::lock_guard lock(mutex_);
  dataplane_answer_ = std::move(json);
}

void FakeOperations::set_dataplane_answer(const std::string& command, std::string json) {
  const std::lock_guard lock(mutex_);
  dataplane_answers_[command] = std::move(json);
}

void FakeOperations::set_activity(api::Activity activity) {
  const std::lock_guard lock(mutex_);
  activity_ = std::move(activity);
}

void FakeOperations::set_transfers(api::Transfers transfers) {
  const std::lock_guard lock(mutex_);
  transfers_ = std::move(transfers);
}

uint64_t FakeOperations::Snapshot::name_count() const {
  uint64_t total = 0;
  for (const api::ListInfo& list : lists) {
    total += list.names.size();
  }
  return total;
}

Status FakeOperations::injected() {
  if (next_exception_) {
    throw std::runtime_error(*std::exchange(next_exception_, std::nullopt));
  }
  if (next_error_) {
    return std::unexpected(*std::exchange(next_error_, std::nullopt));
  }
  return {};
}

Result<FakeOperations::Feed*> FakeOperations::find_feed(const std::string& id) {
  const auto found = feeds_.find(id);
  if (found == feeds_.end()) {
    return fail(ErrorCode::not_found, "there is no feed \"{}\"", id);
  }
  return &found->second;
}

Result<api::ControlPlaneStatus> FakeOperations::status() {
  MERLON_BEGIN();
  api::ControlPlaneStatus status;
  status.version = "0.1.0";
  status.started = started_;
  status.feed_count = feeds_.size();
  for (const auto& [id, feed] : feeds_) {
    const store::FeedHealth health = feed.record.state.health;
    status.feed_unhealthy_count +=
        health == store::FeedHealth::failed || health == store::FeedHealth::quarantined ? 1 : 0;
  }
  status.device_count = devices_.size();
  status.generation = current_;
  status.tcp_generation = current_;
  status.suffix = std::string(kSuffix);
  status.dnssec = dnssec_.enabled ? "on" : "off";
  status.dataplane =
      dataplane_away_.empty() ? fmt::format("serving generation {}", current_) : dataplane_away_;
  return status;
}

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
  const auto bytes = read_source(feed.record.definition.url, feed.record.definition.size_max_bytes);
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

std::vector<api::ListInfo> FakeOperations::compile() const {
  std::vector<api::ListInfo> lists;
  api::ListInfo basic = make_list("basic", "basic", store::Tier::basic);
  address::IpSet everything;
  for (const auto& [id, feed] : feeds_) {
    if (feed.set.empty() || !feed.record.definition.enabled) {
      continue;
    }
    api::ListInfo list = make_list(id, "feed", feed.record.definition.tier);
    list.feeds = {id};
    const address::IpSet addresses = feed.set.addresses();
    count(list, addresses, feed.set.domains.size());
    lists.push_back(std::move(list));
    if (feed.record.definition.in_basic) {
      basic.feeds.push_back(id);
      everything = everything.united(addresses);
    }
  }
  count(basic, everything, 0);
  lists.insert(lists.begin(), std::move(basic));
  return lists;
}

Result<std::vector<api::ListInfo>> FakeOperations::lists() {
  MERLON_BEGIN();
  const auto found = snapshots_.find(current_);
  return found == snapshots_.end() ? std::vector<api::ListInfo>() : found->second.lists;
}

Result<api::ListInfo> FakeOperations::list(const std::string& name) {
  MERLON_BEGIN();
  const auto found = snapshots_.find(current_);
  if (found != snapshots_.end()) {
    for (const api::ListInfo& list : found->second.lists) {
      if (list.name == name) {
        return list;
      }
    }
  }
  return fail(ErrorCode::not_found, "generation {} has no list \"{}\"", current_, name);
}

Result<std::vector<store::Device>> FakeOperations::devices() {
  MERLON_BEGIN();
  std::vector<store::Device> devices;
  for (const auto& [name, device] : devices_) {
    devices.push_back(device);
  }
  return devices;
}

Result<store::Device> FakeOperations::add_device(const store::Device& device) {
  MERLON_BEGIN();
  for (const auto& [what, text] :
       {std::pair("device name", device.name), std::pair("account", device.account)}) {
    const Status label = check_label(what, text);
    if (!label) {
      return std::unexpected(label.error());
    }
  }
  if (devices_.contains(device.name)) {
    return fail(ErrorCode::conflict, "device \"{}\" exists already", device.name);
  }
  for (const auto& [name, other] : devices_) {
    for (const address::AnyPrefix& source : device.sources) {
      if (std::find(other.sources.begin(), other.sources.end(), source) != other.sources.end()) {
        return fail(ErrorCode::conflict, "source {} belongs to device \"{}\"", to_text(source),
                    name);
      }
    }
  }
  store::Device stored = device;
  stored.created = clock_();
  stored.number = ++device_number_;
  stored.account_number = account_named(device.account).account.number;
  devices_[device.name] = stored;
  ++revision_;
  return stored;
}

Status FakeOperations::remove_device(const std::string& name) {
  MERLON_BEGIN();
  if (devices_.erase(name) == 0) {
    return fail(ErrorCode::not_found, "there is no device \"{}\"", name);
  }
  ++revision_;
  return {};
}

Result<std::vector<api::SnapshotInfo>> FakeOperations::snapshots() {
  MERLON_BEGIN();
  std::vector<api::SnapshotInfo> infos;
  for (const auto& [generation, snapshot] : snapshots_) {
    infos.push_back({.generation = generation,
                     .created = snapshot.created,
                     .current = generation == current_,
                     .segment_count = 1 + snapshot.lists.size(),
                     .size_bytes = 4096 * (1 + snapshot.name_count())});
  }
  return infos;
}

api::BuildReport FakeOperations::report_of(uint64_t generation, bool changed) const {
  const Snapshot& snapshot = snapshots_.at(generation);
  api::BuildReport report;
  report.generation = generation;
  report.changed = changed;
  report.segments_written = changed ? snapshot.lists.size() : 0;
  report.segments_reused = changed ? 1 : 1 + snapshot.lists.size();
  report.list_count = snapshot.lists.size();
  report.name_count = snapshot.name_count();
  report.compile_seconds = 0.25;
  report.publish_seconds = 0.125;
  report.dataplane_error = dataplane_away_;
  return report;
}

Result<api::BuildReport> FakeOperations::build_snapshot() {
  MERLON_BEGIN();
  const auto found = snapshots_.find(current_);
  if (found != snapshots_.end() && found->second.revision == revision_) {
    return report_of(current_, false);
  }
  current_ = snapshots_.empty() ? 1 : snapshots_.rbegin()->first + 1;
  snapshots_[current_] = Snapshot{clock_(), revision_, compile()};
  return report_of(current_, true);
}

Result<api::BuildReport> FakeOperations::activate_snapshot(uint64_t generation) {
  MERLON_BEGIN();
  if (!snapshots_.contains(generation)) {
    return fail(ErrorCode::not_found, "there is no generation {}", generation);
  }
  const bool changed = std::exchange(current_, generation) != generation;
  return report_of(generation, changed);
}

Result<api::BuildReport> FakeOperations::rollback_snapshot() {
  MERLON_BEGIN();
  const auto found = snapshots_.find(current_);
  if (found == snapshots_.end() || found == snapshots_.begin()) {
    return fail(ErrorCode::not_found, "there is no generation before {}", current_);
  }
  current_ = std::prev(found)->first;
  return report_of(current_, true);
}

Result<std::vector<std::string>> FakeOperations::verify_snapshot(uint64_t generation) {
  MERLON_BEGIN();
  const auto found = snapshots_.find(generation);
  if (found == snapshots_.end()) {
    return fail(ErrorCode::not_found, "there is no generation {}", generation);
  }
  return std::vector<std::string>{fmt::format("manifest of generation {}: good", generation),
                                  fmt::format("{} segments: good", 1 + found->second.lists.size())};
}

Result<std::string> FakeOperations::dataplane(const std::string& command) {
  MERLON_BEGIN();
  if (!dataplane_away_.empty()) {
    return fail(ErrorCode::busy, "data plane: {}", dataplane_away_);
  }
  if (const auto answer = dataplane_answers_.find(command); answer != dataplane_answers_.end()) {
    return answer->second;
  }
  const std::string name = command.substr(0, command.find(' '));
  constexpr std::string_view kCommands[] = {"status", "stats", "top", "subjects", "profile"};
  if (std::find(std::begin(kCommands), std::end(kCommands), name) == std::end(kCommands)) {
    return fail(ErrorCode::invalid_argument, "the data plane has no command \"{}\"", command);
  }
  return dataplane_answer_;
}

Result<std::string> FakeOperations::forwarding() {
  return R"({"outstanding":2,"cache":{"entries":3,"bytes":4096,"bytes_max":67108864,"evicted":0},)"
         R"("upstreams":[{"address":"udp://192.0.2.1:53","up":true,"latency_ms":1.5,"queries":7,)"
         R"("answers":6,"timeouts":1,"failures":0,"went_down":0}],"counters":{"queries":9}})";
}

Result<api::Activity> FakeOperations::activity() {
  MERLON_BEGIN();
  return activity_;
}

Result<api::Transfers> FakeOperations::transfers() {
  MERLON_BEGIN();
  return transfers_;
}

}  // namespace merlon::tests

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

address::AnyPrefix parsed(std::string_view text) {
  return address::parse_prefix(text).value();
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

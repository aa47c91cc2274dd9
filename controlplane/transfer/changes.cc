// SPDX-License-Identifier: Apache-2.0
#include "controlplane/transfer/changes.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "controlplane/compile/difference.h"
#include "controlplane/transfer/facts.h"

namespace merlon::transfer {
namespace {

constexpr std::chrono::milliseconds kGather{50};
constexpr size_t kWaitingMax = 32;  // generations that are kept in memory for this
constexpr size_t kFlushSize = size_t{16} << 20;
// Small zones keep at least this much, so that their chains reach back as far as others'.
constexpr uint64_t kChainSizeMin = 256 << 10;

ZonePointer pointer_of(const snapshot::Snapshot& snapshot, const snapshot::LoadedZone* zone) {
  const auto found =
      std::ranges::find(snapshot.zones(), zone, [](const ZonePointer& one) { return one.get(); });
  return found == snapshot.zones().end() ? nullptr : *found;
}

}  // namespace

std::vector<ChangedZone> changed_zones(const snapshot::Snapshot* before,
                                       const snapshot::Snapshot& after) {
  std::vector<ChangedZone> changed;
  for (size_t i = 0; i < after.zones().size(); ++i) {
    const ZonePointer& zone = after.zones()[i];
    // Both are in one order, so mostly the place is the same.
    if (before != nullptr && i < before->zones().size() && before->zones()[i] == zone) {
      continue;
    }
    ZonePointer old;
    if (before != nullptr) {
      const auto apex = name::Name::from_wire(zone->view().apex());
      const auto* found = apex ? find_exactly(*before, *apex) : nullptr;
      if (found == zone.get()) {
        continue;
      }
      old = found == nullptr ? nullptr : pointer_of(*before, found);
    }
    changed.push_back({std::move(old), zone});
  }
  return changed;
}

void JournalWriter::add(std::span<const ChangedZone> zones, int64_t now) {
  for (const ChangedZone& zone : zones) {
    if (zone.before == nullptr) {
      continue;
    }
    const Content before(*zone.before);
    const Content after(*zone.after);
    const auto apex = name::Name::from_wire(zone.after->view().apex());
    const auto difference = compile::diff(before.content(), after.content());
    Entry made{{.apex = *apex,
                .serial_from = zone.before->view().info().serial,
                .serial_to = zone.after->view().info().serial,
                .zone_size = std::max<uint64_t>(transfer_size(*zone.after), kChainSizeMin)},
               {}};
    if (difference && difference->serial_from != difference->serial_to) {
      made.payload = compile::encode(*difference);
    } else {
      // What leads nowhere ends the chain: a payload larger than its zone is not kept.
      made.entry.zone_size = 0;
      made.payload = {0};
    }
    bytes_ += made.payload.size();
    entries_.push_back(std::move(made));
    if (bytes_ >= kFlushSize) {
      flush(now);
    }
  }
}

void JournalWriter::flush(int64_t now) {
  std::vector<compile::JournalEntry> entries;
  entries.reserve(entries_.size());
  for (Entry& made : entries_) {
    made.entry.payload = made.payload;
    entries.push_back(made.entry);
  }
  if (!entries.empty()) {
    if (auto written = journal_.append(entries, now); !written) {
      spdlog::error("differences were not kept, secondaries will get whole zones: {}",
                    written.error().message);
    }
  }
  entries_.clear();
  bytes_ = 0;
}

ChangeFollower::ChangeFollower(compile::Journal* journal, OnChange on_change)
    : journal_(journal), on_change_(std::move(on_change)), thread_([this] { run(); }) {}

ChangeFollower::~ChangeFollower() {
  stop();
}

void ChangeFollower::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void ChangeFollower::published(SnapshotPointer before, SnapshotPointer after) {
  {
    const std::lock_guard lock(mutex_);
    unwritten_.push_back(after->generation());
    if (waiting_.size() >= kWaitingMax && waiting_.back().after == before) {
      waiting_.back().after = std::move(after);  // one step for both
    } else {
      waiting_.push_back({std::move(before), std::move(after)});
    }
  }
  wake_.notify_all();
}

bool ChangeFollower::is_behind(uint64_t generation) const {
  const std::lock_guard lock(mutex_);
  return std::ranges::find(unwritten_, generation) != unwritten_.end();
}

// What is waiting when it is stopped is written, too: the next start would not know of it.
void ChangeFollower::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) {
      return;
    }
    wake_.wait_for(lock, kGather, [this] { return stopping_; });
    const std::deque<Publication> taken = std::exchange(waiting_, {});
    const size_t count = unwritten_.size();
    lock.unlock();
    follow(taken);
    lock.lock();
    unwritten_.erase(unwritten_.begin(), unwritten_.begin() + static_cast<std::ptrdiff_t>(count));
  }
}

void ChangeFollower::follow(const std::deque<Publication>& publications) {
  std::vector<std::vector<ChangedZone>> changed;
  const int64_t now = std::time(nullptr);
  for (const Publication& publication : publications) {
    changed.push_back(changed_zones(publication.before.get(), *publication.after));
  }
  if (journal_ != nullptr) {
    JournalWriter writer(*journal_);
    for (const auto& zones : changed) {
      writer.add(zones, now);
    }
    writer.flush(now);
  }
  for (size_t i = 0; i < publications.size(); ++i) {
    on_change_(publications[i].after, changed[i]);
  }
}

}  // namespace merlon::transfer

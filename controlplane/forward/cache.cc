// SPDX-License-Identifier: Apache-2.0
#include "controlplane/forward/cache.h"

namespace merlon::forward {
namespace {

// A list's node, a table's node and bucket, an answer with its counts.
constexpr size_t kEntryOverhead = 320;
// Asked again ahead of time: a tenth of the TTL before its end, when it was asked so often.
constexpr uint32_t kPrefetchPart = 10;
constexpr uint32_t kPrefetchTtlMin_s = 10;
constexpr uint32_t kPrefetchHits = 3;

}  // namespace

size_t Cache::Entry::size_bytes() const {
  return kEntryOverhead + key.size() + answer->records.size_bytes();
}

Cache::Found Cache::find(const std::string& key, uint64_t now_ms) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) {
    return {};
  }
  const List::iterator entry = found->second;
  const uint64_t age_ms = now_ms - entry->stored_ms;
  const uint64_t ttl_ms = uint64_t{entry->answer->ttl_s} * 1000;
  const auto stale_ms =
      static_cast<uint64_t>(std::chrono::milliseconds(options_.stale_max).count());
  if (age_ms >= ttl_ms + stale_ms) {
    remove(entry);
    return {};
  }
  list_.splice(list_.begin(), list_, entry);
  Found result{.answer = entry->answer,
               .age_s = static_cast<uint32_t>(age_ms / 1000),
               .is_stale = age_ms >= ttl_ms};
  if (!result.is_stale) {
    ++entry->hits;
    result.refresh = !entry->refreshing && entry->hits >= kPrefetchHits &&
                     entry->answer->ttl_s >= kPrefetchTtlMin_s &&
                     ttl_ms - age_ms <= ttl_ms / kPrefetchPart;
    entry->refreshing = entry->refreshing || result.refresh;
  }
  return result;
}

void Cache::put(const std::string& key, const AnswerPointer& answer, uint64_t now_ms) {
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    remove(found->second);
  }
  if (answer->ttl_s == 0) {
    return;
  }
  list_.push_front({.key = key, .answer = answer, .stored_ms = now_ms});
  by_key_.emplace(list_.front().key, list_.begin());
  bytes_.fetch_add(list_.front().size_bytes(), std::memory_order_relaxed);
  entries_.store(list_.size(), std::memory_order_relaxed);
  while (bytes() > options_.bytes_max && !list_.empty()) {
    evicted_.fetch_add(1, std::memory_order_relaxed);
    remove(std::prev(list_.end()));
  }
}

void Cache::remove(List::iterator entry) {
  bytes_.fetch_sub(entry->size_bytes(), std::memory_order_relaxed);
  by_key_.erase(entry->key);
  list_.erase(entry);
  entries_.store(list_.size(), std::memory_order_relaxed);
}

}  // namespace merlon::forward

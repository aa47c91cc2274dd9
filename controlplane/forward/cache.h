// SPDX-License-Identifier: Apache-2.0
// Answers by question (name folded, type, DO, CD). Bounded in bytes: what was not used longest goes
// first. What has expired stays for a while, for when nobody answers (RFC 8767). Used by one
// thread; the numbers may be read by any.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <list>
#include <string>
#include <unordered_map>

#include "controlplane/forward/message.h"

namespace merlon::forward {

struct CacheOptions {
  size_t bytes_max = 0;
  std::chrono::seconds stale_max{0};
};

class Cache {
 public:
  struct Found {
    AnswerPointer answer{};  // nullptr: none
    uint32_t age_s = 0;
    bool is_stale = false;
    bool refresh = false;  // popular and about to expire: ask again, once
  };

  explicit Cache(const CacheOptions& options) : options_(options) {}

  Found find(const std::string& key, uint64_t now_ms);
  // An answer with ttl_s 0 is not kept.
  void put(const std::string& key, const AnswerPointer& answer, uint64_t now_ms);

  size_t entries() const { return entries_.load(std::memory_order_relaxed); }
  size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  uint64_t evicted() const { return evicted_.load(std::memory_order_relaxed); }

 private:
  struct Entry {
    std::string key;
    AnswerPointer answer;
    uint64_t stored_ms = 0;
    uint32_t hits = 0;
    bool refreshing = false;

    size_t size_bytes() const;
  };
  using List = std::list<Entry>;  // the most recently used first

  void remove(List::iterator entry);

  const CacheOptions options_;
  List list_;
  std::unordered_map<std::string_view, List::iterator> by_key_;
  std::atomic<size_t> entries_{0};
  std::atomic<size_t> bytes_{0};
  std::atomic<uint64_t> evicted_{0};
};

}  // namespace merlon::forward

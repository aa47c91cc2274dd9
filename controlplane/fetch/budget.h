// SPDX-License-Identifier: Apache-2.0
// Memory that feeds on their way may have together. Small ones never ask. Large ones take shares as
// they grow, and wait while there is none; whoever has waited or taken longest may always go on, so
// they cannot wait for each other in a circle. What is in use is therefore at most the budget and
// the largest feed.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <set>

namespace merlon::fetch {

class MemoryBudget {
 public:
  static constexpr uint64_t kFreeBytes = 1 << 20;  // of each feed

  explicit MemoryBudget(uint64_t bytes) : bytes_(bytes) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  // What one feed has taken; given back at its end. The budget outlives its shares.
  class Share {
   public:
    Share() = default;
    explicit Share(MemoryBudget* budget);
    Share(Share&& other) noexcept { swap(other); }
    Share& operator=(Share&& other) noexcept {
      swap(other);
      return *this;
    }
    ~Share();

    enum class Grown : uint8_t { yes, stopped };
    // Waits until the feed may have `size` bytes in all. `stopped`: *stop became true.
    Grown grow_to(uint64_t size, const std::atomic<bool>* stop);

   private:
    void swap(Share& other);

    MemoryBudget* budget_ = nullptr;
    uint64_t ticket_ = 0;
    uint64_t taken_ = 0;
  };

  uint64_t used() const;

 private:
  uint64_t bytes_;
  mutable std::mutex mutex_;
  std::condition_variable freed_;
  uint64_t used_ = 0;
  uint64_t next_ticket_ = 1;
  std::set<uint64_t> tickets_;  // of those who have taken or wait
};

}  // namespace merlon::fetch

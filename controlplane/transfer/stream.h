// SPDX-License-Identifier: Apache-2.0
// A transfer as a stream of messages, made as the client takes them; and how many there may be.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "controlplane/dns/service.h"
#include "controlplane/transfer/sources.h"
#include "controlplane/transfer/writer.h"

namespace merlon::transfer {

// Transfers at once: of one account, and in all. Thread-safe.
class Slots {
 public:
  Slots(size_t account_max, size_t total_max) : account_max_(account_max), total_max_(total_max) {}

  // Gives the place back when it goes. It keeps nothing alive: the slots outlive it.
  class Place {
   public:
    Place() = default;
    Place(Slots& slots, uint32_t account) : slots_(&slots), account_(account) {}
    Place(Place&& other) noexcept
        : slots_(std::exchange(other.slots_, nullptr)), account_(other.account_) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (slots_ != nullptr) {
        slots_->release(account_);
      }
    }
    explicit operator bool() const { return slots_ != nullptr; }

   private:
    Slots* slots_ = nullptr;
    uint32_t account_ = 0;
  };
  Place take(uint32_t account) {
    const std::lock_guard lock(mutex_);
    size_t& count = counts_[account];
    if (count >= account_max_ || total_ >= total_max_) {
      return {};
    }
    ++count;
    ++total_;
    return {*this, account};
  }

 private:
  void release(uint32_t account) {
    const std::lock_guard lock(mutex_);
    --total_;
    if (const auto at = counts_.find(account); --at->second == 0) {
      counts_.erase(at);
    }
  }

  const size_t account_max_;
  const size_t total_max_;
  std::mutex mutex_;
  std::map<uint32_t, size_t> counts_;
  size_t total_ = 0;
};

using Clock = std::function<int64_t()>;  // Unix seconds

class Stream final : public dns::MessageStream {
 public:
  struct Parts {
    std::unique_ptr<RecordSource> source{};
    WriterOptions writer{};
    Slots::Place place{};
    Clock clock{};
    std::function<void()> done{};  // all was taken
  };
  explicit Stream(Parts parts);
  std::shared_ptr<const std::vector<uint8_t>> next() override;

 private:
  // One message.
  void write_message(std::vector<uint8_t>& out);

  Parts parts_;
  MessageWriter writer_;
  Record record_;  // the next, when there is one
  bool has_record_ = false;
  bool failed_ = false;
};

// The same as one message without its length; empty when it does not fit options.size_max.
std::vector<uint8_t> as_one_message(RecordSource& source, WriterOptions options, int64_t now);

}  // namespace merlon::transfer

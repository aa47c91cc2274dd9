// SPDX-License-Identifier: Apache-2.0
// Services that answer what a test says. What is asked of them is named by the query's type: meta
// types that the answer logic leaves to services.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "controlplane/dns/service.h"

namespace merlon::tests {

inline constexpr uint16_t kAskWhole = 253;      // MAILB
inline constexpr uint16_t kAskForwarded = 254;  // MAILA
inline constexpr uint16_t kAskStream = 252;     // AXFR
inline constexpr uint16_t kAskEndless = 251;    // IXFR
inline constexpr uint16_t kAskLarge = 249;      // TKEY: kLargeSize bytes

class FakeSpecial : public dns::SpecialHandler {
 public:
  static constexpr size_t kStreamMessages = 100;
  static constexpr size_t kLargeSize = 3000;

  static std::vector<uint8_t> whole_answer(uint16_t id) {
    std::vector<uint8_t> message(20, 0x5A);
    store_be16(message.data(), id);
    return message;
  }
  static std::vector<uint8_t> stream_message(uint16_t id, size_t index) {
    std::vector<uint8_t> message(1000 + index * 37 % 30'000, static_cast<uint8_t>(index));
    store_be16(message.data(), id);
    return message;
  }

  std::optional<dns::Response> answer(const dns::Request& request) override {
    {
      const std::lock_guard lock(mutex_);
      clients_.push_back(request.client);
      certificates_.emplace_back(request.client.certificate);
    }
    dns::Response response{.outcome = answer::Outcome::answered};
    const uint16_t id = load_be16(request.message.data());
    switch (request.parsed.qtype) {
      case kAskWhole:
        response.message = whole_answer(id);
        return response;
      case kAskForwarded:
        response.outcome = answer::Outcome::forwarded;
        return response;
      case kAskStream:
      case kAskEndless:
        response.stream = std::make_unique<Stream>(
            *this, id, request.parsed.qtype == kAskStream ? kStreamMessages : SIZE_MAX);
        return response;
      case kAskLarge:
        response.message.assign(request.message.begin(), request.message.end());
        store_be16(response.message.data() + 2, 0x8400);
        response.message.resize(kLargeSize);
        return response;
      default:
        return std::nullopt;
    }
  }

  std::vector<dns::Client> clients() const {  // their certificate is not to be read
    const std::lock_guard lock(mutex_);
    return clients_;
  }
  std::vector<std::string> certificates() const {
    const std::lock_guard lock(mutex_);
    return certificates_;
  }
  size_t pieces() const { return pieces_.load(); }
  int streams_open() const { return streams_open_.load(); }

 private:
  class Stream : public dns::MessageStream {
   public:
    Stream(FakeSpecial& owner, uint16_t id, size_t count) : owner_(owner), id_(id), count_(count) {
      ++owner_.streams_open_;
    }
    ~Stream() override { --owner_.streams_open_; }
    std::shared_ptr<const std::vector<uint8_t>> next() override {
      if (at_ == count_) {
        return nullptr;
      }
      ++owner_.pieces_;
      auto piece = std::make_shared<std::vector<uint8_t>>();
      while (at_ != count_ && piece->size() < dns::kStreamPartSize) {
        const auto message = stream_message(id_, at_++);
        piece->push_back(static_cast<uint8_t>(message.size() >> 8));
        piece->push_back(static_cast<uint8_t>(message.size()));
        piece->insert(piece->end(), message.begin(), message.end());
      }
      return piece;
    }

   private:
    FakeSpecial& owner_;
    uint16_t id_;
    size_t count_;
    size_t at_ = 0;
  };

  mutable std::mutex mutex_;
  std::vector<dns::Client> clients_;
  std::vector<std::string> certificates_;
  std::atomic<size_t> pieces_{0};
  std::atomic<int> streams_open_{0};
};

class FakeForwarder : public dns::Forwarder {
 public:
  void forward(const dns::Request&, dns::Done done) override {
    std::unique_lock lock(mutex_);
    waiting_.push_back(std::move(done));
    if (at_once_) {
      const auto call = waiting_.back();
      lock.unlock();
      call(*at_once_);
    }
  }
  void answer_at_once(std::vector<uint8_t> message) { at_once_ = std::move(message); }
  void finish(size_t index, std::vector<uint8_t> message) {
    dns::Done done;
    {
      const std::lock_guard lock(mutex_);
      done = waiting_.at(index);
    }
    done(std::move(message));
  }
  size_t count() const {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
  }
  bool waits_for(size_t wanted) const {
    for (int i = 0; i < 10'000 && count() < wanted; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return count() >= wanted;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<dns::Done> waiting_;
  std::optional<std::vector<uint8_t>> at_once_;
};

}  // namespace merlon::tests

// SPDX-License-Identifier: Apache-2.0
// After start the packet path allocates nothing: every allocation of the process is counted, by
// replacing operator new and, where no sanitizer has done so already, malloc and its kin.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "dataplane/io/mmsg_io.h"
#include "dataplane/io/uring_io.h"
#include "dataplane/pipeline/worker.h"
#include "dataplane/slowpath/outlet.h"
#include "tests/dataplane/live_support.h"

namespace {

std::atomic<uint64_t> allocations{0};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kCountsMalloc = false;
#else
constexpr bool kCountsMalloc = true;
#endif

}  // namespace

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* old, size_t size);

void* malloc(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_calloc(count, size);
}
void* realloc(void* old, size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_realloc(old, size);
}
}
#endif

// Inlined into one function, the pair below looks to GCC as if new were answered by free.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void* operator new(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* made = std::malloc(size);
  if (made == nullptr) {
    std::abort();
  }
  return made;
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(size);
}
void operator delete(void* gone) noexcept {
  std::free(gone);
}
void operator delete(void* gone, const std::nothrow_t&) noexcept {
  std::free(gone);
}
void operator delete(void* gone, size_t) noexcept {
  std::free(gone);
}

namespace merlon::pipeline {
namespace {

// Messages made before the test, served round and round.
class PreloadedIo {
 public:
  PreloadedIo() {
    for (size_t i = 0; i < 256; ++i) {
      const std::string_view names[] = {"small.merlon.internal.", "nothing.merlon.internal.",
                                        "basic.merlon.internal.", "block.zeta.merlon.internal."};
      const std::string_view sources[] = {"192.0.2.10", "2001:db8:7::10", "203.0.113.4",
                                          "203.0.113.5", "203.0.113.2"};
      messages_.push_back(
          {tests::source(sources[i % 5]),
           tests::make_query(
               {.name = names[i % 4], .id = static_cast<uint16_t>(i), .edns = i % 2 == 0})});
      if (i % 16 == 7) {
        messages_.back().bytes.resize(i % 20);
      }
    }
  }
  size_t receive(std::span<io::Packet> burst) {
    for (size_t i = 0; i < burst.size(); ++i) {
      const Message& message = messages_[next_++ % messages_.size()];
      std::copy(message.bytes.begin(), message.bytes.end(), buffers_[i].begin());
      burst[i] = {.message = buffers_[i].data(),
                  .size = static_cast<uint32_t>(message.bytes.size()),
                  .capacity = static_cast<uint32_t>(buffers_[i].size()),
                  .reply_size = 0,
                  .handle = static_cast<uint32_t>(i),
                  .source = message.source};
    }
    return burst.size();
  }
  void send(std::span<io::Packet> burst) {
    for (const io::Packet& packet : burst) {
      replies_ += packet.reply_size != 0 ? 1 : 0;
    }
  }
  uint64_t replies() const { return replies_; }

 private:
  struct Message {
    address::Address source;
    std::vector<uint8_t> bytes;
  };
  std::vector<Message> messages_;
  std::array<std::array<uint8_t, 2048>, io::kBurstMax> buffers_{};
  size_t next_ = 0;
  uint64_t replies_ = 0;
};

class Allocation : public testing::Test {
 protected:
  // Everything that may be on is on: subjects, a profile, samples.
  Allocation() : live_(1) {
    auto live = tests::make_live(tests::make_fixture());
    live->slots = registry_.assign(live->snapshot->access()->view.subjects());
    live_.replace(std::move(live));
    counters_.stages.start(UINT64_MAX);
  }

  template <io::PacketIo Io>
  void serve_over_loopback(Io& engine, const io::UdpSocket& server) {
    const io::Endpoint target = server.local();
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&target.storage), target.size), 0);
    const auto query = tests::make_query({.edns = true});
    std::array<uint8_t, 2048> reply;
    uint64_t replies = 0;
    const uint64_t before = allocations.load();
    for (int round = 0; round < 10000; ++round) {
      ::send(fd, query.data(), query.size(), 0);
      run_burst(engine, worker_, packets_, *state_);
      while (::recv(fd, reply.data(), reply.size(), MSG_DONTWAIT) > 0) {
        ++replies;
      }
    }
    EXPECT_EQ(allocations.load() - before, 0u);
    EXPECT_GT(replies, 9000u);  // the last may still be on their way
    ::close(fd);
  }

  swap::LiveSlot live_;
  stats::WorkerCounters counters_;
  stats::SubjectRegistry registry_{{&counters_.subjects}};
  dnstap::Sampler sampler_{3, 4711};
  Worker worker_{
      .index = 0, .live = live_, .counters = counters_, .limits = {}, .sampler = &sampler_};
  std::array<io::Packet, io::kBurstMax> packets_;
  std::unique_ptr<BurstState> state_ = std::make_unique<BurstState>();
};

TEST_F(Allocation, TheCounterCounts) {
  const uint64_t before = allocations.load();
  delete new std::array<int, 100>;
  EXPECT_GT(allocations.load(), before);
  if (kCountsMalloc) {
    const uint64_t with_new = allocations.load();
    void* volatile made = std::malloc(100);
    std::free(made);
    EXPECT_GT(allocations.load(), with_new);
  }
}

TEST_F(Allocation, TenThousandBurstsAllocateNothing) {
  PreloadedIo engine;
  const uint64_t before = allocations.load();
  for (int round = 0; round < 10000; ++round) {
    run_burst(engine, worker_, packets_, *state_);
    while (sampler_.front() != nullptr) {
      sampler_.pop();
    }
  }
  EXPECT_EQ(allocations.load() - before, 0u);
  EXPECT_GT(engine.replies(), 10000u);
  EXPECT_GT(sampler_.numbers().sampled, 200'000u);
  EXPECT_EQ(sampler_.numbers().ring_full, 0u);
  EXPECT_EQ(counters_.stages.numbers(stats::Stage::observe).packet_count, 640'000u);
  EXPECT_GT(registry_.report({}).subjects[0].numbers.queries(), 100'000u);
  EXPECT_FALSE(counters_.unknown.entries().empty());
}

TEST_F(Allocation, NothingLoadedAllocatesNothing) {
  PreloadedIo engine;
  live_.replace(nullptr);
  const uint64_t before = allocations.load();
  for (int round = 0; round < 100; ++round) {
    run_burst(engine, worker_, packets_, *state_);
  }
  EXPECT_EQ(allocations.load() - before, 0u);
}

TEST_F(Allocation, TheUringEngineAllocatesNothingAfterStart) {
  std::vector<io::UdpSocket> sockets;
  sockets.push_back(*io::UdpSocket::bind(*io::Endpoint::parse("127.0.0.1:0")));
  auto engine = io::UringIo::create(sockets, counters_);
  if (!engine) {
    GTEST_SKIP() << engine.error().message;
  }
  serve_over_loopback(**engine, sockets[0]);
}

TEST_F(Allocation, TheMmsgEngineAllocatesNothingAfterStart) {
  std::vector<io::UdpSocket> sockets;
  sockets.push_back(*io::UdpSocket::bind(*io::Endpoint::parse("0.0.0.0:0")));
  const auto engine = io::MmsgIo::create(sockets, counters_);
  serve_over_loopback(*engine, sockets[0]);
}

TEST_F(Allocation, OfferingToTheSlowPathAllocatesNothing) {
  slowpath::Admission admission(100'000, 100'000, 7);
  admission.open();
  slowpath::Wake wake;
  stats::WorkerCounters counters;
  slowpath::Outlet outlet(admission, wake, counters);
  const std::array<uint8_t, 40> query{};
  const uint64_t before = allocations.load();
  uint32_t taken = 0;
  for (uint32_t i = 0; i < 1000; ++i) {
    io::Path path;
    path.source = address::Address::v4(i);
    taken += outlet.offer(path, query) ? 1u : 0u;
    if (i % 3 == 0) {
      outlet.pop();
    }
  }
  EXPECT_EQ(allocations.load() - before, 0u);
  EXPECT_GT(taken, slowpath::Outlet::kSlotCount);
  EXPECT_GT(counters.get(stats::IoCounter::slow_path_full), 0u);
}

}  // namespace
}  // namespace merlon::pipeline

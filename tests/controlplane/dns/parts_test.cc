// SPDX-License-Identifier: Apache-2.0
// The server's parts alone: endpoints, the output queue, the timer wheel, the source table, the
// statistics.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

#include "controlplane/dns/output.h"
#include "controlplane/dns/socket.h"
#include "controlplane/dns/source_table.h"
#include "controlplane/dns/statistics.h"
#include "controlplane/dns/timer_wheel.h"

namespace merlon::dns {
namespace {

TEST(DnsEndpoint, TextGoesThereAndBack) {
  for (const std::string_view text : {"127.0.0.1:5300", "[::1]:53", "[2001:db8::1]:0"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_TRUE(endpoint.has_value()) << text;
    EXPECT_EQ(to_text(*endpoint), text);
  }
}

TEST(DnsEndpoint, OtherTextIsRefusedWithTheReason) {
  for (const std::string_view text : {"", "127.0.0.1", "::1:53", "[::1]", "127.0.0.1:", "h:53",
                                      "127.0.0.1:65536", "127.0.0.1:5x", "[127.0.0.1:53"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_FALSE(endpoint.has_value()) << text;
    EXPECT_EQ(endpoint.error().code, ErrorCode::invalid_argument);
  }
}

TEST(DnsEndpoint, MappedAddressIsTheIPv4AddressItStandsFor) {
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(4711);
  ASSERT_EQ(inet_pton(AF_INET6, "::ffff:192.0.2.1", &v6.sin6_addr), 1);
  sockaddr_storage storage{};
  std::memcpy(&storage, &v6, sizeof v6);
  EXPECT_EQ(to_text(endpoint_of(storage)), "192.0.2.1:4711");
  ASSERT_EQ(inet_pton(AF_INET6, "2001:db8::1", &v6.sin6_addr), 1);
  std::memcpy(&storage, &v6, sizeof v6);
  EXPECT_EQ(to_text(endpoint_of(storage)), "[2001:db8::1]:4711");
}

std::vector<uint8_t> bytes_of(const OutputQueue& queue) {
  std::array<iovec, 512> pieces;
  const size_t count = queue.gather(pieces);
  std::vector<uint8_t> all;
  for (size_t i = 0; i < count; ++i) {
    const auto* first = static_cast<const uint8_t*>(pieces[i].iov_base);
    all.insert(all.end(), first, first + pieces[i].iov_len);
  }
  return all;
}

TEST(OutputQueue, YieldsTheSameBytesHoweverTheyAreConsumed) {
  std::mt19937 random(20);
  const auto keep = std::make_shared<std::vector<uint8_t>>(60'000, uint8_t{0xAB});
  for (int run = 0; run < 50; ++run) {
    OutputQueue queue;
    std::vector<uint8_t> expected;
    for (int i = 0; i < 40 && queue.has_room(); ++i) {
      std::vector<uint8_t> message(12 + random() % 259);
      for (uint8_t& byte : message) {
        byte = static_cast<uint8_t>(random());
      }
      const MutableBytes head = queue.begin(message);
      const std::array<uint8_t, 11> tail{1, 2, 3};
      const size_t body_size = random() % 3 == 0 ? 0 : random() % keep->size();
      const answer::Gathered gathered{message.size(), Bytes(*keep).first(body_size),
                                      random() % 2 == 0 ? tail.size() : 0};
      const size_t size = message.size() + body_size + gathered.tail_size;
      expected.push_back(static_cast<uint8_t>(size >> 8));
      expected.push_back(static_cast<uint8_t>(size));
      expected.insert(expected.end(), head.begin(),
                      head.begin() + static_cast<ptrdiff_t>(message.size()));
      expected.insert(expected.end(), body_size, uint8_t{0xAB});
      expected.insert(expected.end(), tail.begin(),
                      tail.begin() + static_cast<ptrdiff_t>(gathered.tail_size));
      queue.commit(gathered, tail, keep);
    }
    size_t at = 0;
    while (!queue.empty()) {
      ASSERT_EQ(queue.unsent_bytes(), expected.size() - at);
      const std::vector<uint8_t> rest = bytes_of(queue);
      ASSERT_TRUE(std::equal(rest.begin(), rest.end(),
                             expected.begin() + static_cast<ptrdiff_t>(at), expected.end()));
      const size_t step = 1 + random() % std::min<size_t>(rest.size(), 30'000);
      queue.consume(step);
      at += step;
    }
    EXPECT_EQ(at, expected.size());
    EXPECT_EQ(keep.use_count(), 1);
  }
}

TEST(OutputQueue, HoldsABodysOwnerUntilItIsConsumed) {
  auto keep = std::make_shared<std::vector<uint8_t>>(10'000);
  OutputQueue queue;
  const std::array<uint8_t, 12> message{};
  queue.begin(message);
  queue.commit({12, Bytes(*keep), 0}, {}, keep);
  EXPECT_EQ(keep.use_count(), 2);
  queue.consume(2 + 12 + 9'999);
  EXPECT_EQ(keep.use_count(), 2);
  queue.consume(1);
  EXPECT_EQ(keep.use_count(), 1);
  EXPECT_TRUE(queue.empty());
}

TEST(OutputQueue, SmallAnswersLeaveAsOnePiece) {
  OutputQueue queue;
  const std::array<uint8_t, 40> message{};
  const std::array<uint8_t, 64> body{};
  for (int i = 0; i < 60; ++i) {
    queue.begin(message);
    queue.commit({40, body, 0}, {}, nullptr);
  }
  std::array<iovec, 8> pieces;
  EXPECT_EQ(queue.gather(pieces), 1u);
  EXPECT_EQ(queue.unsent_bytes(), 60u * (2 + 40 + 64));
}

struct Entry : TimerNode {
  uint64_t deadline = 0;
  uint64_t fired = 0;
};

TEST(TimerWheel, LooksAtEachDeadlineWithinTwoTicks) {
  std::mt19937 random(7);
  TimerWheel wheel;
  std::vector<Entry> entries(2000);
  uint64_t now = 1'000'000;
  for (Entry& entry : entries) {
    entry.deadline = now + random() % 60'000;
    wheel.schedule(entry, now, entry.deadline);
  }
  for (; now < 1'070'000; now += 10) {
    wheel.advance(now, [&](TimerNode& node) {
      auto& entry = static_cast<Entry&>(node);
      if (entry.deadline <= now) {
        entry.fired = now;
      } else {
        wheel.schedule(entry, now, entry.deadline);
      }
    });
  }
  EXPECT_TRUE(wheel.empty());
  for (const Entry& entry : entries) {
    ASSERT_GE(entry.fired, entry.deadline);
    ASSERT_LE(entry.fired, entry.deadline + 2 * TimerWheel::kTickMs);
  }
}

TEST(TimerWheel, NearerDeadlineMovesAnEntryForward) {
  TimerWheel wheel;
  Entry entry;
  wheel.schedule(entry, 0, 10'000);
  wheel.schedule(entry, 0, 100);
  wheel.schedule(entry, 0, 5'000);
  int looks = 0;
  wheel.advance(200, [&](TimerNode&) { ++looks; });
  EXPECT_EQ(looks, 1);
  EXPECT_TRUE(wheel.empty());
}

TEST(TimerWheel, LongSleepMissesNothing) {
  TimerWheel wheel;
  std::array<Entry, 3> entries;
  wheel.schedule(entries[0], 0, 10);
  wheel.schedule(entries[1], 0, 9'000);
  wheel.schedule(entries[2], 0, 100'000);
  int looks = 0;
  wheel.advance(10'000'000, [&](TimerNode&) { ++looks; });
  EXPECT_EQ(looks, 3);
}

TEST(TimerWheel, RemovedEntryIsNotLookedAt) {
  TimerWheel wheel;
  Entry entry;
  wheel.schedule(entry, 0, 10);
  wheel.remove(entry);
  wheel.remove(entry);
  EXPECT_TRUE(wheel.empty());
  wheel.advance(1'000, [](TimerNode&) { FAIL(); });
}

TEST(SourceTable, CountsByIPv4AddressAndIPv6Network) {
  using Admission = SourceTable::Admission;
  SourceTable table(4, 2);
  const auto address = [](std::string_view text) { return *address::parse_address(text); };
  EXPECT_EQ(table.admit(address("2001:db8::1")), Admission::admitted);
  EXPECT_EQ(table.admit(address("2001:db8::2")), Admission::admitted);
  EXPECT_EQ(table.admit(address("2001:db8::3")), Admission::source_full);
  EXPECT_EQ(table.admit(address("2001:db8:0:1::3")), Admission::admitted);
  EXPECT_EQ(table.admit(address("192.0.2.1")), Admission::admitted);
  EXPECT_EQ(table.admit(address("192.0.2.2")), Admission::total_full);
  table.release(address("2001:db8::2"));
  EXPECT_EQ(table.admit(address("192.0.2.2")), Admission::admitted);
}

TEST(DnsStatistics, JsonHoldsEveryName) {
  WorkerCounters counters;
  counters.add(Counter::connections_accepted, 5);
  counters.add(CloseReason::idle);
  counters.add(answer::Outcome::answered);
  Statistics sum;
  counters.add_into(sum);
  counters.add_into(sum);
  const auto json = nlohmann::json::parse(sum.to_json());
  EXPECT_EQ(json["connections_open"], 8);
  EXPECT_EQ(json["counters"].size(), kCounterCount);
  EXPECT_EQ(json["closes"].size(), kCloseReasonCount);
  EXPECT_EQ(json["outcomes"].size(), answer::kOutcomeCount);
  EXPECT_EQ(json["closes"]["idle"], 2);
  EXPECT_EQ(json["outcomes"]["answered"], 2);
  for (size_t i = 0; i < kCloseReasonCount; ++i) {
    EXPECT_FALSE(explain(static_cast<CloseReason>(i)).empty());
  }
  for (size_t i = 0; i < kCounterCount; ++i) {
    EXPECT_FALSE(explain(static_cast<Counter>(i)).empty());
  }
}

}  // namespace
}  // namespace merlon::dns

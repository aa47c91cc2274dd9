// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dnstap/sampler.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace merlon::dnstap {
namespace {

// An engine that knows ways, and one that does not.
struct KnowsPaths {
  io::Path path_of(const io::Packet& packet) const {
    io::Path path;
    path.source = packet.source;
    path.destination = address::Address::v4(0x7f000001);
    path.source_port = static_cast<uint16_t>(1000 + packet.handle);
    path.destination_port = 53;
    return path;
  }
};
struct KnowsNothing {};

// Packets whose query is their number, answered with "r" and the number.
class Traffic {
 public:
  std::span<io::Packet> queries(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      const std::string text = std::to_string(next_++);
      std::copy(text.begin(), text.end(), buffers_[i].begin());
      packets_[i] = {.message = buffers_[i].data(),
                     .size = static_cast<uint32_t>(text.size()),
                     .capacity = static_cast<uint32_t>(buffers_[i].size()),
                     .reply_size = 0,
                     .handle = static_cast<uint32_t>(i),
                     .source = address::Address::v4(0x0a000000 + static_cast<uint32_t>(i))};
    }
    return {packets_.data(), count};
  }
  static void answer(std::span<io::Packet> burst) {
    for (io::Packet& packet : burst) {
      std::copy_backward(packet.message, packet.message + packet.size,
                         packet.message + packet.size + 1);
      packet.message[0] = 'r';
      packet.reply_size = packet.size + 1;
    }
  }
  uint64_t next() const { return next_; }

 private:
  uint64_t next_ = 0;
  std::array<std::array<uint8_t, 4096>, io::kBurstMax> buffers_{};
  std::array<io::Packet, io::kBurstMax> packets_;
};

std::string query_of(const Sample& sample) {
  return {sample.query.begin(), sample.query.begin() + sample.query_size};
}
std::string reply_of(const Sample& sample) {
  return {sample.reply.begin(), sample.reply.begin() + sample.reply_size};
}

TEST(DnstapSampler, OneOfOneTakesEveryQueryWithItsReply) {
  Sampler sampler(1, 7);
  Traffic traffic;
  for (int round = 0; round < 3; ++round) {
    const auto burst = traffic.queries(5);
    sampler.before(burst);
    Traffic::answer(burst);
    KnowsPaths engine;
    sampler.after(engine, burst);
  }
  for (int i = 0; i < 15; ++i) {
    const Sample* sample = sampler.front();
    ASSERT_NE(sample, nullptr);
    EXPECT_EQ(query_of(*sample), std::to_string(i));
    EXPECT_EQ(reply_of(*sample), "r" + std::to_string(i));
    EXPECT_EQ(sample->source, address::Address::v4(0x0a000000 + static_cast<uint32_t>(i % 5)));
    EXPECT_EQ(sample->source_port, 1000 + i % 5);
    EXPECT_TRUE(sample->has_destination);
    EXPECT_GE(sample->reply_time_ns, sample->query_time_ns);
    sampler.pop();
  }
  EXPECT_EQ(sampler.front(), nullptr);
  EXPECT_EQ(sampler.numbers().sampled, 15u);
}

TEST(DnstapSampler, AnEngineWithoutPathsGivesTheSource) {
  Sampler sampler(1, 7);
  Traffic traffic;
  const auto burst = traffic.queries(1);
  sampler.before(burst);
  burst[0].reply_size = 0;  // dropped
  KnowsNothing engine;
  sampler.after(engine, burst);
  const Sample* sample = sampler.front();
  ASSERT_NE(sample, nullptr);
  EXPECT_EQ(sample->source, burst[0].source);
  EXPECT_EQ(sample->source_port, 0);
  EXPECT_FALSE(sample->has_destination);
  EXPECT_EQ(sample->reply_size, 0);
}

TEST(DnstapSampler, OneOfManyIsThatManyOnAverage) {
  for (const uint32_t rate : {2u, 10u, 64u, 1000u}) {
    Sampler sampler(rate, 4711 + rate);
    Traffic traffic;
    KnowsNothing engine;
    uint64_t last = 0;
    uint64_t gap_max = 0;
    for (uint64_t i = 0; i < 20'000; ++i) {
      const auto burst = traffic.queries(1 + i % 64);
      sampler.before(burst);
      sampler.after(engine, burst);
      while (const Sample* sample = sampler.front()) {
        const uint64_t at = std::stoull(query_of(*sample));
        gap_max = std::max(gap_max, at - last);
        last = at;
        sampler.pop();
      }
    }
    const double expected = static_cast<double>(traffic.next()) / rate;
    EXPECT_NEAR(static_cast<double>(sampler.numbers().sampled), expected, expected * 0.2) << rate;
    EXPECT_LE(gap_max, 2u * rate) << rate;
    EXPECT_EQ(sampler.numbers().ring_full, 0u);
  }
}

TEST(DnstapSampler, AFullRingLosesTheNewestAndCounts) {
  Sampler sampler(1, 1);
  Traffic traffic;
  KnowsNothing engine;
  for (size_t i = 0; i < kRingSize / 64 + 2; ++i) {
    const auto burst = traffic.queries(64);
    sampler.before(burst);
    sampler.after(engine, burst);
  }
  EXPECT_EQ(sampler.numbers().ring_full, 128u);
  for (size_t i = 0; i < kRingSize; ++i) {
    ASSERT_NE(sampler.front(), nullptr);
    EXPECT_EQ(query_of(*sampler.front()), std::to_string(i));
    sampler.pop();
  }
  EXPECT_EQ(sampler.front(), nullptr);
  const auto burst = traffic.queries(1);
  sampler.before(burst);
  sampler.after(engine, burst);
  EXPECT_NE(sampler.front(), nullptr) << "there is room again";
}

TEST(DnstapSampler, WhatIsTooLongIsCounted) {
  Sampler sampler(1, 1);
  Traffic traffic;
  KnowsNothing engine;
  const auto burst = traffic.queries(3);
  burst[0].size = kQuerySizeMax;
  burst[1].size = kQuerySizeMax + 1;
  sampler.before(burst);
  burst[0].reply_size = kReplySizeMax;
  burst[1].reply_size = 12;
  burst[2].reply_size = kReplySizeMax + 1;
  sampler.after(engine, burst);
  EXPECT_EQ(sampler.numbers().query_too_long, 1u);
  EXPECT_EQ(sampler.numbers().reply_too_long, 1u);
  EXPECT_EQ(sampler.front()->reply_size, kReplySizeMax);
  sampler.pop();
  EXPECT_EQ(query_of(*sampler.front()), "2");
  EXPECT_EQ(sampler.front()->reply_size, 0);
  sampler.pop();
  EXPECT_EQ(sampler.front(), nullptr);
}

TEST(DnstapSampler, TheOtherThreadSeesWholeSamples) {
  Sampler sampler(1, 3);
  std::atomic<bool> done{false};
  uint64_t seen = 0;
  std::thread reader([&] {
    while (true) {
      const bool last = done.load();
      while (const Sample* sample = sampler.front()) {
        EXPECT_EQ(reply_of(*sample), "r" + query_of(*sample));
        ++seen;
        sampler.pop();
      }
      if (last) {
        return;
      }
      std::this_thread::yield();
    }
  });
  Traffic traffic;
  KnowsNothing engine;
  for (int i = 0; i < 2000; ++i) {
    const auto burst = traffic.queries(64);
    sampler.before(burst);
    Traffic::answer(burst);
    sampler.after(engine, burst);
  }
  done = true;
  reader.join();
  const Sampler::Numbers numbers = sampler.numbers();
  EXPECT_EQ(numbers.sampled, 2000u * 64);
  EXPECT_EQ(seen + numbers.ring_full, numbers.sampled);
}

}  // namespace
}  // namespace merlon::dnstap

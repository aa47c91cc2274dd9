// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ratelimit/ratelimit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "tests/support/seed.h"

namespace merlon::ratelimit {
namespace {

using address::Address;
using address::Bits6;

Address v4(uint32_t bits) {
  return Address::v4(bits);
}

struct Source {
  Limiter& limiter;
  Slip slip{};

  Verdict ask(const Address& address, uint32_t now) {
    return limiter.check(limiter.probe(address), now, slip);
  }
  // Asks `count` times, spread evenly over [from, to) milliseconds; returns how many pass.
  size_t ask_many(const Address& address, size_t count, uint32_t from, uint32_t to) {
    size_t passed = 0;
    for (size_t i = 0; i < count; ++i) {
      const auto now = static_cast<uint32_t>(from + uint64_t{to - from} * i / count);
      passed += ask(address, now) == Verdict::pass;
    }
    return passed;
  }
};

TEST(RateLimit, ABurstOfASecondsWorthPassesAndNoMore) {
  const auto limiter = Limiter::make({.per_second = 100});
  Source source{*limiter};
  const size_t passed = source.ask_many(v4(0xC0000201), 1000, 5, 5 + 1);
  EXPECT_GE(passed, 99u);
  EXPECT_LE(passed, 101u);
}

TEST(RateLimit, InTheLongRunTheConfiguredRatePasses) {
  const auto limiter = Limiter::make({.per_second = 100});
  Source source{*limiter};
  source.ask_many(v4(0xC0000201), 10'000, 0, 10'000);
  const size_t passed = source.ask_many(v4(0xC0000201), 20'000, 10'000, 30'000);
  EXPECT_NEAR(static_cast<double>(passed), 20.0 * 100, 20.0 * 5);
}

TEST(RateLimit, BelowTheRateNothingIsLimited) {
  const auto limiter = Limiter::make({.per_second = 100});
  Source source{*limiter};
  EXPECT_EQ(source.ask_many(v4(0xC0000201), 90 * 60, 0, 60'000), 90u * 60);
}

TEST(RateLimit, ALimitedSourceRecovers) {
  const auto limiter = Limiter::make({.per_second = 10});
  Source source{*limiter};
  source.ask_many(v4(1), 1000, 0, 100);
  EXPECT_NE(source.ask(v4(1), 101), Verdict::pass);
  EXPECT_EQ(source.ask(v4(1), 101 + 1000), Verdict::pass);
}

// Each wider prefix is limited at its factor, with sources that stay below their own limit.
TEST(RateLimit, WiderPrefixesLimitInProportion) {
  struct Row {
    unsigned hosts;    // distinct sources
    unsigned step;     // between them
    unsigned allowed;  // answers at once, in total
  };
  // 128 addresses of one /24 with 10 answers each are 1280 where 32 x 10 are allowed, and so on.
  for (const Row& row : {Row{128, 2, 32 * 10}, Row{1024, 4, 256 * 10}, Row{2048, 8, 768 * 10}}) {
    const auto limiter = Limiter::make({.per_second = 10});
    Source source{*limiter};
    size_t passed = 0;
    for (unsigned turn = 0; turn < 9; ++turn) {
      for (unsigned host = 0; host < row.hosts; ++host) {
        passed += source.ask(v4(0x0A000000 + host * row.step), 7) == Verdict::pass;
      }
    }
    EXPECT_NEAR(static_cast<double>(passed), row.allowed, row.allowed * 0.01) << row.hosts;
  }
}

TEST(RateLimit, AnIpv6NetworkOf64BitsIsOneSource) {
  const auto limiter = Limiter::make({.per_second = 50});
  Source source{*limiter};
  const Bits6 network = Bits6{0x20010DB800010002u} << 64;
  size_t passed = 0;
  for (unsigned host = 0; host < 500; ++host) {
    passed += source.ask(Address::v6(network | host), 3) == Verdict::pass;
  }
  EXPECT_NEAR(static_cast<double>(passed), 50, 1);
  EXPECT_EQ(source.ask(Address::v6(network + (Bits6{1} << 64)), 3), Verdict::pass);
  passed = 0;  // a /32 has 64 x 50 in all; each of these /64s is in a /48 of its own
  for (unsigned net = 0; net < 60'000; ++net) {
    passed += source.ask(Address::v6((Bits6{0x20010DB9u} << 96) | (Bits6{net} << 80)), 3) ==
              Verdict::pass;
  }
  EXPECT_NEAR(static_cast<double>(passed), 64 * 50, 64);
}

TEST(RateLimit, OneSourceDoesNotLimitAnother) {
  const auto limiter = Limiter::make({.per_second = 100});
  Source source{*limiter};
  source.ask_many(v4(0xC0000201), 3000, 0, 10);
  EXPECT_EQ(source.ask_many(v4(0xC0000202), 90, 10, 11), 90u);  // its neighbour
  EXPECT_EQ(source.ask_many(v4(0xC6336401), 90, 10, 11), 90u);
  EXPECT_EQ(source.ask_many(Address::v6(0xC0000201), 90, 10, 11), 90u);
}

TEST(RateLimit, EveryNthLimitedAnswerSlips) {
  for (const uint32_t slip : {0u, 1u, 2u, 5u}) {
    const auto limiter = Limiter::make({.per_second = 1, .slip = slip});
    Source source{*limiter};
    std::map<Verdict, size_t> verdicts;
    for (int i = 0; i < 101; ++i) {
      ++verdicts[source.ask(v4(9), 1)];
    }
    EXPECT_LE(verdicts[Verdict::pass], 2u);
    const size_t limited = verdicts[Verdict::slip] + verdicts[Verdict::drop];
    EXPECT_EQ(verdicts[Verdict::slip], slip == 0 ? 0 : limited / slip) << slip;
  }
}

// Many sources at once: those above the rate are held near it, those below are left alone, and a
// flood of random sources neither frees the former nor limits the latter.
TEST(RateLimit, AgainstAModelUnderAFlood) {
  std::mt19937_64 random(test::seed_for("RateLimit.AgainstAModelUnderAFlood"));
  constexpr uint32_t kRate = 200;
  const auto limiter = Limiter::make({.per_second = kRate});
  Source source{*limiter};
  constexpr size_t kSources = 100;
  constexpr uint32_t kSeconds = 5;
  std::vector<size_t> passed(kSources);
  for (uint32_t now = 0; now < kSeconds * 1000; ++now) {
    for (uint32_t i = 0; i < kSources; ++i) {
      // Even ones ask 1000 times a second, odd ones 100 times; each in a /18 of its own.
      for (uint32_t n = 0; n < (i % 2 == 0 ? 1u : now % 10 == 0 ? 1u : 0u); ++n) {
        passed[i] += source.ask(v4(0x0B000000 + (i << 14)), now) == Verdict::pass;
      }
    }
    for (int n = 0; n < 200; ++n) {
      source.ask(v4(0x80000000u | static_cast<uint32_t>(random())), now);
    }
  }
  for (size_t i = 0; i < kSources; ++i) {
    if (i % 2 == 0) {
      EXPECT_LE(passed[i], kRate * kSeconds + kRate * 11 / 10) << i;
      EXPECT_GE(passed[i], kRate * kSeconds * 9 / 10) << i;
    } else {
      EXPECT_GE(passed[i], 100u * kSeconds * 99 / 100) << i;
    }
  }
}

TEST(RateLimit, TheClockMayWrapAndWorkersMayDisagree) {
  const auto limiter = Limiter::make({.per_second = 10});
  Source source{*limiter};
  EXPECT_EQ(source.ask_many(v4(1), 100, 0xFFFF'FFF0, 0xFFFF'FFF1), 10u);
  EXPECT_NE(source.ask(v4(1), 3), Verdict::pass);  // 19 ms later, behind the wrap
  EXPECT_NE(source.ask(v4(1), 1), Verdict::pass);  // a worker 2 ms behind
  EXPECT_EQ(source.ask(v4(1), 5000), Verdict::pass);
}

// Lines are shared without locks: a thread that is stopped between reading and writing a line takes
// it back to what it was, so some answers pass twice, but the limit holds.
TEST(RateLimit, ThreadsShareOneLimit) {
  const auto limiter = Limiter::make({.per_second = 10'000});
  std::array<size_t, 2> passed{};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < passed.size(); ++t) {
    threads.emplace_back([&, t] {
      Source source{*limiter};
      passed[t] = source.ask_many(v4(77), 200'000, 1, 2);
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_GE(passed[0] + passed[1], 9'990u);
  EXPECT_LE(passed[0] + passed[1], 80'000u);  // of 400,000
}

}  // namespace
}  // namespace merlon::ratelimit

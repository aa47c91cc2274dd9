// SPDX-License-Identifier: Apache-2.0
// Answers that take more than one body, in bursts: the same bytes as one query at a time, for
// unsigned zones and both kinds of signed ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "dataplane/io/memory_io.h"
#include "dataplane/pipeline/worker.h"
#include "tests/support/seed.h"
#include "tests/support/text_zone.h"

namespace merlon::pipeline {
namespace {

using answer::Outcome;
using io::MemoryIo;
using tests::Signing;

constexpr std::string_view kText = R"(@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 192.0.2.1
a A 192.0.2.2
c CNAME a
cx CNAME gone
*.w A 192.0.2.9
*.wc CNAME c
x.ent TXT "ent"
d DNAME w
cut NS ns.cut
ns.cut A 192.0.2.6
safe NS ns.elsewhere.
safe DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000001
)";
constexpr std::string_view kNames[] = {"a",    "c",     "cx",  "x.w",     "y.x.w", "x.wc",
                                       "ent",  "x.d",   "cut", "www.cut", "safe",  "x.safe",
                                       "gone", "x.ent", "w",   "x.y.z",   "*.w"};
constexpr uint16_t kTypes[] = {1, 2, 5, 16, 43, 46, 47, 48, 255};

struct Sent {
  std::vector<uint8_t> message;
  address::Address source;
};

Sent random_query(std::mt19937_64& random) {
  const std::string name = std::string(kNames[random() % std::size(kNames)]) + ".example.test.";
  const char* source = random() % 8 == 0   ? "203.0.113.1"
                       : random() % 2 == 0 ? "10.0.0.1"
                                           : "192.0.2.1";
  return {tests::make_query({.name = random() % 16 == 0 ? std::string_view("example.test.") : name,
                             .type = kTypes[random() % std::size(kTypes)],
                             .id = static_cast<uint16_t>(random()),
                             .edns = random() % 8 != 0,
                             .payload = static_cast<uint16_t>(random() % 1500),
                             .dnssec_ok = random() % 3 != 0}),
          *address::parse_address(source)};
}

std::vector<uint8_t> answer_alone(const snapshot::Snapshot& snapshot, const Sent& sent,
                                  const answer::Limits& limits) {
  const uint32_t index = snapshot.access()->view.find(sent.source);
  std::vector<uint8_t> buffer(2048);
  std::vector<uint8_t> scratch(2048);
  std::ranges::copy(sent.message, buffer.begin());
  answer::Query query;
  answer::Reply reply =
      answer::answer(snapshot, sent.message, &snapshot.subject(index), limits, query, scratch);
  buffer.resize(answer::compose(query, reply, limits, buffer, sent.message.size()));
  return buffer;
}

class AssembledBurst : public testing::TestWithParam<Signing> {};
INSTANTIATE_TEST_SUITE_P(Zones, AssembledBurst,
                         testing::Values(Signing::none, Signing::nsec, Signing::nsec3));

TEST_P(AssembledBurst, EqualsOneQueryAtATimeByteForByte) {
  const tests::TextSnapshot made = tests::make_text_snapshot(
      {{.apex = "example.test.", .text = std::string(kText), .signing = GetParam()}});
  auto live = std::make_unique<swap::Live>();
  live->snapshot = made.snapshot;
  live->sources = *access::SourceTable::build(made.snapshot->access()->view);
  swap::LiveSlot slot(1);
  slot.replace(std::move(live));
  stats::WorkerCounters counters;
  Worker worker{.index = 0, .live = slot, .counters = counters, .limits = {}};
  std::array<io::Packet, io::kBurstMax> packets;
  const auto state = std::make_unique<BurstState>();
  std::mt19937_64 random(test::seed_for("AssembledBurst"));
  for (int round = 0; round < 200; ++round) {
    worker.limits.udp_size_max = static_cast<uint16_t>(512 + random() % 941);
    MemoryIo engine;
    std::vector<Sent> sent;
    for (size_t i = 0; i < io::kBurstMax; ++i) {
      sent.push_back(random_query(random));
      engine.queue(sent.back().source, sent.back().message);
    }
    while (!engine.drained()) {
      run_burst(engine, worker, packets, *state);
    }
    ASSERT_EQ(engine.replies().size(), sent.size());
    for (size_t i = 0; i < sent.size(); ++i) {
      ASSERT_EQ(engine.replies()[i].bytes, answer_alone(*made.snapshot, sent[i], worker.limits));
    }
  }
  for (const Outcome outcome :
       {Outcome::answered, Outcome::nodata, Outcome::nxdomain, Outcome::referral}) {
    EXPECT_GT(counters.get(outcome), 0u) << answer::to_string(outcome);
  }
}

}  // namespace
}  // namespace merlon::pipeline

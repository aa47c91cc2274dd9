// SPDX-License-Identifier: Apache-2.0
#include "controlplane/transfer/changes.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/controlplane/transfer/lab.h"

namespace merlon::tests {
namespace {

using namespace std::chrono_literals;

TextZone zone(std::string apex, uint32_t serial, std::string rest = "") {
  return {.apex = std::move(apex),
          .text = "@ SOA ns h " + std::to_string(serial) + " 1 1 1 1\n@ NS ns\n" + rest,
          .account = 1};
}

// The same names in another generation; what is equal is shared, as a load does.
transfer::SnapshotPointer next_generation(const TextSnapshot& before, const TextSnapshot& made,
                                          uint64_t generation) {
  std::vector<std::shared_ptr<const snapshot::LoadedZone>> zones;
  for (const auto& one : made.snapshot->zones()) {
    const auto old = std::ranges::find_if(before.snapshot->zones(), [&](const auto& other) {
      return std::ranges::equal(other->segment_bytes(), one->segment_bytes());
    });
    zones.push_back(old == before.snapshot->zones().end() ? one : *old);
  }
  return *snapshot::Snapshot::assemble(generation, zones, made.snapshot->access(), made.key);
}

TEST(Changes, OnlyZonesWithAnotherSegmentAreSeen) {
  const TextSnapshot first =
      make_text_snapshot({zone("a.example.", 1), zone("b.example.", 1), zone("c.example.", 1)});
  const TextSnapshot second = make_text_snapshot({zone("a.example.", 1), zone("aa.example.", 1),
                                                  zone("b.example.", 2), zone("d.example.", 1)});
  const auto after = next_generation(first, second, 2);
  const auto changed = transfer::changed_zones(first.snapshot.get(), *after);
  ASSERT_EQ(changed.size(), 3u);
  EXPECT_EQ(changed[0].before, nullptr);  // aa
  ASSERT_NE(changed[1].before, nullptr);  // b
  EXPECT_EQ(changed[1].before->view().info().serial, 1u);
  EXPECT_EQ(changed[2].before, nullptr);  // d
  EXPECT_EQ(transfer::changed_zones(nullptr, *after).size(), 4u);
}

TEST(Changes, FollowerWritesTheJournalAndThenTells) {
  const TemporaryDirectory directory;
  const auto journal = *compile::Journal::open({.directory = directory.path()}, kNow);
  const name::Name apex = *name::Name::from_text("a.example.");
  std::atomic<int> told = 0;
  transfer::ChangeFollower follower(journal.get(), [&](const transfer::SnapshotPointer&,
                                                       std::span<const transfer::ChangedZone> z) {
    EXPECT_EQ(journal->newest(apex), 2u);  // of both steps, before anybody is told
    told += static_cast<int>(z.size());
  });
  const TextSnapshot first = make_text_snapshot({zone("a.example.", 1)});
  const TextSnapshot second = make_text_snapshot({zone("a.example.", 2, "n A 192.0.2.1\n")});
  follower.published(nullptr, first.snapshot);
  follower.published(first.snapshot, second.snapshot);
  EXPECT_TRUE(follower.is_behind(second.snapshot->generation()));
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (told < 2 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_EQ(told, 2);
  EXPECT_TRUE(journal->chain(apex, 1, 2).has_value());
  follower.stop();
  EXPECT_FALSE(follower.is_behind(second.snapshot->generation()));
}

TEST(Changes, StopWritesWhatIsWaiting) {
  const TemporaryDirectory directory;
  const auto journal = *compile::Journal::open({.directory = directory.path()}, kNow);
  const TextSnapshot first = make_text_snapshot({zone("a.example.", 1)});
  const TextSnapshot second = make_text_snapshot({zone("a.example.", 2)});
  {
    transfer::ChangeFollower follower(journal.get(), [](const auto&, auto) {});
    follower.published(first.snapshot, second.snapshot);
  }
  EXPECT_EQ(journal->newest(*name::Name::from_text("a.example.")), 2u);
}

TEST(Changes, ContentThatChangedWithoutItsSerialEndsTheChain) {
  const TemporaryDirectory directory;
  const auto journal = *compile::Journal::open({.directory = directory.path()}, kNow);
  const name::Name apex = *name::Name::from_text("a.example.");
  const TextSnapshot states[] = {make_text_snapshot({zone("a.example.", 1)}),
                                 make_text_snapshot({zone("a.example.", 2)}),
                                 make_text_snapshot({zone("a.example.", 2, "n A 192.0.2.1\n")})};
  transfer::JournalWriter writer(*journal);
  writer.add(transfer::changed_zones(states[0].snapshot.get(), *states[1].snapshot), kNow);
  writer.flush(kNow);
  EXPECT_TRUE(journal->newest(apex));
  writer.add(transfer::changed_zones(states[1].snapshot.get(), *states[2].snapshot), kNow);
  writer.flush(kNow);
  EXPECT_FALSE(journal->newest(apex));
}

}  // namespace
}  // namespace merlon::tests

// SPDX-License-Identifier: Apache-2.0
// Readers see a change when they look, keep what they saw until then, and let it go afterwards.
#include "controlplane/dns/snapshot_slot.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/support/snapshot_fixture.h"

namespace merlon::tests {
namespace {

// A pointer of its own each time, of one content.
dns::SnapshotPointer make_snapshot() {
  static const dns::SnapshotPointer one = make_fixture().snapshot;
  return {std::make_shared<dns::SnapshotPointer>(one), one.get()};
}

bool is_same(const dns::SnapshotPointer& a, const dns::SnapshotPointer& b) {
  return a == b && !a.owner_before(b) && !b.owner_before(a);
}

TEST(SnapshotSlot, AReaderSeesAChangeWhenItLooks) {
  dns::SnapshotSlot slot;
  dns::SnapshotReader reader(slot);
  EXPECT_EQ(reader.snapshot(), nullptr);
  EXPECT_FALSE(reader.refresh());
  slot.set(make_snapshot());
  EXPECT_EQ(reader.snapshot(), nullptr);
  const uint64_t before = reader.version();
  EXPECT_TRUE(reader.refresh());
  EXPECT_TRUE(is_same(reader.snapshot(), slot.get()));
  EXPECT_NE(reader.version(), before);
  EXPECT_FALSE(reader.refresh());
}

TEST(SnapshotSlot, WhatIsReplacedGoesWithItsLastReader) {
  dns::SnapshotSlot slot;
  dns::SnapshotPointer first = make_snapshot();
  const std::weak_ptr<const snapshot::Snapshot> watch = first;
  slot.set(std::move(first));
  dns::SnapshotReader reader(slot);
  slot.set(make_snapshot());
  EXPECT_FALSE(watch.expired());
  EXPECT_TRUE(reader.refresh());
  EXPECT_TRUE(watch.expired());
}

TEST(SnapshotSlot, TheSamePointerAgainIsAChange) {
  dns::SnapshotSlot slot;
  const dns::SnapshotPointer one = make_snapshot();
  slot.set(one);
  dns::SnapshotReader reader(slot);
  slot.set(one);
  EXPECT_TRUE(reader.refresh());
  EXPECT_TRUE(is_same(reader.snapshot(), one));
}

TEST(SnapshotSlot, ReadersOfManyThreadsEndWithTheLast) {
  dns::SnapshotSlot slot;
  std::vector<dns::SnapshotPointer> all;
  for (int i = 0; i < 500; ++i) {
    all.push_back(make_snapshot());
  }
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&] {
      dns::SnapshotReader reader(slot);
      uint64_t version = reader.version();
      bool grows = true;
      while (!done.load()) {
        grows = grows && (!reader.refresh() || reader.version() > version);
        version = reader.version();
      }
      reader.refresh();
      right += grows && is_same(reader.snapshot(), all.back()) ? 1 : 0;
    });
  }
  for (const dns::SnapshotPointer& one : all) {
    slot.set(one);
  }
  done = true;
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(right.load(), 3);
}

}  // namespace
}  // namespace merlon::tests

// SPDX-License-Identifier: Apache-2.0
// What threads hand to a thread that waits: nothing is lost, the bell rings once and stops, and
// giving to who is gone harms nobody.
#include "controlplane/dns/inbox.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <memory>
#include <thread>

namespace merlon::tests {
namespace {

bool rings(const dns::Inbox<int>& inbox, int patience_ms = 0) {
  pollfd bell{.fd = inbox.fd(), .events = POLLIN, .revents = 0};
  return poll(&bell, 1, patience_ms) == 1;
}

TEST(Inbox, RingsUntilAllIsTaken) {
  dns::Inbox<int> inbox;
  ASSERT_TRUE(inbox.valid());
  EXPECT_FALSE(rings(inbox));
  inbox.put(1);
  inbox.put(2);
  EXPECT_TRUE(rings(inbox));
  EXPECT_EQ(inbox.take(), (std::vector<int>{1, 2}));
  EXPECT_FALSE(rings(inbox));
  EXPECT_TRUE(inbox.take().empty());
  inbox.put(3);
  EXPECT_TRUE(rings(inbox));
}

TEST(Inbox, LosesNothingOfSeveralGivers) {
  constexpr int kGivers = 4;
  constexpr int kEach = 5'000;
  dns::Inbox<int> inbox;
  std::vector<std::thread> givers;
  for (int giver = 0; giver < kGivers; ++giver) {
    givers.emplace_back([&inbox, giver] {
      for (int i = 0; i < kEach; ++i) {
        inbox.put(giver * kEach + i);
      }
    });
  }
  std::vector<int> next(kGivers, 0);
  int taken = 0;
  while (taken < kGivers * kEach && rings(inbox, 10'000)) {
    for (const int item : inbox.take()) {
      ASSERT_EQ(item % kEach, next[static_cast<size_t>(item / kEach)]++);
      ++taken;
    }
  }
  EXPECT_EQ(taken, kGivers * kEach);
  for (std::thread& giver : givers) {
    giver.join();
  }
}

TEST(Inbox, ClosedItKeepsNothing) {
  dns::Inbox<std::shared_ptr<int>> inbox;
  const auto item = std::make_shared<int>(7);
  inbox.put(item);
  EXPECT_EQ(item.use_count(), 2);
  inbox.close();
  EXPECT_EQ(item.use_count(), 1);
  inbox.put(item);
  EXPECT_EQ(item.use_count(), 1);
  EXPECT_TRUE(inbox.take().empty());
}

}  // namespace
}  // namespace merlon::tests

// SPDX-License-Identifier: Apache-2.0
#include "controlplane/fetch/work_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace merlon::fetch {
namespace {

TEST(WorkQueue, NothingWaitsTwiceNorWhileItIsWorkedOn) {
  WorkQueue queue(1);
  queue.offer("a", Lane::quick);
  queue.offer("a", Lane::quick);
  queue.offer("b", Lane::quick);
  const auto first = queue.take();
  EXPECT_EQ(first->id, "a");
  queue.offer("a", Lane::slow);
  EXPECT_EQ(queue.take()->id, "b");
  queue.done(*first);
  queue.offer("a", Lane::slow);
  EXPECT_EQ(queue.take()->id, "a");
}

TEST(WorkQueue, SlowOnesHoldOnlyTheirPartOfTheWorkers) {
  WorkQueue queue(2);
  for (const char* id : {"s1", "s2", "s3"}) {
    queue.offer(id, Lane::slow);
  }
  const auto first = queue.take();
  EXPECT_EQ(first->id, "s1");
  EXPECT_EQ(queue.take()->id, "s2");
  std::atomic<bool> took = false;
  std::thread third([&] {
    EXPECT_EQ(queue.take()->id, "q");  // though s3 has waited longer
    took = true;
    EXPECT_EQ(queue.take()->id, "s3");
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_FALSE(took);
  queue.offer("q", Lane::quick);
  while (!took) {
    std::this_thread::yield();
  }
  queue.done(*first);
  third.join();
}

TEST(WorkQueue, CloseEndsTheWait) {
  WorkQueue queue(1);
  std::thread waiting([&] { EXPECT_FALSE(queue.take().has_value()); });
  queue.close();
  waiting.join();
}

}  // namespace
}  // namespace merlon::fetch

// SPDX-License-Identifier: Apache-2.0
#include "tests/controlplane/coordinator/fixture.h"

namespace merlon::coordinator {
namespace {

class Concurrency : public CoordinatorTest {};

// Eight threads that do all that the API can, while builder and refreshers run. At the end the
// snapshot is that of the store.
TEST_F(Concurrency, EverythingAtOnceEndsInTheStateOfTheStore) {
  const char* const feeds[] = {"feed-a", "feed-b", "feed-c", "feed-d"};
  for (const char* id : feeds) {
    add_file_feed(id, "45.1.1.1\n");
  }
  ASSERT_GOOD(coordinator_->start());
  std::atomic<int> failures = 0;
  std::mutex said_mutex;
  std::string said;
  const auto expect = [&](const auto& result, std::initializer_list<ErrorCode> allowed = {}) {
    if (!result && std::ranges::find(allowed, result.error().code) == allowed.end()) {
      ++failures;
      const std::lock_guard lock(said_mutex);
      said += result.error().message + "\n";
    }
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 12; ++round) {
        const std::string mine = "device-" + std::to_string(t);
        const std::string id = feeds[(t + round) % 4];
        if (t % 4 == 0) {
          write_feed("tmp-" + std::to_string(t),
                     "45.2." + std::to_string(t) + "." + std::to_string(round) + "\n45.1.1.1\n");
          std::filesystem::copy_file(feed_path("tmp-" + std::to_string(t)),
                                     feed_path(id) + "." + std::to_string(t));
          std::filesystem::rename(feed_path(id) + "." + std::to_string(t), feed_path(id));
        }
        expect(coordinator_->refresh_feed(id));
        expect(coordinator_->add_device(device(mine, "20.1.1." + std::to_string(t))));
        expect(coordinator_->check("45.1.1.1"));
        expect(coordinator_->status());
        expect(coordinator_->lists());
        if (t % 2 == 0) {
          expect(coordinator_->build_snapshot());
        } else {
          expect(coordinator_->rollback_snapshot(), {ErrorCode::not_found});
        }
        if (t == 3) {  // a feed that comes and goes
          expect(coordinator_->add_feed(definition("fleeting", "file://" + feed_path("feed-a"))));
          expect(coordinator_->refresh_feed("fleeting"));
          expect(coordinator_->remove_feed("fleeting"));
        }
        expect(coordinator_->snapshots());
        if (round != 11) {
          expect(coordinator_->remove_device(mine));
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(failures, 0) << said;
  write_feed("feed-a", "45.7.7.7\n");
  ASSERT_GOOD(coordinator_->refresh_feed("feed-a"));
  EXPECT_TRUE(eventually([&] {
    return !carriers("45.7.7.7").empty() && slot_->get()->access()->view.subjects().size() == 8;
  }));
  EXPECT_EQ(served(), current());
  EXPECT_GOOD(coordinator_->verify_snapshot(current()));
  coordinator_->stop();
  const auto unchanged = coordinator_->build_snapshot();
  ASSERT_GOOD(unchanged);
  EXPECT_FALSE(unchanged->changed);
}

// A change that comes while an activation runs is built afterwards, never forgotten.
TEST_F(Concurrency, ChangesDuringActivationsAreNotLost) {
  publish_feed("mine", "45.1.1.1\n");
  publish_feed("mine", "45.1.1.2\n");
  ASSERT_GOOD(coordinator_->start());
  for (int round = 0; round < 15; ++round) {
    std::thread operator_thread([&] { EXPECT_GOOD(coordinator_->activate_snapshot(1)); });
    const std::string name = "edge-" + std::to_string(round);
    EXPECT_GOOD(coordinator_->add_device(device(name, "20.1.1." + std::to_string(round))));
    operator_thread.join();
    // Either the activation came after the change and holds, or the change is built over it: the
    // next change shows that the builder is still there.
    EXPECT_GOOD(coordinator_->add_device(device(name + "-b", "20.1.2." + std::to_string(round))));
    const size_t wanted = static_cast<size_t>(2 * (round + 1));
    EXPECT_TRUE(
        eventually([&] { return slot_->get()->access()->view.subjects().size() == wanted; }));
  }
}

}  // namespace
}  // namespace merlon::coordinator

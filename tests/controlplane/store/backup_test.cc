// SPDX-License-Identifier: Apache-2.0
// Backups while the store is in use, restores, contents of feeds, the log of generations.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "controlplane/store/database.h"
#include "tests/controlplane/store/support.h"

namespace merlon::store {
namespace {

using testing::HasSubstr;

class StoreBackup : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    EXPECT_GOOD(store->add_feed(definition("a")));
    EXPECT_GOOD(store->apply("a", set_from({"5.0.0.1", "bad.example"}), good_state(100), 100));
    EXPECT_GOOD(store->keep_content("a", "5.0.0.1\nbad.example\n"));
  }
  std::string backups() const { return directory.path() + "/backups"; }
  std::string elsewhere() const { return directory.path() + "/restored"; }
};

TEST_F(StoreBackup, RestoreHasAllThatTheBackupHadAndNothingLater) {
  const auto first = store->backup(backups(), 500);
  ASSERT_TRUE(first.has_value()) << first.error().message;
  EXPECT_EQ(first->created, 500);
  EXPECT_EQ(first->schema_version, kSchemaVersion);
  EXPECT_GT(first->size_bytes, 0u);
  struct stat info{};
  ASSERT_EQ(::stat(backups().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0700u);
  EXPECT_GOOD(store->apply("a", set_from({"5.0.0.2"}), good_state(200), 200));
  const auto restored = Store::restore(backups(), elsewhere());
  ASSERT_TRUE(restored.has_value()) << restored.error().message;
  auto other = Store::open(elsewhere());
  ASSERT_TRUE(other.has_value()) << other.error().message;
  EXPECT_EQ((*other)->set_of("a").value(), set_from({"5.0.0.1", "bad.example"}));
  EXPECT_EQ((*other)->content_of("a").value(), "5.0.0.1\nbad.example\n");
  EXPECT_EQ((*other)->observations_of(address::parse_address("5.0.0.1").value())->size(), 1u);
  EXPECT_EQ(store->set_of("a").value(), set_from({"5.0.0.2"}));
}

TEST_F(StoreBackup, BackupsAreMadeWhileOthersWrite) {
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int64_t now = 1000; !stop; ++now) {
      EXPECT_GOOD(
          store->apply("a", set_from({fmt::format("5.0.1.{}", now % 256)}), good_state(now), now));
    }
  });
  for (int i = 0; i < 9; ++i) {
    EXPECT_GOOD(store->backup(backups(), 500 + i));
  }
  stop = true;
  writer.join();
  EXPECT_GOOD(Store::restore(backups(), elsewhere()));
  auto other = Store::open(elsewhere());
  ASSERT_TRUE(other.has_value());
  EXPECT_EQ((*other)->set_of("a")->v4.size(), 1u);  // one whole state
}

TEST_F(StoreBackup, RestoreNeverWritesOverAStore) {
  EXPECT_GOOD(store->backup(backups(), 500));
  EXPECT_FAILS(Store::restore(backups(), directory.store()), conflict, HasSubstr("move it away"));
  EXPECT_FAILS(Store::restore(directory.path() + "/none", elsewhere()), not_found,
               HasSubstr("none"));
  std::filesystem::create_directory(directory.path() + "/empty");
  EXPECT_FALSE(Store::restore(directory.path() + "/empty", elsewhere()).has_value());
  EXPECT_FALSE(std::filesystem::exists(elsewhere()));
}

TEST_F(StoreBackup, DamagedBackupIsNotRestored) {
  EXPECT_GOOD(store->backup(backups(), 500));
  for (const auto& entry : std::filesystem::recursive_directory_iterator(backups())) {
    if (entry.path().extension() == ".sst") {
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(20);
      file.put('!');
    }
  }
  EXPECT_FALSE(Store::restore(backups(), elsewhere()).has_value());
  EXPECT_FALSE(std::filesystem::exists(elsewhere()));
}

TEST_F(StoreBackup, PlacesThatAreNoneAreRefused) {
  EXPECT_FAILS(store->backup("backups", 1), invalid_argument, HasSubstr("absolute"));
  EXPECT_FAILS(store->backup("", 1), invalid_argument, HasSubstr("absolute"));
  EXPECT_FAILS(store->backup(directory.store() + "/sub", 1), invalid_argument, HasSubstr("inside"));
  EXPECT_FAILS(store->backup("/proc/nothing/here", 1), not_found, HasSubstr("/proc/nothing"));
}

TEST_F(StoreBackup, BackupOfAnOlderVersionIsUpgradedAndOfANewerRefused) {
  EXPECT_GOOD(store->backup(backups(), 500));
  EXPECT_GOOD(Store::restore(backups(), elsewhere()));
  const auto set_version = [&](const char* version) {
    auto database = Database::open(elsewhere());
    ASSERT_TRUE(database.has_value());
    rocksdb::WriteBatch batch;
    ASSERT_TRUE(batch.Put((*database)->column(Column::meta), "schema", version).ok());
    EXPECT_GOOD((*database)->write(batch, Durability::synced));
  };
  set_version("2");
  EXPECT_GOOD(Store::open(elsewhere()));
  set_version("4");
  EXPECT_FAILS(Store::open(elsewhere()), unsupported, HasSubstr("newer program"));
}

TEST_F(StoreBackup, ContentIsReplacedKeptOverAStartAndGoesWithItsFeed) {
  std::string large(3'500'000, 'x');
  large += "the end";
  EXPECT_GOOD(store->keep_content("a", large));
  EXPECT_EQ(store->content_of("a").value(), large);
  reopen();
  EXPECT_EQ(store->content_of("a").value(), large);
  EXPECT_GOOD(store->keep_content("a", "small"));
  EXPECT_EQ(store->content_of("a").value(), "small");
  EXPECT_GOOD(store->keep_content("a", std::string(Store::kContentKeptMax + 1, 'x')));
  EXPECT_EQ(store->content_of("a").value(), "");
  EXPECT_GOOD(store->keep_content("a", "again"));
  EXPECT_GOOD(store->add_feed(definition("b")));
  EXPECT_EQ(store->content_of("b").value(), "");
  EXPECT_GOOD(store->remove_feed("a", 300));
  EXPECT_FALSE(store->content_of("a").has_value());
  EXPECT_FALSE(store->keep_content("a", "x").has_value());
}

TEST_F(StoreBackup, GenerationOfATimeIsTheOneServedThen) {
  EXPECT_EQ(store->generation_at(1000)->generation, 0u);
  EXPECT_EQ(store->generation_at(1000)->known_from, 0);
  EXPECT_GOOD(store->note_generation(7, 1000));
  EXPECT_GOOD(store->note_generation(8, 2000));
  EXPECT_GOOD(store->note_generation(7, 3000));  // taken back
  EXPECT_EQ(store->generation_at(999)->generation, 0u);
  EXPECT_EQ(store->generation_at(999)->known_from, 1000);
  EXPECT_EQ(store->generation_at(1000)->generation, 7u);
  EXPECT_EQ(store->generation_at(2999)->generation, 8u);
  EXPECT_EQ(store->generation_at(2999)->since, 2000);
  EXPECT_EQ(store->generation_at(5'000'000'000)->generation, 7u);
}

}  // namespace
}  // namespace merlon::store

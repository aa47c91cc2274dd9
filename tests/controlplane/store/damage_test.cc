// SPDX-License-Identifier: Apache-2.0
// What open() says about a directory that is not as it was left.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include "controlplane/store/database.h"
#include "tests/controlplane/store/support.h"

namespace merlon::store {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const fs::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
  ASSERT_TRUE(file.good());
}

void flip(const fs::path& path, size_t offset, size_t count = 1) {
  std::string bytes = read(path);
  ASSERT_LT(offset + count, bytes.size());
  for (size_t i = offset; i < offset + count; ++i) {
    bytes[i] = static_cast<char>(bytes[i] ^ 0x55);
  }
  write(path, bytes);
}

class StoreDamage : public StoreTest {
 protected:
  void SetUp() override {
    StoreTest::SetUp();
    EXPECT_GOOD(store->add_feed(definition("a")));
    EXPECT_GOOD(store->add_device(device("edge", "acme", {"5.5.5.5"}), 1));
    EXPECT_GOOD(store->apply("a", values(0), good_state(100), 100));
  }
  static FeedSet values(uint32_t from) {
    FeedSet set;
    for (uint32_t i = from; i < from + 2000; ++i) {
      set.v4.push_back({0x05000000 + i * 3, 32});
    }
    return set;
  }
  std::vector<fs::path> files(const std::string& suffix_or_start) const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(directory.store())) {
      const std::string name = entry.path().filename().string();
      if (name.ends_with(suffix_or_start) || name.starts_with(suffix_or_start)) {
        found.push_back(entry.path());
      }
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  // The log that holds what was written last.
  fs::path log() const {
    auto logs = files(".log");
    EXPECT_FALSE(logs.empty());
    return *std::max_element(logs.begin(), logs.end(), [](const auto& a, const auto& b) {
      return fs::file_size(a) < fs::file_size(b);
    });
  }
  // Opens and reads; what is read without an error must be what was written.
  std::optional<Error> first_error() const {
    const auto opened = Store::open(directory.store());
    if (!opened) {
      return opened.error();
    }
    const auto set = (*opened)->set_of("a");
    if (!set) {
      return set.error();
    }
    EXPECT_EQ(*set, values(0));
    const auto found = (*opened)->observations_of(address::Address::v4(0x05000000));
    if (!found) {
      return found.error();
    }
    EXPECT_EQ(found->size(), 1u);
    const auto devices = (*opened)->devices();
    if (!devices) {
      return devices.error();
    }
    EXPECT_EQ(devices->size(), 1u);
    return std::nullopt;
  }
  void expect_corruption() {
    EXPECT_FAILS(Store::open(directory.store()), corruption,
                 AllOf(HasSubstr("store " + directory.store()), HasSubstr("backup")));
  }
};

TEST_F(StoreDamage, GarbageInCurrentIsCorruption) {
  store.reset();
  write(directory.store() + "/CURRENT", "garbage");
  expect_corruption();
}

TEST_F(StoreDamage, EmptyCurrentIsCorruption) {
  store.reset();
  write(directory.store() + "/CURRENT", "");
  expect_corruption();
}

TEST_F(StoreDamage, CurrentThatNamesNoManifestIsCorruption) {
  store.reset();
  write(directory.store() + "/CURRENT", "MANIFEST-009999\n");
  expect_corruption();
}

TEST_F(StoreDamage, LostCurrentIsCorruptionAndDoesNotStartAfresh) {
  reopen();  // now there are tables
  store.reset();
  const std::string current = read(directory.store() + "/CURRENT");
  const auto tables = files(".sst");
  ASSERT_FALSE(tables.empty());
  fs::remove(directory.store() + "/CURRENT");
  expect_corruption();
  EXPECT_EQ(files(".sst"), tables) << "nothing was deleted";
  write(directory.store() + "/CURRENT", current);
  open();
  EXPECT_EQ(store->set_of("a").value(), values(0));
}

TEST_F(StoreDamage, EmptyOrFlippedManifestIsCorruption) {
  store.reset();
  const fs::path manifest = files("MANIFEST-").back();
  const std::string whole = read(manifest);
  write(manifest, "");
  expect_corruption();
  for (const size_t offset : {size_t{0}, size_t{10}, whole.size() / 3}) {
    write(manifest, whole);
    flip(manifest, offset);
    expect_corruption();
  }
  write(manifest, whole);
  open();
}

TEST_F(StoreDamage, FlippedByteInsideTheLogIsCorruption) {
  EXPECT_GOOD(store->apply("a", values(1000), good_state(200), 200));
  store.reset();
  const fs::path path = log();
  const size_t size = fs::file_size(path);
  flip(path, size / 2);
  expect_corruption();
}

TEST_F(StoreDamage, TornEndOfTheLogIsTheStateBefore) {
  const auto whole_state_before = read(log());
  EXPECT_GOOD(store->apply("a", values(1000), good_state(200), 200));
  store.reset();
  const fs::path path = log();
  const std::string whole = read(path);
  ASSERT_GT(whole.size(), whole_state_before.size() + 1000);
  const fs::path kept = directory.path() + "/kept";
  fs::copy(directory.store(), kept, fs::copy_options::recursive);
  const size_t step = (whole.size() - whole_state_before.size()) / 12;
  for (size_t size = whole_state_before.size(); size < whole.size(); size += step) {
    fs::remove_all(directory.store());
    fs::copy(kept, directory.store(), fs::copy_options::recursive);
    write(path, whole.substr(0, size));
    open();
    EXPECT_EQ(store->set_of("a").value(), values(0)) << "log cut at " << size;
    EXPECT_EQ(store->feed("a")->state.last_good, 100);
    EXPECT_TRUE(seen("5.0.0.0").at(0).listed);
    EXPECT_EQ(store->devices()->size(), 1u);
    store.reset();
  }
  fs::remove_all(directory.store());
  fs::copy(kept, directory.store(), fs::copy_options::recursive);
  open();
  EXPECT_EQ(store->set_of("a").value(), values(1000));
}

TEST_F(StoreDamage, LostTableIsCorruption) {
  reopen();
  store.reset();
  const auto tables = files(".sst");
  ASSERT_FALSE(tables.empty());
  for (const fs::path& table : tables) {
    const std::string bytes = read(table);
    fs::remove(table);
    expect_corruption();
    write(table, bytes);
  }
  open();
}

TEST_F(StoreDamage, FlippedBytesInATableAreCorruptionWhenReadAndNeverAWrongAnswer) {
  reopen();
  store.reset();
  const fs::path kept = directory.path() + "/kept";
  fs::copy(directory.store(), kept, fs::copy_options::recursive);
  int refused = 0;
  for (const fs::path& table : files(".sst")) {
    for (size_t part = 0; part < 4; ++part) {
      const size_t size = fs::file_size(table);
      flip(table, size * part / 4 + 8, 16);
      const auto error = first_error();
      if (error) {
        ++refused;
        EXPECT_EQ(to_string(error->code), "corruption") << error->message;
        EXPECT_THAT(error->message, HasSubstr(directory.store()));
      }
      // Opening may have moved the files; each damage starts from the same ones.
      fs::remove_all(directory.store());
      fs::copy(kept, directory.store(), fs::copy_options::recursive);
    }
  }
  EXPECT_GE(refused, 8) << "most bytes are read by one of these calls";
  open();
  EXPECT_EQ(store->set_of("a").value(), values(0));
}

void set_schema(const std::string& path, const std::string& version) {
  auto database = Database::open(path);
  ASSERT_TRUE(database.has_value());
  rocksdb::WriteBatch batch;
  if (version.empty()) {
    ASSERT_TRUE(batch.Delete((*database)->column(Column::meta), "schema").ok());
  } else {
    ASSERT_TRUE(batch.Put((*database)->column(Column::meta), "schema", version).ok());
  }
  EXPECT_GOOD((*database)->write(batch, Durability::synced));
}

TEST_F(StoreDamage, NewerSchemaIsUnsupported) {
  store.reset();
  set_schema(directory.store(), "4");
  EXPECT_FAILS(Store::open(directory.store()), unsupported,
               AllOf(HasSubstr(directory.store()), HasSubstr("version 4"), HasSubstr("newer")));
}

TEST_F(StoreDamage, NewerSchemaWithAColumnUnknownHereIsUnsupportedToo) {
  store.reset();
  {
    auto database = Database::open(directory.store());
    ASSERT_TRUE(database.has_value());
    rocksdb::ColumnFamilyHandle* handle = nullptr;
    ASSERT_TRUE((*database)->rocks()->CreateColumnFamily({}, "from-later", &handle).ok());
    ASSERT_TRUE((*database)->rocks()->DestroyColumnFamilyHandle(handle).ok());
  }
  set_schema(directory.store(), "17");
  EXPECT_FAILS(Store::open(directory.store()), unsupported, HasSubstr("version 17"));
}

TEST_F(StoreDamage, SchemaThatIsLostOrNoNumberIsCorruption) {
  store.reset();
  set_schema(directory.store(), "one");
  expect_corruption();
}

TEST_F(StoreDamage, LostSchemaIsCorruption) {
  store.reset();
  set_schema(directory.store(), "");
  expect_corruption();
}

TEST_F(StoreDamage, UnreadableFeedRecordIsCorruptionThatNamesTheFeed) {
  store.reset();
  {
    auto database = Database::open(directory.store());
    ASSERT_TRUE(database.has_value());
    rocksdb::WriteBatch batch;
    ASSERT_TRUE(batch.Put((*database)->column(Column::feeds), "a", "{}").ok());
    EXPECT_GOOD((*database)->write(batch, Durability::synced));
  }
  open();
  EXPECT_FAILS(store->feeds(), corruption,
               AllOf(HasSubstr(directory.store()), HasSubstr("feed a")));
  EXPECT_FAILS(store->feed("a"), corruption, HasSubstr("feed a"));
}

TEST_F(StoreDamage, HistoryThatDisagreesWithTheSetIsCorruptionNotARepair) {
  store.reset();
  {
    auto database = Database::open(directory.store());
    ASSERT_TRUE(database.has_value());
    rocksdb::WriteBatch batch;
    const std::string key = std::string("4 ") + std::string("\x05\x00\x00\x00", 4);
    ASSERT_TRUE(batch.Delete((*database)->column(Column::indicators), key).ok());
    EXPECT_GOOD((*database)->write(batch, Durability::synced));
  }
  open();
  EXPECT_FAILS(store->apply("a", {}, good_state(200), 200), corruption, HasSubstr("disagree"));
  EXPECT_EQ(store->set_of("a").value(), values(0));
}

TEST(StoreOpen, PathThatCannotBeADirectoryIsAnIoError) {
  TemporaryDirectory directory;
  write(directory.path() + "/file", "x");
  EXPECT_FAILS(Store::open(directory.path() + "/file"), io, HasSubstr(directory.path() + "/file"));
  EXPECT_FAILS(Store::open(directory.path() + "/file/below"), io, HasSubstr("file/below"));
  EXPECT_FAILS(Store::open(""), invalid_argument, HasSubstr("empty"));
}

}  // namespace
}  // namespace merlon::store

// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dnssec/key_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/controlplane/dnssec/signer_fixture.h"

namespace merlon::dnssec {
namespace {

using testing::HasSubstr;

class StoredKeys : public testing::Test {
 protected:
  void SetUp() override {
    store_.emplace(*KeyStore::open(directory_));
    zone_ = initial_keys({.layout = Layout::split}, 1000);
    ASSERT_TRUE(store_->save(apex_, zone_).has_value());
  }
  std::string path(const std::string& file) const {
    return store_->zone_directory(apex_) + "/" + file;
  }
  static unsigned mode(const std::string& path) {
    struct stat info{};
    EXPECT_EQ(::stat(path.c_str(), &info), 0);
    return info.st_mode & 07777u;
  }

  tests::TemporaryDirectory folder_;
  std::string directory_ = folder_.path() + "/state/keys";
  name::Name apex_ = name_of("acme.merlon.internal.");
  std::optional<KeyStore> store_;
  ZoneKeys zone_;
};

TEST_F(StoredKeys, AreReadableByTheirOwnerOnly) {
  EXPECT_EQ(mode(directory_), 0700u);
  EXPECT_EQ(mode(path("")), 0700u);
  EXPECT_EQ(mode(path("state.json")), 0600u);
  EXPECT_EQ(mode(path("key-1.pem")), 0600u);
  EXPECT_EQ(mode(path("key-2.pem")), 0600u);
}

TEST_F(StoredKeys, AreReadBack) {
  const auto zone = store_->load(apex_);
  ASSERT_TRUE(zone.has_value()) << zone.error().message;
  ASSERT_EQ(zone->keys.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(zone->keys[i].dnskey(), zone_.keys[i].dnskey());
    EXPECT_EQ(zone->keys[i].active, 1000);
    EXPECT_TRUE(store_->read_key(apex_, zone->keys[i]).has_value());
  }
  EXPECT_EQ(store_->zones(), std::vector<name::Name>{apex_});
}

TEST_F(StoredKeys, WiderPermissionsAreRefusedWithWhatToDo) {
  ASSERT_EQ(::chmod(path("key-1.pem").c_str(), 0640), 0);
  const auto key = store_->read_key(apex_, zone_.keys[0]);
  ASSERT_FALSE(key.has_value());
  EXPECT_THAT(key.error().message, HasSubstr("chmod 600 " + path("key-1.pem")));
  ASSERT_EQ(::chmod(store_->zone_directory(apex_).c_str(), 0750), 0);
  const auto zone = store_->load(apex_);
  ASSERT_FALSE(zone.has_value());
  EXPECT_THAT(zone.error().message, HasSubstr("chmod 700 " + store_->zone_directory(apex_)));
  ASSERT_EQ(::chmod(directory_.c_str(), 0755), 0);
  EXPECT_FALSE(KeyStore::open(directory_).has_value());
}

TEST_F(StoredKeys, MissingKeyIsSaidWithItsZoneAndTag) {
  std::filesystem::remove(path("key-2.pem"));
  const auto key = store_->read_key(apex_, zone_.keys[1]);
  ASSERT_FALSE(key.has_value());
  EXPECT_THAT(key.error().message, HasSubstr("acme.merlon.internal."));
  EXPECT_THAT(key.error().message,
              HasSubstr(fmt::format("zsk with tag {}", key_tag(zone_.keys[1].dnskey()))));
  EXPECT_THAT(key.error().message, HasSubstr("backup"));
}

TEST_F(StoredKeys, LostDirectoryIsNotReplacedByNewKeys) {
  std::filesystem::remove_all(store_->zone_directory(apex_));
  const auto zone = store_->load(apex_);
  ASSERT_FALSE(zone.has_value());
  EXPECT_EQ(zone.error().code, ErrorCode::conflict);
  EXPECT_THAT(zone.error().message, HasSubstr("restore the directory"));
}

TEST_F(StoredKeys, AnotherKeysFileIsNoticed) {
  std::filesystem::copy_file(path("key-1.pem"), path("key-2.pem"),
                             std::filesystem::copy_options::overwrite_existing);
  const auto key = store_->read_key(apex_, zone_.keys[1]);
  ASSERT_FALSE(key.has_value());
  EXPECT_EQ(key.error().code, ErrorCode::conflict);
}

TEST_F(StoredKeys, DamagedStateIsAnErrorWithItsFile) {
  for (const std::string text : {"", "{}", "[1]", "{\"version\": 1, \"zone\": 5}", "\xff\xfe"}) {
    std::ofstream(path("state.json"), std::ios::trunc) << text;
    const auto zone = store_->load(apex_);
    ASSERT_FALSE(zone.has_value()) << text;
    EXPECT_EQ(zone.error().code, ErrorCode::corruption) << zone.error().message;
    EXPECT_THAT(zone.error().message, HasSubstr(path("state.json")));
  }
}

TEST_F(StoredKeys, FilesOfDroppedKeysGo) {
  zone_.keys.erase(zone_.keys.begin());
  ASSERT_TRUE(store_->save(apex_, zone_).has_value());
  EXPECT_FALSE(std::filesystem::exists(path("key-1.pem")));
  EXPECT_TRUE(std::filesystem::exists(path("key-2.pem")));
}

TEST(KeyFileNames, HoldNothingThatAPathCouldMisread) {
  EXPECT_EQ(file_name_of(name_of("Acme.Merlon.internal.")), "acme.merlon.internal");
  EXPECT_EQ(file_name_of(name_of("0/25.2.0.192.in-addr.arpa.")), "0%2F25.2.0.192.in-addr.arpa");
  EXPECT_EQ(file_name_of(name_of("known.")), "%known");
  EXPECT_EQ(file_name_of(name::Name()), "%2E");
  const std::string label(60, '\xff');
  std::vector<uint8_t> wire;
  for (int i = 0; i < 4; ++i) {
    wire.push_back(60);
    wire.insert(wire.end(), label.begin(), label.end());
  }
  wire.push_back(0);
  EXPECT_EQ(file_name_of(*name::Name::from_wire(wire)).size(), 65u);
}

}  // namespace
}  // namespace merlon::dnssec

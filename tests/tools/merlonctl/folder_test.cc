// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "tools/merlonctl/feed_folder.h"

namespace merlon::merlonctl {
namespace {

using ::testing::HasSubstr;

class FeedFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "merlon-folder-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = std::filesystem::canonical(pattern).string();
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  void write(const std::string& name, const std::string& text = "192.0.2.1\n") {
    std::ofstream(directory_ + "/" + name) << text;
  }

  std::string directory_;
};

TEST(FeedId, IsMadeFromTheFileName) {
  std::set<std::string> taken;
  EXPECT_EQ(make_id("DShield_Block.txt", taken), "dshield-block-txt");
  EXPECT_EQ(make_id("amnesty__2018-08-01_nso.csv", taken), "amnesty-2018-08-01-nso-csv");
  EXPECT_EQ(make_id("..--x--..", taken), "x");
  EXPECT_EQ(make_id("żółw", taken), "w");
  EXPECT_EQ(make_id("___", taken), "feed");
}

TEST(FeedId, FortyCharactersAreKeptAndNoDashAtTheCut) {
  std::set<std::string> taken;
  EXPECT_EQ(make_id(std::string(50, 'a'), taken), std::string(40, 'a'));
  EXPECT_EQ(make_id(std::string(39, 'b') + "-c.txt", taken), std::string(39, 'b'));
}

TEST(FeedId, NumberAfterTheLastDashIsNotLeftAtTheEnd) {
  std::set<std::string> taken;
  EXPECT_EQ(make_id("list-2024", taken), "list-2024x");
  EXPECT_EQ(make_id("list.7", taken), "list-7x");
  EXPECT_EQ(make_id("list7", taken), "list7");
  EXPECT_EQ(make_id(std::string(35, 'a') + "-2024", taken), std::string(35, 'a') + "-202x");
}

TEST(FeedId, StaysUniqueWithinItsLength) {
  std::set<std::string> taken;
  EXPECT_EQ(make_id("a.b", taken), "a-b");
  EXPECT_EQ(make_id("a_b", taken), "a-b-b");
  EXPECT_EQ(make_id("a b", taken), "a-b-c");
  for (int i = 0; i < 1000; ++i) {
    const std::string id = make_id(std::string(60, 'z'), taken);
    EXPECT_LE(id.size(), 40u);
    EXPECT_THAT(id, ::testing::MatchesRegex("z+(-[a-z]+)?"));
  }
  EXPECT_EQ(taken.size(), 1003u);
}

TEST(FileUrl, EncodesWhatAUrlCannotHold) {
  EXPECT_EQ(file_url("/a/b.txt"), "file:///a/b.txt");
  EXPECT_EQ(file_url("/a b/100%/ż#?.txt"), "file:///a%20b/100%25/%C5%BC%23%3F.txt");
}

TEST_F(FeedFolder, TakesRegularFilesInOrderAndSkipsTheRest) {
  for (const char* name :
       {"b.txt", "a.txt", ".hidden", "INDEX.tsv", "README", "README.txt", "notes.md"}) {
    write(name);
  }
  std::filesystem::create_directory(directory_ + "/sub");
  const auto feeds = read_folder(directory_, Json{{"tier", "advanced"}});
  ASSERT_TRUE(feeds) << feeds.error().message;
  ASSERT_EQ(feeds->size(), 2u);
  EXPECT_EQ((*feeds)[0].file, "a.txt");
  EXPECT_EQ(
      (*feeds)[0].definition,
      (Json{{"id", "a-txt"}, {"url", "file://" + directory_ + "/a.txt"}, {"tier", "advanced"}}));
  EXPECT_EQ((*feeds)[1].definition.at("id"), "b-txt");
}

TEST_F(FeedFolder, IndexDefinesWhatIsUsed) {
  write("a.txt");
  write("unused.txt");
  write("feeds.json",
        R"([{"file":"a.txt","id":"given","severity":5,"tier":"community"},{"file":"b.txt"}])");
  const auto feeds = read_folder(directory_, Json{{"tier", "advanced"}, {"confidence", 9}});
  ASSERT_TRUE(feeds) << feeds.error().message;
  ASSERT_EQ(feeds->size(), 2u);
  EXPECT_EQ((*feeds)[0].definition, (Json{{"id", "given"},
                                          {"url", "file://" + directory_ + "/a.txt"},
                                          {"tier", "community"},
                                          {"confidence", 9},
                                          {"severity", 5}}));
  EXPECT_EQ((*feeds)[1].definition.at("id"), "b-txt");
}

TEST_F(FeedFolder, FaultsOfTheIndexAreNamed) {
  const auto fault = [&](const std::string& index) {
    write("feeds.json", index);
    const auto feeds = read_folder(directory_, Json::object());
    return feeds ? "accepted" : feeds.error().message;
  };
  EXPECT_THAT(fault("[{"), HasSubstr("feeds.json is not JSON"));
  EXPECT_THAT(fault("{}"), HasSubstr("must be an array"));
  EXPECT_THAT(fault(R"([{"id":"a"}])"), HasSubstr("entry 0 must have a \"file\" key"));
  EXPECT_THAT(fault(R"([{"file":"a"},{"file":"/etc/passwd"}])"), HasSubstr("entry 1"));
  EXPECT_THAT(fault(R"([7])"), HasSubstr("entry 0"));
}

TEST_F(FeedFolder, FolderThatIsNoneIsNamed) {
  write("file");
  EXPECT_THAT(read_folder(directory_ + "/absent", {}).error().message, HasSubstr("absent"));
  EXPECT_THAT(read_folder(directory_ + "/file", {}).error().message,
              HasSubstr("is not a directory"));
}

}  // namespace
}  // namespace merlon::merlonctl

// SPDX-License-Identifier: Apache-2.0
// The catalogue that comes with the program; what its definitions read is checked with real content
// when the folder with it is there (MERLON_TEST_DATA, or ../shared/data beside the checkout).
#include "controlplane/feed_catalogue/feed_catalogue.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "controlplane/feeds/declaration.h"
#include "controlplane/feeds/parse.h"
#include "controlplane/store/rules.h"
#include "zones/base/bytes.h"

namespace merlon::feed_catalogue {
namespace {

constexpr std::string_view kRaw = "https://raw.githubusercontent.com/";

TEST(FeedCatalogue, DefinitionsAreValidAndSayWhoAndOnWhichTerms) {
  EXPECT_GE(entries().size(), 60u);
  std::set<std::string> ids;
  std::set<std::string> urls;
  for (const Entry& entry : entries()) {
    const store::FeedDefinition& d = entry.definition;
    SCOPED_TRACE(d.id);
    const Status good = store::check_definition(d);
    EXPECT_TRUE(good) << good.error().message;
    EXPECT_TRUE(feeds::parse_declaration(d.format));
    EXPECT_TRUE(ids.insert(d.id).second);
    EXPECT_TRUE(urls.insert(d.url).second) << "another entry has this URL";
    for (const std::string* text : {&d.title, &d.provider, &d.homepage, &d.licence}) {
      EXPECT_FALSE(text->empty());
    }
    EXPECT_FALSE(d.private_hosts);
    EXPECT_TRUE(d.credentials.empty());
  }
  for (const Entry& entry : entries()) {
    for (const std::string& copied : entry.definition.copies) {
      EXPECT_TRUE(ids.contains(copied)) << entry.definition.id << " copies " << copied;
    }
  }
}

TEST(FeedCatalogue, NearestIdIsNamed) {
  ASSERT_TRUE(find("ipsum"));
  const auto wrong = find("ipsun");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::not_found);
  EXPECT_NE(wrong.error().message.find("\"ipsum\""), std::string::npos);
}

TEST(FeedCatalogue, MistakesNameTheEntryAndTheKey) {
  const auto wrong = parse(R"({"feeds": [{"id": "x", "title": "y"}]})");
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("x: "), std::string::npos) << wrong.error().message;
  EXPECT_NE(wrong.error().message.find("url"), std::string::npos) << wrong.error().message;
  EXPECT_FALSE(parse("{"));
}

std::filesystem::path data_folder() {
  const char* data = std::getenv("MERLON_TEST_DATA");
  return std::filesystem::path(data != nullptr ? data : "../shared/data") / "feeds";
}

// "owner/repository/path" to the file with its content.
std::map<std::string, std::filesystem::path> real_files() {
  std::map<std::string, std::filesystem::path> files;
  std::ifstream index(data_folder() / "INDEX.tsv");
  std::string line;
  while (std::getline(index, line)) {
    const size_t first = line.find('\t');
    const size_t second = line.find('\t', first + 1);
    const size_t third = line.find('\t', second + 1);
    if (third == std::string::npos) {
      continue;
    }
    files[line.substr(first + 1, second - first - 1) + "/" +
          line.substr(second + 1, third - second - 1)] = data_folder() / line.substr(0, first);
  }
  return files;
}

// https://raw.githubusercontent.com/owner/repository/branch/path to "owner/repository/path".
std::string repository_path(std::string url) {
  if (!url.starts_with(kRaw)) {
    return "";
  }
  for (size_t at = url.find("%20"); at != std::string::npos; at = url.find("%20")) {
    url.replace(at, 3, " ");
  }
  const std::string path = url.substr(kRaw.size());
  const size_t repository = path.find('/', path.find('/') + 1);
  return path.substr(0, repository) + path.substr(path.find('/', repository + 1));
}

TEST(FeedCatalogue, DefinitionsReadWhatTheirPublishersPublish) {
  const auto files = real_files();
  if (files.empty()) {
    GTEST_SKIP() << "no real feeds; set MERLON_TEST_DATA to the folder that holds them";
  }
  int read = 0;
  for (const Entry& entry : entries()) {
    const auto file = files.find(repository_path(entry.definition.url));
    if (file == files.end()) {
      continue;
    }
    SCOPED_TRACE(entry.definition.id);
    std::ifstream stream(file->second, std::ios::binary);
    const std::string content(std::istreambuf_iterator<char>(stream), {});
    const auto feed = feeds::parse_feed(as_bytes(content), entry.definition.format,
                                        entry.definition.size_max_bytes);
    ASSERT_TRUE(feed) << feed.error().message;
    ++read;
    EXPECT_GT(feed->entry_count, 0u);
    // What is an indicator that a list cannot hold is no mistake of the definition; the rest is.
    const std::set<std::string> others = {"url", "path_only", "hash", "email", "other_indicator"};
    uint64_t mistakes = 0;
    for (const auto& [reason, count] : feed->rejected_by_reason) {
      mistakes += others.contains(reason) ? 0 : count;
    }
    EXPECT_LE(mistakes * 50, feed->line_count) << testing::PrintToString(feed->rejected_by_reason);
  }
  EXPECT_GE(read, 15);
}

}  // namespace
}  // namespace merlon::feed_catalogue

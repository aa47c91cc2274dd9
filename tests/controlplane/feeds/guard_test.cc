// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "controlplane/feeds/declaration.h"
#include "controlplane/feeds/parse.h"

namespace merlon::feeds {
namespace {

Error error_of(std::string_view content, std::string_view format) {
  const Result<ParsedFeed> feed = parse_feed(as_bytes(content), format);
  EXPECT_FALSE(feed.has_value()) << content;
  return feed ? Error{} : feed.error();
}

#define EXPECT_SAYS(error, text) \
  EXPECT_NE((error).message.find(text), std::string::npos) << (error).message

TEST(FeedGuard, TakesAnOrdinaryFeed) {
  const Result<ParsedFeed> feed = parse_feed(as_bytes("45.1.2.3\nx\n45.1.2.4\n"), "auto");
  ASSERT_TRUE(feed.has_value());
  EXPECT_EQ(feed->set.v4.size(), 2U);
  EXPECT_EQ(feed->rejected_count, 1U);
}

TEST(FeedGuard, TellsEmptyContentFromContentWithoutEntries) {
  for (const std::string_view format : {"auto", "plain", "hosts", "spamhaus_drop_json"}) {
    EXPECT_SAYS(error_of("", format), "the content is empty (0 bytes)");
  }
  const Error comments = error_of("# none today\n\n", "auto");
  EXPECT_EQ(comments.code, ErrorCode::invalid_argument);
  EXPECT_SAYS(comments,
              "no readable entry in 2 lines read as plain: 2 blank or comment, 0 rejected");
  const Error rejected = error_of("localhost\n", "plain");
  EXPECT_SAYS(rejected, "1 rejected; first: line 1 \"localhost\" (bad_domain)");
}

TEST(FeedGuard, RefusesHtmlAndBinaryWhateverFormatIsNamed) {
  for (const Format format : all_formats()) {
    Declaration declaration;
    declaration.format = format;
    if (format == Format::csv) {
      declaration.columns = {"1"};
    } else if (format == Format::json || format == Format::ndjson) {
      declaration.paths = {"ip"};
    }
    const std::string name = to_text(declaration);
    EXPECT_SAYS(
        error_of("<html><head><title>403 Forbidden</title></head><body>45.1.2.3</body></html>",
                 name),
        "HTML page");
    EXPECT_SAYS(error_of("\x1f\x8b\x08 45.1.2.3\n", name), "gzip");
  }
}

TEST(FeedGuard, RefusesMoreThanHalfUnreadableAndTakesExactlyHalf) {
  const Error error = error_of("45.1.2.3\n1.2\n1.3\n# c\n", "plain");
  EXPECT_EQ(error.code, ErrorCode::invalid_argument);
  EXPECT_SAYS(error, "mostly unreadable as plain: 2 of 3 lines rejected; first: line 2 \"1.2\"");
  EXPECT_TRUE(parse_feed(as_bytes("45.1.2.3\n1.2\n"), "plain").has_value());
}

TEST(FeedGuard, UrlsPathsAndHashesBesideAddressesSayNothingAgainstAFeed) {
  const auto feed = parse_feed(
      as_bytes("45.1.2.3\n/a\n/b\nhttp://c.example/d\nd41d8cd98f00b204e9800998ecf8427e\n"),
      "plain");
  ASSERT_TRUE(feed.has_value()) << feed.error().message;
  EXPECT_EQ(feed->rejected_count, 4U);
  EXPECT_EQ(feed->entry_count, 1U);
}

TEST(FeedGuard, AutoTakesNoHostsOfUrlsAndSaysHowADefinitionCan) {
  const std::string urls = "https://a.example/x\nhttps://b.example/\n";
  EXPECT_SAYS(error_of(urls, "auto"), "set the format \"plain; urls=host\"");
  EXPECT_EQ(parse_feed(as_bytes(urls), "plain; urls=host")->set.domains.size(), 2U);
  EXPECT_EQ(parse_feed(as_bytes(urls), "plain; urls=bare")->set.domains,
            std::vector<std::string>{"b.example"});
}

TEST(FeedGuard, ComparesTheDeclaredNumberOfRecords) {
  const std::string row = "{\"cidr\":\"45.1.0.0/17\"}\n";
  const std::string trailer = "{\"type\":\"metadata\",\"records\":2}\n";
  EXPECT_SAYS(error_of(row + trailer, "auto"),
              "truncated or altered: the metadata declares 2 records, 1 are there");
  EXPECT_TRUE(parse_feed(as_bytes(row + row + trailer), "auto").has_value());
  // Rows that are refused are there all the same.
  EXPECT_TRUE(
      parse_feed(as_bytes(row + "{\"cidr\":\"0.0.0.0/0\"}\n" + trailer), "auto").has_value());
  // Two lists one after the other.
  EXPECT_TRUE(parse_feed(as_bytes(row + row + trailer + row + row + trailer), "auto").has_value());
}

TEST(FeedGuard, SeesACutJsonDownloadWithoutItsMetadata) {
  const std::string row = "{\"cidr\":\"45.1.0.0/17\"}\n";
  EXPECT_SAYS(error_of(row + row + "{\"cidr\":\"45.", "auto"), "truncated: there is no metadata");
  const Result<ParsedFeed> feed = parse_feed(as_bytes(row), "auto");
  ASSERT_TRUE(feed.has_value());
  EXPECT_EQ(feed->notes.back(), "no metadata record, so completeness could not be checked");
}

TEST(FeedGuard, UnknownFormatNameListsTheKnownOnes) {
  const Error error = error_of("45.1.2.3\n", "excel");
  EXPECT_EQ(error.code, ErrorCode::invalid_argument);
  EXPECT_SAYS(error, "unknown feed format \"excel\"; known: auto, plain, domains, hosts, dshield");
}

}  // namespace
}  // namespace merlon::feeds

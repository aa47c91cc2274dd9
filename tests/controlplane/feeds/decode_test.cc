// SPDX-License-Identifier: Apache-2.0
// Archives made here by libarchive itself, and cut, and blown up; character sets; what servers send
// instead of a feed.
#include "controlplane/feeds/decode.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <array>

#include "controlplane/feeds/parse.h"

namespace merlon::feeds {
namespace {

using namespace std::string_view_literals;

enum class Pack : uint8_t { gzip, bzip2, xz, zstd, zip, seven };

std::string pack(Pack how, const std::vector<std::pair<std::string, std::string>>& members) {
  std::string out(64 << 20, '\0');
  size_t used = 0;
  archive* writer = archive_write_new();
  switch (how) {
    case Pack::gzip:
      archive_write_add_filter_gzip(writer);
      break;
    case Pack::bzip2:
      archive_write_add_filter_bzip2(writer);
      break;
    case Pack::xz:
      archive_write_add_filter_xz(writer);
      break;
    case Pack::zstd:
      archive_write_add_filter_zstd(writer);
      break;
    default:
      break;
  }
  how == Pack::zip     ? archive_write_set_format_zip(writer)
  : how == Pack::seven ? archive_write_set_format_7zip(writer)
                       : archive_write_set_format_raw(writer);
  archive_write_set_bytes_in_last_block(writer, 1);
  EXPECT_EQ(archive_write_open_memory(writer, out.data(), out.size(), &used), ARCHIVE_OK);
  for (const auto& [name, content] : members) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    EXPECT_EQ(archive_write_header(writer, entry), ARCHIVE_OK);
    archive_write_data(writer, content.data(), content.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
  out.resize(used);
  return out;
}

std::string list_of(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += fmt::format("45.{}.{}.{}\n", i % 251, i / 7 % 253, (i * 37) % 250 + 1);
  }
  return text;
}

constexpr std::array kAll = {Pack::gzip, Pack::bzip2, Pack::xz, Pack::zstd, Pack::zip, Pack::seven};

TEST(Decode, UnpacksEveryKind) {
  const std::string text = list_of(500);
  for (const Pack how : kAll) {
    const std::string packed = pack(how, {{"list.txt", text}});
    ASSERT_TRUE(is_archive(packed)) << static_cast<int>(how);
    const auto decoded = decode(as_bytes(packed));
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
    EXPECT_EQ(decoded->text(), text) << static_cast<int>(how);
  }
}

TEST(Decode, JoinsTheTextsOfAnArchiveAndLeavesTheRest) {
  const std::string packed =
      pack(Pack::zip, {{"a.txt", "45.1.2.3"}, {"logo.png", "\x89PNG"}, {"b.txt", "45.1.2.4\n"}});
  EXPECT_EQ(decode(as_bytes(packed))->text(), "45.1.2.3\n45.1.2.4\n");
}

TEST(Decode, NamesAnArchiveThatIsCutOff) {
  const std::string text = list_of(5000);
  for (const Pack how : kAll) {
    const std::string packed = pack(how, {{"list.txt", text}});
    for (const size_t kept : {packed.size() / 2, packed.size() - 30}) {
      const auto feed = parse_feed(as_bytes(packed.substr(0, kept)), "auto");
      ASSERT_FALSE(feed.has_value()) << static_cast<int>(how) << " cut at " << kept;
      EXPECT_NE(feed.error().message.find("truncated or damaged"), std::string::npos)
          << feed.error().message;
    }
  }
}

TEST(Decode, RefusesBombs) {
  const std::string packed = pack(Pack::gzip, {{"x", std::string(32 << 20, '\n')}});
  const auto ratio = decode(as_bytes(packed));
  ASSERT_FALSE(ratio.has_value());
  EXPECT_NE(ratio.error().message.find("expands more than 250 times"), std::string::npos);
  const auto size = decode(as_bytes(packed), {.size_max_bytes = 1 << 20});
  ASSERT_FALSE(size.has_value());
  EXPECT_NE(size.error().message.find("more than 1048576 bytes"), std::string::npos);
  std::string nested = "45.1.2.3\n";
  for (int i = 0; i < 4; ++i) {
    nested = pack(Pack::gzip, {{"x", nested}});
  }
  EXPECT_NE(decode(as_bytes(nested)).error().message.find("packed more than 3 times"),
            std::string::npos);
}

TEST(Decode, ReadsEveryCharacterSetAsTheSameFeed) {
  const auto utf16 = [](std::string_view text, bool big) {
    std::string out;
    for (const char c : text) {
      out += big ? std::string{'\0', c} : std::string{c, '\0'};
    }
    return out;
  };
  const std::string_view text = "# list\r\n45.1.2.3\r\npanel.example\r\n";
  const std::string variants[] = {
      std::string(text),
      "\xef\xbb\xbf" + std::string(text),
      "\xff\xfe" + utf16(text, false),
      "\xfe\xff" + utf16(text, true),
      utf16(text, false),
      "# caf\xe9\n45.1.2.3\npanel.example",
      "# mac\r45.1.2.3\rpanel.example\r",
      "# mixed\r\n45.1.2.3\rpanel.example\n",
  };
  for (const std::string& variant : variants) {
    const auto feed = parse_feed(as_bytes(variant), "auto");
    ASSERT_TRUE(feed.has_value()) << variant << feed.error().message;
    EXPECT_EQ(feed->set.v4.size(), 1U) << variant;
    EXPECT_EQ(feed->set.domains, std::vector<std::string>{"panel.example"}) << variant;
    EXPECT_EQ(feed->line_count, 3U) << variant;
  }
}

TEST(Decode, LatinTextInJsonIsNoReasonToRefuseIt) {
  const auto feed = parse_feed(as_bytes("{\"list\":[\"45.1.2.3\"],\"by\":\"Andr\xe9\"}"), "auto");
  ASSERT_TRUE(feed.has_value()) << feed.error().message;
  EXPECT_EQ(feed->set.v4.size(), 1U);
}

TEST(Decode, ThreeMegabytesOnOneLineAreReadInADocumentAndRefusedInAList) {
  std::string json = "{\"list\":[";
  while (json.size() < (3 << 20)) {
    json += fmt::format("\"45.{}.{}.7\",", json.size() % 251, json.size() / 251 % 253);
  }
  json += "\"45.1.2.3\"]}";
  const auto feed = parse_feed(as_bytes(json), "auto");
  ASSERT_TRUE(feed.has_value()) << feed.error().message;
  EXPECT_GT(feed->entry_count, 100000U);
  EXPECT_NE(parse_feed(as_bytes(json), "plain").error().message.find("line_too_long"),
            std::string::npos);
  json.resize(json.size() / 2);
  EXPECT_NE(parse_feed(as_bytes(json), "json; path=list[*]").error().message.find("malformed JSON"),
            std::string::npos);
}

TEST(Decode, EntitiesOfXmlStayAsTheyAre) {
  std::string bomb = "<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY a \"45.1.2.3 \">";
  for (char c = 'b'; c < 'k'; ++c) {
    const std::string before(10, static_cast<char>(c - 1));
    bomb += fmt::format("<!ENTITY {} \"", c);
    for (int i = 0; i < 10; ++i) {
      bomb += fmt::format("&{};", static_cast<char>(c - 1));
    }
    bomb += "\">";
  }
  bomb +=
      "<!ENTITY f SYSTEM \"file:///etc/passwd\">]><rss><item><title>45.9.9.9 &j; &f;</title>"
      "</item></rss>";
  const auto feed = parse_feed(as_bytes(bomb), "auto");
  ASSERT_TRUE(feed.has_value()) << feed.error().message;
  EXPECT_EQ(feed->entry_count, 1U);
}

TEST(Decode, PagesInsteadOfFeedsAreRefusedUnlessTheDefinitionAsksForPages) {
  const std::string_view page =
      "<html><head><title>Tracker</title></head><body><table><tr><td>45.1.2.3</td></tr>"
      "<tr><td>45.1.2.4</td></tr></table></body></html>";
  const std::string_view error =
      "<html><head><title>Just a moment...</title></head><body>Your address 45.1.2.3 and ray "
      "45.1.2.4</body></html>";
  EXPECT_FALSE(parse_feed(as_bytes(page), "auto").has_value());
  EXPECT_FALSE(parse_feed(as_bytes(page), "plain").has_value());
  EXPECT_EQ(parse_feed(as_bytes(page), "prose")->set.v4.size(), 2U);
  for (const std::string_view format : {"auto", "plain", "prose", "csv; column=1"}) {
    const auto feed = parse_feed(as_bytes(error), format);
    ASSERT_FALSE(feed.has_value()) << format;
    EXPECT_NE(feed.error().message.find("HTML page"), std::string::npos) << feed.error().message;
  }
}

}  // namespace
}  // namespace merlon::feeds

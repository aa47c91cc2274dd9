// SPDX-License-Identifier: Apache-2.0
// What each format takes, row by row, and how lines are counted.
#include "controlplane/feeds/parse.h"

#include <gtest/gtest.h>

#include "tests/controlplane/feeds/feed_checks.h"

namespace merlon::feeds {
namespace {

// The set as text: "prefixes|names", blank-separated, in order.
std::string text_of(const store::FeedSet& set) {
  std::string text;
  for (const auto& prefix : set.v4) {
    text += address::to_text(address::AnyPrefix{address::Family::v4, prefix.length, prefix.bits});
    text += ' ';
  }
  for (const auto& prefix : set.v6) {
    text += address::to_text(address::AnyPrefix{address::Family::v6, prefix.length, prefix.bits});
    text += ' ';
  }
  for (const std::string& name : set.domains) {
    text += name + ' ';
  }
  if (!text.empty()) {
    text.pop_back();
  }
  return text;
}

ParsedFeed read(std::string_view content, Format format) {
  const Result<ParsedFeed> feed = parse(as_bytes(content), format);
  EXPECT_TRUE(feed.has_value());
  EXPECT_EQ(fault_of(*feed), "") << content;
  return *feed;
}

struct Row {
  std::string_view description;
  Format format;
  std::string_view content;
  std::string_view expected;
};

constexpr Row kRows[] = {
    {"bare address", Format::plain, "45.1.2.3\n", "45.1.2.3"},
    {"no line end at the end", Format::plain, "45.1.2.3", "45.1.2.3"},
    {"CRLF and byte order mark", Format::plain,
     "\xef\xbb\xbf"
     "45.1.2.3\r\n45.1.2.4\r\n",
     "45.1.2.3 45.1.2.4"},
    {"blanks on both sides", Format::plain, "  45.1.2.3 \t\n", "45.1.2.3"},
    {"prefix", Format::plain, "45.1.2.0/24 \n", "45.1.2.0/24"},
    {"netmask", Format::plain, "45.1.2.0/255.255.255.0", "45.1.2.0/24"},
    {"host bits are cleared", Format::plain, "45.1.2.9/24", "45.1.2.0/24"},
    {"aligned range is one prefix", Format::plain, "45.1.2.0-45.1.2.255", "45.1.2.0/24"},
    {"range of one", Format::plain, "45.1.2.7-45.1.2.7", "45.1.2.7"},
    {"unaligned range is cut", Format::plain, "45.1.2.1 - 45.1.2.4",
     "45.1.2.1 45.1.2.2/31 45.1.2.4"},
    {"dash behind the first end", Format::plain, "45.1.2.0- 45.1.2.1", "45.1.2.0/31"},
    {"dash before the last end", Format::plain, "45.1.2.0 -45.1.2.1", "45.1.2.0/31"},
    {"dash before a remark", Format::plain, "45.1.2.3 - seen twice", "45.1.2.3"},
    {"IPv6 range", Format::plain, "2a0f::10 - 2a0f::1f", "2a0f::10/124"},
    {"address with port", Format::plain, "45.1.2.3:443", "45.1.2.3"},
    {"IPv6 address", Format::plain, "2A0F:77::C2", "2a0f:77::c2"},
    {"IPv6 with brackets and port", Format::plain, "[2a0f:77::c2]:443", "2a0f:77::c2"},
    {"IPv6 with brackets", Format::plain, "[2a0f:77::c2]", "2a0f:77::c2"},
    {"IPv6 prefix", Format::plain, "2a0f:77::1/48", "2a0f:77::/48"},
    {"mapped IPv6 is IPv4", Format::plain, "::ffff:45.1.2.3", "45.1.2.3"},
    {"a column behind a tab", Format::plain, "45.1.2.3\t10", "45.1.2.3"},
    {"a remark behind a hash", Format::plain, "45.1.2.3 # pinger.example", "45.1.2.3"},
    {"a remark with an address", Format::plain, "45.1.2.3 # was 45.1.2.4", "45.1.2.3"},
    {"comments of three kinds", Format::plain, "# a\n; b\n// c\n  # d\n45.1.2.3", "45.1.2.3"},
    {"repetitions are one", Format::plain, "45.1.2.3\n45.1.2.3\n", "45.1.2.3"},
    {"widest prefix", Format::plain, "45.0.0.0/8", "45.0.0.0/8"},
    {"widest IPv6 prefix", Format::plain, "2a00::/19", "2a00::/19"},
    {"name in lower case", Format::plain, "Panel.Example", "panel.example"},
    {"final dot", Format::plain, "panel.example.", "panel.example"},
    {"name with port", Format::plain, "panel.example:8443", "panel.example"},
    {"name that begins like an address", Format::plain, "45.1.2.3-static.isp.example",
     "45.1.2.3-static.isp.example"},
    {"name of digits", Format::plain, "0055.example", "0055.example"},
    {"underscore", Format::plain, "_dmarc.panel.example", "_dmarc.panel.example"},
    {"mixed", Format::plain, "panel.example\n2a0f::1\n45.1.2.3", "45.1.2.3 2a0f::1 panel.example"},
    {"nothing", Format::plain, "", ""},

    {"names", Format::domains, "b.example\nA.example # x\n", "a.example b.example"},
    {"a column behind the name", Format::domains, "a.example\t17", "a.example"},

    {"one name", Format::hosts, "0.0.0.0 ads.example", "ads.example"},
    {"several names and a remark", Format::hosts, "0.0.0.0 a.example\tb.example # c.example",
     "a.example b.example"},
    {"all four addresses", Format::hosts,
     "127.0.0.1 a.example\n:: b.example\n::1 c.example\n0.0.0.0 d.example",
     "a.example b.example c.example d.example"},
    {"head of /etc/hosts is skipped", Format::hosts,
     "127.0.0.1 localhost localhost.localdomain\n255.255.255.255 broadcasthost\n"
     "fe80::1%lo0 localhost\nff02::1 ip6-allnodes\n0.0.0.0 0.0.0.0\n127.0.0.1 local\n"
     "0.0.0.0 a.example",
     "a.example"},

    {"columns", Format::dshield, "45.1.2.0\t45.1.2.255\t24\t788\tNet\tZZ\ta@b.example",
     "45.1.2.0/24"},
    {"empty last columns", Format::dshield, "45.1.2.0\t45.1.2.255\t24\t585\t\t\t", "45.1.2.0/24"},
    {"header row", Format::dshield, "Start\tEnd\tNetblock\n45.1.0.0\t45.1.255.255\t16\t1",
     "45.1.0.0/16"},

    {"reference behind a semicolon", Format::spamhaus_drop, "45.1.0.0/17 ; SBL1", "45.1.0.0/17"},
    {"no reference", Format::spamhaus_drop, "45.1.0.0/17\n2a0f:77::/32 ; SBL2",
     "45.1.0.0/17 2a0f:77::/32"},

    {"rows of both families", Format::spamhaus_drop_json,
     "{\"cidr\":\"45.1.0.0/17\",\"sblid\":\"SBL1\"}\r\n\n{\"cidr\":\"2a0f:77::/32\"}\n",
     "45.1.0.0/17 2a0f:77::/32"},

    {"star, dot and bare", Format::wildcard, "*.a.example\n.b.example\nc.example\n",
     "a.example b.example c.example"},
    {"several names, all targets", Format::dnsmasq,
     "address=/a.example/b.example/#\nserver=/c.example/\naddress=/d.example/0.0.0.0\n",
     "a.example b.example c.example d.example"},
    {"zones and data", Format::unbound,
     "server:\nlocal-zone: \"a.example.\" always_null\nlocal-data: \"b.example A 0.0.0.0\"\n",
     "a.example b.example"},
    {"names, an address, harmless options", Format::adblock,
     "[Adblock Plus]\n! t\n||a.example^\n||b.example^$important\n||45.1.2.3^\nc.example\n",
     "45.1.2.3 a.example b.example c.example"},
    {"origin, SOA in parentheses, triggers", Format::rpz,
     "$TTL 60\n$ORIGIN rpz.example.\n@ SOA a. b. (\n 1 2\n 3 4 5 )\n NS localhost.\n"
     "a.example CNAME .\n*.a.example 60 IN CNAME *.\nb.example.rpz.example. CNAME rpz-drop.\n"
     "24.0.2.1.45.rpz-ip CNAME .\n32.zz.77.2a0f.rpz-ip CNAME . ; note\n",
     "45.1.2.0/24 2a0f:77::/32 a.example b.example"},
    {"fields that go on over line ends", Format::csv,
     "45.1.2.3,\"rule a\n{ \"\"b\"\"\n}\"\n45.1.2.4,x\n", "45.1.2.3 45.1.2.4"},
    {"first column", Format::csv, "# c\n\"45.1.2.3\",\"a \"\"b\"\"\"\n45.1.2.4 ,x\n",
     "45.1.2.3 45.1.2.4"},
    {"any depth", Format::json, R"({"a":[{"ip":"45.1.2.3"},{"b":{"ip":"2a0f::1"}}]})",
     "45.1.2.3 2a0f::1"},
    {"a line each", Format::ndjson, "{\"ip\":\"45.1.2.3\"}\n\n{\"x\":{\"ip\":\"45.1.2.4\"}}\n",
     "45.1.2.3 45.1.2.4"},
    {"OR, AND, IN, ISSUBSET", Format::stix2,
     R"({"objects":[{"type":"indicator","pattern":"[ipv4-addr:value = '45.1.2.3' OR )"
     R"(domain-name:value IN ('a.example', 'b.example')] AND [ipv4-addr:value ISSUBSET )"
     R"('45.9.0.0/16']"},{"type":"indicator","pattern":"[domain-name:value = 'c.example' )"
     R"(AND ipv4-addr:value = '45.1.2.4'] WITHIN 5 SECONDS"}]})",
     "45.1.2.3 45.1.2.4 45.9.0.0/16 a.example b.example c.example"},
    {"XML", Format::stix1,
     R"(<s:STIX_Package><i:Indicator><c:Properties xsi:type="A:AddressObjectType">)"
     R"(<A:Address_Value condition="Equals">45.1.2.3##comma##45.1.2.4</A:Address_Value>)"
     "</c:Properties></i:Indicator></s:STIX_Package>",
     "45.1.2.3 45.1.2.4"},
    {"JSON", Format::stix1,
     R"({"stix_header":{},"indicators":[{"observable":{"object":{"properties":{"xsi:type":)"
     R"("AddressObjectType","address_value":{"value":"45.1.2.3"}}}}}]})",
     "45.1.2.3"},
    {"attributes, objects, pairs", Format::misp,
     R"({"response":[{"Event":{"Attribute":[{"type":"ip-dst","value":"45.1.2.3","to_ids":true},)"
     R"({"type":"domain|ip","value":"a.example|45.1.2.4"}],"Object":[{"Attribute":[{"type":)"
     R"("ip-dst|port","value":"45.1.2.5|80"}]}]}}]})",
     "45.1.2.3 45.1.2.4 45.1.2.5 a.example"},
    {"content, or the id where it is empty", Format::openioc,
     R"(<ioc><IndicatorItem condition="is"><Context search="PortItem/remoteIP"/><Content>45.1.2.3)"
     R"(</Content></IndicatorItem><IndicatorItem id="a.example"><Context search="Network/DNS"/>)"
     "<Content/></IndicatorItem></ioc>",
     "45.1.2.3 a.example"},
    {"items and entries", Format::rss,
     "<rss><item><title>45.1.2.3 | S</title><description><![CDATA[<b>panel[.]example</b> and "
     "other.example]]></description></item></rss>",
     "45.1.2.3 panel.example"},
    {"defanged names, addresses in any form", Format::prose,
     "See panel[.]example, (45.1.2[.]3) and `+45.1.2.4+`; not other.example.\n\n",
     "45.1.2.3 45.1.2.4 panel.example"},
};

TEST(ParseFormats, ReadWhatTheirRowsSay) {
  for (const Row& row : kRows) {
    const ParsedFeed feed = read(row.content, row.format);
    EXPECT_EQ(text_of(feed.set), row.expected) << to_string(row.format) << ": " << row.description;
    EXPECT_EQ(feed.rejected_count, 0U) << to_string(row.format) << ": " << row.description;
    EXPECT_EQ(feed.format, row.format);
  }
}

TEST(ParseFormats, EveryFormatHasRows) {
  for (const Format format : all_formats()) {
    EXPECT_TRUE(std::any_of(std::begin(kRows), std::end(kRows), [&](const Row& row) {
      return row.format == format;
    })) << to_string(format);
    EXPECT_EQ(format_from_name(to_string(format)), format);
    EXPECT_FALSE(describe(format).empty());
  }
  EXPECT_EQ(format_from_name("auto"), std::nullopt);
  EXPECT_EQ(format_from_name("Plain"), std::nullopt);
}

TEST(Parse, CountsEveryLineOnce) {
  const ParsedFeed feed =
      read("# head\n\n45.1.2.3\n45.1.2.3\n45.1.2.0/30\n1.2.3\npanel.example\nhttp://x.example/\n",
           Format::plain);
  EXPECT_EQ(feed.line_count, 8U);
  EXPECT_EQ(feed.ignored_count, 2U);
  EXPECT_EQ(feed.entry_line_count, 4U);
  EXPECT_EQ(feed.entry_count, 4U);
  EXPECT_EQ(feed.rejected_count, 2U);
  EXPECT_EQ(feed.rejected_by_reason,
            (std::vector<std::pair<std::string, uint64_t>>{{"short_form", 1}, {"url", 1}}));
  ASSERT_EQ(feed.rejected_examples.size(), 2U);
  EXPECT_EQ(feed.rejected_examples[0].line, 6U);
  EXPECT_EQ(feed.rejected_examples[0].text, "1.2.3");
}

TEST(Parse, HostsLineWithOneBadNameKeepsTheGoodOnesAndCountsAsRejected) {
  const ParsedFeed feed = read("0.0.0.0 good.example bad..example\n", Format::hosts);
  EXPECT_EQ(text_of(feed.set), "good.example");
  EXPECT_EQ(feed.rejected_count, 1U);
  EXPECT_EQ(feed.entry_line_count, 0U);
  EXPECT_EQ(feed.entry_count, 1U);
}

TEST(Parse, ExamplesAreTheFirstTenCutAndPrintable) {
  std::string content = "ok.example\n\x1b[31m\xc3\xa4" + std::string(300, 'x') + "\n";
  for (int i = 0; i < 20; ++i) {
    content += "1.2.3\n";
  }
  const ParsedFeed feed = read(content, Format::plain);
  ASSERT_EQ(feed.rejected_examples.size(), 10U);
  EXPECT_EQ(feed.rejected_count, 21U);
  EXPECT_EQ(feed.rejected_examples[0].text, "?[31m??" + std::string(113, 'x'));
}

TEST(Parse, NotesTellWhatWasChangedOnTheWay) {
  const ParsedFeed feed = read("45.1.2.9/24\n45.1.2.3:80\npanel.example:80\n", Format::plain);
  EXPECT_EQ(feed.notes,
            (std::vector<std::string>{"1 prefixes had host bits set, which were cleared",
                                      "2 entries carried a port, which was dropped"}));
}

TEST(Parse, NotesCarryWhatListsSayOfThemselves) {
  EXPECT_EQ(read("; Expires: Mon, 14 Sep 2015 10:13:00 GMT\n1.4.0.0/17 ; SBL256893\n",
                 Format::spamhaus_drop)
                .notes,
            (std::vector<std::string>{"Expires: Mon, 14 Sep 2015 10:13:00 GMT"}));
  EXPECT_EQ(read("#   updated: 2026-01-02T03:04:05\n", Format::dshield).notes,
            (std::vector<std::string>{"updated: 2026-01-02T03:04:05"}));
  const ParsedFeed feed = read(
      "{\"cidr\":\"45.1.0.0/17\"}\n"
      "{\"type\":\"metadata\",\"timestamp\":17,\"records\":1}\n",
      Format::spamhaus_drop_json);
  EXPECT_EQ(feed.notes, (std::vector<std::string>{"metadata: timestamp 17; records 1"}));
  EXPECT_EQ(feed.records_declared, 1U);
  EXPECT_EQ(feed.record_count, 1U);
  EXPECT_EQ(feed.ignored_count, 1U);
}

TEST(Parse, LineOfTheLargestSizeIsReadAndOneByteMoreIsNot) {
  const std::string column(kLineSizeMax - 9, 'x');
  EXPECT_EQ(read("45.1.2.3 " + column + "\n", Format::plain).rejected_count, 0U);
  EXPECT_EQ(read("45.1.2.3 " + column + "x\n", Format::plain).rejected_count, 1U);
}

TEST(Parse, RangesThatWouldFillTheMemoryAreAnError) {
  std::string content;
  for (int i = 0; i < 80000; ++i) {  // 215 prefixes each
    content += "2a00::1-2a00:1fff:ffff:ffff:ffff:ffff:ffff:fffe\n";
  }
  const Result<ParsedFeed> feed = parse(as_bytes(content), Format::plain);
  ASSERT_FALSE(feed.has_value());
  EXPECT_EQ(feed.error().code, ErrorCode::invalid_argument);
  EXPECT_NE(feed.error().message.find("16777216 prefixes"), std::string::npos);
}

}  // namespace
}  // namespace merlon::feeds

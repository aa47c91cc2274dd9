// SPDX-License-Identifier: Apache-2.0
// What zone files may look like, and what becomes of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/controlplane/zonefile/zones.h"

namespace merlon::zonefile {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kSamples = "tests/samples/zones/";

TEST(ZoneFile, SampleHasWhatItSays) {
  const auto zone = read_zone_file(std::string(kSamples) + "shapes.example.zone",
                                   {.apex = name_of("shapes.example.")});
  ASSERT_TRUE(zone.has_value()) << zone.error().message;
  EXPECT_EQ(zone->apex().to_text(), "shapes.example.");
  EXPECT_EQ(zone->serial(), 2026010101u);
  EXPECT_THAT(zone->notes(), IsEmpty());
  const auto lines = lines_of(*zone);
  EXPECT_EQ(lines.size(), 45u);
  EXPECT_EQ(lines[0],
            "shapes.example. 3600 NS 036e7331067368617065730765"
            "78616d706c6500");
  EXPECT_THAT(lines, Contains("mail.shapes.example. 300 A c0000219"));
  EXPECT_THAT(lines, Contains("mail.shapes.example. 300 AAAA 20010db8000000000000000000000025"));
  EXPECT_THAT(lines, Contains("shapes.example. 3600 TXT 0b763d73706631202d616c6c05706c61696e"
                              "0a73656d693b636f6c6f6e0671756f22746502"
                              "00ff"));
  EXPECT_THAT(lines, Contains("unknown.shapes.example. 3600 TYPE65280 0a000001"));
  EXPECT_THAT(lines, Contains("generic.shapes.example. 3600 A c0000207"));
  EXPECT_THAT(lines, Contains("octal.shapes.example. 3600 A c0000209"));
  EXPECT_THAT(lines, Contains("esc\\.aped.shapes.example. 3600 A c0000208"));
  EXPECT_THAT(lines, Contains("upper.shapes.example. 3600 MX 000a044d61694c0673686170657307"
                              "6578616d706c6500"));
  EXPECT_EQ(data_of(*zone, "svc.shapes.example.", "HTTPS"),
            "000100"
            "00010006026832026833"
            "000300022"
            "0fb"
            "00040004c0000250"
            "029b000668653b6c6c6f");
  EXPECT_EQ(data_of(*zone, "sub.shapes.example.", "DS"),
            "ec4505012bb183af5f22588179a53b0a98631fad1a292118");
}

TEST(ZoneFile, TimesOfTheSoaHaveUnits) {
  const auto zone = read_zone_file(std::string(kSamples) + "shapes.example.zone",
                                   {.apex = name_of("shapes.example.")});
  ASSERT_TRUE(zone.has_value());
  const Bytes soa = zone->data_of(*zone->at_apex(6), 0);
  EXPECT_EQ(to_hex(soa.last(20)),
            "78c275f5"
            "00015180"
            "00001c20"
            "0024ea00"
            "0000012c");
}

TEST(ZoneFile, IncludedFilesHaveTheirOwnOrigin) {
  const auto zone = read_zone_file(std::string(kSamples) + "include.example.zone", {});
  ASSERT_TRUE(zone.has_value()) << zone.error().message;
  EXPECT_EQ(zone->apex().to_text(), "include.example.");
  const auto lines = lines_of(*zone);
  EXPECT_EQ(lines.size(), 7u);
  EXPECT_THAT(lines, Contains("include.example. 600 TXT 0461706578"));
  EXPECT_THAT(lines, Contains("www.deep.include.example. 600 A c0000250"));
  EXPECT_THAT(lines, Contains("h2.include.example. 600 A c0000266"));
  ASSERT_EQ(zone->files().size(), 3u);
  EXPECT_THAT(zone->files()[2].path, HasSubstr("parts/hosts.inc"));
}

TEST(ZoneFile, TtlIsTheOneBeforeWithoutTtlDirective) {
  const auto zone =
      read("a 60 A 192.0.2.1\nb A 192.0.2.2\nc 1d IN A 192.0.2.3\nd IN 5 A 192.0.2.4\n",
           "@ 900 SOA ns host 7 1 1 1 30\n@ NS ns\n");
  ASSERT_TRUE(zone.has_value()) << zone.error().message;
  EXPECT_THAT(lines_of(*zone),
              ElementsAre(HasSubstr("example. 900 NS"), HasSubstr("example. 900 SOA"),
                          HasSubstr("a.example. 60 A"), HasSubstr("b.example. 60 A"),
                          HasSubstr("c.example. 86400 A"), HasSubstr("d.example. 5 A")));
}

TEST(ZoneFile, SoaWithoutTtlTakesItsMinimum) {
  const auto zone = read("", "@ SOA ns host 7 1 1 1 30\n@ NS ns\n");
  ASSERT_TRUE(zone.has_value()) << zone.error().message;
  EXPECT_THAT(lines_of(*zone), Contains(HasSubstr("example. 30 NS")));
}

TEST(ZoneFile, LowestTtlOfAnRrsetIsTakenAndSaid) {
  const auto zone = read("a 60 A 192.0.2.1\na 30 A 192.0.2.2\na 90 A 192.0.2.3\n");
  ASSERT_TRUE(zone.has_value());
  EXPECT_THAT(lines_of(*zone), Contains("a.example. 30 A c0000203"));
  EXPECT_THAT(zone->notes(), ElementsAre("z:6: a.example. A: TTLs differ; the lowest is taken"));
}

TEST(ZoneFile, RecordsTwiceAreOneAndSaid) {
  const auto zone = read("a A 192.0.2.1\nA A 192.0.2.1\na MX 1 m\na MX 1 M\na TXT x\na TXT X\n");
  ASSERT_TRUE(zone.has_value());
  EXPECT_EQ(zone->record_count(), 6u);
  EXPECT_THAT(zone->notes(), ElementsAre("z:6: a.example. A: a record that was there already",
                                         "z:8: a.example. MX: a record that was there already"));
}

TEST(ZoneFile, SignaturesOfNothingAreLeftOut) {
  const auto zone = read(
      "a A 192.0.2.1\n"
      "a RRSIG A 13 2 3600 20400101000000 20200101000000 1 example. AAAA\n"
      "a RRSIG MX 13 2 3600 20400101000000 20200101000000 1 example. AAAA\n");
  ASSERT_TRUE(zone.has_value()) << zone.error().message;
  EXPECT_THAT(zone->notes(),
              ElementsAre("z:7: a.example. RRSIG MX: there is no such RRset; left out"));
  EXPECT_EQ(data_of(*zone, "a.example.", "RRSIG"),
            "00010d0200000e10"
            "83aa7e80"
            "5e0be100"
            "0001"
            "076578616d706c6500"
            "000000");
}

TEST(ZoneFile, ParenthesesQuotesAndCommentsMix) {
  const auto zone =
      read("a TXT ( \"one ; (two)\" ; three ) \" \n\t four\n) \n ( A\n 192.0.2.1 )\n");
  ASSERT_TRUE(zone.has_value()) << zone.error().message;
  EXPECT_EQ(data_of(*zone, "a.example.", "TXT"), "0b6f6e65203b202874776f2904666f7572");
  EXPECT_EQ(data_of(*zone, "a.example.", "A"), "c0000201");
}

TEST(ZoneFile, LinesMayEndAsOnOtherSystemsAndTheLastNotAtAll) {
  const auto zone = read("a A 192.0.2.1\r\nb TXT x\r\nc A 192.0.2.3");
  ASSERT_TRUE(zone.has_value()) << zone.error().message;
  EXPECT_EQ(data_of(*zone, "b.example.", "TXT"), "0178");
  EXPECT_EQ(data_of(*zone, "c.example.", "A"), "c0000203");
}

TEST(ZoneFile, MnemonicsOfAlgorithmsAreUnderstood) {
  const auto zone = read("a DS 1 ECDSAP256SHA256 1 00112233445566778899aabbccddeeff00112233\n");
  ASSERT_TRUE(zone.has_value()) << zone.error().message;
  EXPECT_EQ(data_of(*zone, "a.example.", "DS"), "00010d0100112233445566778899aabbccddeeff00112233");
}

TEST(ZoneFile, LongestNamesAndLabelsFit) {
  const std::string label(63, 'l');
  const std::string name = label + "." + label + "." + label + "." + std::string(53, 'x');
  const auto zone = read(name + " A 192.0.2.1\n");  // 63 x 3 + 3 + 54 + 9 bytes = 255
  ASSERT_TRUE(zone.has_value()) << zone.error().message;
  EXPECT_THAT(error_of(name + "x A 192.0.2.1\n"), HasSubstr("a name of more than 255 bytes"));
  EXPECT_THAT(error_of(label + "l A 192.0.2.1\n"), HasSubstr("a label of more than 63 bytes"));
}

}  // namespace
}  // namespace merlon::zonefile

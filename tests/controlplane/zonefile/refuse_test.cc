// SPDX-License-Identifier: Apache-2.0
// What is refused, and that the message has file, line and reason.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/controlplane/zonefile/zones.h"
#include "tests/support/snapshot_fixture.h"

namespace merlon::zonefile {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct Row {
  const char* rest;  // behind the four lines of kHead
  const char* error;
};

TEST(ZoneRefusal, SaysFileLineAndReason) {
  const Row rows[] = {
      {"a A 192.0.2.256\n", "z:5: a.example. A: \"192.0.2.256\": no IPv4 address"},
      {"\na AAAA 2001::1::2\n", "z:6: a.example. AAAA: \"2001::1::2\": no IPv6 address"},
      {"a A\n", "z:5: a.example. A: a field that is missing"},
      {"a A 192.0.2.1 192.0.2.2\n", "z:5: a.example. A: more fields than the type has"},
      {"a MX ten mail\n", "z:5: a.example. MX: \"ten\": no number that fits"},
      {"a MX 65536 mail\n", "z:5: a.example. MX: \"65536\": no number that fits"},
      {"a NONSENSE x\n", "z:5: \"NONSENSE\" is no type; unknown ones are written TYPE<number>"},
      {"a TYPE65536 \\# 0\n", "z:5: \"TYPE65536\" is no type"},
      {"a 3600\n", "z:5: a record without a type"},
      {"a CH TXT x\n", "z:5: class CH: only IN is served"},
      {"a CLASS3 TXT x\n", "z:5: class CLASS3: only IN is served"},
      {"a 2147483648 A 192.0.2.1\n", "z:5: TTL \"2147483648\": no time of at most 2147483647"},
      {"a ANY \\# 0\n", "z:5: a.example. ANY: not a type that a zone holds"},
      {"a TYPE41 \\# 0\n", "z:5: a.example. OPT: not a type that a zone holds"},
      {"a TYPE1 \\# 3 0a0000\n", "z:5: a.example. A: data that is no A record"},
      {"a TYPE65280 \\# 3 0a00\n", "z:5: a.example. TYPE65280: \\# says 3 bytes, 2 follow"},
      {"a TYPE65280 \\# 3 0a000\n", "an odd number of hexadecimal digits"},
      {"a TYPE65280 \\# x\n", "\\# without the number of bytes"},
      {"a TYPE65280 text\n", "z:5: a.example. TYPE65280: "},
      {"other.test. A 192.0.2.1\n", "z:5: other.test. is not in zone example."},
      {"a SOA ns host 1 1 1 1 1\n", "z:5: a.example. SOA: not at the apex example."},
      {"@ SOA ns host 8 1 1 1 1\n", "z:3: example. SOA: 2 of them, a zone has one"},
      {"a CNAME b\na A 192.0.2.1\n",
       "z:5: a.example. CNAME: there is a A record of this name too (z:6)"},
      {"a CNAME b\na CNAME c\n", "z:5: a.example. CNAME: 2 of them, a name has one"},
      {"@ CNAME b\n", "z:5: example. CNAME: there is a NS record of this name too (z:4)"},
      {"d DNAME b\nd DNAME c\n", "z:5: d.example. DNAME: 2 of them, a name has one"},
      {"d DNAME b\nx.y.d A 192.0.2.1\n",
       "z:6: x.y.d.example. lies below the DNAME record of"
       " d.example."},
      {"a TXT \"open\nb A 192.0.2.1\n", "z:5: a string without its closing quote"},
      {"a TXT ( open\nb A 192.0.2.1\n", "z:5: a parenthesis that is never closed"},
      {"a TXT x )\n", "z:5: a closing parenthesis without an opening one"},
      {"a TXT x\\\n", "z:5: a backslash at the end of the line"},
      {"a TXT \\256\n", "z:5: a.example. TXT: an escape that is not \\DDD with at most 255"},
      {"a..b A 192.0.2.1\n", "z:5: owner \"a..b\": an empty label"},
      {"a MX 1 b..c\n", "z:5: a.example. MX: \"b..c\": an empty label"},
      {"$ORIGIN\n", "z:5: $ORIGIN takes one name"},
      {"$ORIGIN a..b\n", "z:5: $ORIGIN: an empty label"},
      {"$TTL never\n", "z:5: $TTL takes one time"},
      {"$GENERATE 1-9 a$ A 192.0.2.$\n",
       "z:5: $GENERATE is unknown; there are $ORIGIN, $TTL and"
       " $INCLUDE"},
      {"@ NSEC3PARAM 1 0 151 -\n", "z:5: example. NSEC3PARAM: 151 iterations; more than 150"},
      {"@ NSEC3PARAM 1 0 0 -\n@ NSEC3PARAM 1 0 65535 aabb\n",
       "z:5: example. NSEC3PARAM: 65535 iterations"},
      {"$INCLUDE x\n", "z:5: $INCLUDE: no file may be included here"},
  };
  for (const Row& row : rows) {
    EXPECT_THAT(error_of(row.rest), HasSubstr(row.error)) << row.rest;
  }
}

TEST(ZoneRefusal, FewIterationsAreTaken) {
  EXPECT_EQ(error_of("@ NSEC3PARAM 1 0 150 -\n@ NSEC3PARAM 1 0 0 ab\n"), "none");
}

TEST(ZoneRefusal, NeedsSoaAndNs) {
  EXPECT_EQ(error_of("", "$TTL 5\n@ NS ns\n"), "z: no SOA record of example.");
  EXPECT_EQ(error_of("", "$TTL 5\n@ SOA ns host 1 1 1 1 1\n"), "z: no NS record of example.");
  EXPECT_EQ(error_of("", "@ NS ns\n"), "z:1: no TTL: write one here, or $TTL before it");
  EXPECT_EQ(error_of("", " NS ns\n"), "z:1: a record without an owner, and none before it");
  const auto empty = read_zone_text("; nothing\n", "z", {});
  ASSERT_FALSE(empty.has_value());
  EXPECT_EQ(empty.error().message, "z: no records");
}

TEST(ZoneRefusal, OnlyAKnownOriginMakesRelativeNamesWhole) {
  const auto zone = read_zone_text("@ 5 SOA ns host 1 1 1 1 1\n", "z", {});
  ASSERT_FALSE(zone.has_value());
  EXPECT_EQ(zone.error().message, "z:1: owner \"@\": a relative name, and no $ORIGIN");
}

class Includes : public testing::Test {
 protected:
  std::string path(std::string_view name) const {
    return directory_.path() + "/" + std::string(name);
  }
  std::string error_of_file() const {
    const auto zone = read_zone_file(path("z"), {.apex = name_of("example.")});
    return zone ? "none" : zone.error().message;
  }
  void write(std::string_view rest) {
    write_text(path("z"), std::string(kHead) + std::string(rest));
  }

  tests::TemporaryDirectory directory_;
};

TEST_F(Includes, FaultsHaveTheIncludedFilesName) {
  write_text(path("part"), "\n\na A x\n");
  write("$INCLUDE part\n");
  EXPECT_EQ(error_of_file(), path("part") + ":3: a.example. A: \"x\": no IPv4 address");
}

TEST_F(Includes, StayInTheDirectory) {
  write("$INCLUDE /etc/hostname\n");
  EXPECT_THAT(error_of_file(), StartsWith(path("z") + ":5: $INCLUDE /etc/hostname: outside of "));
  write("$INCLUDE ../../etc/hostname\n");
  EXPECT_NE(error_of_file(), "none");
  std::filesystem::create_symlink("/etc/hostname", path("link"));
  write("$INCLUDE link\n");
  EXPECT_THAT(error_of_file(), StartsWith(path("z") + ":5: $INCLUDE link: outside of "));
}

TEST_F(Includes, AreThereAndEnd) {
  write("$INCLUDE missing\n");
  EXPECT_THAT(error_of_file(), StartsWith(path("z") + ":5: $INCLUDE missing: "));
  write_text(path("again"), "$INCLUDE again\n");
  write("$INCLUDE again\n");
  EXPECT_EQ(error_of_file(), path("again") + ":1: $INCLUDE nested more than 10 deep");
}

TEST_F(Includes, CountToTheSize) {
  write_text(path("part"), std::string(5000, '\n'));
  write("$INCLUDE part\n$INCLUDE part\n");
  const auto zone = read_zone_file(path("z"), {.apex = name_of("example."), .size_max = 8000});
  ASSERT_FALSE(zone.has_value());
  EXPECT_EQ(zone.error().message, path("part") + ": a zone of more than 8000 bytes");
}

TEST_F(Includes, FolderIsNoZone) {
  const auto zone = read_zone_file(directory_.path(), {.apex = name_of("example.")});
  EXPECT_FALSE(zone.has_value());
  const auto missing = read_zone_file(path("none"), {});
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace merlon::zonefile

// SPDX-License-Identifier: Apache-2.0
// Zones of the real world and of other servers' tests, when the folder with them is there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>

#include "controlplane/zonefile/compile.h"
#include "tests/controlplane/zonefile/zones.h"
#include "zones/snapshot/zone.h"

namespace merlon::zonefile {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

#define MERLON_NEED_ZONES()                                                              \
  if (real_zones().empty()) {                                                            \
    GTEST_SKIP() << "no real zones; set MERLON_TEST_DATA to the folder that holds them"; \
  }                                                                                      \
  static_assert(true)

struct Row {
  const char* file;
  const char* apex;
  size_t records;
  snapshot::Denial denial = snapshot::Denial::none;
  const char* refusal = "";  // behind the folder's name
};

void check(const Row& row) {
  const auto start = std::chrono::steady_clock::now();
  const auto zone = read_zone_file(real_zones() + "/" + row.file, {.apex = name_of(row.apex)});
  if (!zone) {
    EXPECT_EQ(zone.error().message, real_zones() + "/" + row.refusal);
    return;
  }
  EXPECT_STREQ(row.refusal, "");
  const auto read = std::chrono::steady_clock::now();
  const auto bytes = compile(*zone, {.tier_mask = 1});
  ASSERT_TRUE(bytes.has_value()) << bytes.error().message;
  const auto end = std::chrono::steady_clock::now();
  const auto segment = snapshot::Segment::from_bytes(*bytes);
  const auto view = snapshot::ZoneView::open(*segment);
  fmt::print("{:32} {:6} records {:6} names {:8} bytes {:6.1f} + {:6.1f} ms {} notes\n", row.file,
             zone->record_count(), view->nodes().size(), bytes->size(),
             std::chrono::duration<double, std::milli>(read - start).count(),
             std::chrono::duration<double, std::milli>(end - read).count(), zone->notes().size());
  EXPECT_EQ(view->info().serial, zone->serial()) << row.file;
  EXPECT_EQ(view->info().denial, row.denial) << row.file;
  EXPECT_EQ(zone->record_count(), row.records) << row.file;
}

TEST(RealZones, CompileWholeOrSayWhyNot) {
  MERLON_NEED_ZONES();
  using snapshot::Denial;
  const Row rows[] = {
      {"arpa.zone", "arpa.", 118},
      {"flags.zone", "flags.", 87},
      {"records.zone", "records.", 96},
      {"ripe.net.zone", "ripe.net.", 130},
      {"lots-rr-types.example.com.zone", "example.com.", 50},
      {"root-2005.zone", ".", 2139},
      {"root-2011-signed.zone", ".", 3979, Denial::nsec},
      {"root-2014-signed.zone", ".", 5184, Denial::nsec},
      {"root-2021-unsigned.zone", ".", 16977},
      {"root-servers.net.zone", "root-servers.net.", 43},
      {"rr-test.zone", "blaat.nl.", 109},
      {"svcb-test-vectors.zone", "test-vectors.", 35},
      {"uri.arpa.zone", "uri.arpa.", 35, Denial::nsec},
      {"secpoll.powerdns.com.zone", "secpoll.powerdns.com.", 0, Denial::none,
       "secpoll.powerdns.com.zone:33: auth-4.0.0-alpha1.security-status.secpoll.powerdns.com. TXT: "
       "a string of more than 255 bytes"},
      {"example.com.pdns", "example.com.", 0, Denial::none,
       "example.com.pdns:20197: \"ALIAS\" is no type; unknown ones are written TYPE<number>"},
      {"test.com.pdns", "test.com.", 0, Denial::none,
       "test.com.pdns:36: very-long-txt.test.com. TXT: a string of more than 255 bytes"},
  };
  for (const Row& row : rows) {
    check(row);
  }
}

// NSD's test and what it prints of it.
TEST(RealZones, RrTestIsWhatNsdMakesOfIt) {
  MERLON_NEED_ZONES();
  const auto zone = read_zone_file(real_zones() + "/rr-test.zone", {.apex = name_of("blaat.nl.")});
  const auto expected =
      read_zone_file(real_zones() + "/rr-test.expected.zone", {.apex = name_of("blaat.nl.")});
  ASSERT_TRUE(zone.has_value()) << zone.error().message;
  ASSERT_TRUE(expected.has_value()) << expected.error().message;
  auto mine = lines_of(*zone);
  auto theirs = lines_of(*expected);
  std::ranges::sort(mine);
  std::ranges::sort(theirs);
  EXPECT_EQ(mine, theirs);
}

}  // namespace
}  // namespace merlon::zonefile

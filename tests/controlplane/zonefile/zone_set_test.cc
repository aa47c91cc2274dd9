// SPDX-License-Identifier: Apache-2.0
// The set of zones over its life: files come, change, go bad and go.
#include "controlplane/zonefile/zone_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/controlplane/zonefile/zones.h"
#include "tests/support/snapshot_fixture.h"
#include "zones/snapshot/zone.h"

namespace merlon::zonefile {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

class Zones : public testing::Test {
 protected:
  Zones() : set_({.directory = directory_.path(), .sources = {}}) {}

  static std::string zone(uint32_t serial, std::string_view rest = "") {
    return fmt::format("$TTL 60\n@ SOA ns host {} 1 1 1 1\n@ NS ns\n{}", serial, rest);
  }
  std::string path(std::string_view name) const {
    return directory_.path() + "/" + std::string(name);
  }
  void write(std::string_view name, std::string_view text) const { write_text(path(name), text); }
  LoadReport load() { return set_.load({.now = ++now_, .tier_mask = 1}); }
  ZoneReport report(std::string_view apex) const {
    for (const ZoneReport& report : set_.reports()) {
      if (report.apex == apex) {
        return report;
      }
    }
    ADD_FAILURE() << "no zone " << apex;
    return {};
  }

  tests::TemporaryDirectory directory_;
  ZoneSet set_;
  int64_t now_ = 1'000'000;
};

TEST_F(Zones, FolderIsLoadedByFileNames) {
  write("b.example.zone", zone(2));
  write("a.example.zone", zone(1));
  write("notes.txt", "not a zone");
  const LoadReport report = load();
  EXPECT_EQ(report.zones, 2u);
  EXPECT_EQ(report.changed, 2u);
  EXPECT_EQ(report.refused, 0u);
  const auto segments = set_.segments();
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_EQ(segments[0].apex.to_text(), "a.example.");
  EXPECT_EQ(segments[0].hash, snapshot::ContentHash::of(*segments[0].bytes));
  EXPECT_EQ(this->report("b.example.").serial, 2u);
}

TEST_F(Zones, WhatDidNotChangeIsNotReadAgain) {
  write("a.example.zone", zone(1));
  write("b.example.zone", zone(1));
  EXPECT_EQ(load().read, 2u);
  const auto before = set_.segments();
  EXPECT_EQ(load().read, 0u);
  write("b.example.zone", zone(2, "www A 192.0.2.1\n"));
  const LoadReport again = load();
  EXPECT_EQ(again.read, 1u);
  EXPECT_EQ(again.changed, 1u);
  const auto after = set_.segments();
  EXPECT_EQ(before[0].bytes, after[0].bytes);  // the same memory
  EXPECT_NE(before[1].hash, after[1].hash);
}

TEST_F(Zones, IncludedFilesCountToo) {
  std::filesystem::create_directory(path("parts"));
  write("parts/hosts", "www A 192.0.2.1\n");
  write("a.example.zone", zone(1, "$INCLUDE parts/hosts\n"));
  EXPECT_EQ(load().changed, 1u);
  EXPECT_EQ(load().read, 0u);
  write("parts/hosts", "www A 192.0.2.1\nftp A 192.0.2.2\n");
  EXPECT_EQ(load().changed, 1u);
}

TEST_F(Zones, BadZoneKeepsItsLastGoodSegmentAndTheOthersLoad) {
  write("a.example.zone", zone(1));
  load();
  const auto before = set_.segments();
  write("a.example.zone", zone(2, "www A nowhere\n"));
  write("b.example.zone", zone(1));
  write("c.example.zone", "nonsense\n");
  const LoadReport report = load();
  EXPECT_EQ(report.zones, 3u);
  EXPECT_EQ(report.refused, 2u);
  EXPECT_EQ(report.changed, 1u);
  const ZoneReport kept = this->report("a.example.");
  EXPECT_EQ(kept.health, ZoneHealth::kept);
  EXPECT_EQ(kept.serial, 1u);
  EXPECT_EQ(kept.error,
            path("a.example.zone") + ":4: www.a.example. A: \"nowhere\": no IPv4 address");
  EXPECT_EQ(this->report("c.example.").health, ZoneHealth::refused);
  const auto after = set_.segments();
  ASSERT_EQ(after.size(), 2u);
  EXPECT_EQ(before[0].hash, after[0].hash);
  EXPECT_EQ(load().read, 0u);  // a bad file is not read again either
  write("a.example.zone", zone(3));
  EXPECT_EQ(load().changed, 1u);
  EXPECT_EQ(this->report("a.example.").health, ZoneHealth::good);
  EXPECT_EQ(this->report("a.example.").error, "");
}

TEST_F(Zones, GoneIsGone) {
  write("a.example.zone", zone(1));
  load();
  std::filesystem::remove(path("a.example.zone"));
  EXPECT_EQ(load().changed, 1u);
  EXPECT_TRUE(set_.segments().empty());
  EXPECT_TRUE(set_.reports().empty());
}

TEST_F(Zones, FolderThatIsGoneTakesNoZoneAway) {
  write("a.example.zone", zone(1));
  load();
  std::filesystem::rename(directory_.path(), directory_.path() + "-away");
  const LoadReport report = load();
  EXPECT_THAT(report.error, HasSubstr("correct `zone_directory`"));
  EXPECT_EQ(set_.segments().size(), 1u);
  std::filesystem::rename(directory_.path() + "-away", directory_.path());
  EXPECT_EQ(load().error, "");
}

TEST_F(Zones, AdoptedSegmentsServeUntilTheFileIsGood) {
  write("a.example.zone", zone(5));
  load();
  const auto bytes = *set_.segments()[0].bytes;
  write("a.example.zone", "broken");
  ZoneSet restarted({.directory = directory_.path(), .sources = {}});
  restarted.adopt(name_of("a.example."), bytes);
  restarted.adopt(name_of("gone.example."), bytes);
  restarted.load({.now = 1, .tier_mask = 1});
  ASSERT_EQ(restarted.segments().size(), 1u);
  EXPECT_EQ(*restarted.segments()[0].bytes, bytes);
  EXPECT_EQ(restarted.reports()[0].health, ZoneHealth::kept);
  EXPECT_EQ(restarted.reports()[0].serial, 5u);
}

TEST_F(Zones, AccountsAndReservedNamesAreMinded) {
  write("x", zone(1));
  ZoneSet set({.directory = "",
               .sources = {{.apex = name_of("a.example."), .file = path("x"), .account = "acme"},
                           {.apex = name_of("b.example."), .file = path("x"), .account = "none"},
                           {.apex = name_of("lists.internal."), .file = path("x")}}});
  const auto report = set.load(
      {.now = 1,
       .tier_mask = 3,
       .account_number = [](const std::string& name) { return name == "acme" ? 7u : 0u; },
       .is_reserved = [](const name::Name& apex) { return apex == name_of("lists.internal."); }});
  EXPECT_EQ(report.refused, 2u);
  const auto reports = set.reports();
  EXPECT_THAT(reports[1].error, EndsWith(": there is no account \"none\""));
  EXPECT_THAT(reports[2].error, EndsWith("lists.internal. is a name of Merlon's own lists"));
  const auto segments = set.segments();
  ASSERT_EQ(segments.size(), 1u);
  const auto segment = snapshot::Segment::from_bytes(*segments[0].bytes);
  EXPECT_EQ(snapshot::ZoneView::open(*segment)->info().account, 7u);
}

TEST_F(Zones, PrimaryThatIsNotThereIsSaid) {
  ZoneSet set(
      {.directory = "", .sources = {{.apex = name_of("a.example."), .primary = "127.0.0.1:1"}}});
  EXPECT_EQ(set.load({.now = 1}).refused, 1u);
  EXPECT_THAT(set.reports()[0].error, HasSubstr("transfer of a.example. from 127.0.0.1:1: "));
  EXPECT_EQ(set.load({.now = 2}).read,
            0u);  // not yet again
  EXPECT_EQ(set.load({.now = 40}).read, 1u);
}

}  // namespace
}  // namespace merlon::zonefile

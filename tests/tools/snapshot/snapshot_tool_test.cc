// SPDX-License-Identifier: Apache-2.0
// Runs the real program on real directories.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/snapshot_fixture.h"
#include "zones/address/address.h"
#include "zones/base/file.h"
#include "zones/snapshot/directory.h"

namespace merlon::tools {
namespace {

using nlohmann::json;
using snapshot::SegmentKind;
using testing::HasSubstr;
using testing::Not;

struct Ran {
  int status = -1;
  std::string output;  // standard output, then standard error
};

Ran run(const std::string& arguments) {
  const std::string command = std::string(MERLON_SNAPSHOT_PROGRAM) + " " + arguments + " 2>&1";
  Ran ran;
  FILE* pipe = ::popen(command.c_str(), "r");
  char buffer[4096];
  for (size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) {
    ran.output.append(buffer, n);
  }
  const int status = ::pclose(pipe);
  ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

class SnapshotTool : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(first_.write_directory(folder_.path(), 1, key_).has_value());
    ASSERT_TRUE(second_.write_directory(folder_.path(), 2, key_).has_value());
  }
  std::string verify(const std::string& more = "") const {
    return "verify " + folder_.path() + " --key " + to_hex(key_.public_key) + more;
  }
  std::string path_of(const tests::FixtureSegment& segment) const {
    return directory_.segment_path(segment.hash());
  }

  tests::TemporaryDirectory folder_;
  snapshot::Directory directory_{folder_.path()};
  snapshot::SigningKey key_ = tests::fixed_signing_key();
  tests::Fixture first_ = tests::make_fixture({.basic_count = 40, .basic1_count = 5});
  tests::Fixture second_ = tests::make_fixture({.basic_count = 40, .basic1_count = 5, .salt = 2});
};

TEST_F(SnapshotTool, VerifySaysWhatIsGood) {
  const Ran ran = run(verify());
  EXPECT_EQ(ran.status, 0) << ran.output;
  EXPECT_THAT(ran.output, HasSubstr("good  current: generation 2\n"));
  EXPECT_THAT(ran.output, HasSubstr("good  manifest 2: 6 segments, signed by "));
  EXPECT_THAT(ran.output, HasSubstr("good  generation 2 loads: 4 zones"));
  EXPECT_EQ(run(verify(" --generation 1")).status, 0);
}

TEST_F(SnapshotTool, VerifyTakesTheKeyFromAFile) {
  const std::string file = folder_.path() + "/key.pub";
  ASSERT_TRUE(write_file_durably(file, as_bytes(to_hex(key_.public_key) + "\n")).has_value());
  EXPECT_EQ(run("verify " + folder_.path() + " --key-file " + file).status, 0);
  EXPECT_EQ(run("verify " + folder_.path() + " --key-file " + file + ".none").status, 3);
}

TEST_F(SnapshotTool, VerifyNamesTheDamage) {
  const tests::FixtureSegment& acme = second_.segment(SegmentKind::zone, "acme.merlon.internal.");
  std::vector<uint8_t> bad = acme.bytes;
  const auto segment = snapshot::Segment::from_bytes(bad);
  const uint64_t at = segment->offset_of(snapshot::SectionKind::names);
  bad[at + 2] ^= 4;
  ASSERT_TRUE(write_file_durably(path_of(acme), bad).has_value());
  const Ran ran = run(verify());
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.output,
              HasSubstr(fmt::format("1 of 6 segments are damaged, the first: {}: section "
                                    "NAMES at offset {}: checksum differs",
                                    path_of(acme), at)));
  EXPECT_THAT(ran.output, HasSubstr("good  access"));
  EXPECT_EQ(run(verify(" --generation 1")).status, 0) << "the older one is whole";

  std::filesystem::remove(path_of(acme));
  const Ran missing = run(verify());
  EXPECT_EQ(missing.status, 1);
  EXPECT_THAT(missing.output, HasSubstr("open " + path_of(acme)));
}

TEST_F(SnapshotTool, VerifyNeedsTheRightKey) {
  const Ran other = run("verify " + folder_.path() + " --key " + std::string(64, 'a'));
  EXPECT_EQ(other.status, 1);
  EXPECT_THAT(other.output, HasSubstr("signed by key " + to_hex(key_.public_key)));
  EXPECT_EQ(run("verify " + folder_.path()).status, 2);
  EXPECT_EQ(run("verify " + folder_.path() + " --key abc").status, 1);
  EXPECT_EQ(run(verify(" --generation 99")).status, 3);
}

TEST_F(SnapshotTool, VerifySeesADamagedManifestAndCurrent) {
  auto text = read_file(directory_.manifest_path(2), 1 << 20);
  (*text)[21] ^= 1;
  ASSERT_TRUE(write_file_durably(directory_.manifest_path(2), *text).has_value());
  const Ran ran = run(verify());
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.output, HasSubstr(directory_.manifest_path(2) + ": manifest line "));
  ASSERT_TRUE(write_file_durably(directory_.current_path(), as_bytes("two\n")).has_value());
  const Ran current = run(verify());
  EXPECT_EQ(current.status, 1);
  EXPECT_THAT(current.output, HasSubstr(directory_.current_path() + " at offset 0"));
}

TEST_F(SnapshotTool, InspectShowsAZone) {
  const std::string path = path_of(first_.segment(SegmentKind::zone, "merlon.internal."));
  const Ran ran = run("inspect " + path);
  EXPECT_EQ(ran.status, 0) << ran.output;
  EXPECT_THAT(ran.output, HasSubstr("zone merlon.internal. serial 1 account 0 tiers 0xf"));
  EXPECT_THAT(ran.output, HasSubstr("  ent.merlon.internal. (empty non-terminal)"));
  EXPECT_THAT(ran.output, HasSubstr("    A           40 records    640 bytes"));
  EXPECT_THAT(ran.output, HasSubstr("premium.merlon.internal. tiers 0xc"));

  const json parsed = json::parse(run("inspect --json " + path).output);
  EXPECT_EQ(parsed["schema_version"], 1);
  EXPECT_EQ(parsed["kind"], "zone");
  EXPECT_EQ(parsed["sections"].size(), 8u);
  EXPECT_EQ(parsed["sections"][3]["name"], "ZONE_INFO");
  EXPECT_EQ(parsed["size_bytes"], std::filesystem::file_size(path));
  EXPECT_EQ(parsed["hash"], std::filesystem::path(path).stem().string());
  const auto basic = std::ranges::find_if(
      parsed["names"], [](const json& name) { return name["name"] == "basic.merlon.internal."; });
  ASSERT_NE(basic, parsed["names"].end());
  EXPECT_EQ((*basic)["rrsets"][0]["record_count"], 40);
}

TEST_F(SnapshotTool, InspectShowsBodiesAndAccess) {
  const Ran bodies = run("inspect " + path_of(first_.segment(SegmentKind::bodies)));
  EXPECT_EQ(bodies.status, 0);
  EXPECT_THAT(bodies.output, HasSubstr("BODY_DATA"));
  EXPECT_THAT(bodies.output, HasSubstr("AAAA"));
  const Ran access = run("inspect " + path_of(first_.segment(SegmentKind::access)));
  EXPECT_EQ(access.status, 0);
  EXPECT_THAT(access.output, HasSubstr("203.0.113.2"));
  EXPECT_THAT(access.output, HasSubstr("account 12 device 5 tiers 0x2 refuse"));
  EXPECT_THAT(access.output, HasSubstr("2001:db8:7::/48"));
}

TEST_F(SnapshotTool, InspectShowsADirectory) {
  const json parsed = json::parse(run("inspect --json " + folder_.path()).output);
  EXPECT_EQ(parsed["generation"], 2);
  EXPECT_EQ(parsed["signer"], to_hex(key_.public_key));
  EXPECT_EQ(parsed["segments"].size(), 6u);
  const Ran older = run("inspect --generation 1 " + folder_.path());
  EXPECT_EQ(older.status, 0);
  EXPECT_THAT(older.output, HasSubstr("generation 1 created 1790000000 signed by "));
}

TEST_F(SnapshotTool, InspectOfDamageFails) {
  const std::string path = folder_.path() + "/bad.seg";
  ASSERT_TRUE(write_file_durably(path, as_bytes("not a segment")).has_value());
  const Ran ran = run("inspect " + path);
  EXPECT_EQ(ran.status, 1);
  EXPECT_THAT(ran.output, HasSubstr(path + ": header at offset 0"));
  EXPECT_EQ(run("inspect " + path + ".none").status, 3);
}

TEST_F(SnapshotTool, DiffShowsNamesAndAddresses) {
  const Ran ran = run("diff " + folder_.path() + " 1 2");
  EXPECT_EQ(ran.status, 0) << ran.output;
  EXPECT_THAT(ran.output, HasSubstr("generation 1 to 2: 2 names differ, access is the same"));
  EXPECT_THAT(ran.output, HasSubstr("~ block.acme.merlon.internal.\n    A: 2 added, 2 removed\n"
                                    "      - 198.51.100.0\n      - 198.51.100.1\n"
                                    "      + 198.51.100.100\n      + 198.51.100.101\n"));
  EXPECT_THAT(ran.output, HasSubstr("~ acme.merlon.internal.\n    SOA: 1 added, 1 removed\n"));
  EXPECT_THAT(ran.output, Not(HasSubstr("basic")));
  EXPECT_THAT(run("diff " + folder_.path() + " 1 1").output, HasSubstr("0 names differ"));
}

TEST_F(SnapshotTool, DiffShowsNamesThatCameAndWent) {
  const tests::Fixture third = tests::make_fixture(
      {.basic_count = 40, .basic1_count = 5, .extra_names = 1, .access_salt = 1});
  ASSERT_TRUE(third.write_directory(folder_.path(), 3, key_).has_value());
  const json there = json::parse(run("diff --json " + folder_.path() + " 1 3").output);
  EXPECT_EQ(there["access_changed"], true);
  ASSERT_EQ(there["names"].size(), 1u);
  EXPECT_EQ(there["names"][0]["name"], "n0.merlon.internal.");
  EXPECT_EQ(there["names"][0]["change"], "added");
  EXPECT_EQ(there["names"][0]["types"][0]["added"], json::array({"10.0.0.0"}));
  const json back = json::parse(run("diff --json " + folder_.path() + " 3 1").output);
  EXPECT_EQ(back["names"][0]["change"], "removed");
}

TEST_F(SnapshotTool, DiffOfAMissingGenerationSaysSo) {
  EXPECT_EQ(run("diff " + folder_.path() + " 1 9").status, 3);
  EXPECT_EQ(run("diff " + folder_.path() + " 1").status, 2);
}

TEST(SnapshotToolExample, IsWhatFormatShows) {
  std::ifstream file("zones/snapshot/FORMAT.md");
  std::stringstream text;
  text << file.rdbuf();
  const std::string format = text.str();
  const size_t heading = format.find("## A worked example");
  ASSERT_NE(heading, std::string::npos);
  const size_t begin = format.find("```\n", heading) + 4;
  const size_t end = format.find("```", begin);
  ASSERT_NE(end, std::string::npos);
  const Ran ran = run("example");
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(format.substr(begin, end - begin), ran.output);
}

TEST(SnapshotToolUsage, ExitStatusIsTwo) {
  EXPECT_EQ(run("").status, 2);
  EXPECT_EQ(run("destroy").status, 2);
  EXPECT_EQ(run("--help").status, 0);
}

}  // namespace
}  // namespace merlon::tools

// SPDX-License-Identifier: Apache-2.0
// Zones of ours, exported by merlon-snapshot, before ldns-verify-zone and BIND's dnssec-verify.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <ctime>

#include "controlplane/compile/zonemd.h"
#include "tests/controlplane/dnssec/signer_fixture.h"
#include "zones/base/file.h"
#include "zones/snapshot/directory.h"

namespace merlon::dnssec {
namespace {

struct Ran {
  int status = -1;
  std::string output;
};

Ran run(const std::string& command) {
  Ran ran;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  char buffer[4096];
  for (size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) {
    ran.output.append(buffer, n);
  }
  const int status = ::pclose(pipe);
  ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

struct Case {
  const char* what;
  Algorithm algorithm;
  Layout layout;
  const char* apex;  // merlon.internal. is signed with NSEC3
  uint32_t account;
};

std::ostream& operator<<(std::ostream& out, const Case& row) {
  return out << row.what;
}

class Verify : public testing::TestWithParam<Case> {
 protected:
  // Signs by the system's clock, which the verifiers read too. Returns the zone file's path.
  std::string exported(snapshot::ZoneBuilder& builder, const ListZone& zone) {
    const auto bytes = builder.finish();
    EXPECT_TRUE(bytes.has_value()) << bytes.error().message;
    tests::Fixture fixture = tests::make_fixture({.basic_count = 2, .basic1_count = 2});
    std::erase_if(fixture.segments, [](const tests::FixtureSegment& segment) {
      return segment.kind == snapshot::SegmentKind::zone ||
             segment.kind == snapshot::SegmentKind::bodies;
    });
    fixture.segments.push_back(
        {.kind = snapshot::SegmentKind::bodies, .apex = {}, .bytes = zone.bodies_bytes});
    fixture.segments.push_back({.kind = snapshot::SegmentKind::zone,
                                .apex = builder.settings().apex,
                                .bytes = bytes.value_or(std::vector<uint8_t>{})});
    const std::string snapshots = folder_.path() + "/snapshots";
    const auto written = fixture.write_directory(snapshots, 1, tests::fixed_signing_key());
    EXPECT_TRUE(written.has_value()) << written.error().message;
    const std::string file = folder_.path() + "/zone";
    const Ran ran = run(std::string(MERLON_SNAPSHOT_PROGRAM) + " export " + snapshots + " " +
                        builder.settings().apex.to_text() + " >" + file);
    EXPECT_EQ(ran.status, 0) << run("cat " + file).output;
    return file;
  }

  SignerOptions options() {
    clock_.wall = ::time(nullptr);
    SignerOptions result = signer_options(folder_.path() + "/keys", clock_);
    result.policy.algorithm = GetParam().algorithm;
    result.policy.layout = GetParam().layout;
    return result;
  }

  // Of a KSK's flag dnssec-verify wants to know that a CSK is one.
  std::string dnssec_verify() const {
    return std::string("dnssec-verify ") + (GetParam().layout == Layout::csk ? "-z " : "") + "-o " +
           GetParam().apex + " ";
  }

  tests::TemporaryDirectory folder_;
  TestClock clock_;
};

TEST_P(Verify, OthersFindTheWholeZoneGood) {
  auto signer = Signer::open(options(), memory_cache());
  ASSERT_TRUE(signer.has_value()) << signer.error().message;
  ListZone zone =
      make_list_zone({.apex = GetParam().apex, .account = GetParam().account, .extra_names = 40});
  const auto done = (*signer)->sign(*zone.builder);
  ASSERT_TRUE(done.has_value()) << done.error().message;
  const std::string file = exported(*zone.builder, zone);
  const Ran bind = run(dnssec_verify() + file);
  EXPECT_EQ(bind.status, 0) << bind.output;
  const Ran ldns = run("ldns-verify-zone " + file);
  EXPECT_EQ(ldns.status, 0) << ldns.output;
}

TEST_P(Verify, OthersNoticeOneByteThatIsWrong) {
  auto signer = Signer::open(options(), memory_cache());
  ASSERT_TRUE(signer.has_value()) << signer.error().message;
  ListZone zone = make_list_zone({.apex = GetParam().apex, .account = GetParam().account});
  ASSERT_TRUE((*signer)->sign(*zone.builder).has_value());
  const std::string file = exported(*zone.builder, zone);
  ASSERT_EQ(run("grep -c 'IN A 10.0.0.7$' " + file).output, "1\n");
  run("sed -i 's/IN A 10.0.0.7$/IN A 10.9.0.7/' " + file);
  EXPECT_NE(run(dnssec_verify() + file).status, 0);
  EXPECT_NE(run("ldns-verify-zone " + file).status, 0);
}

TEST_P(Verify, OthersFindTheDigestOfTheZoneGood) {
  auto signer = Signer::open(options(), memory_cache());
  ASSERT_TRUE(signer.has_value()) << signer.error().message;
  std::vector<std::vector<uint8_t>> made;
  for (int i = 0; i < 2; ++i) {  // the second time with signatures that are known
    ListZone zone =
        make_list_zone({.apex = GetParam().apex, .account = GetParam().account, .extra_names = 40});
    ASSERT_TRUE(zone.builder->arrange().has_value());
    compile::announce_zonemd(*zone.builder);
    const auto done = (*signer)->sign(*zone.builder);
    ASSERT_TRUE(done.has_value()) << done.error().message;
    made.push_back(zone.builder->finish().value());
    const std::string file = exported(*zone.builder, zone);
    const Ran good = run("ldns-verify-zone -ZZ " + file);
    EXPECT_EQ(good.status, 0) << good.output << run("grep ZONEMD " + file).output;
    // A signature that was taken out: each RRset that is left is good, the zone is not.
    run("sed -i '/^text.* RRSIG TXT /d' " + file);
    EXPECT_NE(run("ldns-verify-zone -ZZ " + file).status, 0);
  }
  EXPECT_EQ(made[0], made[1]);
}

INSTANTIATE_TEST_SUITE_P(
    Zones, Verify,
    testing::Values(
        Case{"NsecCskEcdsa", Algorithm::ecdsa_p256, Layout::csk, "acme.merlon.internal.", 7},
        Case{"NsecSplitEcdsa", Algorithm::ecdsa_p256, Layout::split, "acme.merlon.internal.", 7},
        Case{"NsecCskEd25519", Algorithm::ed25519, Layout::csk, "acme.merlon.internal.", 7},
        Case{"NsecSplitEd25519", Algorithm::ed25519, Layout::split, "acme.merlon.internal.", 7},
        Case{"Nsec3CskEcdsa", Algorithm::ecdsa_p256, Layout::csk, "merlon.internal.", 0},
        Case{"Nsec3SplitEcdsa", Algorithm::ecdsa_p256, Layout::split, "merlon.internal.", 0},
        Case{"Nsec3CskEd25519", Algorithm::ed25519, Layout::csk, "merlon.internal.", 0},
        Case{"Nsec3SplitEd25519", Algorithm::ed25519, Layout::split, "merlon.internal.", 0}),
    [](const auto& row) { return std::string(row.param.what); });

TEST(VerifyLimit, LargestSignedListIsWhatValidatorsTake) {
  tests::TemporaryDirectory folder;
  TestClock clock;
  auto signer = Signer::open(signer_options(folder.path() + "/keys", clock), memory_cache());
  ASSERT_TRUE(signer.has_value());
  const size_t most = signed_records_max(name_of("list.acme.merlon.internal.").size(),
                                         name_of("acme.merlon.internal.").size(), 4);
  ListZone fits = make_list_zone({.address_count = most});
  const auto done = (*signer)->sign(*fits.builder);
  EXPECT_TRUE(done.has_value()) << done.error().message;
  ListZone over = make_list_zone({.address_count = most + 1});
  const auto refused = (*signer)->sign(*over.builder);
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message,
              testing::HasSubstr(fmt::format("put at most {} records", most)));
}

}  // namespace
}  // namespace merlon::dnssec

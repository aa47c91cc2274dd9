// SPDX-License-Identifier: Apache-2.0
#include "controlplane/settings/dnssec_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/snapshot_fixture.h"

namespace merlon::controlplane {
namespace {

using testing::HasSubstr;

class DnssecSettings : public testing::Test {
 protected:
  Result<dnssec::SignerOptions> load(const std::string& text) {
    std::ofstream(path_) << text;
    Settings settings;
    settings.state_directory = "/state";
    settings.compile.suffix = *name::Name::from_text("merlon.internal.");
    return load_dnssec_settings(path_, settings);
  }
  tests::TemporaryDirectory directory_;
  std::string path_ = directory_.path() + "/merlon.toml";
};

TEST_F(DnssecSettings, ExampleParsesBackToTheDefaults) {
  const dnssec::SignerOptions built_in;
  for (const std::string& text : {std::string(), example_dnssec_settings()}) {
    const auto options = load(text);
    ASSERT_TRUE(options.has_value()) << options.error().message;
    EXPECT_EQ(options->keys_path, "/state/keys");
    EXPECT_EQ(options->scope, dnssec::Scope::none);
    EXPECT_EQ(options->times.validity_s, built_in.times.validity_s);
    EXPECT_EQ(options->policy.layout, built_in.policy.layout);
    EXPECT_EQ(options->policy.hold_down_s, built_in.policy.hold_down_s);
    EXPECT_EQ(options->policy.parent_ds_ttl_s, built_in.policy.parent_ds_ttl_s);
    EXPECT_EQ(options->dnskey_ttl_s, built_in.dnskey_ttl_s);
    EXPECT_EQ(options->clock_jump_max_s, built_in.clock_jump_max_s);
  }
}

TEST_F(DnssecSettings, WhatIsSetIsTaken) {
  const auto options = load(
      "[dnssec]\nsign = \"accounts\"\nalgorithm = \"ed25519\"\ncsk = false\n"
      "trust = \"hold_down\"\nalso = [\"Ops.Example\"]\n");
  ASSERT_TRUE(options.has_value()) << options.error().message;
  EXPECT_EQ(options->scope, dnssec::Scope::accounts);
  EXPECT_EQ(options->policy.algorithm, dnssec::Algorithm::ed25519);
  EXPECT_EQ(options->policy.layout, dnssec::Layout::split);
  EXPECT_EQ(options->policy.trust, dnssec::Trust::hold_down);
  EXPECT_EQ(options->also.at(0).to_text(), "ops.example.");
}

TEST_F(DnssecSettings, MistakesAreSaidWithTheFile) {
  for (const char* line : {"sign = \"some\"", "algorithm = \"rsa\"", "trust = \"blind\"",
                           "validity_s = 5", "also = [\"a..b\"]", "algoritm = \"ed25519\""}) {
    const auto options = load(std::string("[dnssec]\n") + line + "\n");
    ASSERT_FALSE(options.has_value()) << line;
    EXPECT_THAT(options.error().message, HasSubstr(path_)) << line;
  }
}

}  // namespace
}  // namespace merlon::controlplane

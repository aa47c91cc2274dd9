// SPDX-License-Identifier: Apache-2.0
#include "controlplane/settings/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/snapshot_fixture.h"

namespace merlon::controlplane {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ControlplaneSettings : public testing::Test {
 protected:
  Result<Settings> load(const std::string& text) {
    std::ofstream(path_) << text;
    return load_settings(path_);
  }
  std::string error_of(const std::string& line) {
    const auto settings = load("[controlplane]\n" + line + "\n");
    if (settings) {
      return "no error";
    }
    EXPECT_EQ(settings.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(settings.error().message, HasSubstr(path_));
    return settings.error().message;
  }

  tests::TemporaryDirectory directory_;
  std::string path_ = directory_.path() + "/merlon.toml";
};

TEST_F(ControlplaneSettings, ExampleParsesBackToTheDefaults) {
  const compile::Settings built_in;
  for (const std::string& text : {std::string(), example_settings()}) {
    const auto settings = load(text);
    ASSERT_TRUE(settings.has_value()) << settings.error().message;
    EXPECT_EQ(settings->compile.suffix.to_text(), "merlon.internal.");
    EXPECT_EQ(settings->compile.ttl_s, built_in.ttl_s);
    EXPECT_EQ(settings->compile.negative_ttl_s, built_in.negative_ttl_s);
    EXPECT_EQ(settings->compile.addresses4_per_name, built_in.addresses4_per_name);
    EXPECT_EQ(settings->compile.addresses6_per_name, built_in.addresses6_per_name);
    EXPECT_EQ(settings->compile.expand4_from_length, built_in.expand4_from_length);
    EXPECT_EQ(settings->compile.expand6_from_length, built_in.expand6_from_length);
    EXPECT_EQ(settings->compile.test_address4, built_in.test_address4);
    EXPECT_TRUE(settings->compile.test_address6 == built_in.test_address6);
    EXPECT_EQ(settings->state_directory, "/var/lib/merlon");
    EXPECT_EQ(settings->store_path(), "/var/lib/merlon/store");
    EXPECT_EQ(settings->snapshot_path(), "/var/lib/merlon/snapshots");
    EXPECT_EQ(settings->catalogue_path(), "/var/lib/merlon/catalogue");
    EXPECT_EQ(settings->api_socket, "/run/merlon/control.sock");
    EXPECT_EQ(settings->dataplane_socket, "/run/merlon/dataplane.sock");
    EXPECT_EQ(settings->slow_path_socket, "/run/merlon/slowpath.sock");
    EXPECT_THAT(settings->dns_listen, ElementsAre("127.0.0.1:5300", "[::1]:5300"));
    EXPECT_EQ(settings->dns_thread_count, 1u);
    EXPECT_EQ(settings->generations_kept, 32u);
    EXPECT_EQ(settings->contact, "");
    EXPECT_EQ(settings->identity + settings->version + settings->cookie_secret_file, "");
  }
}

TEST_F(ControlplaneSettings, ReadsWhatIsSet) {
  const auto settings = load(
      "[controlplane]\nsuffix = \"Lists.EXAMPLE\"\ntest_address4 = \"203.0.113.9\"\n"
      "test_address6 = \"2001:db8::9\"\nttl_s = 60\ndataplane_socket = \"\"\n"
      "generations_kept = 2\nidentity = \"ns1\"\nversion = \"m2\"\n"
      "cookie_secret_file = \"/c\"\n[dataplane]\nanything = 1\n");
  ASSERT_TRUE(settings.has_value()) << settings.error().message;
  EXPECT_EQ(settings->compile.suffix.to_text(), "lists.example.");
  EXPECT_EQ(address::to_text_v4(settings->compile.test_address4), "203.0.113.9");
  EXPECT_EQ(address::to_text_v6(settings->compile.test_address6), "2001:db8::9");
  EXPECT_EQ(settings->compile.ttl_s, 60u);
  EXPECT_EQ(settings->dataplane_socket, "");
  EXPECT_EQ(settings->generations_kept, 2u);
  EXPECT_EQ(settings->identity, "ns1");
  EXPECT_EQ(settings->version, "m2");
  EXPECT_EQ(settings->cookie_secret_file, "/c");
}

TEST_F(ControlplaneSettings, RefusesWhatCannotWork) {
  const struct {
    const char* line;
    const char* says;
  } rows[] = {{"suffix = \".\"", "the root cannot be the suffix"},
              {"suffix = \"a..b\"", "suffix"},
              {"suffix = \"\"", "suffix"},
              {"state_directory = \"\"", "state_directory is empty"},
              {"test_address4 = \"::1\"", "test_address4 is no IPv4 address"},
              {"test_address4 = \"192.0.2.01\"", "test_address4"},
              {"test_address6 = \"192.0.2.1\"", "test_address6 is no IPv6 address"},
              {"test_address6 = \"::ffff:192.0.2.1\"", "test_address6"},
              {"addresses4_per_name = 4001", "outside 1..4000"},
              {"addresses6_per_name = 2301", "outside 1..2300"},
              {"expand4_from_length = 7", "outside 8..32"},
              {"expand6_from_length = 103", "outside 104..128"},
              {"generations_kept = 1", "outside 2..100000"},
              {"ttl = 60", "did you mean \"ttl_s\"?"},
              {"dns_listen = \"127.0.0.1:53\"", "dns_listen must be a list of strings"}};
  for (const char* key : {"identity", "version"}) {
    const std::string line = std::string(key) + " = \"" + std::string(65, 'x') + "\"";
    EXPECT_THAT(error_of(line), HasSubstr(std::string(key) + " has more than 64 bytes"));
  }
  for (const auto& row : rows) {
    EXPECT_THAT(error_of(row.line), HasSubstr(row.says)) << row.line;
  }
}

TEST_F(ControlplaneSettings, MissingFileIsAnError) {
  const auto settings = load_settings(directory_.path() + "/none.toml");
  ASSERT_FALSE(settings.has_value());
  EXPECT_EQ(settings.error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace merlon::controlplane

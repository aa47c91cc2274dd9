// SPDX-License-Identifier: Apache-2.0
#include "dataplane/settings/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/snapshot_fixture.h"

namespace merlon::dataplane {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class DataplaneSettings : public testing::Test {
 protected:
  Result<Settings> load(std::string_view toml) {
    std::ofstream(path_) << toml;
    return load_settings(path_);
  }
  std::string error(std::string_view toml) {
    const auto settings = load(toml);
    EXPECT_FALSE(settings.has_value()) << toml;
    if (settings.has_value()) {
      return "";
    }
    EXPECT_EQ(settings.error().code, ErrorCode::invalid_argument) << settings.error().message;
    EXPECT_THAT(settings.error().message, HasSubstr(path_));
    return settings.error().message;
  }

  tests::TemporaryDirectory folder_;
  std::string path_ = folder_.path() + "/merlon.toml";
};

TEST_F(DataplaneSettings, ReadsEveryKey) {
  const auto settings = load(R"([dataplane]
listen = ["192.0.2.1:53", "[2001:db8::1]:5353"]
engine = "mmsg"
workers = 2
cores = ["3", "5"]
snapshot_directory = "/a"
manifest_key_file = "/b"
control_socket = "/c"
udp_size_max = 1400
)");
  ASSERT_TRUE(settings.has_value()) << settings.error().message;
  ASSERT_EQ(settings->listen.size(), 2u);
  EXPECT_EQ(settings->listen[1].to_text(), "[2001:db8::1]:5353");
  EXPECT_EQ(settings->engine, Engine::mmsg);
  EXPECT_EQ(settings->worker_count, 2u);
  EXPECT_EQ(settings->cores, (std::vector<int>{3, 5}));
  EXPECT_EQ(settings->snapshot_directory, "/a");
  EXPECT_EQ(settings->manifest_key_file, "/b");
  EXPECT_EQ(settings->control_socket, "/c");
  EXPECT_EQ(settings->udp_size_max, 1400);
}

TEST_F(DataplaneSettings, AbsentKeysHaveDefaults) {
  for (const std::string_view text : {"", "[dataplane]\n", "[controlplane]\nanything = 1\n"}) {
    const auto settings = load(text);
    ASSERT_TRUE(settings.has_value()) << settings.error().message;
    EXPECT_EQ(settings->listen.size(), 2u);
    EXPECT_EQ(settings->engine, Engine::automatic);
    EXPECT_GE(settings->worker_count, 1u);
    EXPECT_TRUE(settings->cores.empty());
    EXPECT_EQ(settings->udp_size_max, 1232);
  }
}

TEST_F(DataplaneSettings, TheExampleParsesAndSaysTheDefaults) {
  const auto settings = load(example_settings());
  ASSERT_TRUE(settings.has_value()) << settings.error().message;
  EXPECT_EQ(settings->snapshot_directory, "/var/lib/merlon/snapshots");
  for (const std::string_view key : {"listen", "engine", "workers", "cores", "snapshot_directory",
                                     "manifest_key_file", "control_socket", "udp_size_max"}) {
    EXPECT_THAT(example_settings(), HasSubstr(std::string(key) + " = "));
  }
}

TEST_F(DataplaneSettings, AnUnknownKeyNamesLineAndNearest) {
  EXPECT_THAT(error("[dataplane]\n\nlisten = [\"127.0.0.1:53\"]\nwrokers = 2\n"),
              AllOf(HasSubstr(":4:"), HasSubstr("\"wrokers\""), HasSubstr("\"workers\"")));
  EXPECT_THAT(error("[dataplane]\nudp_max_size = 1232\n"),
              AllOf(HasSubstr(":2:"), HasSubstr("udp_max_size")));
}

TEST_F(DataplaneSettings, ValuesOutOfRangeAreErrors) {
  for (const std::string_view line :
       {"udp_size_max = 511", "udp_size_max = 1453", "workers = -1", "workers = 257"}) {
    EXPECT_THAT(error(fmt::format("[dataplane]\n{}\n", line)),
                AllOf(HasSubstr(":2"), HasSubstr(std::string(line.substr(0, line.find(' '))))));
  }
  EXPECT_TRUE(load("[dataplane]\nudp_size_max = 512\n").has_value());
  EXPECT_TRUE(load("[dataplane]\nudp_size_max = 1452\n").has_value());
}

TEST_F(DataplaneSettings, ValuesOfTheWrongKindAreErrors) {
  for (const std::string_view line : {"workers = \"2\"", "listen = \"127.0.0.1:53\"",
                                      "listen = [53]", "engine = 1", "udp_size_max = 1232.0"}) {
    EXPECT_THAT(error(fmt::format("[dataplane]\n{}\n", line)), HasSubstr(":2"));
  }
  EXPECT_THAT(error("[dataplane\n"), HasSubstr(":1"));
}

TEST_F(DataplaneSettings, NamesOfTheServerHaveAtMost64Bytes) {
  const std::string longest(64, 'x');
  for (const std::string_view key : {"identity", "version"}) {
    EXPECT_TRUE(load(fmt::format("[dataplane]\n{} = \"{}\"\n", key, longest)).has_value());
    EXPECT_THAT(error(fmt::format("[dataplane]\n{} = \"{}x\"\n", key, longest)),
                HasSubstr(fmt::format("{} has more than 64 bytes", key)));
  }
}

TEST_F(DataplaneSettings, BadAddressesAreErrors) {
  for (const std::string_view text : {"localhost:53", "127.0.0.1", "127.0.0.1:99999", "::1:53"}) {
    EXPECT_THAT(error(fmt::format("[dataplane]\nlisten = [\"{}\"]\n", text)),
                AllOf(HasSubstr("listen"), HasSubstr(std::string(text))));
  }
  EXPECT_THAT(error("[dataplane]\nlisten = []\n"), HasSubstr("listen names no address"));
}

TEST_F(DataplaneSettings, EnginesAndCoresAreChecked) {
  EXPECT_THAT(error("[dataplane]\nengine = \"iouring\"\n"),
              HasSubstr("choose auto, io_uring, mmsg or dpdk"));
  for (const std::string_view core : {"x", "-1", "1.5", "", "1024", "99999999999"}) {
    EXPECT_THAT(error(fmt::format("[dataplane]\nworkers = 1\ncores = [\"{}\"]\n", core)),
                HasSubstr("is no core number"));
  }
  EXPECT_THAT(error("[dataplane]\nworkers = 2\ncores = [\"0\"]\n"),
              HasSubstr("1 cores for 2 workers"));
}

TEST_F(DataplaneSettings, AMissingFileIsNamed) {
  const auto settings = load_settings(folder_.path() + "/absent.toml");
  ASSERT_FALSE(settings.has_value());
  EXPECT_EQ(settings.error().code, ErrorCode::not_found);
  EXPECT_THAT(settings.error().message, HasSubstr("absent.toml"));
}

}  // namespace
}  // namespace merlon::dataplane

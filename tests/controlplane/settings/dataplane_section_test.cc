// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "dataplane/settings/settings.h"
#include "tests/support/snapshot_fixture.h"

namespace merlon::dataplane {
namespace {

using testing::HasSubstr;

Result<Settings> load(const std::string& text) {
  const tests::TemporaryDirectory directory;
  const std::string path = directory.path() + "/merlon.toml";
  std::ofstream(path) << text;
  return load_settings(path);
}

TEST(DataplaneSettings, ExampleParsesBackToTheDefaults) {
  const auto example = load(example_settings());
  const auto defaults = load("");
  ASSERT_TRUE(example.has_value()) << example.error().message;
  ASSERT_TRUE(defaults.has_value()) << defaults.error().message;
  EXPECT_EQ(example->listen.size(), 2u);
  EXPECT_EQ(example->listen.size(), defaults->listen.size());
  EXPECT_EQ(example->engine, defaults->engine);
  EXPECT_EQ(example->worker_count, defaults->worker_count);
  EXPECT_EQ(example->cores, defaults->cores);
  EXPECT_EQ(example->snapshot_directory, defaults->snapshot_directory);
  EXPECT_EQ(example->manifest_key_file, defaults->manifest_key_file);
  EXPECT_EQ(example->control_socket, defaults->control_socket);
  EXPECT_EQ(example->udp_size_max, defaults->udp_size_max);
}

TEST(DataplaneSettings, UnknownKeyNamesLineAndTheNearestKey) {
  const auto settings = load("[dataplane]\nworker = 3\n");
  ASSERT_FALSE(settings.has_value());
  EXPECT_THAT(settings.error().message, HasSubstr("merlon.toml:2: [dataplane] has no key"));
  EXPECT_THAT(settings.error().message, HasSubstr("did you mean \"workers\"?"));
}

}  // namespace
}  // namespace merlon::dataplane

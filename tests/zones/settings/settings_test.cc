// SPDX-License-Identifier: Apache-2.0
#include "zones/settings/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace merlon::settings {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr Option kOptions[] = {
    {"title", Kind::text, "\"of \\\"it\\\"\"", 0, 0, "what it is called"},
    {"listen", Kind::text_list, R"(["127.0.0.1:53", "[::1]:53"])", 0, 0, "addresses"},
    {"workers", Kind::number, "4", 1, 64, "threads"},
    {"offset", Kind::number, "-5", -10, 10, "seconds"},
    {"limit", Kind::number, "9223372036854775807", 0, INT64_MAX, "bytes"},
    {"verbose", Kind::boolean, "false", 0, 0, "say more"},
};

Result<Section> parse(std::string_view toml) {
  return Section::parse(toml, "merlon.toml", "controlplane", kOptions);
}

std::string error_of(std::string_view toml) {
  const auto section = parse(toml);
  if (section) {
    return "no error";
  }
  EXPECT_EQ(section.error().code, ErrorCode::invalid_argument);
  return section.error().message;
}

void expect_defaults(const Section& section) {
  EXPECT_EQ(section.text("title"), "of \"it\"");
  EXPECT_THAT(section.text_list("listen"), ElementsAre("127.0.0.1:53", "[::1]:53"));
  EXPECT_EQ(section.number("workers"), 4);
  EXPECT_EQ(section.number("offset"), -5);
  EXPECT_EQ(section.number("limit"), INT64_MAX);
  EXPECT_FALSE(section.boolean("verbose"));
}

TEST(Settings, AbsentSectionAndAbsentKeysAreDefaults) {
  for (const char* text : {"", "# nothing\n", "[controlplane]\n", "[dataplane]\nworkers = \"x\"\n",
                           "[[dataplane]]\na = 1\n[[dataplane]]\na = 2\n"}) {
    const auto section = parse(text);
    ASSERT_TRUE(section.has_value()) << text << section.error().message;
    expect_defaults(*section);
  }
}

TEST(Settings, ReadsEveryKind) {
  const auto section = parse(
      "[controlplane]\ntitle = 'x'\nlisten = []\nworkers = 64\noffset = -10\n"
      "limit = 0\nverbose = true\n[dataplane]\nunknown = 1\n");
  ASSERT_TRUE(section.has_value()) << section.error().message;
  EXPECT_EQ(section->text("title"), "x");
  EXPECT_THAT(section->text_list("listen"), IsEmpty());
  EXPECT_EQ(section->number("workers"), 64);
  EXPECT_EQ(section->number("offset"), -10);
  EXPECT_EQ(section->number("limit"), 0);
  EXPECT_TRUE(section->boolean("verbose"));
}

TEST(Settings, ExampleParsesBackToTheDefaults) {
  const std::string text = example("controlplane", kOptions);
  const auto section = parse(text);
  ASSERT_TRUE(section.has_value()) << section.error().message;
  expect_defaults(*section);
  for (const Option& option : kOptions) {
    EXPECT_THAT(text, HasSubstr(std::string(option.summary)));
    EXPECT_THAT(text, HasSubstr(fmt::format("\n{} = ", option.key)));
  }
  EXPECT_THAT(text, HasSubstr("(1..64)"));
}

TEST(Settings, UnknownKeyNamesLineAndTheNearestKey) {
  EXPECT_EQ(error_of("\n[controlplane]\n# x\nworker = 3\n"),
            "merlon.toml:4: [controlplane] has no key \"worker\"; did you mean \"workers\"?");
  EXPECT_EQ(error_of("[controlplane]\nzzz = 3\n"),
            "merlon.toml:2: [controlplane] has no key \"zzz\"");
  EXPECT_THAT(error_of("[controlplane]\nworkers = 3\n[controlplane.more]\nx = 1\n"),
              StartsWith("merlon.toml:3: [controlplane] has no key \"more\""));
}

TEST(Settings, NumbersOutOfRangeSayTheRange) {
  EXPECT_EQ(error_of("[controlplane]\nworkers = 0\n"),
            "merlon.toml:2: workers = 0 is outside 1..64");
  EXPECT_EQ(error_of("[controlplane]\nworkers = 65\n"),
            "merlon.toml:2: workers = 65 is outside 1..64");
  EXPECT_EQ(error_of("[controlplane]\noffset = -11\n"),
            "merlon.toml:2: offset = -11 is outside -10..10");
}

TEST(Settings, WrongTypesSayWhatIsWanted) {
  const struct {
    const char* line;
    const char* wanted;
  } rows[] = {{"title = 3", "title must be a string"},
              {"title = ['x']", "title must be a string"},
              {"listen = 'x'", "listen must be a list of strings"},
              {"listen = ['x', 3]", "listen must be a list of strings"},
              {"workers = '3'", "workers must be a whole number"},
              {"workers = 3.0", "workers must be a whole number"},
              {"workers = true", "workers must be a whole number"},
              {"verbose = 1", "verbose must be true or false"},
              {"verbose = 'true'", "verbose must be true or false"},
              {"workers = 2026-01-02", "workers must be a whole number"}};
  for (const auto& row : rows) {
    EXPECT_EQ(error_of(fmt::format("[controlplane]\n{}\n", row.line)),
              fmt::format("merlon.toml:2: {}", row.wanted));
  }
}

TEST(Settings, WhatIsNotTomlNamesTheLine) {
  for (const char* text :
       {"[controlplane]\nworkers = \n", "[controlplane]\nworkers 3\n", "[controlplane]\n[x\n",
        "[controlplane]\nworkers = 99999999999999999999\n"}) {
    EXPECT_THAT(error_of(text), StartsWith("merlon.toml:2: ")) << text;
  }
  EXPECT_THAT(error_of("[controlplane]\nworkers = 3\nworkers = 4\n"), StartsWith("merlon.toml:3:"));
  EXPECT_NE(error_of(std::string_view("[controlplane]\ntitle = \"\0\"\n", 26)), "no error");
  EXPECT_NE(error_of("[controlplane]\ntitle = \"\xff\"\n"), "no error");
}

// A slip that would leave all defaults in force without a word.
TEST(Settings, KeysOutsideOfSectionsAndMisspeltSectionsAreErrors) {
  EXPECT_EQ(
      error_of("workers = 3\n[controlplane]\n"),
      "merlon.toml:1: \"workers\" is in no section; put [controlplane] above the keys of this "
      "process");
  EXPECT_EQ(error_of("\n[control_plane]\nworkers = 3\n"),
            "merlon.toml:2: no section [control_plane]; did you mean [controlplane]?");
  EXPECT_THAT(error_of("controlplane = 3\n"),
              StartsWith("merlon.toml:1: \"controlplane\" must be a section"));
  const auto other = Section::parse("[controlplane]\nx = 1\n", "f", "dataplane", kOptions);
  EXPECT_TRUE(other.has_value());
}

TEST(Settings, LoadReadsAFileAndNamesOneThatIsMissing) {
  const auto path =
      std::filesystem::temp_directory_path() / fmt::format("merlon-settings-{}.toml", ::getpid());
  std::ofstream(path) << "[controlplane]\nworkers = 7\n";
  const auto section = Section::load(path.string(), "controlplane", kOptions);
  ASSERT_TRUE(section.has_value()) << section.error().message;
  EXPECT_EQ(section->number("workers"), 7);
  std::ofstream(path) << std::string(2 << 20, '#');
  EXPECT_EQ(Section::load(path.string(), "controlplane", kOptions).error().code,
            ErrorCode::invalid_argument);
  std::filesystem::remove(path);
  const auto missing = Section::load(path.string(), "controlplane", kOptions);
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  EXPECT_THAT(missing.error().message, HasSubstr(path.string()));
}

}  // namespace
}  // namespace merlon::settings

// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tools/merlonctl/command.h"

namespace merlon::merlonctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string fault(const std::vector<std::string>& words) {
  const Outcome<Invocation> parsed = parse(words);
  if (parsed) {
    return "accepted";
  }
  EXPECT_EQ(parsed.error().exit, Exit::usage);
  return parsed.error().message;
}

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> words;
  size_t at = 0;
  while (at <= line.size()) {
    const size_t end = std::min(line.find(' ', at), line.size());
    words.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

TEST(CommandTable, ExamplesParseToTheirOwnCommand) {
  for (const Command& command : commands()) {
    std::vector<std::string> words = split(std::string(command.example));
    ASSERT_EQ(words.front(), "merlonctl");
    words.erase(words.begin());
    const Outcome<Invocation> parsed = parse(words);
    ASSERT_TRUE(parsed) << command.example << ": " << parsed.error().message;
    EXPECT_EQ(parsed->command, &command) << command.example;
  }
}

// parse() relies on both: flags may stand before the words that say which command it is.
TEST(CommandTable, FlagsMeanTheSameEverywhereAndNeverShadowGlobalOnes) {
  std::map<std::string_view, bool> takes_value;
  std::set<std::string> names;
  for (const Flag& flag : global_flags()) {
    EXPECT_TRUE(takes_value.emplace(flag.name, !flag.value.empty()).second) << flag.name;
  }
  for (const Command& command : commands()) {
    EXPECT_TRUE(names.insert(command.name()).second) << command.name();
    EXPECT_NE(command.run, nullptr);
    EXPECT_GT(command.timeout_s, 0u);
    for (const Flag& flag : command.flags) {
      EXPECT_TRUE(flag.name.starts_with("--"));
      EXPECT_EQ(takes_value.emplace(flag.name, !flag.value.empty()).first->second,
                !flag.value.empty())
          << flag.name;
      for (const Flag& global : global_flags()) {
        EXPECT_NE(flag.name, global.name);
      }
    }
  }
}

TEST(CommandTable, HelpNamesEveryCommandAndEveryFlag) {
  Invocation invocation;
  const std::string general = help_text(invocation);
  for (const Command& command : commands()) {
    EXPECT_THAT(general, HasSubstr(command.name()));
    invocation.command = &command;
    const std::string own = help_text(invocation);
    EXPECT_THAT(own, HasSubstr(std::string(command.example)));
    for (const Flag& flag : command.flags) {
      EXPECT_THAT(own, HasSubstr(std::string(flag.name)));
    }
    EXPECT_THAT(own, HasSubstr("--socket"));
  }
}

TEST(Parse, FlagsWorkInAnyPositionAndBothForms) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"--url", "http://x", "--json", "feed", "add", "one", "--severity=4"},
           {"feed", "--json", "add", "--severity", "4", "one", "--url=http://x"},
           {"feed", "add", "--url", "http://x", "--severity", "4", "--json", "--", "one"},
       }) {
    const Outcome<Invocation> parsed = parse(words);
    ASSERT_TRUE(parsed) << parsed.error().message;
    EXPECT_EQ(parsed->command->name(), "feed add");
    EXPECT_THAT(parsed->args, ElementsAre("one"));
    EXPECT_EQ(parsed->value("--url"), "http://x");
    EXPECT_EQ(parsed->value("--severity"), "4");
    EXPECT_TRUE(parsed->has("--json"));
    EXPECT_FALSE(parsed->has("--yes"));
  }
}

TEST(Parse, AfterTwoDashesNothingIsAFlag) {
  const std::vector<std::string> words = {"check", "--", "--json"};
  const Outcome<Invocation> parsed = parse(words);
  ASSERT_TRUE(parsed);
  EXPECT_THAT(parsed->args, ElementsAre("--json"));
}

TEST(Parse, UnknownWordsComeWithASuggestion) {
  EXPECT_EQ(fault({"fed", "list"}), "unknown command \"fed\"; did you mean \"merlonctl feed\"?");
  EXPECT_EQ(fault({"feed", "lst"}),
            "unknown command \"feed lst\"; did you mean \"merlonctl feed list\"?");
  EXPECT_EQ(fault({"snapshot", "rolback"}),
            "unknown command \"snapshot rolback\"; did you mean \"merlonctl snapshot rollback\"?");
  EXPECT_EQ(fault({"feed", "add", "--severty", "3"}),
            "unknown flag --severty; did you mean \"--severity\"?");
  EXPECT_EQ(fault({"feed", "--jso", "list"}), "unknown flag --jso; did you mean \"--json\"?");
  EXPECT_THAT(fault({"quux"}),
              HasSubstr("there are status, feed, feed-catalogue, list, zone, device"));
  EXPECT_THAT(fault({"feed", "zzzzzzz"}), HasSubstr("the verbs are list, show, add"));
}

TEST(Parse, NounOfTwoWordsMayBeWrittenAsTwo) {
  const std::vector<std::string> words = {"feed", "catalogue", "show", "x"};
  const auto parsed = parse(words);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->command->name(), "feed-catalogue show");
  EXPECT_EQ(parsed->args, std::vector<std::string>{"x"});
}

TEST(Parse, MissingAndSurplusWordsAreNamed) {
  EXPECT_EQ(fault({}), "which command?");
  EXPECT_EQ(fault({"feed"}),
            "feed what? The verbs are list, show, add, probe, refresh, accept, report, compare, "
            "remove, upload");
  EXPECT_EQ(fault({"feed", "show"}), "feed show takes ID, not 0 arguments");
  EXPECT_EQ(fault({"feed", "show", "a", "b"}), "feed show takes ID, not 2 arguments");
  EXPECT_EQ(fault({"status", "x"}), "status takes no arguments, not 1 argument");
  EXPECT_EQ(fault({"feed", "show", ""}), "feed show: an argument is empty");
}

TEST(Parse, FlagsThatDoNotFitAreNamed) {
  EXPECT_EQ(fault({"feed", "list", "--url", "x"}), "feed list takes no flag --url");
  EXPECT_EQ(fault({"feed", "add", "--url"}), "--url needs a value: --url URL");
  EXPECT_EQ(fault({"status", "--json=yes"}), "--json takes no value");
  EXPECT_EQ(fault({"status", "--json", "--json"}), "--json is given twice");
}

TEST(Parse, HelpIsAlwaysReachable) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"--help"}, {"-h"}, {"feed", "--help"}, {"--help", "feed", "add"}, {"check", "-h"}}) {
    const Outcome<Invocation> parsed = parse(words);
    ASSERT_TRUE(parsed);
    EXPECT_TRUE(parsed->has("--help"));
    EXPECT_THAT(help_text(*parsed), HasSubstr("--socket"));
  }
  EXPECT_THAT(fault({"fed", "--help"}), HasSubstr("did you mean"));
}

}  // namespace
}  // namespace merlon::merlonctl

// SPDX-License-Identifier: Apache-2.0
// A publisher that is killed, or whose disk is full: `current` names a whole generation always.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "tests/controlplane/publish/generations.h"
#include "tests/support/seed.h"

namespace merlon::publish {
namespace {

// Publishes and cleans up for ever. The contents are made before, so that nearly all of its time
// goes into writing files.
[[noreturn]] void publish_for_ever(const std::string& path,
                                   const std::vector<std::unique_ptr<Content>>& contents) {
  auto publisher = open_publisher(path, 3);
  if (!publisher) {
    ::_exit(1);
  }
  for (size_t i = 0;; ++i) {
    const auto written = publisher->write(contents[i % contents.size()]->files, 1);
    if (!written || !publisher->set_current(written->generation) || !publisher->clean_up()) {
      ::_exit(2);
    }
  }
}

TEST(PublisherCrash, KilledAtAnyMomentLeavesALoadableCurrent) {
  std::mt19937_64 random(test::seed_for("killed publisher"));
  const tests::TemporaryDirectory directory;
  std::vector<std::unique_ptr<Content>> contents;
  for (uint8_t salt = 1; salt <= 5; ++salt) {
    contents.push_back(std::make_unique<Content>(salt));
  }
  uint64_t last = 0;
  for (int round = 0; round < 60; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      publish_for_ever(directory.path(), contents);
    }
    ::usleep(static_cast<useconds_t>(500 + random() % 30'000));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child failed by itself: " << WEXITSTATUS(status);
    const auto current = load_current(directory.path());
    if (current) {
      EXPECT_GE(*current, last);
      last = *current;
    } else {
      ASSERT_EQ(current.error().code, ErrorCode::not_found) << current.error().message;
      ASSERT_EQ(last, 0u) << "there was a current before: " << current.error().message;
    }
  }
  EXPECT_GT(last, 5u) << "hardly anything was published, so hardly anything was tested";
  // And the next process goes on.
  auto publisher = open_publisher(directory.path(), 3);
  ASSERT_TRUE(publisher.has_value());
  const auto written = publisher->write(Content(9).files, 1);
  ASSERT_TRUE(written.has_value()) << written.error().message;
  ASSERT_TRUE(publisher->set_current(written->generation).has_value());
  ASSERT_TRUE(publisher->clean_up().has_value());
  EXPECT_EQ(load_current(directory.path()).value(), written->generation);
}

// A file size limit stands for a full disk: writing fails in the middle of a file.
TEST(PublisherCrash, FullDiskIsAnErrorAndLeavesTheOldGeneration) {
  const tests::TemporaryDirectory directory;
  auto publisher = open_publisher(directory.path());
  ASSERT_TRUE(publisher.has_value());
  ASSERT_TRUE(publisher->write(Content(1).files, 1).has_value());
  ASSERT_TRUE(publisher->set_current(1).has_value());
  const Content next(2);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
  for (const rlim_t room : {0u, 1u, 100u, 300u, 600u}) {
    const rlimit limit{room, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    const auto written = publisher->write(next.files, 1);
    const Status put = publisher->set_current(1);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    ASSERT_FALSE(written.has_value()) << room;
    EXPECT_EQ(written.error().code, ErrorCode::io) << written.error().message;
    EXPECT_EQ(put.has_value(), room >= 2) << room;
    EXPECT_EQ(load_current(directory.path()).value(), 1u);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory.path())) {
      EXPECT_EQ(entry.path().string().find(".partial-"), std::string::npos) << entry.path();
    }
  }
  ::signal(SIGXFSZ, old_handler);
  const auto written = publisher->write(next.files, 1);  // there is room again
  ASSERT_TRUE(written.has_value()) << written.error().message;
  ASSERT_TRUE(publisher->set_current(written->generation).has_value());
  EXPECT_EQ(load_current(directory.path()).value(), 2u);
}

}  // namespace
}  // namespace merlon::publish

// SPDX-License-Identifier: Apache-2.0
// Two processes on one store, and a process that is killed while it writes.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <optional>
#include <random>
#include <thread>

#include "tests/controlplane/store/generations.h"
#include "tests/controlplane/store/support.h"

namespace merlon::store {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// store_companion with its stdin and stdout on pipes.
class Companion {
 public:
  explicit Companion(std::vector<std::string> arguments) {
    int in[2];
    int out[2];
    EXPECT_EQ(::pipe2(in, O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(out, O_CLOEXEC), 0);
    arguments.insert(arguments.begin(), MERLON_STORE_COMPANION);
    std::vector<char*> argv;
    for (std::string& argument : arguments) {
      argv.push_back(argument.data());
    }
    argv.push_back(nullptr);
    pid_ = ::fork();
    EXPECT_GE(pid_, 0);
    if (pid_ == 0) {
      ::dup2(in[0], STDIN_FILENO);
      ::dup2(out[1], STDOUT_FILENO);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    to_ = in[1];
    from_ = out[0];
  }
  ~Companion() {
    kill();
    ::close(to_);
    ::close(from_);
  }
  Companion(const Companion&) = delete;
  Companion& operator=(const Companion&) = delete;

  pid_t pid() const { return pid_; }

  // The number on the next line; nullopt when the process ended.
  std::optional<uint64_t> next_number() {
    std::string line;
    char byte;
    while (::read(from_, &byte, 1) == 1) {
      if (byte == '\n') {
        return std::stoull(line);
      }
      line.push_back(byte);
    }
    return std::nullopt;
  }
  void kill() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
      pid_ = 0;
    }
  }

 private:
  pid_t pid_ = 0;
  int to_ = -1;
  int from_ = -1;
};

TEST(StoreProcesses, SecondProcessIsToldWhoHasTheStoreAndWhatToDo) {
  TemporaryDirectory directory;
  Companion holder({"hold", directory.store()});
  ASSERT_TRUE(holder.next_number().has_value());
  for (int i = 0; i < 3; ++i) {  // asking does not loosen the other's lock
    EXPECT_FAILS(Store::open(directory.store()), busy,
                 AllOf(HasSubstr(directory.store()), HasSubstr("stop"),
                       HasSubstr("process " + std::to_string(holder.pid()))));
  }
  holder.kill();
  EXPECT_GOOD(Store::open(directory.store()));
}

TEST(StoreProcesses, SecondOpenInOneProcessIsBusyAndLeavesTheFirstAlone) {
  TemporaryDirectory directory;
  auto first = Store::open(directory.store());
  ASSERT_TRUE(first.has_value());
  EXPECT_FAILS(Store::open(directory.store()), busy, HasSubstr(directory.store()));
  EXPECT_GOOD((*first)->add_feed(definition("a")));
  // The first one's lock still holds against others.
  Companion other({"hold", directory.store()});
  EXPECT_FALSE(other.next_number().has_value());
  first->reset();
  EXPECT_GOOD(Store::open(directory.store()));
}

// Set, history and state must all belong to one generation.
void expect_one_generation(const Store& store, uint64_t generation) {
  ASSERT_EQ(store.set_of(kGenerationFeed).value(), generation_set(generation));
  const auto state = store.feed(kGenerationFeed)->state;
  EXPECT_EQ(state.last_good, static_cast<int64_t>(1000 + generation));
  EXPECT_EQ(state.prefix4_count, generation_set(generation).v4.size());
  size_t wrong = 0;
  for (uint32_t value = 0; value < kGenerationValues; ++value) {
    const FeedSet one = value_set(value);
    auto found = !one.v4.empty()   ? store.observations_of(address::Address::v4(one.v4[0].bits))
                 : !one.v6.empty() ? store.observations_of(address::Address::v6(one.v6[0].bits))
                                   : store.observations_of_domain(one.domains[0]);
    ASSERT_TRUE(found.has_value()) << found.error().message;
    const bool listed = !found->empty() && found->front().listed;
    if (listed != is_in_generation(value, generation) || found->size() > 1) {
      ++wrong;
    }
  }
  EXPECT_EQ(wrong, 0u) << "history and set disagree";
}

TEST(StoreProcesses, KilledWhileApplyingIsBeforeOrAfterNeverHalf) {
  std::mt19937 random(test_seed());
  TemporaryDirectory directory;
  {
    auto store = Store::open(directory.store());
    ASSERT_TRUE(store.has_value());
    EXPECT_GOOD((*store)->add_feed(definition(kGenerationFeed)));
  }
  uint64_t next = 1;
  int before = 0;
  int after = 0;
  for (int round = 0; round < 8 && !testing::Test::HasFailure(); ++round) {
    uint64_t acknowledged = 0;
    {
      Companion writer({"apply", directory.store(), std::to_string(next)});
      const auto first = writer.next_number();
      ASSERT_TRUE(first.has_value()) << "the companion failed";
      acknowledged = *first;
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 60000));
      writer.kill();
      while (const auto more = writer.next_number()) {
        acknowledged = *more;
      }
    }
    auto store = Store::open(directory.store());
    ASSERT_TRUE(store.has_value()) << store.error().message;
    const uint64_t generation = (*store)->feed(kGenerationFeed)->state.size_bytes;
    // What was acknowledged is there; at most the one after it may be, too.
    EXPECT_GE(generation, acknowledged);
    EXPECT_LE(generation, acknowledged + 1);
    ++(generation == acknowledged ? before : after);
    expect_one_generation(**store, generation);
    next = generation + 1;
  }
  std::printf("killed 8 times over %llu generations: %d before, %d after the write in flight\n",
              static_cast<unsigned long long>(next), before, after);
}

}  // namespace
}  // namespace merlon::store

// SPDX-License-Identifier: Apache-2.0
// A store in a directory of its own, and short ways to write feeds, sets and devices.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "controlplane/store/store.h"

namespace merlon::store {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "merlon-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::string store() const { return path_ + "/store"; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Expects that the Status or Result is good; prints the error otherwise.
#define EXPECT_GOOD(expression)                                          \
  do {                                                                   \
    const auto& good_result = (expression);                              \
    EXPECT_TRUE(good_result.has_value()) << good_result.error().message; \
  } while (false)

// The code and the message of something that has to fail.
#define EXPECT_FAILS(expression, wanted_code, matcher)                                  \
  do {                                                                                  \
    const auto failed_result = (expression);                                            \
    ASSERT_FALSE(failed_result.has_value());                                            \
    EXPECT_EQ(to_string(failed_result.error().code), to_string(ErrorCode::wanted_code)) \
        << failed_result.error().message;                                               \
    EXPECT_THAT(failed_result.error().message, matcher);                                \
  } while (false)

class StoreTest : public testing::Test {
 protected:
  void SetUp() override { open(); }

  void open() {
    auto opened = Store::open(directory.store());
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    store = std::move(*opened);
  }
  void reopen() {
    store.reset();
    open();
  }
  // What of() says about a text, an address or a domain.
  std::vector<Observation> seen(const std::string& text) const {
    const auto address = address::parse_address(text);
    auto found = address ? store->observations_of(*address) : store->observations_of_domain(text);
    EXPECT_TRUE(found.has_value()) << found.error().message;
    return found.value_or(std::vector<Observation>{});
  }

  TemporaryDirectory directory;
  std::unique_ptr<Store> store;
};

inline FeedDefinition definition(const std::string& id) {
  FeedDefinition made;
  made.id = id;
  made.title = "Title of " + id;
  made.url = "https://feeds.example/" + id + ".txt";
  return made;
}

inline FeedState good_state(int64_t now) {
  FeedState state;
  state.health = FeedHealth::good;
  state.last_attempt = now;
  state.last_good = now;
  state.last_changed = now;
  return state;
}

inline FeedSet set_from(const std::vector<std::string>& values) {
  FeedSet set;
  for (const std::string& text : values) {
    const auto prefix = address::parse_prefix(text);
    if (!prefix) {
      set.domains.push_back(text);
    } else if (prefix->family == address::Family::v4) {
      set.v4.push_back(prefix->v4());
    } else {
      set.v6.push_back(prefix->v6());
    }
  }
  set.normalise();
  return set;
}

inline Device device(const std::string& name, const std::string& account,
                     std::initializer_list<const char*> sources) {
  Device made;
  made.name = name;
  made.account = account;
  for (const char* text : sources) {
    made.sources.push_back(address::parse_prefix(text).value());
  }
  return made;
}

// Random tests print their seed and take it from MERLON_TEST_SEED.
inline unsigned test_seed() {
  const char* given = std::getenv("MERLON_TEST_SEED");
  const unsigned seed = given != nullptr ? static_cast<unsigned>(std::strtoul(given, nullptr, 10))
                                         : std::random_device{}();
  std::printf("MERLON_TEST_SEED=%u\n", seed);
  return seed;
}

}  // namespace merlon::store

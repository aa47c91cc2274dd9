// SPDX-License-Identifier: Apache-2.0
#include "controlplane/forward/cache.h"

#include <gtest/gtest.h>

namespace merlon::forward {
namespace {

AnswerPointer make_answer(uint32_t ttl_s, size_t size = 4) {
  auto answer = std::make_shared<Answer>();
  answer->ttl_s = ttl_s;
  const std::vector<uint8_t> data(size);
  const uint8_t root = 0;
  answer->records.add({.owner = {&root, 1}, .type = 16, .ttl = ttl_s, .data = data});
  return answer;
}

TEST(Cache, FreshThenStaleThenGone) {
  Cache cache({.bytes_max = 10'000, .stale_max = std::chrono::seconds(60)});
  cache.put("a", make_answer(10), 1'000);
  EXPECT_EQ(cache.find("b", 1'000).answer, nullptr);
  EXPECT_FALSE(cache.find("a", 10'999).is_stale);
  EXPECT_EQ(cache.find("a", 5'000).age_s, 4u);
  EXPECT_TRUE(cache.find("a", 11'000).is_stale);
  EXPECT_TRUE(cache.find("a", 70'999).is_stale);
  EXPECT_EQ(cache.find("a", 71'000).answer, nullptr);
  EXPECT_EQ(cache.entries(), 0u);
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST(Cache, BytesAreBoundedAndTheLeastUsedGoesFirst) {
  Cache cache({.bytes_max = 20'000, .stale_max = std::chrono::seconds(0)});
  cache.put("kept", make_answer(100), 0);
  for (int i = 0; i < 1'000; ++i) {
    cache.put("k" + std::to_string(i), make_answer(100, 1'000), 0);
    EXPECT_NE(cache.find("kept", 1).answer, nullptr);
    EXPECT_LE(cache.bytes(), 20'000u);
  }
  EXPECT_EQ(cache.entries() + cache.evicted(), 1'001u);
  EXPECT_EQ(cache.find("k0", 1).answer, nullptr);
}

TEST(Cache, WhatHasNoTtlIsNotKept) {
  Cache cache({.bytes_max = 20'000, .stale_max = std::chrono::seconds(0)});
  cache.put("a", make_answer(100), 0);
  cache.put("a", make_answer(0), 0);
  EXPECT_EQ(cache.find("a", 0).answer, nullptr);
}

TEST(Cache, PopularOnesAreRefreshedOnceBeforeTheirEnd) {
  Cache cache({.bytes_max = 20'000, .stale_max = std::chrono::seconds(0)});
  cache.put("a", make_answer(100), 0);
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(cache.find("a", 80'000).refresh);
  }
  EXPECT_TRUE(cache.find("a", 95'000).refresh);
  EXPECT_FALSE(cache.find("a", 95'001).refresh);
  cache.put("rare", make_answer(100), 0);
  EXPECT_FALSE(cache.find("rare", 95'000).refresh);
}

}  // namespace
}  // namespace merlon::forward

// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dnssec/cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/snapshot_fixture.h"

namespace merlon::dnssec {
namespace {

CachedSignature signature(uint8_t number, uint32_t expiration = 2'000'000'000) {
  CachedSignature out;
  out.key.fill(number);
  out.rrsig.assign(90, number);
  store_be32(out.rrsig.data() + 8, expiration);
  return out;
}

void put(SignatureCache& cache, const CachedSignature& one) {
  cache.put(std::span(&one, 1));
}

std::vector<uint8_t> get(SignatureCache& cache, const CachedSignature& one) {
  return cache.get(std::span(&one.key, 1))[0];
}

class Caches : public testing::TestWithParam<bool> {
 protected:
  std::unique_ptr<SignatureCache> open() const {
    return GetParam() ? open_cache(folder_.path() + "/deep/signatures") : memory_cache();
  }
  tests::TemporaryDirectory folder_;
};

TEST_P(Caches, GiveBackWhatWasPut) {
  const auto cache = open();
  put(*cache, signature(1));
  EXPECT_EQ(get(*cache, signature(1)), signature(1).rrsig);
  EXPECT_TRUE(get(*cache, signature(2)).empty());
  EXPECT_EQ(cache->trouble(), "");
}

TEST_P(Caches, ForgetWhatHasExpired) {
  const auto cache = open();
  put(*cache, signature(1, 1'900'000'000));
  put(*cache, signature(2, 1'900'000'001));
  cache->forget_expired(1'900'000'001);
  EXPECT_TRUE(get(*cache, signature(1)).empty());
  EXPECT_FALSE(get(*cache, signature(2, 1'900'000'001)).empty());
}

INSTANTIATE_TEST_SUITE_P(Kinds, Caches, testing::Bool());

TEST(StoredCache, LivesLongerThanTheProcess) {
  const tests::TemporaryDirectory folder;
  put(*open_cache(folder.path() + "/s"), signature(1));
  EXPECT_EQ(get(*open_cache(folder.path() + "/s"), signature(1)), signature(1).rrsig);
}

TEST(StoredCache, DamagedFilesAreMadeAnew) {
  for (const char* const damaged : {"CURRENT", "MANIFEST", ".log", ".sst"}) {
    const tests::TemporaryDirectory folder;
    const std::string path = folder.path() + "/s";
    for (uint8_t round = 0; round < 3; ++round) {  // reopening makes tables of logs
      const auto cache = open_cache(path);
      put(*cache, signature(round));
    }
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      const std::string name = entry.path().filename().string();
      if (name.find(damaged) != std::string::npos && entry.file_size() > 0) {
        std::ofstream(entry.path(), std::ios::binary) << std::string(entry.file_size(), 'x');
        ++count;
      }
    }
    ASSERT_GT(count, 0u) << damaged;
    const auto cache = open_cache(path);
    const auto found = get(*cache, signature(0));
    EXPECT_TRUE(found.empty() || found == signature(0).rrsig) << damaged;
    put(*cache, signature(9));
    EXPECT_EQ(get(*cache, signature(9)), signature(9).rrsig) << damaged;
  }
}

TEST(StoredCache, OneThatIsInUseIsLeftAloneAndReplacedByMemory) {
  const tests::TemporaryDirectory folder;
  const auto first = open_cache(folder.path() + "/s");
  put(*first, signature(1));
  const auto second = open_cache(folder.path() + "/s");
  EXPECT_THAT(second->trouble(), testing::HasSubstr("memory only"));
  put(*second, signature(2));
  EXPECT_FALSE(get(*second, signature(2)).empty());
  EXPECT_EQ(get(*first, signature(1)), signature(1).rrsig);
}

TEST(StoredCache, PathThatCannotBeMadeIsReplacedByMemory) {
  const auto cache = open_cache("/proc/no/such/place");
  put(*cache, signature(1));
  EXPECT_FALSE(get(*cache, signature(1)).empty());
  EXPECT_NE(cache->trouble(), "");
}

}  // namespace
}  // namespace merlon::dnssec

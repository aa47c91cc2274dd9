// SPDX-License-Identifier: Apache-2.0
// The seed of a random test: MERLON_TEST_SEED when it is set, else new for every run. It is
// printed, so that a failure can be repeated.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

namespace merlon::test {

inline uint64_t seed_for(const char* what) {
  const char* given = std::getenv("MERLON_TEST_SEED");
  uint64_t seed = 0;
  if (given != nullptr) {
    seed = std::strtoull(given, nullptr, 10);
  } else {
    std::random_device device;
    seed = (uint64_t{device()} << 32) | device();
  }
  std::printf("%s: MERLON_TEST_SEED=%llu\n", what, static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  return seed;
}

}  // namespace merlon::test

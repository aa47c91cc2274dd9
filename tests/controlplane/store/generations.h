// SPDX-License-Identifier: Apache-2.0
// Sets that are a function of their generation, so that two processes know what the store has to
// hold. Each value is in about half of the generations.
#pragma once

#include <cstdint>
#include <string>

#include "controlplane/store/model.h"

namespace merlon::store {

inline constexpr uint32_t kGenerationValues = 4000;
inline constexpr const char* kGenerationFeed = "generations";

inline bool is_in_generation(uint32_t value, uint64_t generation) {
  uint64_t mixed = (uint64_t{value} << 32 | (generation & 0xffffffff)) * 0x9e3779b97f4a7c15u;
  mixed ^= mixed >> 29;
  mixed *= 0xbf58476d1ce4e5b9u;
  return ((mixed >> 40) & 1) != 0;
}

// Of eight values six are IPv4 addresses, one an IPv6 network and one a domain.
inline FeedSet value_set(uint32_t value) {
  FeedSet set;
  if (value % 8 == 6) {
    set.v6.push_back({(address::Bits6{0x2a000000 + value} << 96), 32});
  } else if (value % 8 == 7) {
    set.domains.push_back("host" + std::to_string(value) + ".example");
  } else {
    set.v4.push_back({0x05000000 + value * 7, 32});
  }
  return set;
}

inline FeedSet generation_set(uint64_t generation) {
  FeedSet set;
  for (uint32_t value = 0; value < kGenerationValues; ++value) {
    if (is_in_generation(value, generation)) {
      const FeedSet one = value_set(value);
      set.v4.insert(set.v4.end(), one.v4.begin(), one.v4.end());
      set.v6.insert(set.v6.end(), one.v6.begin(), one.v6.end());
      set.domains.insert(set.domains.end(), one.domains.begin(), one.domains.end());
    }
  }
  set.normalise();
  return set;
}

}  // namespace merlon::store

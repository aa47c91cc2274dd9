// SPDX-License-Identifier: Apache-2.0
// What several sources say about one value, as one word. Pure functions, thread-safe.
//   first_seen  the earliest of all
//   last_seen   the latest of all
//   confidence  the highest of all that list it now: what one source is sure of, others who are not
//               so sure do not make less sure
//   combined    how sure one may be because several say so: 1 - (1-c1)(1-c2).., each source counted
//               as an independent witness, and at most 99. Feeds that copy each other are one
//               witness, with the highest confidence among them: a feed whose definition names in
//               `copies` another that lists the value too belongs to that one (and through it to
//               whatever that one copies).
// Feeds that list the value no more count for first_seen and last_seen only.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace merlon::store {

struct Claim {
  std::string feed;
  uint8_t confidence = 0;  // 0..100
  bool listed = false;
  int64_t first_seen = 0;
  int64_t last_seen = 0;
  std::vector<std::string> copies = {};  // of the feed's definition
};

struct Merged {
  uint32_t sources = 0;      // that list it now
  uint32_t independent = 0;  // of these, witnesses
  uint8_t confidence = 0;
  uint8_t combined = 0;
  int64_t first_seen = 0;  // 0: nobody ever listed it
  int64_t last_seen = 0;
  bool operator==(const Merged&) const = default;
};

// A feed with several claims (an address and a prefix around it) is one source.
Merged merge_claims(std::span<const Claim> claims);

}  // namespace merlon::store

// SPDX-License-Identifier: Apache-2.0
// Frames by number: the same seed and number give the same frame, so a frame that got a wrong reply
// is made again when it is needed instead of being kept.
#pragma once

#include <array>
#include <cstdint>

#include "tests/soak/seeds.h"
#include "tests/support/frame_builder.h"
#include "zones/address/address.h"

namespace merlon::soak {

struct Place {
  tests::Mac server_mac{};
  tests::Mac client_mac{};
  address::Address server4{};
  address::Address server6{};
  // Prefixes whose sources are devices, and such whose are not; the last 8 bits are drawn.
  address::Address device4{};
  address::Address device6{};
  address::Address stranger4{};
  address::Address stranger6{};
};

class FrameMaker {
 public:
  FrameMaker(Seeds seeds, const Place& place, uint64_t seed)
      : seeds_(std::move(seeds)), place_(place), seed_(seed) {}

  void make(uint64_t number, Buffer& frame) const;

 private:
  address::Address source(Random& random, bool is_v6) const;
  void from_message(Random& random, uint64_t number, Buffer& frame) const;
  void from_frame(Random& random, uint64_t number, Buffer& frame) const;
  void damage_message(Random& random, Buffer& message) const;
  void damage_frame(Random& random, Buffer& frame) const;

  Seeds seeds_;
  Place place_;
  uint64_t seed_;
};

}  // namespace merlon::soak

// SPDX-License-Identifier: Apache-2.0
// What an attacker must not guess: message ids, ports, the case of names. From the system's
// cryptographic generator, in blocks. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace merlon::forward {

class Random {
 public:
  uint32_t u32() {
    if (at_ + sizeof(uint32_t) > block_.size()) {
      refill();
    }
    uint32_t value = 0;
    std::memcpy(&value, block_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  uint16_t u16() { return static_cast<uint16_t>(u32()); }
  // REQUIRES: count != 0; far below 2^32, so that no value is noticeably likelier.
  uint32_t below(uint32_t count) { return u32() % count; }

 private:
  void refill();

  std::array<uint8_t, 4096> block_{};
  size_t at_ = 4096;
};

}  // namespace merlon::forward

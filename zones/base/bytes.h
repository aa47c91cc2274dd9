// SPDX-License-Identifier: Apache-2.0
// Byte views and fixed-order integers. Be16/Be32 (network) and Le16/Le32/Le64 (our files) are byte
// arrays with conversions, so wrong order or alignment does not compile into a silent bug.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace merlon {

using Bytes = std::span<const uint8_t>;
using MutableBytes = std::span<uint8_t>;

template <class T, bool kBig>
struct FixedInteger {
  static_assert(std::is_unsigned_v<T>);
  std::array<uint8_t, sizeof(T)> bytes{};

  FixedInteger() = default;
  constexpr FixedInteger(T value) {  // NOLINT(google-explicit-constructor): it is the integer
    for (size_t i = 0; i < sizeof(T); ++i) {
      const size_t shift = 8 * (kBig ? sizeof(T) - 1 - i : i);
      bytes[i] = static_cast<uint8_t>(value >> shift);
    }
  }
  constexpr operator T() const {  // NOLINT(google-explicit-constructor)
    T value = 0;
    for (size_t i = 0; i < sizeof(T); ++i) {
      const size_t shift = 8 * (kBig ? sizeof(T) - 1 - i : i);
      value = static_cast<T>(value | static_cast<T>(static_cast<T>(bytes[i]) << shift));
    }
    return value;
  }
};

using Be16 = FixedInteger<uint16_t, true>;
using Be32 = FixedInteger<uint32_t, true>;
using Le16 = FixedInteger<uint16_t, false>;
using Le32 = FixedInteger<uint32_t, false>;
using Le64 = FixedInteger<uint64_t, false>;
static_assert(sizeof(Be16) == 2 && alignof(Be16) == 1 && sizeof(Le64) == 8 && alignof(Le64) == 1);

inline uint16_t load_be16(const uint8_t* at) {
  uint16_t value;
  std::memcpy(&value, at, sizeof value);
  return __builtin_bswap16(value);
}
inline uint32_t load_be32(const uint8_t* at) {
  uint32_t value;
  std::memcpy(&value, at, sizeof value);
  return __builtin_bswap32(value);
}
inline void store_be16(uint8_t* at, uint16_t value) {
  value = __builtin_bswap16(value);
  std::memcpy(at, &value, sizeof value);
}
inline void store_be32(uint8_t* at, uint32_t value) {
  value = __builtin_bswap32(value);
  std::memcpy(at, &value, sizeof value);
}

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string to_hex(Bytes bytes);
// Lower- or upper-case hex of exactly out.size() bytes; false otherwise.
bool from_hex(std::string_view text, MutableBytes out);

}  // namespace merlon

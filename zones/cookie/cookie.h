// SPDX-License-Identifier: Apache-2.0
// DNS cookies (RFC 7873) with the interoperable server cookie of RFC 9018: any server of an anycast
// set that holds the same secrets accepts what another one made.
//
//   server cookie = version 1, reserved 3, timestamp 4, hash 8
//   hash = SipHash-2-4(client cookie | version | reserved | timestamp | client address; secret)
//
// Two secrets are staged (RFC 9018 section 5): cookies are made with the active one and accepted
// with both. Roll over by adding the next secret as the other one everywhere, then making it the
// active one everywhere with the former as the other, then dropping the former.
//
// Checks run over bursts: several SipHash computations go through the vector unit side by side.
// Pure: time is an argument. No allocation; all functions are thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "zones/address/address.h"
#include "zones/base/bytes.h"
#include "zones/base/error.h"

namespace merlon::cookie {

inline constexpr size_t kClientSize = 8;
inline constexpr size_t kServerSize = 16;
// RFC 9018 section 4.3, in seconds.
inline constexpr uint32_t kPastMax = 3600;
inline constexpr uint32_t kFutureMax = 300;
inline constexpr uint32_t kRenewAfter = 1800;

using Secret = std::array<uint8_t, 16>;

struct Secrets {
  Secret active{};
  Secret other{};
  bool has_other = false;

  static Secrets random();
};

// One or two lines of 32 hex digits: the active secret, then the other one. Blank lines and lines
// beginning with # do not count. Errors: invalid_argument with the line.
Result<Secrets> parse_secrets(std::string_view text);

enum class State : uint8_t {
  none,        // no cookie
  unverified,  // a client cookie alone
  valid,       // a server cookie of ours, for this client at this address, in time
  invalid,     // another server cookie
};

struct Check {
  std::array<uint8_t, kClientSize> client{};
  std::array<uint8_t, kServerSize> server{};
  uint8_t server_size = 0;  // as received; 0: none, above 16: only the first 16 are here
  address::Address source;
  State state = State::unverified;            // set by check_burst
  std::array<uint8_t, kServerSize> answer{};  // set by check_burst: the server cookie to send back
};

inline constexpr size_t kBurstMax = 64;

// `now` in seconds since 1970, modulo 2^32 (compared as RFC 1982 does).
// REQUIRES: checks.size() <= kBurstMax.
void check_burst(const Secrets& secrets, uint32_t now, std::span<Check> checks);

// SipHash-2-4 of any bytes, the plain way: the reference for check_burst, and for single uses.
uint64_t siphash(const Secret& secret, Bytes data);

}  // namespace merlon::cookie

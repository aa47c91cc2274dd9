// SPDX-License-Identifier: Apache-2.0
// A whole zone from its primary by AXFR over TCP (RFC 5936), checked as a zone file is. Blocks, for
// at most the timeout. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "controlplane/zonefile/zone_data.h"
#include "zones/address/address.h"
#include "zones/base/error.h"
#include "zones/name/name.h"

namespace merlon::zonefile {

struct Primary {
  address::Address address;
  uint16_t port = 53;

  // "192.0.2.1", "192.0.2.1:5300", "2001:db8::1", "[2001:db8::1]:5300". Errors: invalid_argument.
  static Result<Primary> from_text(std::string_view text);
  std::string to_text() const;
};

struct TransferOptions {
  Primary primary;
  name::Name apex;
  std::optional<uint32_t> serial;  // what we have: a zone that is not newer is not transferred
  uint32_t timeout_ms = 60'000;    // for all of it
  uint64_t size_max = 2ull << 30;  // bytes of messages
  const std::atomic<bool>* stop = nullptr;  // gives up soon after it is set
};

// nullopt: the primary has nothing newer (RFC 1982). Errors: io (unreachable, timeout),
// invalid_argument (refused, malformed, not a zone), each naming primary and zone.
Result<std::optional<ZoneData>> transfer_in(const TransferOptions& options);

// Whether serial `a` is after `b` (RFC 1982 section 3.2).
constexpr bool is_newer(uint32_t a, uint32_t b) {
  return a != b && a - b < 0x80000000u;
}

}  // namespace merlon::zonefile

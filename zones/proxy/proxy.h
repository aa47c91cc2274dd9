// SPDX-License-Identifier: Apache-2.0
// The PROXY protocol's binary header, version 2 (haproxy's proxy-protocol.txt, section 2.2), in
// front of a datagram: whose query it is that somebody else passes on.
//
//   0   12 bytes signature 0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A
//   12  version 2 (high half) and command: 1 PROXY, 0 LOCAL
//   13  family (high half): 1 IPv4, 2 IPv6; transport: 2 datagram
//   14  bytes that follow, big endian
//   16  source, destination: addresses, then ports, big endian
//       type-length-value records up to the end
//
// Between our processes a header always has a PP2_TYPE_UNIQUE_ID (05), by which an answer finds its
// asker: the answer comes back behind a header with the addresses swapped and the same id.
// Pure, and strict: who passes on what it does not understand would answer the wrong one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "zones/address/address.h"
#include "zones/base/bytes.h"

namespace merlon::proxy {

inline constexpr size_t kUniqueIdSizeMax = 128;
// What write() makes at most.
inline constexpr size_t kHeaderSizeMax = 16 + 36 + 3 + kUniqueIdSizeMax;

struct Header {
  // IPv4-mapped IPv6 addresses are read as the IPv4 addresses that they stand for.
  address::Address source;
  address::Address destination;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  Bytes unique_id;  // a view into what was parsed; empty: none
};

// Why a datagram is not taken. One list gives enum, name and explanation.
#define MERLON_PROXY_FAULTS(X)                                           \
  X(too_short, "ends inside the header's first 16 bytes")                \
  X(signature, "does not begin with the signature")                      \
  X(version, "has a version other than 2")                               \
  X(command, "has a command other than PROXY: it is on nobody's behalf") \
  X(family, "has a family other than IPv4 and IPv6")                     \
  X(transport, "has a transport other than datagram")                    \
  X(length, "has a length below its addresses or past its end")          \
  X(record, "has a type-length-value record that runs past the header")  \
  X(unique_id, "has a unique id that is empty, longer than 128 bytes or there twice")

enum class Fault : uint8_t {
  none,
#define MERLON_X(name, text) name,
  MERLON_PROXY_FAULTS(MERLON_X)
#undef MERLON_X
};
std::string_view to_string(Fault fault);  // the enumerator's name
std::string_view explain(Fault fault);    // a predicate: "ends inside .."

// Fills `header` and `message`, the bytes behind it, unless there is a fault.
Fault parse(Bytes datagram, Header& header, Bytes& message);

// Writes the header with command PROXY and transport datagram. A destination of the other family
// (one that is not known) is written as the unspecified address of the source's. Returns its size;
// 0 when it does not fit or the unique id is longer than it may be.
size_t write(const Header& header, MutableBytes out);

}  // namespace merlon::proxy

// SPDX-License-Identifier: Apache-2.0
// Ethernet frames around DNS messages: what a kernel does for a UDP socket, done here for the
// engines that take frames from a port themselves. Pure: a frame in, a verdict or a reply out, in
// place. Only the frame's length is trusted.
//
// parse() hands over what a kernel UDP socket bound to the port would have handed over, and nothing
// else: headers and lengths must agree, IPv4 header and UDP checksums must be right (RFC 768, 791,
// 1122 section 4.1.3.4, 8200 section 8.1), source addresses must be unicast. Frames that are not a
// whole UDP datagram to one of our addresses and our port are not ours: they go to the kernel
// (exception path), which answers ARP, ND, ICMP, TCP and reassembles fragments.
//
// turn_around() makes the reply: addresses and ports swapped, lengths and checksums set (a real UDP
// checksum on IPv4 too), VLAN tags kept, IPv4 options left out (RFC 1122 lets a reply go without;
// the kernel's sockets do so too), TTL 64, DF set, identification 0 (RFC 6864).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "zones/address/address.h"
#include "zones/base/bytes.h"

namespace merlon::frame {

// Why a frame to our port is dropped: what the kernel would have dropped, by name.
#define MERLON_FRAME_DROPS(X)                                                          \
  X(truncated, "the frame ends inside a header or before the length that its IP says") \
  X(ip_header, "IPv4 header length below 20 or past the packet, or IP version wrong")  \
  X(ip_checksum, "IPv4 header checksum wrong")                                         \
  X(udp_length, "UDP length below 8 or not what the IP packet holds")                  \
  X(udp_checksum, "UDP checksum wrong, or none on IPv6")                               \
  X(source_port_zero, "source port 0: a reply goes nowhere")                           \
  X(source_address, "source is multicast, broadcast, loopback, unspecified or our own")

enum class Drop : uint8_t {
#define MERLON_X(name, text) name,
  MERLON_FRAME_DROPS(MERLON_X)
#undef MERLON_X
      count_
};
inline constexpr size_t kDropCount = static_cast<size_t>(Drop::count_);
std::string_view to_string(Drop drop);
std::string_view explain(Drop drop);

enum class Verdict : uint8_t {
  query,     // a DNS message for us, at layout.message
  not_ours,  // for the kernel: other protocols and ports, fragments, IPv6 extension headers,
             // multicast and broadcast, other destinations
  drop,      // to our port, but nothing a socket would have received: layout.drop says why
};

struct Filter {
  uint16_t port = 53;
  // Ours; empty: any unicast destination.
  std::vector<address::Address> addresses;
};

// What the port has already checked (receive checksum offload).
struct Checked {
  bool ip = false;
  bool udp = false;
};

// Offsets from the frame's first byte.
struct Layout {
  uint16_t ip = 0;
  uint16_t udp = 0;
  uint16_t message = 0;
  uint16_t message_size = 0;
  uint16_t source_port = 0;
  bool is_v6 = false;
  bool has_options = false;  // IPv4 header longer than 20 bytes
  Drop drop = Drop::truncated;
};

// Fills `layout` and `source` for a query. The frame may be longer than its IP packet (padding).
Verdict parse(Bytes frame, const Filter& filter, Checked checked, Layout& layout,
              address::Address& source);

// Who computes the checksums of a reply.
enum class Checksums : uint8_t {
  here,  // both complete
  port,  // IPv4 header 0, UDP the pseudo header's sum: transmit offload does the rest
};

struct Reply {
  uint16_t offset = 0;  // where the reply's frame begins (above 0 when IPv4 options were left out)
  uint16_t size = 0;
};

// The message at layout.message has been replaced by a reply of reply_size bytes, whose ones'
// complement sum (as if it began at an even address, folded to 16 bits, host order of big-endian
// words) is message_sum.
// REQUIRES: parse() said query for this layout; layout.message + reply_size <= frame.size().
Reply turn_around(MutableBytes frame, const Layout& layout, size_t reply_size, uint16_t message_sum,
                  Checksums checksums);

// From the headers of a query's frame (its first layout.message bytes) and a message that became
// ready later: the whole reply frame into `out`. Returns its size, 0 when it does not fit.
size_t build_reply(Bytes query_headers, const Layout& layout, Bytes message, MutableBytes out);

}  // namespace merlon::frame

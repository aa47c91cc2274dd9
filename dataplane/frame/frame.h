// SPDX-License-Identifier: Apache-2.0
// Ethernet frames around DNS messages: what a kernel does for a UDP socket, done here for the
// engines that take frames from a port themselves. Pure: a frame in, a verdict or a reply out, in
// place. Only the frame's length is trusted.
//
// parse() hands over what a kernel UDP socket bound to the port would have handed over, and nothing
// else: headers and lengths must agree, IPv4 header and UDP checksums must be right (RFC 768, 791,
// 1122 section 4.1.3.4, 8200 section 8.1), source addresses must be those of a host. What to do at
// the edges (a UDP length shorter than its packet, options, odd sources) is what Linux does, held
// by a test that gives the same frames to both.
//
// First comes the question whether a frame is for us at all: our MAC and IP address, UDP, our port,
// no fragment. What is not, or is too broken for its port to be known (it ends before the port, the
// IPv4 header length is below 20), is not ours and goes to the kernel (exception path), which
// answers ARP, ND, ICMP, TCP, reassembles fragments and counts the broken ones as it always did.
// Only then comes the question whether it is right; if not, it is dropped with a reason.
//
// turn_around() makes the reply: addresses and ports swapped, lengths and checksums set (a real UDP
// checksum on IPv4 too), VLAN tags kept, IPv4 options left out (RFC 1122 lets a reply go without;
// the kernel's sockets do so too), TTL 64, DF set, identification 0 (RFC 6864), traffic class and
// flow label 0.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "zones/address/address.h"
#include "zones/base/bytes.h"

namespace merlon::frame {

// Why a frame to our port is dropped: what the kernel would have dropped, by name.
#define MERLON_FRAME_DROPS(X)                                                    \
  X(truncated, "the frame ends before the length that its IP header says")       \
  X(ip_header, "IP version wrong, or the packet is shorter than its own header") \
  X(ip_checksum, "IPv4 header checksum wrong")                                   \
  X(ip_options, "IPv4 options malformed, or a source route")                     \
  X(udp_length, "UDP length below 8 or above what the IP packet holds")          \
  X(udp_checksum, "UDP checksum wrong, or none on IPv6")                         \
  X(source_port_zero, "source port 0: a reply goes nowhere")                     \
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
             // CIPSO labels, multicast and broadcast, other destinations
  drop,      // to our port, but nothing that a socket could answer: layout.drop says why
};

struct Filter {
  uint16_t port = 53;
  // The port's own; all zero: any unicast destination. Ports that also hand over what is for others
  // (promiscuous, or behind a switch that floods) need it.
  std::array<uint8_t, 6> mac{};
  // Ours, few: they are compared one by one. Empty: any unicast destination.
  std::vector<address::Address> addresses{};  // tidy: start-up only
};

// What the port has already checked (receive checksum offload).
struct Checked {
  bool ip = false;
  bool udp = false;
};

// Offsets from the frame's first byte. `drop` is set with Verdict::drop only, the rest with
// Verdict::query only.
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
// REQUIRES: parse() said query for this layout; layout.message + reply_size <= frame.size() and
// <= 65535.
Reply turn_around(MutableBytes frame, const Layout& layout, size_t reply_size, uint16_t message_sum,
                  Checksums checksums);

// From the headers of a query's frame (its first layout.message bytes) and a message that became
// ready later: the whole reply frame into `out`, checksums complete. Returns its size, 0 when it
// does not fit.
size_t build_reply(Bytes query_headers, const Layout& layout, Bytes message, MutableBytes out);

}  // namespace merlon::frame

// SPDX-License-Identifier: Apache-2.0
// Frames for the filter's tests: a spec with the fields that matter, all others as a client's stack
// would set them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "zones/address/address.h"

namespace merlon::xdp::tests {

using Frame = std::vector<uint8_t>;

struct FrameSpec {
  std::vector<uint16_t> tags = {};  // VLAN tag types, outermost first
  std::string destination = "192.0.2.1";
  std::string source = "198.51.100.7";
  uint16_t port = 53;
  uint8_t protocol = 17;
  uint8_t options = 0;         // 32-bit words of IPv4 options
  uint16_t fragment = 0;       // flags and offset as on the wire
  uint8_t first_mac_byte = 2;  // of the destination
  uint16_t payload_size = 30;
  std::vector<uint8_t> extensions = {};  // IPv6: types of 8-byte extension headers
};

inline void push16(Frame& frame, uint16_t value) {
  frame.push_back(static_cast<uint8_t>(value >> 8));
  frame.push_back(static_cast<uint8_t>(value));
}

inline void push_address(Frame& frame, const std::string& text) {
  const auto address = address::parse_address(text);
  uint8_t bytes[16] = {};
  const bool is_v4 = address->family == address::Family::v4;
  if (is_v4) {
    address::store_network(static_cast<address::Bits4>(address->bits), bytes);
  } else {
    address::store_network(address->bits, bytes);
  }
  frame.insert(frame.end(), bytes, bytes + (is_v4 ? 4 : 16));
}

inline void push_udp(Frame& frame, const FrameSpec& spec) {
  push16(frame, 40000);
  push16(frame, spec.port);
  push16(frame, static_cast<uint16_t>(8 + spec.payload_size));
  push16(frame, 0xabcd);
  frame.insert(frame.end(), spec.payload_size, 0x5a);
}

inline void push_ipv4(Frame& frame, const FrameSpec& spec) {
  const unsigned header = 20u + 4u * spec.options;
  frame.push_back(static_cast<uint8_t>(0x40 | header / 4));
  frame.push_back(0);
  push16(frame, static_cast<uint16_t>(header + 8 + spec.payload_size));
  push16(frame, 0x1234);
  push16(frame, spec.fragment);
  frame.push_back(64);
  frame.push_back(spec.protocol);
  push16(frame, 0);
  push_address(frame, spec.source);
  push_address(frame, spec.destination);
  frame.insert(frame.end(), size_t{4} * spec.options, 1);  // no-operation
}

inline void push_ipv6(Frame& frame, const FrameSpec& spec) {
  frame.insert(frame.end(), {0x60, 0, 0, 0});
  push16(frame, static_cast<uint16_t>(8 * spec.extensions.size() + 8 + spec.payload_size));
  frame.push_back(spec.extensions.empty() ? spec.protocol : spec.extensions[0]);
  frame.push_back(64);
  push_address(frame, spec.source.find(':') == std::string::npos ? "2001:db8:f::7" : spec.source);
  push_address(frame, spec.destination);
  for (size_t i = 0; i < spec.extensions.size(); ++i) {
    const bool is_last = i + 1 == spec.extensions.size();
    frame.push_back(is_last ? spec.protocol : spec.extensions[i + 1]);
    frame.insert(frame.end(), 7, 0);
  }
}

inline Frame make_frame(const FrameSpec& spec) {
  Frame frame = {spec.first_mac_byte, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
  for (const uint16_t tag : spec.tags) {
    push16(frame, tag);
    push16(frame, 0x0064);
  }
  if (spec.destination.find(':') == std::string::npos) {
    push16(frame, 0x0800);
    push_ipv4(frame, spec);
  } else {
    push16(frame, 0x86dd);
    push_ipv6(frame, spec);
  }
  push_udp(frame, spec);
  return frame;
}

// `frame` with one byte replaced.
inline Frame with_byte(Frame frame, size_t at, uint8_t value) {
  frame.at(at) = value;
  return frame;
}

}  // namespace merlon::xdp::tests

// SPDX-License-Identifier: Apache-2.0
// Ethernet frames around a DNS query, right in everything but what a test sets otherwise. Shares no
// code with dataplane/frame: what is computed here is computed byte by byte.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "zones/address/address.h"
#include "zones/base/bytes.h"

namespace merlon::tests {

using Mac = std::array<uint8_t, 6>;
inline constexpr Mac kServerMac = {0x02, 0, 0, 0, 0, 0x53};
inline constexpr Mac kClientMac = {0x02, 0, 0, 0, 0, 0x01};
inline constexpr std::string_view kServer4 = "192.0.2.53";
inline constexpr std::string_view kServer6 = "2001:db8::53";
inline constexpr std::string_view kClient4 = "198.51.100.7";
inline constexpr std::string_view kClient6 = "2001:db8:1::7";
inline constexpr uint16_t kServerPort = 53;
inline constexpr uint16_t kClientPort = 40000;

// REQUIRES: the text of an address. ::ffff:a.b.c.d is read as IPv4.
address::Address ip(std::string_view text);

struct Tag {
  uint16_t type = 0x8100;
  uint16_t id = 0;
};

struct FrameSpec {
  bool is_v6 = false;
  Mac to = kServerMac;
  Mac from = kClientMac;
  std::vector<Tag> tags{};
  std::optional<uint16_t> type{};            // EtherType
  std::optional<address::Address> source{};  // of the family that is_v6 says
  std::optional<address::Address> destination{};
  uint16_t source_port = kClientPort;
  uint16_t destination_port = kServerPort;
  std::vector<uint8_t> message = default_message();

  std::vector<uint8_t> options{};     // IPv4; a multiple of 4
  std::vector<uint8_t> extensions{};  // IPv6: whole extension headers
  std::optional<uint8_t> protocol{};  // protocol or next header
  std::optional<uint8_t> first{};     // version and header length
  uint8_t traffic_class = 0;
  uint8_t hop_limit = 64;
  uint16_t id = 0x1234;
  uint16_t fragment = 0;             // flags and offset
  std::optional<uint16_t> length{};  // IPv4 total length, IPv6 payload length
  uint16_t ip_checksum_flip = 0;     // xored into the right one

  std::optional<uint16_t> udp_length{};
  std::optional<uint16_t> udp_checksum{};
  uint16_t udp_checksum_flip = 0;
  bool sum_to_zero = false;           // the message's last word makes the computed checksum 0
  std::vector<uint8_t> behind_udp{};  // in the IP packet
  std::vector<uint8_t> padding{};     // behind the IP packet
  size_t cut = 0;                     // bytes missing at the frame's end

  static std::vector<uint8_t> default_message();
};

std::vector<uint8_t> build_frame(const FrameSpec& spec);

// The ones' complement sum of big-endian words, word by word.
uint16_t slow_sum(Bytes bytes);

// Makes the checksums right of what can be told to be an IP packet with UDP in it.
void fix_frame_checksums(std::vector<uint8_t>& frame);

}  // namespace merlon::tests

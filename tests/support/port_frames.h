// SPDX-License-Identifier: Apache-2.0
// Frames for the tests of ports: built right, taken apart strictly, and kept in pcap files, which
// the net_pcap driver reads and writes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "zones/address/address.h"
#include "zones/base/bytes.h"

namespace merlon::tests {

using FrameBytes = std::vector<uint8_t>;

struct Datagram {
  std::string source = "192.0.2.10";
  std::string destination = "192.0.2.1";
  uint16_t source_port = 5000;
  uint16_t destination_port = 53;
  std::vector<uint16_t> vlans = {};
  FrameBytes payload = {};
  FrameBytes destination_mac = {2, 0, 0, 0, 0, 1};
  FrameBytes source_mac = {2, 0, 0, 0, 0, 2};
};

FrameBytes make_frame(const Datagram& datagram);
// The datagram of a frame; nothing when it is none or when a length or a checksum is wrong.
std::optional<Datagram> take_apart(Bytes frame);

// Asks who has `target`, for `sender`.
FrameBytes make_arp_request(const std::string& sender, const std::string& target);

void write_pcap(const std::string& path, const std::vector<FrameBytes>& frames);
std::vector<FrameBytes> read_pcap(const std::string& path);

}  // namespace merlon::tests

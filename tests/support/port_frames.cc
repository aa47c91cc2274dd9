// SPDX-License-Identifier: Apache-2.0
#include "tests/support/port_frames.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>

namespace merlon::tests {
namespace {

constexpr uint8_t kUdp = 17;
constexpr size_t kMacSize = 6;

void put16(FrameBytes& out, size_t value) {
  out.push_back(static_cast<uint8_t>(value >> 8));
  out.push_back(static_cast<uint8_t>(value));
}

FrameBytes network(const address::Address& address) {
  FrameBytes bytes(address.family == address::Family::v4 ? 4 : 16);
  if (address.family == address::Family::v4) {
    address::store_network(static_cast<address::Bits4>(address.bits), bytes.data());
  } else {
    address::store_network(address.bits, bytes.data());
  }
  return bytes;
}

void append(FrameBytes& out, const FrameBytes& more) {
  out.insert(out.end(), more.begin(), more.end());
}

// RFC 1071, the plain way.
uint16_t checksum(const FrameBytes& bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    sum += static_cast<uint32_t>(i % 2 == 0 ? bytes[i] << 8 : bytes[i]);
  }
  while (sum > 0xffff) {
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(~sum);
}

FrameBytes udp_of(const Datagram& datagram, const FrameBytes& source, const FrameBytes& target) {
  FrameBytes udp;
  put16(udp, datagram.source_port);
  put16(udp, datagram.destination_port);
  put16(udp, 8 + datagram.payload.size());
  put16(udp, 0);
  append(udp, datagram.payload);
  FrameBytes pseudo = source;
  append(pseudo, target);
  put16(pseudo, kUdp);
  put16(pseudo, udp.size());
  append(pseudo, udp);
  const uint16_t sum = checksum(pseudo) == 0 ? 0xffff : checksum(pseudo);
  udp[6] = static_cast<uint8_t>(sum >> 8);
  udp[7] = static_cast<uint8_t>(sum);
  return udp;
}

FrameBytes slice(Bytes bytes, size_t at, size_t size) {
  const Bytes part = bytes.subspan(at, size);
  return {part.begin(), part.end()};
}

}  // namespace

FrameBytes make_frame(const Datagram& datagram) {
  const FrameBytes source = network(*address::parse_address(datagram.source));
  const FrameBytes target = network(*address::parse_address(datagram.destination));
  const FrameBytes udp = udp_of(datagram, source, target);
  FrameBytes frame = datagram.destination_mac;
  append(frame, datagram.source_mac);
  for (const uint16_t vlan : datagram.vlans) {
    put16(frame, 0x8100);
    put16(frame, vlan);
  }
  if (source.size() == 4) {
    put16(frame, 0x0800);
    FrameBytes ip = {0x45, 0};
    put16(ip, 20 + udp.size());
    append(ip, {0, 0, 0, 0, 64, kUdp, 0, 0});
    append(ip, source);
    append(ip, target);
    const uint16_t sum = checksum(ip);
    ip[10] = static_cast<uint8_t>(sum >> 8);
    ip[11] = static_cast<uint8_t>(sum);
    append(frame, ip);
  } else {
    put16(frame, 0x86dd);
    append(frame, {0x60, 0, 0, 0});
    put16(frame, udp.size());
    append(frame, {kUdp, 64});
    append(frame, source);
    append(frame, target);
  }
  append(frame, udp);
  return frame;
}

std::optional<Datagram> take_apart(Bytes frame) {
  Datagram result;
  size_t at = 2 * kMacSize;
  if (frame.size() < at + 2 + 28) {
    return std::nullopt;
  }
  result.destination_mac = slice(frame, 0, kMacSize);
  result.source_mac = slice(frame, kMacSize, kMacSize);
  for (; load_be16(&frame[at]) == 0x8100; at += 4) {
    result.vlans.push_back(load_be16(&frame[at + 2]));
  }
  const bool is_v6 = load_be16(&frame[at]) == 0x86dd;
  at += 2;
  const size_t ip = at;
  const size_t header = is_v6 ? 40 : 20;
  const size_t width = is_v6 ? 16 : 4;
  if (frame.size() < ip + header + 8 || frame[ip + (is_v6 ? 6 : 9)] != kUdp ||
      frame[ip] != (is_v6 ? 0x60 : 0x45)) {
    return std::nullopt;
  }
  const size_t size = is_v6 ? load_be16(&frame[ip + 4]) : load_be16(&frame[ip + 2]) - header;
  if (frame.size() < ip + header + size || size < 8 || load_be16(&frame[ip + header + 4]) != size ||
      (!is_v6 && checksum(slice(frame, ip, header)) != 0)) {
    return std::nullopt;
  }
  const FrameBytes addresses = slice(frame, ip + header - 2 * width, 2 * width);
  FrameBytes summed = addresses;
  put16(summed, kUdp);
  put16(summed, size);
  append(summed, slice(frame, ip + header, size));
  if (checksum(summed) != 0 || load_be16(&frame[ip + header + 6]) == 0) {
    return std::nullopt;
  }
  const auto text = [&](size_t offset) {
    return is_v6 ? address::to_text_v6(address::load_network_v6(&addresses[offset]))
                 : address::to_text_v4(address::load_network_v4(&addresses[offset]));
  };
  result.source = text(0);
  result.destination = text(width);
  result.source_port = load_be16(&frame[ip + header]);
  result.destination_port = load_be16(&frame[ip + header + 2]);
  result.payload = slice(frame, ip + header + 8, size - 8);
  return result;
}

FrameBytes make_arp_request(const std::string& sender, const std::string& target) {
  FrameBytes frame(kMacSize, 0xff);
  const FrameBytes mac = {2, 0, 0, 0, 0, 2};
  append(frame, mac);
  append(frame, {0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1});
  append(frame, mac);
  append(frame, network(*address::parse_address(sender)));
  append(frame, FrameBytes(kMacSize));
  append(frame, network(*address::parse_address(target)));
  return frame;
}

namespace {

struct PcapHeader {
  uint32_t magic = 0xa1b2c3d4;
  uint16_t major = 2;
  uint16_t minor = 4;
  uint32_t zone = 0;
  uint32_t accuracy = 0;
  uint32_t size_max = 65535;
  uint32_t link_type = 1;  // Ethernet
};
struct PcapRecord {
  uint32_t seconds = 0;
  uint32_t microseconds = 0;
  uint32_t size = 0;
  uint32_t original_size = 0;
};

}  // namespace

void write_pcap(const std::string& path, const std::vector<FrameBytes>& frames) {
  std::ofstream out(path, std::ios::binary);
  const PcapHeader header;
  out.write(reinterpret_cast<const char*>(&header), sizeof header);
  for (const FrameBytes& frame : frames) {
    const auto size = static_cast<uint32_t>(frame.size());
    const PcapRecord record{.size = size, .original_size = size};
    out.write(reinterpret_cast<const char*>(&record), sizeof record);
    out.write(reinterpret_cast<const char*>(frame.data()), size);
  }
}

std::vector<FrameBytes> read_pcap(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(in), {}};
  std::vector<FrameBytes> result;
  size_t at = sizeof(PcapHeader);
  while (at + sizeof(PcapRecord) <= bytes.size()) {
    PcapRecord record;
    std::memcpy(&record, &bytes[at], sizeof record);
    at += sizeof record;
    if (record.size > bytes.size() - at) {
      break;  // still being written
    }
    FrameBytes& frame = result.emplace_back(record.size);
    std::memcpy(frame.data(), &bytes[at], record.size);
    at += record.size;
  }
  return result;
}

}  // namespace merlon::tests

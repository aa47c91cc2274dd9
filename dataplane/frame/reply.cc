// SPDX-License-Identifier: Apache-2.0
// The reply's headers from the query's. One function writes them, in place or elsewhere: it reads
// all that it needs before it writes anything, as the two may overlap.
#include <array>
#include <cstring>

#include "dataplane/frame/frame.h"
#include "zones/base/assert.h"
#include "zones/base/checksum.h"

namespace merlon::frame {
namespace {

constexpr size_t kMacsSize = 12;
constexpr size_t kTypesSizeMax = 10;  // two tags and the type behind them
constexpr size_t kV4Size = 20;
constexpr size_t kV6Size = 40;
constexpr size_t kUdpSize = 8;
constexpr size_t kPacketSizeMax = 65535;
constexpr uint8_t kUdp = 17;
constexpr uint8_t kHopLimit = 64;
constexpr uint16_t kDoNotFragment = 0x4000;

size_t ip_size(const Layout& layout) {
  return layout.is_v6 ? kV6Size : kV4Size;
}

void store16(uint8_t* at, uint16_t value) {
  std::memcpy(at, &value, sizeof value);
}

void write_ethernet(const uint8_t* query, const Layout& layout, uint8_t* reply) {
  std::array<uint8_t, kMacsSize> macs;
  std::memcpy(macs.data(), query, kMacsSize);
  if (reply != query) [[unlikely]] {
    MERLON_DASSERT(layout.ip - kMacsSize <= kTypesSizeMax);
    std::memmove(reply + kMacsSize, query + kMacsSize, layout.ip - kMacsSize);
  }
  std::memcpy(reply, macs.data() + 6, 6);
  std::memcpy(reply + 6, macs.data(), 6);
}

// Returns the sum of both addresses, for the pseudo header.
uint64_t write_v4(uint64_t addresses, uint8_t* ip, size_t udp_size, Checksums checksums) {
  const auto total = static_cast<uint16_t>(kV4Size + udp_size);
  store_be16(ip, 0x4500);
  store_be16(ip + 2, total);
  store_be16(ip + 4, 0);
  store_be16(ip + 6, kDoNotFragment);
  ip[8] = kHopLimit;
  ip[9] = kUdp;
  addresses = (addresses >> 32) | (addresses << 32);
  std::memcpy(ip + 12, &addresses, sizeof addresses);
  const uint64_t sum = checksum::add(addresses, checksum::word(0x4500) + checksum::word(total) +
                                                    checksum::word(kDoNotFragment) +
                                                    checksum::word(kHopLimit << 8 | kUdp));
  store16(ip + 10, checksums == Checksums::here ? static_cast<uint16_t>(~checksum::fold(sum)) : 0);
  return addresses;
}

using V6Addresses = std::array<uint8_t, 32>;

uint64_t write_v6(const V6Addresses& addresses, uint8_t* ip, size_t udp_size) {
  store_be32(ip, 0x60000000);
  store_be16(ip + 4, static_cast<uint16_t>(udp_size));
  ip[6] = kUdp;
  ip[7] = kHopLimit;
  std::memcpy(ip + 8, addresses.data() + 16, 16);
  std::memcpy(ip + 24, addresses.data(), 16);
  return checksum::sum(addresses.data(), addresses.size());
}

// `addresses` and `message` are sums in memory order.
void write_udp(uint32_t ports, uint8_t* udp, size_t udp_size, uint64_t addresses, uint64_t message,
               Checksums checksums) {
  const uint64_t size = checksum::word(static_cast<uint16_t>(udp_size));
  const uint64_t pseudo = checksum::add(addresses, checksum::word(kUdp) + size);
  ports = (ports >> 16) | (ports << 16);
  std::memcpy(udp, &ports, sizeof ports);
  store_be16(udp + 4, static_cast<uint16_t>(udp_size));
  if (checksums == Checksums::port) {
    store16(udp + 6, checksum::fold(pseudo));
    return;
  }
  const auto sum = static_cast<uint16_t>(
      ~checksum::fold(checksum::add(pseudo, uint64_t{ports} + size + message)));
  store16(udp + 6, sum == 0 ? 0xffff : sum);  // RFC 768: 0 would say that there is none
}

void write_headers(const uint8_t* query, const Layout& layout, uint8_t* reply, size_t reply_size,
                   uint16_t message_sum, Checksums checksums) {
  const size_t udp_size = kUdpSize + reply_size;
  uint8_t* const ip = reply + layout.ip;
  uint8_t* const udp = ip + ip_size(layout);
  const auto ports = static_cast<uint32_t>(checksum::load32(query + layout.udp));
  uint64_t sum = 0;
  if (!layout.is_v6) [[likely]] {
    const uint64_t addresses = checksum::load64(query + layout.ip + 12);
    write_ethernet(query, layout, reply);
    sum = write_v4(addresses, ip, udp_size, checksums);
  } else {
    V6Addresses addresses;
    std::memcpy(addresses.data(), query + layout.ip + 8, addresses.size());
    write_ethernet(query, layout, reply);
    sum = write_v6(addresses, ip, udp_size);
  }
  write_udp(ports, udp, udp_size, sum, checksum::word(message_sum), checksums);
}

}  // namespace

Reply turn_around(MutableBytes frame, const Layout& layout, size_t reply_size, uint16_t message_sum,
                  Checksums checksums) {
  MERLON_DASSERT(layout.message + reply_size <= frame.size());
  MERLON_DASSERT(layout.message + reply_size <= kPacketSizeMax);
  // The message stays where it is; what is in front of it moves up to it.
  const size_t offset = layout.udp - layout.ip - ip_size(layout);
  write_headers(frame.data(), layout, frame.data() + offset, reply_size, message_sum, checksums);
  return {.offset = static_cast<uint16_t>(offset),
          .size = static_cast<uint16_t>(layout.message - offset + reply_size)};
}

size_t build_reply(Bytes query_headers, const Layout& layout, Bytes message, MutableBytes out) {
  MERLON_DASSERT(query_headers.size() >= layout.message);
  const size_t headers = layout.ip + ip_size(layout) + kUdpSize;
  // What IPv4 counts includes its header, what IPv6 counts does not.
  const size_t counted = (layout.is_v6 ? 0 : kV4Size) + kUdpSize + message.size();
  if (counted > kPacketSizeMax || headers + message.size() > out.size()) {
    return 0;
  }
  const uint16_t sum = __builtin_bswap16(checksum::fold(checksum::sum(message)));
  std::memcpy(out.data() + headers, message.data(), message.size());
  write_headers(query_headers.data(), layout, out.data(), message.size(), sum, Checksums::here);
  return headers + message.size();
}

}  // namespace merlon::frame

// SPDX-License-Identifier: Apache-2.0
// The reply's headers from the query's. One function writes them, in place or elsewhere: it reads
// all that it needs before it writes anything, as the two may overlap.
#include <algorithm>
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

void store32(uint8_t* at, uint64_t value) {
  const auto low = static_cast<uint32_t>(value);
  std::memcpy(at, &low, sizeof low);
}
void store64(uint8_t* at, uint64_t value) {
  std::memcpy(at, &value, sizeof value);
}

void write_ethernet(const uint8_t* query, const Layout& layout, uint8_t* reply) {
  const uint64_t first = checksum::load64(query);  // the destination, a third of the source
  const uint64_t source = first >> 48 | checksum::load32(query + 8) << 16;
  if (reply != query) [[unlikely]] {
    MERLON_DASSERT(layout.ip - kMacsSize <= kTypesSizeMax);
    std::memmove(reply + kMacsSize, query + kMacsSize, layout.ip - kMacsSize);
  }
  store64(reply, source | first << 48);
  store32(reply + 8, first >> 16);
}

// Returns the sum of both addresses, for the pseudo header.
uint64_t write_v4(uint64_t addresses, uint8_t* ip, size_t udp_size, Checksums checksums) {
  const uint64_t total = checksum::word(static_cast<uint16_t>(kV4Size + udp_size));
  constexpr uint64_t kVersion = checksum::word(0x4500);
  constexpr uint64_t kFlags = checksum::word(kDoNotFragment);
  constexpr uint64_t kTtl = checksum::word(kHopLimit << 8 | kUdp);
  addresses = addresses >> 32 | addresses << 32;
  const uint64_t sum = checksum::add(addresses, kVersion + total + kFlags + kTtl);
  const uint64_t field =
      checksums == Checksums::here ? static_cast<uint16_t>(~checksum::fold(sum)) : 0;
  store64(ip, kVersion | total << 16 | kFlags << 48);
  store32(ip + 8, kTtl | field << 16);
  store64(ip + 12, addresses);
  return addresses;
}

// Four words and no array: one would cost every caller a stack protector.
struct V6Addresses {
  uint64_t source_high;
  uint64_t source_low;
  uint64_t destination_high;
  uint64_t destination_low;
};

V6Addresses load_v6(const uint8_t* at) {
  return {checksum::load64(at), checksum::load64(at + 8), checksum::load64(at + 16),
          checksum::load64(at + 24)};
}

uint64_t write_v6(const V6Addresses& addresses, uint8_t* ip, size_t udp_size) {
  store32(ip, checksum::word(0x6000));
  store32(ip + 4, checksum::word(static_cast<uint16_t>(udp_size)) |
                      checksum::word(kUdp << 8 | kHopLimit) << 16);
  store64(ip + 8, addresses.destination_high);
  store64(ip + 16, addresses.destination_low);
  store64(ip + 24, addresses.source_high);
  store64(ip + 32, addresses.source_low);
  return checksum::add(checksum::add(addresses.source_high, addresses.source_low),
                       checksum::add(addresses.destination_high, addresses.destination_low));
}

// `addresses` and `message` are sums in memory order.
void write_udp(uint64_t ports, uint8_t* udp, size_t udp_size, uint64_t addresses, uint64_t message,
               Checksums checksums) {
  const uint64_t size = checksum::word(static_cast<uint16_t>(udp_size));
  const uint64_t pseudo = checksum::add(addresses, checksum::word(kUdp) + size);
  uint64_t field = checksum::fold(pseudo);
  if (checksums == Checksums::here) {
    field = static_cast<uint16_t>(~checksum::fold(checksum::add(pseudo, ports + size + message)));
    field = field == 0 ? 0xffff : field;  // RFC 768: 0 would say that there is none
  }
  store64(udp, (ports >> 16 & 0xffff) | (ports & 0xffff) << 16 | size << 32 | field << 48);
}

void write_headers(const uint8_t* query, const Layout& layout, uint8_t* reply, size_t reply_size,
                   uint16_t message_sum, Checksums checksums) {
  const size_t udp_size = kUdpSize + reply_size;
  uint8_t* const ip = reply + layout.ip;
  uint8_t* const udp = ip + ip_size(layout);
  const uint64_t ports = checksum::load32(query + layout.udp);
  uint64_t sum = 0;
  if (!layout.is_v6) [[likely]] {
    const uint64_t addresses = checksum::load64(query + layout.ip + 12);
    write_ethernet(query, layout, reply);
    sum = write_v4(addresses, ip, udp_size, checksums);
  } else {
    const V6Addresses addresses = load_v6(query + layout.ip + 8);
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
  std::ranges::copy(message, out.begin() + static_cast<std::ptrdiff_t>(headers));
  write_headers(query_headers.data(), layout, out.data(), message.size(), sum, Checksums::here);
  return headers + message.size();
}

}  // namespace merlon::frame

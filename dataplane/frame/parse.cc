// SPDX-License-Identifier: Apache-2.0
// One straight way for what nearly all queries are, untagged IPv4 without options; tags and options
// are out of line. Every branch on that way is a check, and goes the same way for every good query.
#include <array>
#include <cstring>

#include "dataplane/frame/frame.h"
#include "dataplane/frame/options.h"
#include "zones/base/checksum.h"

namespace merlon::frame {
namespace {

constexpr size_t kEthernetSize = 14;
constexpr size_t kTypeAt = 12;
constexpr size_t kTagSize = 4;
constexpr int kTagsMax = 2;
constexpr uint16_t kTypeV4 = 0x0800;
constexpr uint16_t kTypeV6 = 0x86dd;
constexpr uint16_t kTypeTag = 0x8100;         // IEEE 802.1Q
constexpr uint16_t kTypeServiceTag = 0x88a8;  // IEEE 802.1ad
constexpr size_t kV4Size = 20;
constexpr size_t kV6Size = 40;
constexpr size_t kUdpSize = 8;
constexpr uint8_t kUdp = 17;
constexpr uint16_t kFragmentMask = 0x3fff;  // more fragments, or an offset
constexpr uint16_t kChecksumGood = 0xffff;

Verdict refuse(Layout& layout, Drop drop) {
  layout.drop = drop;
  return Verdict::drop;
}

// Group addresses are never ours.
bool is_to_our_mac(const uint8_t* frame, const Filter& filter) {
  uint64_t destination = 0;
  uint64_t ours = 0;
  std::memcpy(&destination, frame, filter.mac.size());
  std::memcpy(&ours, filter.mac.data(), filter.mac.size());
  return (frame[0] & 1) == 0 && (ours == 0 || destination == ours);
}

// A reply to a group address would be flooded (IEEE 802.3 section 3.2.3 allows none as a source).
bool is_from_group_mac(const uint8_t* frame) {
  return (frame[6] & 1) != 0;
}

bool is_v4_unicast(address::Bits4 bits) {
  const uint32_t top = bits >> 24;
  return bits != 0 && top != 127 && (top < 224 || (top >= 240 && bits != 0xffffffff));
}

// Neither :: nor ::1 nor ff00::/8, nor IPv4-mapped, which stays inside of hosts.
bool is_v6_unicast(address::Bits6 bits) {
  return bits > 1 && (bits >> 120) != 0xff && (bits >> 32) != 0xffff;
}

struct Ours {
  bool destination = false;
  bool source = false;
};

template <class Bits>
Ours find_ours(const Filter& filter, address::Family family, Bits source, Bits destination) {
  Ours ours;
  for (const address::Address& address : filter.addresses) {
    const bool same_family = address.family == family;
    const auto bits = static_cast<Bits>(address.bits);
    ours.destination |= same_family && bits == destination;
    ours.source |= same_family && bits == source;
  }
  return ours;
}

uint16_t v4_header_sum(const uint8_t* header, size_t size) {
  if (size == kV4Size) [[likely]] {
    const uint64_t ends = checksum::add(checksum::load64(header), checksum::load64(header + 8));
    return checksum::fold(checksum::add(ends, checksum::load32(header + 16)));
  }
  return checksum::fold(checksum::sum(header, size));
}

// RFC 768: the pseudo header's length is the UDP length.
bool is_udp_sum_good(uint64_t addresses, const uint8_t* udp, size_t size) {
  const uint64_t pseudo = checksum::word(kUdp) + checksum::word(static_cast<uint16_t>(size));
  const uint64_t whole = checksum::add(checksum::add(addresses, pseudo), checksum::sum(udp, size));
  return checksum::fold(whole) == kChecksumGood;
}

struct Datagram {
  size_t ip;  // offsets in the frame
  size_t udp;
  size_t size;  // as its UDP header says, this header included
  bool is_v6;
};

Verdict accept(const uint8_t* frame, const Datagram& datagram, Layout& layout) {
  const uint16_t source_port = load_be16(frame + datagram.udp);
  if (source_port == 0) [[unlikely]] {
    return refuse(layout, Drop::source_port_zero);
  }
  layout = {.ip = static_cast<uint16_t>(datagram.ip),
            .udp = static_cast<uint16_t>(datagram.udp),
            .message = static_cast<uint16_t>(datagram.udp + kUdpSize),
            .message_size = static_cast<uint16_t>(datagram.size - kUdpSize),
            .source_port = source_port,
            .is_v6 = datagram.is_v6,
            .has_options = !datagram.is_v6 && datagram.udp - datagram.ip != kV4Size};
  return Verdict::query;
}

// To our port; is it right?
Verdict check_v4(Bytes frame, size_t ip, size_t header_size, Checked checked, bool from_us,
                 Layout& layout) {
  const uint8_t* const header = frame.data() + ip;
  const uint8_t* const udp = header + header_size;
  if ((header[0] >> 4) != 4) [[unlikely]] {
    return refuse(layout, Drop::ip_header);
  }
  if (!checked.ip && v4_header_sum(header, header_size) != kChecksumGood) [[unlikely]] {
    return refuse(layout, Drop::ip_checksum);
  }
  const size_t total = load_be16(header + 2);
  if (total > frame.size() - ip) [[unlikely]] {
    return refuse(layout, Drop::truncated);
  }
  if (total < header_size + kUdpSize) [[unlikely]] {
    return refuse(layout, total < header_size ? Drop::ip_header : Drop::udp_length);
  }
  if (header_size != kV4Size) [[unlikely]] {
    const Options options = check_options({header + kV4Size, header_size - kV4Size});
    if (options != Options::good) {
      return options == Options::bad ? refuse(layout, Drop::ip_options) : Verdict::not_ours;
    }
  }
  if (from_us || !is_v4_unicast(load_be32(header + 12))) [[unlikely]] {
    return refuse(layout, Drop::source_address);
  }
  // A UDP length below what the packet holds: the rest is no part of the datagram.
  const size_t udp_size = load_be16(udp + 4);
  if (udp_size < kUdpSize || udp_size > total - header_size) [[unlikely]] {
    return refuse(layout, Drop::udp_length);
  }
  // RFC 768: 0 says that the sender made none.
  if (!checked.udp && load_be16(udp + 6) != 0 &&
      !is_udp_sum_good(checksum::load64(header + 12), udp, udp_size)) [[unlikely]] {
    return refuse(layout, Drop::udp_checksum);
  }
  return accept(frame.data(), {ip, ip + header_size, udp_size, false}, layout);
}

inline Verdict parse_v4(Bytes frame, size_t ip, const Filter& filter, Checked checked,
                        Layout& layout, address::Address& from) {
  const uint8_t* const header = frame.data() + ip;
  const size_t room = frame.size() - ip;
  if (room < kV4Size) [[unlikely]] {
    return Verdict::not_ours;
  }
  const size_t header_size = size_t{4} * (header[0] & 15);
  if (header_size < kV4Size || room < header_size + 4 || header[9] != kUdp ||
      (load_be16(header + 6) & kFragmentMask) != 0 ||
      load_be16(header + header_size + 2) != filter.port) [[unlikely]] {
    return Verdict::not_ours;
  }
  const address::Bits4 source = load_be32(header + 12);
  const address::Bits4 destination = load_be32(header + 16);
  const Ours ours = find_ours(filter, address::Family::v4, source, destination);
  const bool is_ours = filter.addresses.empty() ? is_v4_unicast(destination) : ours.destination;
  if (!is_ours || !is_to_our_mac(frame.data(), filter)) [[unlikely]] {
    return Verdict::not_ours;
  }
  from = address::Address::v4(source);
  const bool from_us = ours.source || source == destination || is_from_group_mac(frame.data());
  return check_v4(frame, ip, header_size, checked, from_us, layout);
}

// To our port; is it right?
Verdict check_v6(Bytes frame, size_t ip, Checked checked, bool from_us, Layout& layout) {
  const uint8_t* const header = frame.data() + ip;
  const uint8_t* const udp = header + kV6Size;
  if ((header[0] >> 4) != 6) [[unlikely]] {
    return refuse(layout, Drop::ip_header);
  }
  const size_t payload = load_be16(header + 4);
  if (payload > frame.size() - ip - kV6Size) [[unlikely]] {
    return refuse(layout, Drop::truncated);
  }
  if (payload < kUdpSize) [[unlikely]] {
    return refuse(layout, Drop::udp_length);
  }
  const address::Bits6 source = address::load_network_v6(header + 8);
  if (from_us || !is_v6_unicast(source)) [[unlikely]] {
    return refuse(layout, Drop::source_address);
  }
  // RFC 2675 section 4: a length of 0 says that the packet's holds.
  size_t udp_size = load_be16(udp + 4);
  udp_size = udp_size == 0 ? payload : udp_size;
  if (udp_size < kUdpSize || udp_size > payload) [[unlikely]] {
    return refuse(layout, Drop::udp_length);
  }
  // RFC 8200 section 8.1: there is always one.
  const uint64_t addresses = checksum::sum(header + 8, 32);
  if (load_be16(udp + 6) == 0 || (!checked.udp && !is_udp_sum_good(addresses, udp, udp_size)))
      [[unlikely]] {
    return refuse(layout, Drop::udp_checksum);
  }
  return accept(frame.data(), {ip, ip + kV6Size, udp_size, true}, layout);
}

inline Verdict parse_v6(Bytes frame, size_t ip, const Filter& filter, Checked checked,
                        Layout& layout, address::Address& from) {
  const uint8_t* const header = frame.data() + ip;
  if (frame.size() - ip < kV6Size + 4 || header[6] != kUdp ||
      load_be16(header + kV6Size + 2) != filter.port) [[unlikely]] {
    return Verdict::not_ours;
  }
  const address::Bits6 source = address::load_network_v6(header + 8);
  const address::Bits6 destination = address::load_network_v6(header + 24);
  const Ours ours = find_ours(filter, address::Family::v6, source, destination);
  const bool is_ours = filter.addresses.empty() ? is_v6_unicast(destination) : ours.destination;
  if (!is_ours || !is_to_our_mac(frame.data(), filter)) [[unlikely]] {
    return Verdict::not_ours;
  }
  from = address::Address::v6(source);
  const bool from_us = ours.source || source == destination || is_from_group_mac(frame.data());
  return check_v6(frame, ip, checked, from_us, layout);
}

// Where the IP header begins behind the tags; `type` becomes what is there. 0: the frame ends.
[[gnu::noinline]] size_t skip_tags(Bytes frame, uint16_t& type) {
  size_t at = kTypeAt;
  for (int i = 0; i < kTagsMax && (type == kTypeTag || type == kTypeServiceTag); ++i) {
    at += kTagSize;
    if (frame.size() < at + 2) {
      return 0;
    }
    type = load_be16(frame.data() + at);
  }
  return at + 2;
}

constexpr std::array<std::string_view, kDropCount> kNames = {
#define MERLON_X(name, text) #name,
    MERLON_FRAME_DROPS(MERLON_X)
#undef MERLON_X
};
constexpr std::array<std::string_view, kDropCount> kTexts = {
#define MERLON_X(name, text) text,
    MERLON_FRAME_DROPS(MERLON_X)
#undef MERLON_X
};

}  // namespace

std::string_view to_string(Drop drop) {
  return kNames[static_cast<size_t>(drop)];
}
std::string_view explain(Drop drop) {
  return kTexts[static_cast<size_t>(drop)];
}

Verdict parse(Bytes frame, const Filter& filter, Checked checked, Layout& layout,
              address::Address& source) {
  if (frame.size() < kEthernetSize) [[unlikely]] {
    return Verdict::not_ours;
  }
  uint16_t type = load_be16(frame.data() + kTypeAt);
  if (type == kTypeV4) [[likely]] {
    return parse_v4(frame, kEthernetSize, filter, checked, layout, source);
  }
  size_t ip = kEthernetSize;
  if (type != kTypeV6) {
    ip = skip_tags(frame, type);
  }
  if (ip == 0 || (type != kTypeV4 && type != kTypeV6)) {
    return Verdict::not_ours;
  }
  return type == kTypeV4 ? parse_v4(frame, ip, filter, checked, layout, source)
                         : parse_v6(frame, ip, filter, checked, layout, source);
}

}  // namespace merlon::frame

// SPDX-License-Identifier: Apache-2.0
// Two parsers in one. What nearly all queries are, an untagged frame without IPv4 options and with
// nothing wrong, is recognised by parse_plain_v4 and parse_plain_v6: fixed offsets, several fields
// to a comparison, no calls. Whatever they do not recognise goes to parse_any, which takes every
// check in its order and says what is wrong; it alone would do. Tests hold both to one reference.
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

uint64_t load_mac(const uint8_t* at) {
  return checksum::load32(at) | uint64_t{at[4]} << 32 | uint64_t{at[5]} << 40;
}

// Group addresses are never ours.
inline bool is_to_our_mac(const uint8_t* frame, const Filter& filter) {
  const uint64_t ours = load_mac(filter.mac.data());
  return (frame[0] & 1) == 0 && (ours == 0 || load_mac(frame) == ours);
}

// A reply to a group address would be flooded (IEEE 802.3 section 3.2.3 allows none as a source).
bool is_from_group_mac(const uint8_t* frame) {
  return (frame[6] & 1) != 0;
}

inline bool is_v4_unicast(address::Bits4 bits) {
  const uint32_t top = bits >> 24;
  return bits != 0 && top != 127 && (top < 224 || (top >= 240 && bits != 0xffffffff));
}

// Neither :: nor ::1 nor ff00::/8, nor IPv4-mapped, which stays inside of hosts.
inline bool is_v6_unicast(address::Bits6 bits) {
  return bits > 1 && (bits >> 120) != 0xff && (bits >> 32) != 0xffff;
}

struct Ours {
  bool destination = false;
  bool source = false;
};

// Both in one pass, and without a branch that depends on the frame.
template <class Bits>
inline Ours find_ours(const Filter& filter, address::Family family, Bits source, Bits destination) {
  Ours ours;
  for (const address::Address& address : filter.addresses) {
    const bool same_family = address.family == family;
    const auto bits = static_cast<Bits>(address.bits);
    ours.destination |= same_family && bits == destination;
    ours.source |= same_family && bits == source;
  }
  return ours;
}

inline address::Bits6 load_v6(const uint8_t* at) {
  const uint64_t high = __builtin_bswap64(checksum::load64(at));
  return address::Bits6{high} << 64 | __builtin_bswap64(checksum::load64(at + 8));
}

inline uint16_t v4_header_sum(const uint8_t* header, size_t size) {
  if (size == kV4Size) [[likely]] {
    const uint64_t ends = checksum::add(checksum::load64(header), checksum::load64(header + 8));
    return checksum::fold(checksum::add(ends, checksum::load32(header + 16)));
  }
  return checksum::fold(checksum::sum(header, size));
}

// RFC 768: the pseudo header's length is the UDP length.
inline bool is_udp_sum_good(uint64_t addresses, const uint8_t* udp, size_t size) {
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

Verdict parse_v4(Bytes frame, size_t ip, const Filter& filter, Checked checked, Layout& layout,
                 address::Address& from) {
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
  const address::Bits6 source = load_v6(header + 8);
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

Verdict parse_v6(Bytes frame, size_t ip, const Filter& filter, Checked checked, Layout& layout,
                 address::Address& from) {
  const uint8_t* const header = frame.data() + ip;
  if (frame.size() - ip < kV6Size + 4 || header[6] != kUdp ||
      load_be16(header + kV6Size + 2) != filter.port) [[unlikely]] {
    return Verdict::not_ours;
  }
  const address::Bits6 source = load_v6(header + 8);
  const address::Bits6 destination = load_v6(header + 24);
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
size_t skip_tags(Bytes frame, uint16_t& type) {
  size_t at = kTypeAt;
  type = load_be16(frame.data() + at);
  for (int i = 0; i < kTagsMax && (type == kTypeTag || type == kTypeServiceTag); ++i) {
    at += kTagSize;
    if (frame.size() < at + 2) {
      return 0;
    }
    type = load_be16(frame.data() + at);
  }
  return at + 2;
}

[[gnu::noinline]] Verdict parse_any(Bytes frame, const Filter& filter, Checked checked,
                                    Layout& layout, address::Address& source) {
  if (frame.size() < kEthernetSize) {
    return Verdict::not_ours;
  }
  uint16_t type = 0;
  const size_t ip = skip_tags(frame, type);
  if (ip == 0 || (type != kTypeV4 && type != kTypeV6)) {
    return Verdict::not_ours;
  }
  return type == kTypeV4 ? parse_v4(frame, ip, filter, checked, layout, source)
                         : parse_v6(frame, ip, filter, checked, layout, source);
}

// Offsets in a frame without tags and options.
constexpr size_t kIp = kEthernetSize;
constexpr size_t kPlainUdp4 = kIp + kV4Size;
constexpr size_t kPlainUdp6 = kIp + kV6Size;

// Four bytes of a header as they lie in memory.
constexpr uint64_t bytes4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  return uint64_t{a} | uint64_t{b} << 8 | uint64_t{c} << 16 | uint64_t{d} << 24;
}

// EtherType, version and header length; fragment and protocol.
constexpr uint64_t kShapeMask4 = bytes4(0xff, 0xff, 0xff, 0);
constexpr uint64_t kShape4 = bytes4(0x08, 0x00, 0x45, 0);
constexpr uint64_t kWholeUdpMask = bytes4(0x3f, 0xff, 0, 0xff);
constexpr uint64_t kWholeUdp = bytes4(0, 0, 0, kUdp);
constexpr uint64_t kShapeMask6 = bytes4(0xff, 0xff, 0xf0, 0);
constexpr uint64_t kShape6 = bytes4(0x86, 0xdd, 0x60, 0);

inline bool is_plain_link(const uint8_t* frame, const Filter& filter) {
  return is_to_our_mac(frame, filter) && !is_from_group_mac(frame);
}

inline void set_plain(Layout& layout, size_t udp, size_t udp_size, const uint8_t* frame,
                      bool is_v6) {
  layout = {.ip = kIp,
            .udp = static_cast<uint16_t>(udp),
            .message = static_cast<uint16_t>(udp + kUdpSize),
            .message_size = static_cast<uint16_t>(udp_size - kUdpSize),
            .source_port = load_be16(frame + udp),
            .is_v6 = is_v6};
}

// False: perhaps a query all the same.
inline bool parse_plain_v4(Bytes whole, const Filter& filter, Checked checked, Layout& layout,
                           address::Address& from) {
  if (whole.size() < kPlainUdp4 + kUdpSize) {
    return false;
  }
  const uint8_t* const frame = whole.data();
  const uint8_t* const udp = frame + kPlainUdp4;
  if ((checksum::load32(frame + kTypeAt) & kShapeMask4) != kShape4 ||
      (checksum::load32(frame + kIp + 6) & kWholeUdpMask) != kWholeUdp ||
      load_be16(udp + 2) != filter.port || load_be16(udp) == 0) {
    return false;
  }
  const size_t total = load_be16(frame + kIp + 2);
  const size_t udp_size = load_be16(udp + 4);
  if (total > whole.size() - kIp || udp_size < kUdpSize || udp_size + kV4Size > total) {
    return false;
  }
  const address::Bits4 source = load_be32(frame + kIp + 12);
  const address::Bits4 destination = load_be32(frame + kIp + 16);
  const Ours ours = find_ours(filter, address::Family::v4, source, destination);
  const bool is_ours = filter.addresses.empty() ? is_v4_unicast(destination) : ours.destination;
  if (!is_ours || ours.source || source == destination || !is_v4_unicast(source) ||
      !is_plain_link(frame, filter)) {
    return false;
  }
  if (!checked.ip && v4_header_sum(frame + kIp, kV4Size) != kChecksumGood) {
    return false;
  }
  if (!checked.udp && load_be16(udp + 6) != 0 &&
      !is_udp_sum_good(checksum::load64(frame + kIp + 12), udp, udp_size)) {
    return false;
  }
  from = address::Address::v4(source);
  set_plain(layout, kPlainUdp4, udp_size, frame, false);
  return true;
}

inline bool parse_plain_v6(Bytes whole, const Filter& filter, Checked checked, Layout& layout,
                           address::Address& from) {
  if (whole.size() < kPlainUdp6 + kUdpSize) {
    return false;
  }
  const uint8_t* const frame = whole.data();
  const uint8_t* const udp = frame + kPlainUdp6;
  if ((checksum::load32(frame + kTypeAt) & kShapeMask6) != kShape6 || frame[kIp + 6] != kUdp ||
      load_be16(udp + 2) != filter.port || load_be16(udp) == 0 || load_be16(udp + 6) == 0) {
    return false;
  }
  const size_t payload = load_be16(frame + kIp + 4);
  const size_t udp_size = load_be16(udp + 4);
  if (payload > whole.size() - kPlainUdp6 || udp_size < kUdpSize || udp_size > payload) {
    return false;
  }
  const address::Bits6 source = load_v6(frame + kIp + 8);
  const address::Bits6 destination = load_v6(frame + kIp + 24);
  const Ours ours = find_ours(filter, address::Family::v6, source, destination);
  const bool is_ours = filter.addresses.empty() ? is_v6_unicast(destination) : ours.destination;
  if (!is_ours || ours.source || source == destination || !is_v6_unicast(source) ||
      !is_plain_link(frame, filter)) {
    return false;
  }
  if (!checked.udp && !is_udp_sum_good(checksum::sum(frame + kIp + 8, 32), udp, udp_size)) {
    return false;
  }
  from = address::Address::v6(source);
  set_plain(layout, kPlainUdp6, udp_size, frame, true);
  return true;
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
  if (parse_plain_v4(frame, filter, checked, layout, source)) [[likely]] {
    return Verdict::query;
  }
  if (parse_plain_v6(frame, filter, checked, layout, source)) {
    return Verdict::query;
  }
  return parse_any(frame, filter, checked, layout, source);
}

}  // namespace merlon::frame

// SPDX-License-Identifier: Apache-2.0
#include "tests/support/reference_frame.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <vector>

#include "tests/support/frame_builder.h"

namespace merlon::tests {
namespace {

using frame::Drop;
using frame::Verdict;

size_t u16(Bytes bytes, size_t at) {
  return size_t{bytes[at]} * 256 + bytes[at + 1];
}

address::Address read_address(Bytes bytes, size_t at, size_t size) {
  address::Bits6 bits = 0;
  for (size_t i = 0; i < size; ++i) {
    bits = bits * 256 + bytes[at + i];
  }
  return size == 4 ? address::Address::v4(static_cast<uint32_t>(bits)) : address::Address::v6(bits);
}

bool is_host(const address::Address& address) {
  if (address.family == address::Family::v4) {
    const auto top = static_cast<unsigned>(address.bits >> 24);
    const bool multicast = top >= 224 && top <= 239;
    const bool broadcast = address.bits == 0xffffffff;
    return !multicast && !broadcast && top != 127 && address.bits != 0;
  }
  const bool mapped = (address.bits >> 32) == 0xffff;
  const bool multicast = (address.bits >> 120) == 0xff;
  return !mapped && !multicast && address.bits != 0 && address.bits != 1;
}

// "good", "bad" or "CIPSO".
std::string_view judge_options(Bytes options) {
  std::set<unsigned> seen;
  for (size_t at = 0; at < options.size() && options[at] != 0;) {
    const unsigned kind = options[at];
    if (kind == 1) {
      ++at;
      continue;
    }
    const size_t size = at + 1 < options.size() ? options[at + 1] : 0;
    if (size < 2 || at + size > options.size() || kind == 131 || kind == 137) {
      return "bad";
    }
    if (kind == 134) {
      return "CIPSO";
    }
    const bool again = !seen.insert(kind).second;
    const size_t pointer = size > 2 ? options[at + 2] : 0;
    const unsigned last = size > 3 ? options[at + 3] : 0;
    if (kind == 7 && (again || pointer < 4 || (pointer <= size && pointer + 3 > size))) {
      return "bad";
    }
    if (kind == 148 && size < 4) {
      return "bad";
    }
    if (kind == 68) {
      const size_t needs = last % 16 == 1 || last % 16 == 3 ? 7 : 3;
      const bool full = pointer > size;
      if (again || size < 4 || pointer < 5 || (!full && pointer + needs > size) ||
          (full && last % 16 != 3 && last / 16 == 15)) {
        return "bad";
      }
    }
    at += size;
  }
  return "good";
}

// What both IP versions have in common.
struct Packet {
  Bytes bytes;  // from the IP header to the frame's end
  size_t header_size = 0;
  size_t size = 0;  // as the header says
  bool good_version = false;
  size_t address_at = 0;
  size_t address_size = 0;
};

bool udp_checksum_good(const Packet& packet, size_t udp_size) {
  std::vector<uint8_t> bytes;
  const auto add = [&](Bytes more) { bytes.insert(bytes.end(), more.begin(), more.end()); };
  add(packet.bytes.subspan(packet.address_at, 2 * packet.address_size));
  const uint8_t rest[] = {0, 17, static_cast<uint8_t>(udp_size / 256),
                          static_cast<uint8_t>(udp_size % 256)};
  add(rest);
  add(packet.bytes.subspan(packet.header_size, udp_size));
  return slow_sum(bytes) == 0xffff;
}

// Everything behind the question whether it is ours.
std::optional<Drop> find_fault(const Packet& packet, const frame::Filter& filter,
                               frame::Checked checked, bool group_mac, ReferenceFrame& out) {
  const Bytes bytes = packet.bytes;
  const size_t header = packet.header_size;
  if (!packet.good_version) {
    return Drop::ip_header;
  }
  if (!out.is_v6 && !checked.ip && slow_sum(bytes.first(header)) != 0xffff) {
    return Drop::ip_checksum;
  }
  if (packet.size > bytes.size()) {
    return Drop::truncated;
  }
  if (packet.size < header + 8) {
    return packet.size < header ? Drop::ip_header : Drop::udp_length;
  }
  if (!out.is_v6) {
    const std::string_view options = judge_options(bytes.first(header).subspan(20));
    if (options == "CIPSO") {
      out.verdict = Verdict::not_ours;
      return {};
    }
    if (options == "bad") {
      return Drop::ip_options;
    }
  }
  if (!is_host(out.source) || out.source == out.destination || group_mac ||
      std::ranges::count(filter.addresses, out.source) != 0) {
    return Drop::source_address;
  }
  size_t udp_size = u16(bytes, header + 4);
  if (out.is_v6 && udp_size == 0) {
    udp_size = packet.size - header;
  }
  if (udp_size < 8 || udp_size > packet.size - header) {
    return Drop::udp_length;
  }
  const bool has_sum = u16(bytes, header + 6) != 0;
  if ((out.is_v6 && !has_sum) ||
      (has_sum && !checked.udp && !udp_checksum_good(packet, udp_size))) {
    return Drop::udp_checksum;
  }
  if (out.source_port == 0) {
    return Drop::source_port_zero;
  }
  out.verdict = Verdict::query;
  out.message = bytes.subspan(header + 8, udp_size - 8);
  return {};
}

// The packet's shape, when there is enough of it to see a port of UDP.
std::optional<Packet> find_packet(Bytes bytes, bool is_v6) {
  Packet packet{.bytes = bytes};
  if (bytes.size() < (is_v6 ? 40 : 20)) {
    return {};
  }
  packet.header_size = is_v6 ? 40 : 4 * size_t{bytes[0] % 16u};
  if (packet.header_size < 20 || bytes.size() < packet.header_size + 4) {
    return {};
  }
  if (bytes[is_v6 ? 6 : 9] != 17) {
    return {};
  }
  if (!is_v6 && ((bytes[6] & 0x3f) != 0 || bytes[7] != 0)) {
    return {};
  }
  packet.size = is_v6 ? 40 + u16(bytes, 4) : u16(bytes, 2);
  packet.good_version = bytes[0] / 16 == (is_v6 ? 6 : 4);
  packet.address_at = is_v6 ? 8 : 12;
  packet.address_size = is_v6 ? 16 : 4;
  return packet;
}

std::string text_of(const frame::Layout& layout, const address::Address& source, Bytes message) {
  return fmt::format("ip {} udp {} v6 {} options {} port {} source {} message {} {}", layout.ip,
                     layout.udp, layout.is_v6, layout.has_options, layout.source_port,
                     to_text(source), message.size(), to_hex(message));
}

std::string text_of(Verdict verdict, Drop drop) {
  switch (verdict) {
    case Verdict::query:
      return "query";
    case Verdict::not_ours:
      return "not_ours";
    case Verdict::drop:
      return fmt::format("drop {}", to_string(drop));
  }
  return "?";
}

}  // namespace

ReferenceFrame reference_parse(Bytes frame, const frame::Filter& filter, frame::Checked checked) {
  ReferenceFrame out;
  size_t at = 12;
  for (int tags = 0;
       tags < 2 && at + 2 <= frame.size() && (u16(frame, at) == 0x8100 || u16(frame, at) == 0x88a8);
       ++tags) {
    at += 4;
  }
  if (at + 2 > frame.size() || (u16(frame, at) != 0x0800 && u16(frame, at) != 0x86dd)) {
    return out;
  }
  out.is_v6 = u16(frame, at) == 0x86dd;
  out.ip = at + 2;
  const std::optional<Packet> packet = find_packet(frame.subspan(out.ip), out.is_v6);
  if (!packet || u16(packet->bytes, packet->header_size + 2) != filter.port) {
    return out;
  }
  out.udp = out.ip + packet->header_size;
  out.source = read_address(packet->bytes, packet->address_at, packet->address_size);
  out.destination =
      read_address(packet->bytes, packet->address_at + packet->address_size, packet->address_size);
  const bool our_ip = filter.addresses.empty()
                          ? is_host(out.destination)
                          : std::ranges::count(filter.addresses, out.destination) != 0;
  const bool any_mac = filter.mac == decltype(filter.mac){};
  const bool our_mac =
      frame[0] % 2 == 0 && (any_mac || std::ranges::equal(frame.first(6), filter.mac));
  if (!our_ip || !our_mac) {
    return out;
  }
  out.source_port = static_cast<uint16_t>(u16(packet->bytes, packet->header_size));
  if (const auto fault = find_fault(*packet, filter, checked, frame[6] % 2 == 1, out)) {
    out.verdict = Verdict::drop;
    out.drop = *fault;
  }
  return out;
}

std::string difference_from_reference(Bytes frame, const frame::Filter& filter,
                                      frame::Checked checked) {
  frame::Layout layout;
  address::Address source;
  const Verdict verdict = frame::parse(frame, filter, checked, layout, source);
  const ReferenceFrame reference = reference_parse(frame, filter, checked);
  const std::string said = text_of(verdict, layout.drop);
  const std::string wanted = text_of(reference.verdict, reference.drop);
  if (said != wanted) {
    return fmt::format("{} instead of {}: {}", said, wanted, to_hex(frame));
  }
  if (verdict != Verdict::query) {
    return "";
  }
  const frame::Layout layout_wanted{
      .ip = static_cast<uint16_t>(reference.ip),
      .udp = static_cast<uint16_t>(reference.udp),
      .source_port = reference.source_port,
      .is_v6 = reference.is_v6,
      .has_options = !reference.is_v6 && reference.udp - reference.ip > 20};
  const std::string read =
      layout.message + size_t{layout.message_size} <= frame.size()
          ? text_of(layout, source, frame.subspan(layout.message, layout.message_size))
          : "a message outside of the frame";
  const std::string right = text_of(layout_wanted, reference.source, reference.message);
  return read == right ? "" : fmt::format("{} instead of {}: {}", read, right, to_hex(frame));
}

std::string reply_fault(Bytes frame, const ReferenceFrame& query, Bytes message, Bytes reply) {
  const frame::Filter asker{.port = query.source_port, .addresses = {query.source}};
  const ReferenceFrame back = reference_parse(reply, asker);
  const auto fault = [&](std::string_view what) {
    return fmt::format("{}: {} for {}", what, to_hex(reply), to_hex(frame));
  };
  if (back.verdict != Verdict::query) {
    return fault(fmt::format("the asker reads {}", text_of(back.verdict, back.drop)));
  }
  if (back.ip != query.ip || !std::ranges::equal(reply.first(6), frame.subspan(6, 6)) ||
      !std::ranges::equal(reply.subspan(6, 6), frame.first(6)) ||
      !std::ranges::equal(reply.subspan(12, back.ip - 12), frame.subspan(12, query.ip - 12))) {
    return fault("Ethernet header");
  }
  if (!(back.source == query.destination) || back.source_port != u16(frame, query.udp + 2)) {
    return fault("source");
  }
  if (!std::ranges::equal(back.message, message) || reply.size() != back.udp + 8 + message.size()) {
    return fault("message");
  }
  const Bytes header = reply.subspan(back.ip, back.udp - back.ip);
  const bool good = back.is_v6 ? u16(header, 0) == 0x6000 && u16(header, 2) == 0 && header[7] == 64
                               : u16(header, 0) == 0x4500 && u16(header, 4) == 0 &&
                                     u16(header, 6) == 0x4000 && header[8] == 64;
  if (!good || u16(reply, back.udp + 6) == 0) {
    return fault(good ? "no UDP checksum" : "IP header");
  }
  return "";
}

}  // namespace merlon::tests

// SPDX-License-Identifier: Apache-2.0
#include "tests/support/frame_builder.h"

#include "zones/base/assert.h"

namespace merlon::tests {
namespace {

using Buffer = std::vector<uint8_t>;

void put16(Buffer& out, unsigned value) {
  out.push_back(static_cast<uint8_t>(value >> 8));
  out.push_back(static_cast<uint8_t>(value));
}

void set16(Buffer& out, size_t at, unsigned value) {
  out.at(at) = static_cast<uint8_t>(value >> 8);
  out.at(at + 1) = static_cast<uint8_t>(value);
}

void append(Buffer& out, Bytes bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void put_address(Buffer& out, const address::Address& address, bool is_v6) {
  for (int i = is_v6 ? 15 : 3; i >= 0; --i) {
    out.push_back(static_cast<uint8_t>(address.bits >> (8 * i)));
  }
}

Buffer pseudo_header(const Buffer& addresses, size_t size) {
  Buffer bytes = addresses;
  put16(bytes, static_cast<unsigned>(size >> 16));
  put16(bytes, static_cast<unsigned>(size & 0xffff));
  put16(bytes, 17);
  return bytes;
}

unsigned udp_checksum(const Buffer& addresses, Bytes datagram) {
  Buffer bytes = pseudo_header(addresses, datagram.size());
  append(bytes, datagram);
  return static_cast<unsigned>(~slow_sum(bytes)) & 0xffff;
}

Buffer build_udp(const FrameSpec& spec, const Buffer& addresses) {
  Buffer udp;
  put16(udp, spec.source_port);
  put16(udp, spec.destination_port);
  put16(udp, spec.udp_length.value_or(static_cast<uint16_t>(8 + spec.message.size())));
  put16(udp, 0);
  append(udp, spec.message);
  if (spec.sum_to_zero) {
    MERLON_ASSERT(spec.message.size() % 2 == 0);
    set16(udp, udp.size() - 2, 0);
    set16(udp, udp.size() - 2, udp_checksum(addresses, udp));
  }
  append(udp, spec.behind_udp);
  // A receiver sums what the length says, or all when it says nothing usable.
  const size_t said = spec.udp_length.value_or(static_cast<uint16_t>(8 + spec.message.size()));
  const size_t summed = said >= 8 && said <= udp.size() ? said : udp.size();
  unsigned checksum = udp_checksum(addresses, Bytes(udp).first(summed));
  checksum = checksum == 0 ? 0xffff : checksum;
  set16(udp, 6,
        spec.udp_checksum.value_or(static_cast<uint16_t>(checksum)) ^
            unsigned{spec.udp_checksum_flip});
  return udp;
}

Buffer build_v4_header(const FrameSpec& spec, const Buffer& addresses, size_t payload) {
  MERLON_ASSERT(spec.options.size() % 4 == 0 && spec.options.size() <= 40);
  const size_t size = 20 + spec.options.size();
  Buffer header{spec.first.value_or(static_cast<uint8_t>(0x40 + size / 4)), spec.traffic_class};
  put16(header, spec.length.value_or(static_cast<uint16_t>(size + payload)));
  put16(header, spec.id);
  put16(header, spec.fragment);
  header.push_back(spec.hop_limit);
  header.push_back(spec.protocol.value_or(17));
  put16(header, 0);
  append(header, addresses);
  append(header, spec.options);
  // Receivers sum what the header's own length says.
  Buffer summed = header;
  summed.resize(std::min(summed.size(), size_t{4} * (header[0] & 15u)));
  set16(header, 10, (static_cast<unsigned>(~slow_sum(summed)) & 0xffff) ^ spec.ip_checksum_flip);
  return header;
}

Buffer build_v6_header(const FrameSpec& spec, const Buffer& addresses, size_t payload) {
  Buffer header{spec.first.value_or(static_cast<uint8_t>(0x60 + (spec.traffic_class >> 4))),
                static_cast<uint8_t>(spec.traffic_class << 4), 0, 0};
  put16(header, spec.length.value_or(static_cast<uint16_t>(spec.extensions.size() + payload)));
  header.push_back(spec.protocol.value_or(17));
  header.push_back(spec.hop_limit);
  append(header, addresses);
  append(header, spec.extensions);
  return header;
}

}  // namespace

address::Address ip(std::string_view text) {
  const auto parsed = address::parse_address(text);
  MERLON_ASSERT(parsed.has_value());
  return *parsed;
}

std::vector<uint8_t> FrameSpec::default_message() {
  // "www.example." A, with an OPT record: 40 bytes.
  return {0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 1,  3, 'w', 'w', 'w', 7, 'e', 'x', 'a',
          'm',  'p',  'l',  'e',  0, 0, 1, 0, 1, 0, 0, 41, 4, 208, 0,   0,   0, 0,   0,   0};
}

uint16_t slow_sum(Bytes bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    sum += i % 2 == 0 ? uint32_t{bytes[i]} << 8 : uint32_t{bytes[i]};
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(sum);
}

std::vector<uint8_t> build_frame(const FrameSpec& spec) {
  Buffer addresses;
  put_address(addresses, spec.source.value_or(ip(spec.is_v6 ? kClient6 : kClient4)), spec.is_v6);
  put_address(addresses, spec.destination.value_or(ip(spec.is_v6 ? kServer6 : kServer4)),
              spec.is_v6);
  const Buffer udp = build_udp(spec, addresses);
  Buffer frame(spec.to.begin(), spec.to.end());
  append(frame, spec.from);
  for (const Tag& tag : spec.tags) {
    put16(frame, tag.type);
    put16(frame, tag.id);
  }
  put16(frame, spec.type.value_or(spec.is_v6 ? 0x86dd : 0x0800));
  append(frame, spec.is_v6 ? build_v6_header(spec, addresses, udp.size())
                           : build_v4_header(spec, addresses, udp.size()));
  append(frame, udp);
  append(frame, spec.padding);
  MERLON_ASSERT(spec.cut <= frame.size());
  frame.resize(frame.size() - spec.cut);
  return frame;
}

void fix_frame_checksums(std::vector<uint8_t>& frame) {
  size_t at = 12;
  const auto u16 = [&](size_t offset) {
    return offset + 2 <= frame.size() ? unsigned{frame[offset]} << 8 | frame[offset + 1] : 0u;
  };
  while (at <= 16 && (u16(at) == 0x8100 || u16(at) == 0x88a8)) {
    at += 4;
  }
  const size_t start = at + 2;
  const bool is_v6 = u16(at) == 0x86dd;
  const size_t header = is_v6 ? 40 : (start < frame.size() ? size_t{4} * (frame[start] & 15u) : 0);
  if ((!is_v6 && u16(at) != 0x0800) || header < 20 || start + header + 8 > frame.size()) {
    return;
  }
  if (!is_v6) {
    set16(frame, start + 10, 0);
    set16(frame, start + 10,
          static_cast<unsigned>(~slow_sum(Bytes(frame).subspan(start, header))) & 0xffff);
  }
  const size_t udp = start + header;
  const size_t there = frame.size() - udp;
  const size_t said = u16(udp + 4);
  const size_t packet = is_v6 ? u16(start + 4) : u16(start + 2) - header;
  const size_t size = said >= 8 && said <= there ? said : std::min(there, packet);
  const size_t from = start + (is_v6 ? 8 : 12);
  const Buffer addresses(frame.begin() + static_cast<std::ptrdiff_t>(from),
                         frame.begin() + static_cast<std::ptrdiff_t>(from + (is_v6 ? 32 : 8)));
  set16(frame, udp + 6, 0);
  const unsigned checksum = udp_checksum(addresses, Bytes(frame).subspan(udp, size));
  set16(frame, udp + 6, checksum == 0 ? 0xffff : checksum);
}

}  // namespace merlon::tests

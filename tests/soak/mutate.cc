// SPDX-License-Identifier: Apache-2.0
#include "tests/soak/mutate.h"

#include <algorithm>

namespace merlon::soak {
namespace {

using Difference = std::ptrdiff_t;

constexpr size_t kFrameMin = 14;
constexpr size_t kFrameMax = 1514;
constexpr size_t kMessageMax = 1400;
constexpr size_t kHeaderSize = 12;
constexpr uint16_t kTypes[] = {0,  1,  2,   5,   6,   12,  16,  28,  41,    42,
                               46, 64, 249, 250, 251, 252, 253, 255, 65280, 65535};
constexpr uint8_t kOddBytes[] = {0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xc0, 0xfe, 0xff};

void set16(Buffer& bytes, size_t at, size_t value) {
  if (at + 2 <= bytes.size()) {
    bytes[at] = static_cast<uint8_t>(value >> 8);
    bytes[at + 1] = static_cast<uint8_t>(value);
  }
}

size_t get16(const Buffer& bytes, size_t at) {
  return at + 2 <= bytes.size() ? size_t{bytes[at]} << 8 | bytes[at + 1] : 0;
}

void put16(Buffer& bytes, size_t value) {
  bytes.push_back(static_cast<uint8_t>(value >> 8));
  bytes.push_back(static_cast<uint8_t>(value));
}

void put_random(Random& random, size_t count, Buffer& out) {
  for (size_t i = 0; i < count; ++i) {
    out.push_back(random.byte());
  }
}

void insert(Buffer& bytes, size_t at, const Buffer& what) {
  bytes.insert(bytes.begin() + static_cast<Difference>(std::min(at, bytes.size())), what.begin(),
               what.end());
}

// ---- both

void flip_bits(Random& random, size_t first, size_t end, Buffer& bytes) {
  end = std::min(end, bytes.size());
  if (first >= end) {
    return;
  }
  for (size_t count = 1 + random.below(4); count != 0; --count) {
    bytes[first + random.below(end - first)] ^= static_cast<uint8_t>(1U << random.below(8));
  }
}

void set_odd_bytes(Random& random, size_t first, Buffer& bytes) {
  for (size_t count = 1 + random.below(3); count != 0 && first < bytes.size(); --count) {
    bytes[first + random.below(bytes.size() - first)] =
        random.one_in(3) ? random.byte() : kOddBytes[random.below(std::size(kOddBytes))];
  }
}

void splice(Random& random, const Buffer& other, Buffer& bytes) {
  bytes.resize(random.below(bytes.size() + 1));
  const size_t from =
      random.one_in(2) ? std::min(bytes.size(), other.size()) : random.below(other.size());
  bytes.insert(bytes.end(), other.begin() + static_cast<Difference>(from), other.end());
}

void repeat_or_cut_part(Random& random, Buffer& bytes) {
  if (bytes.empty()) {
    return;
  }
  const size_t from = random.below(bytes.size());
  const size_t count = 1 + random.below(std::min<size_t>(bytes.size() - from, 64));
  const Buffer part(bytes.begin() + static_cast<Difference>(from),
                    bytes.begin() + static_cast<Difference>(std::min(from + count, bytes.size())));
  if (random.one_in(2)) {
    insert(bytes, from, part);
  } else {
    bytes.erase(bytes.begin() + static_cast<Difference>(from),
                bytes.begin() + static_cast<Difference>(from + part.size()));
  }
}

// ---- messages

// Behind the first name and its type and class; 0 when it has no end.
size_t question_end(const Buffer& message) {
  size_t at = kHeaderSize;
  while (at < message.size() && message[at] != 0) {
    at += 1U + message[at];
  }
  return at + 5 <= message.size() ? at + 5 : 0;
}

void change_question(Random& random, Buffer& message) {
  const size_t end = question_end(message);
  if (end == 0) {
    return;
  }
  switch (random.below(4)) {
    case 0:
      set16(message, end - 4, kTypes[random.below(std::size(kTypes))]);
      break;
    case 1:
      set16(message, end - 2, random.one_in(2) ? 3 : random.below(258));
      break;
    case 2:  // a label's length
      message[kHeaderSize] = kOddBytes[random.below(std::size(kOddBytes))];
      break;
    default:  // a pointer somewhere in the name
      set16(message, kHeaderSize + random.below(end - kHeaderSize), 0xc000 | random.below(64));
  }
}

void add_options(Random& random, Buffer& out) {
  constexpr uint16_t kCodes[] = {3, 5, 8, 10, 10, 10, 12, 15, 65001};
  for (size_t count = random.below(4); count != 0; --count) {
    const uint16_t code = kCodes[random.below(std::size(kCodes))];
    constexpr uint8_t kSizes[] = {0, 7, 8, 8, 8, 16, 24, 24, 40, 41};
    const size_t size = random.one_in(3) ? random.below(64) : kSizes[random.below(10)];
    put16(out, code);
    put16(out, random.one_in(16) ? random.below(300) : size);
    put_random(random, size, out);
  }
}

// A record behind the others, and the count that says so (mostly).
void add_record(Random& random, Buffer& message) {
  constexpr uint16_t kRecordTypes[] = {1, 6, 16, 24, 41, 41, 41, 41, 250, 250};
  const uint16_t type = kRecordTypes[random.below(std::size(kRecordTypes))];
  Buffer data;
  if (type == 41) {
    add_options(random, data);
  } else {
    put_random(random, random.below(48), data);
  }
  if (random.one_in(8)) {
    message.push_back(3);
    message.insert(message.end(), {'k', 'e', 'y'});
  }
  message.push_back(0);
  put16(message, type);
  put16(message, type == 41 ? random.below(5000) : 255);
  put16(message, random.one_in(8) ? random.below(65536) : 0);
  put16(message, random.one_in(4) ? 0x8000 : 0);
  put16(message, random.one_in(16) ? random.below(100) : data.size());
  message.insert(message.end(), data.begin(), data.end());
  const size_t count_at = random.one_in(8) ? 6 + 2 * random.below(3) : 10;
  set16(message, count_at, get16(message, count_at) + 1);
}

// ---- frames

struct Offsets {
  size_t type = 12;  // of the last EtherType
  size_t ip = 14;
  size_t udp = 34;
  bool is_v4 = false;
  bool is_v6 = false;
};

Offsets locate(const Buffer& frame) {
  Offsets at;
  while (at.type < 24 && (get16(frame, at.type) == 0x8100 || get16(frame, at.type) == 0x88a8)) {
    at.type += 4;
  }
  at.ip = at.type + 2;
  at.is_v4 = get16(frame, at.type) == 0x0800 && at.ip + 20 <= frame.size();
  at.is_v6 = get16(frame, at.type) == 0x86dd && at.ip + 40 <= frame.size();
  at.udp = at.ip + (at.is_v4 ? size_t{4} * (frame[at.ip] & 15U) : 40);
  return at;
}

void change_length(Random& random, Buffer& frame) {
  const Offsets at = locate(frame);
  const size_t places[] = {at.udp + 4, at.is_v6 ? at.ip + 4 : at.ip + 2};
  const size_t place = places[random.below(2)];
  const size_t old = get16(frame, place);
  set16(frame, place, random.one_in(3) ? random.below(65536) : old + random.below(33) - 16);
}

void change_tags(Random& random, Buffer& frame) {
  if (locate(frame).type > 12 && frame.size() >= 16 && random.one_in(2)) {
    frame.erase(frame.begin() + 12, frame.begin() + 16);
    return;
  }
  constexpr uint16_t kTagTypes[] = {0x8100, 0x8100, 0x88a8, 0x9100};
  Buffer tag;
  put16(tag, kTagTypes[random.below(std::size(kTagTypes))]);
  put16(tag, random.below(65536));
  insert(frame, 12, tag);
}

void change_ip_header(Random& random, Buffer& frame) {
  const Offsets at = locate(frame);
  if (!at.is_v4 && !at.is_v6) {
    return;
  }
  switch (random.below(6)) {
    case 0:  // version and header length
      frame[at.ip] = random.byte();
      break;
    case 1:  // fragments
      set16(frame, at.ip + (at.is_v4 ? 6 : 2), random.next() & 0xffff);
      break;
    case 2:
      frame[at.ip + (at.is_v4 ? 9 : 6)] = random.byte();
      break;
    case 3:  // TTL, hop limit
      frame[at.ip + (at.is_v4 ? 8 : 7)] = static_cast<uint8_t>(random.below(3));
      break;
    case 4:
      flip_bits(random, at.ip, at.udp, frame);
      break;
    default:  // traffic class, flow label
      frame[at.ip + 1] = random.byte();
  }
}

// IPv4 options with the lengths that belong to them.
void add_ip_options(Random& random, Buffer& frame) {
  const Offsets at = locate(frame);
  const size_t words = 1 + random.below(10);
  if (!at.is_v4 || at.udp != at.ip + 20) {
    return;
  }
  constexpr uint8_t kKinds[] = {0, 1, 7, 68, 130, 131, 134, 136, 137, 148};
  Buffer options;
  while (options.size() < 4 * words) {
    const uint8_t kind = kKinds[random.below(std::size(kKinds))];
    options.push_back(kind);
    if (kind > 1) {
      options.push_back(static_cast<uint8_t>(random.one_in(4) ? random.below(256) : 4));
      options.push_back(static_cast<uint8_t>(random.one_in(2) ? 4 : random.below(41)));
      options.push_back(0);
    }
  }
  options.resize(4 * words);
  frame[at.ip] = static_cast<uint8_t>(0x45 + words);
  set16(frame, at.ip + 2, get16(frame, at.ip + 2) + options.size());
  insert(frame, at.udp, options);
}

void write_address(Buffer& frame, size_t at, const address::Address& address, bool is_v6) {
  const size_t size = is_v6 ? 16 : 4;
  for (size_t i = 0; i < size && at + size <= frame.size(); ++i) {
    frame[at + i] = static_cast<uint8_t>(address.bits >> (8 * (size - 1 - i)));
  }
}

uint16_t port_of(uint64_t number) {
  return static_cast<uint16_t>(1024 + (number >> 16) % 60000);
}

}  // namespace

address::Address FrameMaker::source(Random& random, bool is_v6) const {
  const bool is_stranger = random.one_in(8);
  const address::Address& prefix = is_v6 ? (is_stranger ? place_.stranger6 : place_.device6)
                                         : (is_stranger ? place_.stranger4 : place_.device4);
  address::Address result = prefix;
  result.bits += 3 + random.below(250);  // behind the hosts that are really there
  return result;
}

void FrameMaker::damage_message(Random& random, Buffer& message) const {
  const auto flags = [&] {
    set16(message, 2, random.next() & (random.one_in(4) ? 0xffff : 0x7fff));
  };
  switch (random.below(12)) {
    case 0:
      flip_bits(random, 0, message.size(), message);
      break;
    case 1:
      message.resize(random.below(message.size() + 1));
      break;
    case 2:
      put_random(random, random.below(80), message);
      break;
    case 3:
      splice(random, seeds_.messages[random.below(seeds_.messages.size())], message);
      break;
    case 4:
      set16(message, 4 + 2 * random.below(4),
            random.one_in(4) ? random.next() & 0xffff : random.below(4));
      break;
    case 5:
      flags();
      break;
    case 6:
    case 7:
      change_question(random, message);
      break;
    case 8:
    case 9:
      add_record(random, message);
      break;
    case 10:
      set_odd_bytes(random, 2, message);
      break;
    default:
      repeat_or_cut_part(random, message);
  }
}

void FrameMaker::damage_frame(Random& random, Buffer& frame) const {
  switch (random.below(11)) {
    case 0:
      flip_bits(random, 0, frame.size(), frame);
      break;
    case 1:
      frame.resize(random.below(frame.size() + 1));
      break;
    case 2:
      splice(random, seeds_.frames[random.below(seeds_.frames.size())], frame);
      break;
    case 3:
      change_length(random, frame);
      break;
    case 4:
      change_tags(random, frame);
      break;
    case 5:
    case 6:
      change_ip_header(random, frame);
      break;
    case 7:
      add_ip_options(random, frame);
      break;
    case 8:
      put_random(random, random.below(64), frame);
      break;
    case 9:
      set16(frame, locate(frame).udp + 2 * random.below(2), random.one_in(3) ? 0 : random.next());
      break;
    default:
      flip_bits(random, 12, 62, frame);
  }
}

void FrameMaker::from_message(Random& random, uint64_t number, Buffer& frame) const {
  Buffer message = seeds_.messages[random.below(seeds_.messages.size())];
  set16(message, 0, number & 0xffff);
  for (size_t count = random.below(4); count != 0; --count) {
    damage_message(random, message);
  }
  message.resize(std::min(message.size(), kMessageMax));
  const bool is_v6 = random.one_in(3);
  tests::FrameSpec spec{.is_v6 = is_v6,
                        .to = place_.server_mac,
                        .from = place_.client_mac,
                        .source = source(random, is_v6),
                        .destination = is_v6 ? place_.server6 : place_.server4,
                        .source_port = port_of(number),
                        .message = std::move(message)};
  if (random.one_in(12)) {
    spec.tags.push_back({.id = static_cast<uint16_t>(random.below(4096))});
  }
  if (random.one_in(12)) {
    spec.padding.resize(random.below(32));
  }
  frame = tests::build_frame(spec);
}

void FrameMaker::from_frame(Random& random, uint64_t number, Buffer& frame) const {
  frame = seeds_.frames[random.below(seeds_.frames.size())];
  frame.resize(std::max(frame.size(), kFrameMin));
  std::ranges::copy(place_.server_mac, frame.begin());
  std::ranges::copy(place_.client_mac, frame.begin() + 6);
  const Offsets at = locate(frame);
  if (random.one_in(8) || (!at.is_v4 && !at.is_v6)) {
    return;  // its own addresses
  }
  write_address(frame, at.ip + (at.is_v4 ? 12 : 8), source(random, at.is_v6), at.is_v6);
  write_address(frame, at.ip + (at.is_v4 ? 16 : 24), at.is_v6 ? place_.server6 : place_.server4,
                at.is_v6);
  if (get16(frame, at.udp) != 0) {
    set16(frame, at.udp, port_of(number));
  }
  set16(frame, at.udp + 8, number & 0xffff);
  if (!random.one_in(4)) {
    tests::fix_frame_checksums(frame);
  }
}

void FrameMaker::make(uint64_t number, Buffer& frame) const {
  Random random(seed_, number);
  if (random.one_in(4)) {
    from_frame(random, number, frame);
  } else {
    from_message(random, number, frame);
  }
  if (random.one_in(2)) {
    for (size_t count = 1 + random.below(3); count != 0; --count) {
      damage_frame(random, frame);
    }
    if (!random.one_in(3)) {
      tests::fix_frame_checksums(frame);
    }
  }
  frame.resize(std::clamp(frame.size(), kFrameMin, kFrameMax));
}

}  // namespace merlon::soak

// SPDX-License-Identifier: Apache-2.0
// merlon-bench-packets: queries for measuring the packet path without a network, and the state
// directory that answers them.
//
//   --state DIR   n0.<suffix> .. n<names-1>.<suffix>, A x 4 each; --sources prefixes that may ask:
//   a
//                 quarter IPv4 /24, five eighths /32, an eighth IPv6 /48 or /128, all over the
//                 space
//   --pcap FILE   --packets Ethernet frames; each asks a random name in random case, from a random
//                 address of a random one of the prefixes (both drawn uniformly from all, so
//                 neither names nor sources stay in a cache), with EDNS, a client cookie and true
//                 checksums
//
// The same --seed gives the same prefixes, so a pcap made later fits the state made before.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstring>
#include <fstream>
#include <random>
#include <tuple>

#include "bench/state.h"
#include "zones/wire/wire.h"

namespace merlon::bench {
namespace {

using address::AnyPrefix;
using address::Bits4;
using address::Bits6;
using address::Family;

constexpr std::array<uint8_t, 6> kOurMac = {0x02, 0x70, 0x63, 0x61, 0x70, 0x00};  // net_pcap0's
constexpr std::array<uint8_t, 6> kTheirMac = {0x02, 0x00, 0x00, 0x00, 0x00, 0x01};
constexpr Bits4 kDestination4 = 0xC6120001;                             // 198.18.0.1
constexpr Bits6 kDestination6 = (Bits6{0x2001000200000000} << 64) | 1;  // 2001:2::1
constexpr size_t kFrameSizeMax = 14 + 40 + 8 + 512;

struct Options {
  std::string state;
  std::string pcap;
  std::string suffix = "merlon.internal";
  unsigned names = 1u << 20;
  unsigned sources = 1u << 20;
  unsigned packets = 1u << 19;
  uint64_t seed = 4711;
  uint64_t packet_seed = 1;
};

AnyPrefix random_prefix(std::mt19937_64& random, size_t i) {
  if (i % 8 == 7) {
    const auto length = static_cast<uint8_t>(i % 16 == 15 ? 128 : 48);
    const Bits6 bits = (Bits6{0x20010000u | (random() & 0xffff)} << 96) |
                       (Bits6{random() & 0xffff} << 80) | random();
    return {Family::v6, length, bits & ~address::host_mask<Bits6>(length)};
  }
  const auto length = static_cast<uint8_t>(i % 4 == 0 ? 24 : 32);
  Bits4 bits = 0;
  do {
    bits = static_cast<Bits4>(random());  // unicast, not loopback: else it is not answered
  } while (bits >> 24 == 0 || bits >> 24 == 127 || bits >> 24 >= 224);
  return {Family::v4, length, bits & ~address::host_mask<Bits4>(length)};
}

std::vector<AnyPrefix> random_prefixes(const Options& options) {
  std::mt19937_64 random(options.seed);
  const auto key = [](const AnyPrefix& p) { return std::tuple(p.family, p.length, p.bits); };
  std::vector<AnyPrefix> result;
  size_t made = 0;
  while (result.size() < options.sources) {
    while (result.size() < options.sources) {
      result.push_back(random_prefix(random, made++));
    }
    std::ranges::sort(result, {}, key);
    const auto twice = std::ranges::unique(result);
    result.erase(twice.begin(), twice.end());
  }
  return result;
}

// Writes one frame after the other into the same room.
class Frames {
 public:
  Frames(const name::Name& apex, const Options& options, std::span<const AnyPrefix> sources)
      : apex_(apex), options_(options), sources_(sources), random_(options.packet_seed) {}

  // Valid until the next call.
  Result<Bytes> next() {
    const size_t message_size = write_message();
    const AnyPrefix& source = sources_[random_() % sources_.size()];
    const size_t ip_size = source.family == Family::v4 ? 20 : 40;
    if (message_size == 0) {
      return fail(ErrorCode::invalid_argument, "--suffix is too long for a name in front of it");
    }
    const size_t udp_size = 8 + message_size;
    wire::Writer out(frame_);
    out.bytes(kOurMac);
    out.bytes(kTheirMac);
    uint32_t sum = 17 + static_cast<uint32_t>(udp_size);  // the UDP pseudo header
    if (source.family == Family::v4) {
      sum += write_ipv4(out, source, 28 + message_size);
    } else {
      sum += write_ipv6(out, source, udp_size);
    }
    const size_t udp_at = 14 + ip_size;
    out.u16(static_cast<uint16_t>(1024 + random_() % 64000));
    out.u16(53);
    out.u16(static_cast<uint16_t>(udp_size));
    out.u16(0);
    out.bytes({message_.data(), message_size});
    sum += wire::checksum_partial(out.written().subspan(udp_at));
    out.patch_u16(udp_at + 6, inverted(sum, 0xFFFF));
    return out.written();
  }

 private:
  static uint16_t inverted(uint32_t sum, uint16_t instead_of_zero) {
    while (sum >> 16 != 0) {
      sum = (sum & 0xFFFF) + (sum >> 16);
    }
    const auto result = static_cast<uint16_t>(~sum);
    return result == 0 ? instead_of_zero : result;
  }

  // Returns the size, 0 when the name is too long.
  size_t write_message() {
    const auto asked = apex_.child(fmt::format("n{}", random_() % options_.names));
    if (!asked) {
      return 0;
    }
    wire::Writer out(message_);
    out.u16(static_cast<uint16_t>(random_()));
    for (const uint16_t word : std::array<uint16_t, 5>{0x0100, 1, 0, 0, 1}) {
      out.u16(word);
    }
    std::vector<uint8_t> name(asked->wire().begin(), asked->wire().end());
    uint64_t coins = random_();
    for (uint8_t& c : name) {  // label lengths are below 'a'
      if (c >= 'a' && c <= 'z') {
        c = static_cast<uint8_t>(c - ((coins & 1) != 0 ? 'a' - 'A' : 0));
        coins = std::rotr(coins, 1);
      }
    }
    out.bytes(name);
    out.u16(wire::type::a);
    out.u16(1);
    out.u8(0);
    out.u16(wire::type::opt);
    out.u16(1232);
    out.u32(0);
    out.u16(12);
    out.u16(10);  // COOKIE, RFC 7873
    out.u16(8);
    out.u32(static_cast<uint32_t>(random_()));
    out.u32(static_cast<uint32_t>(random_()));
    return out.ok() ? out.size() : 0;
  }

  // The sums of both addresses, for the pseudo header.
  uint32_t write_ipv4(wire::Writer& out, const AnyPrefix& source, size_t size) {
    const auto host = static_cast<Bits4>(random_()) & address::host_mask<Bits4>(source.length);
    out.u16(0x0800);
    out.u16(0x4500);
    out.u16(static_cast<uint16_t>(size));
    out.u32(0x00004000);  // id 0, do not fragment
    out.u16(0x4011);      // TTL 64, UDP
    out.u16(0);
    out.u32(static_cast<Bits4>(source.bits) | host);
    out.u32(kDestination4);
    out.patch_u16(24, inverted(wire::checksum_partial(out.written().subspan(14)), 0));
    return wire::checksum_partial(out.written().subspan(26));
  }

  uint32_t write_ipv6(wire::Writer& out, const AnyPrefix& source, size_t size) {
    const Bits6 host =
        ((Bits6{random_()} << 64) | random_()) & address::host_mask<Bits6>(source.length);
    out.u16(0x86DD);
    out.u32(0x60000000);
    out.u16(static_cast<uint16_t>(size));
    out.u16(0x1140);  // UDP, hop limit 64
    std::array<uint8_t, 32> addresses;
    address::store_network(source.bits | host, addresses.data());
    address::store_network(kDestination6, addresses.data() + 16);
    out.bytes(addresses);
    return wire::checksum_partial(addresses);
  }

  name::Name apex_;
  const Options& options_;
  std::span<const AnyPrefix> sources_;
  std::mt19937_64 random_;
  std::array<uint8_t, 512> message_{};
  std::array<uint8_t, kFrameSizeMax> frame_{};
};

void put_native(std::ofstream& file, std::initializer_list<uint32_t> words) {
  for (const uint32_t word : words) {
    std::array<char, sizeof word> bytes;
    std::memcpy(bytes.data(), &word, sizeof word);
    file.write(bytes.data(), bytes.size());
  }
}

Status write_pcap(const Options& options, const name::Name& apex,
                  std::span<const AnyPrefix> sources) {
  std::ofstream file(options.pcap, std::ios::binary | std::ios::trunc);
  put_native(file, {0xa1b2c3d4, 2u | (4u << 16), 0, 0, 65535, 1});  // libpcap 2.4, Ethernet
  Frames frames(apex, options, sources);
  for (uint32_t i = 0; i < options.packets; ++i) {
    const auto frame = frames.next();
    if (!frame) {
      return std::unexpected(frame.error());
    }
    const auto size = static_cast<uint32_t>(frame->size());
    put_native(file, {1700000000 + i / 1'000'000, i % 1'000'000, size, size});
    const std::string_view text = as_text(*frame);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
  }
  file.flush();
  return file ? Status() : Status(fail(ErrorCode::io, "{}: cannot be written", options.pcap));
}

Status write_state_of(const Options& options, const name::Name& apex,
                      std::span<const AnyPrefix> sources) {
  Zone zone(apex, Zone::Text::none);
  Status done = zone.add_apex();
  if (done) {
    done = zone.add_names(options.names);
  }
  if (!done) {
    return done;
  }
  const auto bytes = zone.finish();
  const auto access = sources_may_ask(sources);
  if (!bytes || !access) {
    return std::unexpected(bytes ? access.error() : bytes.error());
  }
  return write_state(options.state, apex, *bytes, *access);
}

Status run(const Options& options) {
  const auto apex = name::Name::from_text(options.suffix);
  if (!apex) {
    return std::unexpected(apex.error());
  }
  const std::vector<AnyPrefix> sources = random_prefixes(options);
  Status done;
  if (!options.state.empty()) {
    done = write_state_of(options, apex->folded(), sources);
  }
  if (done && !options.pcap.empty()) {
    done = write_pcap(options, apex->folded(), sources);
  }
  return done;
}

}  // namespace
}  // namespace merlon::bench

int main(int argc, char** argv) {
  CLI::App app("Writes queries as a pcap file, and the state directory that answers them");
  merlon::bench::Options options;
  const CLI::Range some(1u, 1u << 24);
  app.add_option("--state", options.state, "the state directory to make");
  app.add_option("--pcap", options.pcap, "the file of frames to make");
  app.add_option("--suffix", options.suffix, "the zone")->capture_default_str();
  app.add_option("--names", options.names, "names")->capture_default_str()->check(some);
  app.add_option("--sources", options.sources, "prefixes")->capture_default_str()->check(some);
  app.add_option("--packets", options.packets, "frames")->capture_default_str()->check(some);
  app.add_option("--seed", options.seed, "of the prefixes")->capture_default_str();
  app.add_option("--packet-seed", options.packet_seed, "of the frames")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (const auto done = merlon::bench::run(options); !done) {
    fmt::print(stderr, "merlon-bench-packets: {}\n", done.error().message);
    return 1;
  }
  return 0;
}

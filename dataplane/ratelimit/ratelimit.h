// SPDX-License-Identifier: Apache-2.0
// Response rate limiting by source prefix: what one address, its network and the networks around it
// may have of answers, so that a spoofed source cannot make us its amplifier. One pass decides for
// four prefix lengths:
//
//   IPv4   /32 x1   /24 x32   /20 x256   /18 x768
//   IPv6   /64 x1   /56 x4    /48 x16    /32 x64     times the configured answers a second
//
// Each prefix has a load that grows with every answer and decays exponentially with a time constant
// of one second, so a burst of a second's worth passes at once, and in the long run the configured
// rate does. A limited answer adds nothing. The design is that of Knot DNS' KRU (fixed memory, one
// cache line a bucket, least loaded entry replaced), with the finer two prefixes of a source in one
// line and the coarser two in another: two cache lines a packet.
//
// A key that is replaced starts again at zero: a line full of busier keys may let some of a
// source's answers through, and its wider prefixes still bound them; an innocent source never
// inherits another's load. Keys are hashed with a secret of the process, so nobody can aim at a
// bucket.
//
// Memory is fixed at make(). One table serves all workers without a lock: single values are relaxed
// atomics, and what two workers do to one line at the same moment may be lost; the error is an
// answer's worth, or a key's.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "zones/address/address.h"
#include "zones/base/huge_allocator.h"

namespace merlon::ratelimit {

inline constexpr std::array<uint8_t, 4> kLengths4 = {32, 24, 20, 18};
inline constexpr std::array<uint32_t, 4> kFactors4 = {1, 32, 256, 768};
inline constexpr std::array<uint8_t, 4> kLengths6 = {64, 56, 48, 32};
inline constexpr std::array<uint32_t, 4> kFactors6 = {1, 4, 16, 64};

struct Settings {
  uint32_t per_second = 0;           // answers to one IPv4 address or IPv6 /64; 0: no limit
  uint32_t slip = 2;                 // every n-th limited answer slips; 0: none
  uint32_t fine_lines = 1u << 17;    // a power of two; 64 bytes each, ten keys
  uint32_t coarse_lines = 1u << 15;  // likewise
};

enum class Verdict : uint8_t {
  pass,
  slip,  // send an empty truncated answer, so that a real client comes over TCP
  drop,
};

// A worker's place between slips.
struct Slip {
  uint32_t limited = 0;
};

// Where a source's keys lie.
struct Probe {
  uint32_t fine = 0;
  uint32_t coarse = 0;
  std::array<uint16_t, 4> tags{};
  address::Family family = address::Family::v4;
};

class Limiter {
 public:
  // Allocates the table. REQUIRES: settings.per_second != 0, line counts powers of two.
  static std::unique_ptr<Limiter> make(const Settings& settings);

  // Prefetches both lines.
  Probe probe(const address::Address& source) const;
  // `now` in milliseconds from any start, modulo 2^32. Any thread.
  Verdict check(const Probe& probe, uint32_t now, Slip& slip);

 private:
  static constexpr size_t kKeys = 10;
  // Tag 0: free. A load is a fraction of its limit. It is a float because one multiplication decays
  // it, and it adds up exactly enough for limits up to 2^24 answers a second; wider prefixes of
  // sources with higher limits than that are as good as unlimited.
  struct alignas(64) Line {
    uint32_t time = 0;
    std::array<uint16_t, kKeys> tags{};
    std::array<float, kKeys> loads{};
  };
  static_assert(sizeof(Line) == 64);

  explicit Limiter(const Settings& settings);
  uint64_t mix(address::Bits6 bits) const;
  // The places of a line's keys, made when they are missing.
  struct Places {
    size_t wide = 0;
    size_t narrow = 0;
  };
  float decay_over(uint32_t milliseconds) const;
  void decay(Line& line, uint32_t now) const;
  static Places find(Line& line, uint16_t wide, uint16_t narrow);
  static size_t least_loaded(const Line& line, size_t keep);

  uint32_t slip_ = 0;
  uint64_t fine_mask_ = 0;
  uint64_t coarse_mask_ = 0;
  std::array<uint64_t, 3> secret_{};
  std::array<float, 4> price4_{};  // of one answer
  std::array<float, 4> price6_{};
  // e^(-n/1000) and e^(-n*64/1000).
  std::array<float, 64> decay_fine_{};
  std::array<float, 512> decay_coarse_{};
  HugeVector<Line> fine_;
  HugeVector<Line> coarse_;
};

}  // namespace merlon::ratelimit

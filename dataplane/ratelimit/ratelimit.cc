// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ratelimit/ratelimit.h"

#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "zones/base/assert.h"

namespace merlon::ratelimit {
namespace {

using address::Bits6;
using address::Family;

constexpr double kFull = 4294967296.0;  // 2^32
constexpr uint32_t kLoadMax = UINT32_MAX;
constexpr size_t kNone = SIZE_MAX;

uint32_t fraction(double value) {
  return static_cast<uint32_t>(std::min(value * kFull, static_cast<double>(kLoadMax)));
}

uint32_t price(uint32_t per_second, uint32_t factor) {
  return std::max(1u, fraction(1.0 / (static_cast<double>(factor) * per_second)));
}

// A tag that is never 0, from the bits that the line's number does not use.
uint16_t tag_of(uint64_t hash) {
  return static_cast<uint16_t>((hash >> 48) | 1);
}

}  // namespace

std::unique_ptr<Limiter> Limiter::make(const Settings& settings) {
  MERLON_ASSERT(settings.per_second != 0 && std::has_single_bit(settings.fine_lines) &&
                std::has_single_bit(settings.coarse_lines));
  return std::unique_ptr<Limiter>(new Limiter(settings));  // tidy: start-up only
}

Limiter::Limiter(const Settings& settings)
    : slip_(settings.slip),
      fine_mask_(settings.fine_lines - 1),
      coarse_mask_(settings.coarse_lines - 1),
      fine_(settings.fine_lines),
      coarse_(settings.coarse_lines) {
  MERLON_ASSERT(::getrandom(secret_.data(), sizeof secret_, 0) == sizeof secret_);
  for (size_t level = 0; level < 4; ++level) {
    price4_[level] = price(settings.per_second, kFactors4[level]);
    price6_[level] = price(settings.per_second, kFactors6[level]);
  }
  for (size_t n = 0; n < decay_fine_.size(); ++n) {
    decay_fine_[n] = fraction(std::exp(-static_cast<double>(n) / 1000));
  }
  for (size_t n = 0; n < decay_coarse_.size(); ++n) {
    decay_coarse_[n] = fraction(std::exp(-static_cast<double>(n * decay_fine_.size()) / 1000));
  }
}

// The multiply-and-fold of wyhash, as in the source table. The level goes in after the first fold:
// mixed into the bits, the level of one prefix could make it look like another one.
uint64_t Limiter::mix(Bits6 bits, unsigned level) const {
  const Bits6 product = Bits6{static_cast<uint64_t>(bits >> 64) ^ secret_[0]} *
                        (static_cast<uint64_t>(bits) ^ secret_[1]);
  const uint64_t folded = static_cast<uint64_t>(product >> 64) ^ static_cast<uint64_t>(product);
  const Bits6 again =
      Bits6{(folded + level * 0xD6E8FEB86659FD93u) ^ secret_[2]} * 0x9E3779B97F4A7C15u;
  return static_cast<uint64_t>(again >> 64) ^ static_cast<uint64_t>(again);
}

Probe Limiter::probe(const address::Address& source) const {
  std::array<uint64_t, 4> hashes;
  if (source.family == Family::v4) {
    const uint32_t bits = static_cast<uint32_t>(source.bits);
    for (unsigned level = 0; level < 4; ++level) {
      // The family keeps an IPv4 network apart from the IPv6 network with the same number.
      hashes[level] = mix(bits & ~address::host_mask<uint32_t>(kLengths4[level]), level + 8);
    }
  } else {
    for (unsigned level = 0; level < 4; ++level) {
      hashes[level] = mix(source.bits & ~address::host_mask<Bits6>(kLengths6[level]), level);
    }
  }
  Probe probe;
  probe.family = source.family;
  probe.fine = static_cast<uint32_t>(hashes[1] & fine_mask_);
  probe.coarse = static_cast<uint32_t>(hashes[3] & coarse_mask_);
  __builtin_prefetch(&fine_[probe.fine], 1);
  __builtin_prefetch(&coarse_[probe.coarse], 1);
  for (size_t level = 0; level < 4; ++level) {
    probe.tags[level] = tag_of(hashes[level]);
  }
  return probe;
}

void Limiter::decay(Line& line, uint32_t milliseconds) const {
  const size_t coarse = milliseconds / decay_fine_.size();
  if (coarse >= decay_coarse_.size()) {
    line.loads.fill(0);
    return;
  }
  const uint64_t factor =
      (uint64_t{decay_fine_[milliseconds % decay_fine_.size()]} * decay_coarse_[coarse]) >> 32;
  for (uint32_t& load : line.loads) {
    load = static_cast<uint32_t>((load * factor) >> 32);
  }
}

void Limiter::read(const Words& from, uint32_t now, Line& line) const {
  std::array<uint64_t, 8> words;
  for (size_t i = 0; i < words.size(); ++i) {
    words[i] = __atomic_load_n(&from.words[i], __ATOMIC_RELAXED);
  }
  std::memcpy(&line, &words, sizeof line);
  // Another worker's clock may be a little ahead: then there is nothing to decay.
  if (static_cast<int32_t>(now - line.time) > 0) {
    decay(line, now - line.time);
    line.time = now;
  } else if (static_cast<int32_t>(line.time - now) > 1000) {
    line.loads.fill(0);  // a line not seen for half of the clock's range
    line.time = now;
  }
}

void Limiter::write(const Line& line, Words& to) {
  std::array<uint64_t, 8> words;
  std::memcpy(&words, &line, sizeof line);
  for (size_t i = 0; i < words.size(); ++i) {
    __atomic_store_n(&to.words[i], words[i], __ATOMIC_RELAXED);
  }
}

// The key with this tag; else the least loaded one other than `keep`, emptied.
size_t Limiter::find(const Line& line, uint16_t tag, size_t keep) {
  size_t least = kNone;
  for (size_t i = 0; i < kKeys; ++i) {
    if (line.tags[i] == tag) {
      return i;
    }
    if (i != keep && (least == kNone || line.loads[i] < line.loads[least])) {
      least = i;
    }
  }
  return least;
}

Verdict Limiter::check(const Probe& probe, uint32_t now, Slip& slip) {
  const std::array<uint32_t, 4>& prices = probe.family == Family::v4 ? price4_ : price6_;
  std::array<Line, 2> lines;
  std::array<std::array<size_t, 2>, 2> places;
  bool over = false;
  for (size_t pair = 0; pair < 2; ++pair) {
    read(pair == 0 ? fine_[probe.fine] : coarse_[probe.coarse], now, lines[pair]);
    Line& line = lines[pair];
    size_t keep = kNone;
    for (size_t wider = 2; wider-- > 0;) {  // the wider prefix first: it is the line's own
      const size_t level = pair * 2 + wider;
      const size_t place = find(line, probe.tags[level], keep);
      if (line.tags[place] != probe.tags[level]) {
        line.tags[place] = probe.tags[level];
        line.loads[place] = 0;
      }
      places[pair][wider] = keep = place;
      over = over || line.loads[place] > kLoadMax - prices[level];
    }
  }
  if (!over) {
    for (size_t level = 0; level < 4; ++level) {
      lines[level / 2].loads[places[level / 2][level % 2]] += prices[level];
    }
    write(lines[0], fine_[probe.fine]);
    write(lines[1], coarse_[probe.coarse]);
    return Verdict::pass;
  }
  // Decayed loads need no writing: the next packet decays them from the same time to the same
  // value.
  ++slip.limited;
  return slip_ != 0 && slip.limited % slip_ == 0 ? Verdict::slip : Verdict::drop;
}

}  // namespace merlon::ratelimit

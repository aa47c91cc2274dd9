// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ratelimit/ratelimit.h"

#include <sys/random.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "zones/base/assert.h"

namespace merlon::ratelimit {
namespace {

using address::Bits6;
using address::Family;

// The limit, and room for what rounding adds.
constexpr float kFull = 1.0F + 1e-5F;
// Loads below this are nothing: they are cleared before they get too small for fast arithmetic.
constexpr float kNothing = 1e-12F;

// Eight numbers at a time; the compiler makes of them what the machine has. A line's ten loads are
// eight and two.
constexpr size_t kLanes = 8;
typedef float Floats __attribute__((vector_size(kLanes * sizeof(float))));
typedef int32_t Ints __attribute__((vector_size(kLanes * sizeof(int32_t))));
constexpr Ints kNumbers = {0, 1, 2, 3, 4, 5, 6, 7};

float price(uint32_t per_second, uint32_t factor) {
  return static_cast<float>(1.0 / (static_cast<double>(factor) * per_second));
}

// A tag is never 0. `part` tells the narrower prefix from its siblings and from the wider one.
uint16_t tag_of(uint64_t hash, uint64_t part) {
  const auto tag = static_cast<uint16_t>((hash >> 48) ^ (part * 0x9E37));
  return tag == 0 ? uint16_t{0x8000} : tag;
}

// Lines are shared without a lock. A single value is a relaxed atomic; several at once are what the
// machine moves at once, of which each value is whole (that is more than the language promises, so
// the thread sanitizer is shown one value at a time).
template <class T>
T relaxed(const T& from) {
  T value;
  __atomic_load(&from, &value, __ATOMIC_RELAXED);
  return value;
}
template <class T>
void set_relaxed(T& to, T value) {
  __atomic_store(&to, &value, __ATOMIC_RELAXED);
}
#if defined(__SANITIZE_THREAD__)
template <class Vector, class T>
void load_several(const T* from, Vector& to) {
  std::array<T, sizeof(Vector) / sizeof(T)> values;
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = relaxed(from[i]);
  }
  std::memcpy(&to, &values, sizeof to);
}
template <class Vector, class T>
void store_several(const Vector& from, T* to) {
  std::array<T, sizeof(Vector) / sizeof(T)> values;
  std::memcpy(&values, &from, sizeof from);
  for (size_t i = 0; i < values.size(); ++i) {
    set_relaxed(to[i], values[i]);
  }
}
#else
template <class Vector, class T>
void load_several(const T* from, Vector& to) {
  std::memcpy(&to, from, sizeof to);
}
template <class Vector, class T>
void store_several(const Vector& from, T* to) {
  std::memcpy(to, &from, sizeof from);
}
#endif

// A bit for each of the keys with this tag.
unsigned matches(const uint16_t* tags, size_t count, uint16_t tag) {
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
  // Ten tags are eight and two; the second load goes on into the loads, which do not count.
  __m128i first;
  __m128i second;
  load_several(tags, first);
  load_several(tags + 8, second);
  const __m128i wanted = _mm_set1_epi16(static_cast<int16_t>(tag));
  const __m128i equal =
      _mm_packs_epi16(_mm_cmpeq_epi16(first, wanted), _mm_cmpeq_epi16(second, wanted));
  return static_cast<unsigned>(_mm_movemask_epi8(equal)) & ((1u << count) - 1);
#else
  unsigned found = 0;
  for (size_t i = 0; i < count; ++i) {
    found |= unsigned{relaxed(tags[i]) == tag} << i;
  }
  return found;
#endif
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
    decay_fine_[n] = static_cast<float>(std::exp(-static_cast<double>(n) / 1000));
  }
  for (size_t n = 0; n < decay_coarse_.size(); ++n) {
    decay_coarse_[n] =
        static_cast<float>(std::exp(-static_cast<double>(n * decay_fine_.size()) / 1000));
  }
}

// The multiply-and-fold of wyhash, as in the source table.
uint64_t Limiter::mix(Bits6 bits) const {
  const Bits6 product = Bits6{static_cast<uint64_t>(bits >> 64) ^ secret_[0]} *
                        (static_cast<uint64_t>(bits) ^ secret_[1]);
  const uint64_t folded = static_cast<uint64_t>(product >> 64) ^ static_cast<uint64_t>(product);
  const Bits6 again = Bits6{folded ^ secret_[2]} * 0x9E3779B97F4A7C15u;
  return static_cast<uint64_t>(again >> 64) ^ static_cast<uint64_t>(again);
}

// A line belongs to the wider prefix of its two, so a narrower one's key is that prefix's hash and
// the few bits that it has more.
Probe Limiter::probe(const address::Address& source) const {
  uint64_t fine;
  uint64_t coarse;
  std::array<uint64_t, 2> parts;
  if (source.family == Family::v4) {
    const uint32_t bits = static_cast<uint32_t>(source.bits);
    // A bit that no address has keeps IPv4 apart from IPv6, and /24 from /18.
    fine = mix((Bits6{1} << 64) | (bits >> 8));
    coarse = mix((Bits6{2} << 64) | (bits >> 14));
    parts = {bits & 0xFF, (bits >> 12) & 3};
  } else {
    const auto high = static_cast<uint64_t>(source.bits >> 64);
    fine = mix((Bits6{3} << 64) | (high >> 8));
    coarse = mix((Bits6{4} << 64) | (high >> 32));
    parts = {high & 0xFF, (high >> 16) & 0xFFFF};
  }
  Probe probe;
  probe.family = source.family;
  probe.fine = static_cast<uint32_t>(fine & fine_mask_);
  probe.coarse = static_cast<uint32_t>(coarse & coarse_mask_);
  __builtin_prefetch(&fine_[probe.fine], 1);
  __builtin_prefetch(&coarse_[probe.coarse], 1);
  probe.tags = {tag_of(fine, parts[0] + 1), tag_of(fine, 0), tag_of(coarse, parts[1] + 1),
                tag_of(coarse, 0)};
  return probe;
}

float Limiter::decay_over(uint32_t milliseconds) const {
  const size_t coarse = milliseconds / decay_fine_.size();
  return coarse >= decay_coarse_.size()
             ? 0.0F
             : decay_fine_[milliseconds % decay_fine_.size()] * decay_coarse_[coarse];
}

// Brings the line's loads to `now`.
inline void Limiter::decay(Line& line, uint32_t now) const {
  // Another worker's clock may be a little ahead: then there is nothing to decay. Far ahead is a
  // line not seen for half of the clock's range.
  const auto age = static_cast<int32_t>(now - relaxed(line.time));
  if (age == 0 || (age < 0 && age > -1000)) {
    return;
  }
  set_relaxed(line.time, now);
  const float factor = age < 0 ? 0.0F : decay_over(static_cast<uint32_t>(age));
  Floats loads;
  load_several(line.loads.data(), loads);
  loads *= factor;
  loads = loads < kNothing ? Floats{} : loads;
  store_several(loads, line.loads.data());
  for (size_t i = kLanes; i < kKeys; ++i) {
    const float load = relaxed(line.loads[i]) * factor;
    set_relaxed(line.loads[i], load < kNothing ? 0.0F : load);
  }
}

// Both keys are looked for before anything is written: a wide load behind a narrow store of the
// same bytes waits for the cache.
inline Limiter::Places Limiter::find(Line& line, uint16_t wide, uint16_t narrow) {
  static_assert(sizeof(Line) - offsetof(Line, tags) >= 32);
  const unsigned found_wide = matches(line.tags.data(), kKeys, wide);
  const unsigned found_narrow = matches(line.tags.data(), kKeys, narrow);
  Places places;
  places.narrow = static_cast<size_t>(std::countr_zero(found_narrow));  // 32 when missing
  places.wide = found_wide != 0 ? static_cast<size_t>(std::countr_zero(found_wide))
                                : least_loaded(line, places.narrow);
  if (found_narrow == 0) {
    places.narrow = least_loaded(line, places.wide);
  }
  const auto make = [&line](size_t place, uint16_t tag) {
    set_relaxed(line.tags[place], tag);
    set_relaxed(line.loads[place], 0.0F);
  };
  if (found_wide == 0) {
    make(places.wide, wide);
  }
  if (found_narrow == 0) {
    make(places.narrow, narrow);
  }
  return places;
}

// Loads are not negative, so their bits are in their order; the last four give way to the key's
// number, and the least of such numbers names the key without a branch.
inline size_t Limiter::least_loaded(const Line& line, size_t keep) {
  Ints bits;
  load_several(reinterpret_cast<const int32_t*>(line.loads.data()), bits);
  bits = (bits & ~15) | kNumbers;
  bits = kNumbers == static_cast<int32_t>(keep) ? Ints{} + INT32_MAX : bits;
  const Ints by4 = __builtin_shuffle(bits, Ints{4, 5, 6, 7, 0, 1, 2, 3});
  bits = bits < by4 ? bits : by4;
  const Ints by2 = __builtin_shuffle(bits, Ints{2, 3, 0, 1, 6, 7, 4, 5});
  bits = bits < by2 ? bits : by2;
  int32_t least = std::min(bits[0], bits[1]);
  for (size_t i = kLanes; i < kKeys; ++i) {
    const int32_t own =
        (std::bit_cast<int32_t>(relaxed(line.loads[i])) & ~15) | static_cast<int32_t>(i);
    least = std::min(least, i == keep ? INT32_MAX : own);
  }
  return static_cast<size_t>(least & 15);
}

Verdict Limiter::check(const Probe& probe, uint32_t now, Slip& slip) {
  const std::array<float, 4>& prices = probe.family == Family::v4 ? price4_ : price6_;
  Line& fine = fine_[probe.fine];
  Line& coarse = coarse_[probe.coarse];
  decay(fine, now);
  decay(coarse, now);
  const Places in_fine = find(fine, probe.tags[1], probe.tags[0]);
  const Places in_coarse = find(coarse, probe.tags[3], probe.tags[2]);
  const std::array<float*, 4> loads = {&fine.loads[in_fine.narrow], &fine.loads[in_fine.wide],
                                       &coarse.loads[in_coarse.narrow],
                                       &coarse.loads[in_coarse.wide]};
  std::array<float, 4> next;
  bool over = false;
  for (size_t level = 0; level < loads.size(); ++level) {
    next[level] = relaxed(*loads[level]) + prices[level];
    over |= next[level] > kFull;
  }
  if (!over) {
    for (size_t level = 0; level < loads.size(); ++level) {
      set_relaxed(*loads[level], next[level]);
    }
    return Verdict::pass;
  }
  ++slip.limited;
  return slip_ != 0 && slip.limited % slip_ == 0 ? Verdict::slip : Verdict::drop;
}

}  // namespace merlon::ratelimit

// SPDX-License-Identifier: Apache-2.0
// The name hash against its reference, and what it promises to tables: names spread, every bit of a
// name and of the key matters, and nothing outside the name is read. Folding and comparing
// likewise.
#include "zones/name/hash.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <unordered_set>
#include <vector>

#include "tests/support/guarded.h"
#include "tests/support/seed.h"
#include "zones/name/name.h"

namespace merlon::name {
namespace {

HashKey random_key(std::mt19937_64& random) {
  HashKey key;
  for (uint8_t& byte : key.secret) {
    byte = static_cast<uint8_t>(random());
  }
  return key;
}

std::vector<uint8_t> random_bytes(std::mt19937_64& random, size_t size) {
  std::vector<uint8_t> bytes(size);
  for (uint8_t& byte : bytes) {
    byte = static_cast<uint8_t>(random());
  }
  return bytes;
}

TEST(NameHash, EqualsTheReferenceAtEverySize) {
  std::mt19937_64 random(test::seed_for("NameHash"));
  for (int round = 0; round < 50; ++round) {
    const HashKey key = random_key(random);
    for (size_t size = 0; size <= kWireSizeMax; ++size) {
      const std::vector<uint8_t> bytes = random_bytes(random, size);
      ASSERT_EQ(hash_folded(key, bytes), hash_reference(key, bytes)) << size << " bytes";
      ASSERT_EQ(detail::hash_dispatched(bytes.data(), size, key.secret.data()),
                hash_reference(key, bytes))
          << size << " bytes";
    }
  }
}

// The round is the one of FIPS 197: with all keys zero and one block of zeros, the values can be
// worked out by hand (SubBytes(0) = 0x63 in each byte is what MixColumns leaves as it is).
TEST(NameHash, ReferenceRoundsAreThoseOfAes) {
  const HashKey key;
  const std::array<uint8_t, 16> zeros{};
  const auto constant_round = [](uint8_t x) {
    // A block of equal bytes stays one: S-box, and MixColumns of equal bytes (2 ^ 3 ^ 1 ^ 1 = 1).
    constexpr std::array<std::pair<uint8_t, uint8_t>, 4> kBox{
        {{0x00, 0x63}, {0x63, 0xfb}, {0xfb, 0x0f}, {0x0f, 0x76}}};
    const auto* at = std::ranges::find(kBox, x, &std::pair<uint8_t, uint8_t>::first);
    return at == kBox.end() ? uint8_t{0} : at->second;
  };
  EXPECT_EQ(constant_round(constant_round(0)), 0xfb);
  // 16 zeros are two equal blocks, which cancel: what is left is the length through three rounds.
  const std::array<uint8_t, 32> more{};
  EXPECT_NE(hash_reference(key, zeros), hash_reference(key, more));
  EXPECT_EQ(hash_folded(key, zeros), hash_reference(key, zeros));
  // No bytes: one block of zeros, 0xfb in each byte after two rounds, length 0, then three rounds.
  const uint8_t last = constant_round(constant_round(0xfb));
  EXPECT_EQ(last, 0x76);
  const uint64_t third = hash_reference(key, {});
  EXPECT_EQ(third, 0x3838383838383838u) << "S-box of 0x76";
}

TEST(NameHash, ReadsNothingOutsideTheName) {
  std::mt19937_64 random(test::seed_for("NameHash"));
  const HashKey key = random_key(random);
  test::Guarded guarded;
  for (size_t size = 1; size <= kWireSizeMax; ++size) {
    const std::vector<uint8_t> bytes = random_bytes(random, size);
    const uint64_t expected = hash_reference(key, bytes);
    ASSERT_EQ(hash_folded(key, {guarded.at_end(bytes), size}), expected);
    ASSERT_EQ(hash_folded(key, {guarded.at_start(bytes), size}), expected);
  }
}

TEST(NameHash, EveryBitOfNameKeyAndLengthMatters) {
  std::mt19937_64 random(test::seed_for("NameHash"));
  const HashKey key = random_key(random);
  for (const size_t size :
       {1u, 3u, 5u, 8u, 15u, 16u, 17u, 24u, 32u, 33u, 50u, 64u, 65u, 200u, 255u}) {
    const std::vector<uint8_t> bytes = random_bytes(random, size);
    const uint64_t whole = hash_folded(key, bytes);
    double flipped = 0;
    int least = 64;
    for (size_t bit = 0; bit < size * 8; ++bit) {
      std::vector<uint8_t> other = bytes;
      other[bit / 8] = static_cast<uint8_t>(other[bit / 8] ^ (1u << (bit % 8)));
      const int changed = std::popcount(hash_folded(key, other) ^ whole);
      flipped += changed;
      least = std::min(least, changed);
    }
    // Half of 64 bits, with a standard deviation of 4 for one and less for their mean.
    const auto bits = static_cast<double>(size * 8);
    EXPECT_NEAR(flipped / bits, 32, 24 / std::sqrt(bits) + 0.5);
    EXPECT_GE(least, 6) << size << " bytes";
    HashKey other_key = key;
    other_key.secret[random() % other_key.secret.size() % 16] ^= 1;  // the first block's key
    EXPECT_NE(hash_folded(other_key, bytes), whole);
    if (size > 1) {
      EXPECT_NE(hash_folded(key, Bytes(bytes).first(size - 1)), whole);
    }
  }
  // Equal bytes, different lengths.
  const std::vector<uint8_t> zeros(kWireSizeMax);
  std::unordered_set<uint64_t> seen;
  for (size_t size = 0; size <= kWireSizeMax; ++size) {
    EXPECT_TRUE(seen.insert(hash_folded(key, Bytes(zeros).first(size))).second) << size;
  }
}

// n0.example. .. as a list's chunks are named: low, high and middle bits each fill their places as
// throws of dice would, and no two of a million are equal.
TEST(NameHash, SequentialNamesSpread) {
  std::mt19937_64 random(test::seed_for("NameHash"));
  const HashKey key = random_key(random);
  constexpr size_t kNames = size_t{1} << 20;
  constexpr size_t kPlaces = 4096;
  for (const char* suffix : {".example.", ".a-longer-suffix.lists.merlon.internal."}) {
    std::array<std::vector<uint32_t>, 3> places;
    places.fill(std::vector<uint32_t>(kPlaces));
    std::unordered_set<uint64_t> seen;
    seen.reserve(kNames);
    for (size_t i = 0; i < kNames; ++i) {
      const Name name = *Name::from_text("n" + std::to_string(i) + suffix);
      const uint64_t hash = hash_folded(key, name.wire());
      ++places[0][hash % kPlaces];
      ++places[1][(hash >> 26) % kPlaces];
      ++places[2][hash >> 52];
      ASSERT_TRUE(seen.insert(hash).second) << name.to_text();
    }
    for (const std::vector<uint32_t>& each : places) {
      double chi_square = 0;
      const double expected = static_cast<double>(kNames) / kPlaces;
      for (const uint32_t count : each) {
        chi_square += (count - expected) * (count - expected) / expected;
      }
      // kPlaces - 1 degrees of freedom: 4095 +- 90.5; six standard deviations.
      EXPECT_NEAR(chi_square, kPlaces - 1, 6 * std::sqrt(2.0 * (kPlaces - 1)));
    }
  }
}

TEST(Fold, EqualsFoldByteByByteAndTouchesNothingElse) {
  std::mt19937_64 random(test::seed_for("Fold"));
  test::Guarded in;
  test::Guarded out;
  for (size_t size = 0; size <= kWireSizeMax; ++size) {
    for (int round = 0; round < 20; ++round) {
      const std::vector<uint8_t> bytes = random_bytes(random, size);
      std::vector<uint8_t> expected = bytes;
      std::ranges::transform(expected, expected.begin(), fold);
      uint8_t* at_end = out.at_end(bytes);
      fold_bytes(in.at_end(bytes), size, at_end);
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), at_end));
      uint8_t* at_start = out.at_start(bytes);
      fold_bytes(in.at_start(bytes), size, at_start);
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), at_start));
      fold_bytes(at_start, size, at_start);  // in place, and folding twice is folding once
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), at_start));
    }
  }
}

TEST(SameBytes, SeesEveryDifferenceAndNothingOutside) {
  std::mt19937_64 random(test::seed_for("SameBytes"));
  test::Guarded a;
  test::Guarded b;
  for (size_t size = 0; size <= kWireSizeMax; ++size) {
    std::vector<uint8_t> bytes = random_bytes(random, size);
    ASSERT_TRUE(same_bytes(a.at_end(bytes), b.at_start(bytes), size));
    const uint8_t* whole = a.at_end(bytes);
    for (size_t i = 0; i < size; ++i) {
      bytes[i] = static_cast<uint8_t>(bytes[i] ^ (1u << (random() % 8)));
      ASSERT_FALSE(same_bytes(whole, b.at_end(bytes), size)) << i << " of " << size;
      ASSERT_FALSE(same_bytes(b.at_start(bytes), whole, size)) << i << " of " << size;
      bytes[i] = whole[i];
    }
  }
}

}  // namespace
}  // namespace merlon::name

// SPDX-License-Identifier: Apache-2.0
// What damage starts from: the rows that the unit tests use, the fuzz corpora, and captures.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "zones/base/error.h"

namespace merlon::soak {

using Buffer = std::vector<uint8_t>;

struct Seeds {
  std::vector<Buffer> frames;
  std::vector<Buffer> messages;
};

struct SeedOptions {
  std::string corpus;                 // tests/fuzz/corpus
  std::vector<std::string> captures;  // pcap files
  std::vector<std::string> names;     // asked for as they are
};

// Errors: not_found, io.
Result<Seeds> gather_seeds(const SeedOptions& options);

// The same stream of numbers for the same start, and a cheap start: each frame has its own.
class Random {
 public:
  Random(uint64_t seed, uint64_t number) : state_(seed ^ number * 0x9E3779B97F4A7C15) { next(); }

  uint64_t next() {
    state_ += 0x9E3779B97F4A7C15;
    uint64_t z = state_;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
  }
  // 0 .. bound-1; 0 when bound is 0.
  size_t below(size_t bound) {
    return bound == 0 ? 0 : static_cast<size_t>((next() >> 32) * uint64_t{bound} >> 32);
  }
  bool one_in(size_t count) { return below(count) == 0; }
  uint8_t byte() { return static_cast<uint8_t>(next() >> 56); }

 private:
  uint64_t state_;
};

}  // namespace merlon::soak

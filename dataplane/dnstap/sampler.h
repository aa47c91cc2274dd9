// SPDX-License-Identifier: Apache-2.0
// A worker's samples of its queries: the worker copies one query of so many, and the reply to it,
// into a ring of its own that another thread empties. A full ring costs the sample, never time: it
// is counted and forgotten. Which queries are taken is random, so that no regular pattern of
// traffic hides from it.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include "dataplane/io/packet_io.h"
#include "dataplane/stats/lazy_array.h"
#include "zones/address/address.h"

namespace merlon::dnstap {

inline constexpr size_t kQuerySizeMax = 2048;
inline constexpr size_t kReplySizeMax = 2048;
inline constexpr size_t kRingSize = 1024;  // a power of two

// All-zero bytes are a valid one (stats::LazyArray).
struct Sample {
  address::Address source;
  address::Address destination;  // source's family when it is known
  bool has_destination;
  uint16_t source_port;  // 0: the engine does not know
  uint16_t destination_port;
  uint16_t query_size;
  uint16_t reply_size;  // 0: nothing was sent
  uint64_t query_time_ns;
  uint64_t reply_time_ns;
  std::array<uint8_t, kQuerySizeMax> query;
  std::array<uint8_t, kReplySizeMax> reply;
};

class Sampler {
 public:
  // On average one query of `sample` is taken.
  // REQUIRES: sample >= 1.
  Sampler(uint32_t sample, uint64_t seed);

  // The worker's: before the replies are written over the queries, and after.
  void before(std::span<const io::Packet> burst) {
    chosen_count_ = 0;
    if (gap_ >= burst.size()) [[likely]] {
      gap_ -= burst.size();
      return;
    }
    choose(burst);
  }
  template <class Io>
  void after(Io& engine, std::span<const io::Packet> burst) {
    if (chosen_count_ == 0) [[likely]] {
      return;
    }
    for (size_t i = 0; i < chosen_count_; ++i) {
      const io::Packet& packet = burst[chosen_[i]];
      if constexpr (requires { engine.path_of(packet); }) {
        finish(i, packet, engine.path_of(packet));
      } else {
        io::Path path;
        path.source = packet.source;
        finish(i, packet, path);
      }
    }
    publish();
  }

  // The other thread's: the oldest sample, or nullptr; it stays until pop().
  const Sample* front() const;
  void pop();

  struct Numbers {
    uint64_t sampled = 0;         // queries chosen
    uint64_t ring_full = 0;       // of these, lost because nobody took the ones before
    uint64_t query_too_long = 0;  // of these, left out
    uint64_t reply_too_long = 0;  // taken without their reply
  };
  Numbers numbers() const;

 private:
  void choose(std::span<const io::Packet> burst);
  void finish(size_t index, const io::Packet& packet, const io::Path& path);
  void publish();
  uint64_t next_gap();
  Sample& at(uint64_t position) { return ring_[position & (kRingSize - 1)]; }

  const uint32_t sample_;
  uint64_t random_;
  uint64_t gap_ = 0;  // queries to pass over before the next that is taken
  size_t chosen_count_ = 0;
  std::array<uint8_t, io::kBurstMax> chosen_{};
  uint64_t tail_seen_ = 0;  // what the worker knows of tail_
  stats::LazyArray<Sample> ring_{kRingSize};
  std::atomic<uint64_t> sampled_{0};
  std::atomic<uint64_t> ring_full_{0};
  std::atomic<uint64_t> query_too_long_{0};
  std::atomic<uint64_t> reply_too_long_{0};
  alignas(64) std::atomic<uint64_t> head_{0};  // samples ever published
  alignas(64) std::atomic<uint64_t> tail_{0};  // samples ever taken out
};

}  // namespace merlon::dnstap

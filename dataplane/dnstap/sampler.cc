// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dnstap/sampler.h"

#include <time.h>

#include <cstring>

namespace merlon::dnstap {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

void bump(std::atomic<uint64_t>& value) {
  value.store(value.load(kRelaxed) + 1, kRelaxed);
}

}  // namespace

Sampler::Sampler(uint32_t sample, uint64_t seed)
    : sample_(sample), random_(seed | 1), gap_(next_gap()) {}

// Evenly from 0 to 2 (sample - 1), so sample - 1 on average.
uint64_t Sampler::next_gap() {
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return (random_ >> 16) % (2 * uint64_t{sample_} - 1);
}

void Sampler::choose(std::span<const io::Packet> burst) {
  const uint64_t head = head_.load(kRelaxed);
  const uint64_t time = now_ns();
  size_t i = static_cast<size_t>(gap_);
  while (i < burst.size()) {
    const io::Packet& packet = burst[i];
    const uint64_t position = head + chosen_count_;
    bump(sampled_);
    if (position - tail_seen_ >= kRingSize) {
      tail_seen_ = tail_.load(std::memory_order_acquire);
    }
    if (position - tail_seen_ >= kRingSize) {
      bump(ring_full_);
    } else if (packet.size > kQuerySizeMax) {
      bump(query_too_long_);
    } else {
      Sample& sample = at(position);
      sample.query_time_ns = time;
      sample.query_size = static_cast<uint16_t>(packet.size);
      std::memcpy(sample.query.data(), packet.message, packet.size);
      chosen_[chosen_count_++] = static_cast<uint8_t>(i);
    }
    i += 1 + static_cast<size_t>(next_gap());
  }
  gap_ = i - burst.size();
}

void Sampler::finish(size_t index, const io::Packet& packet, const io::Path& path) {
  Sample& sample = at(head_.load(kRelaxed) + index);
  sample.source = packet.source;
  sample.source_port = path.source_port;
  sample.destination = path.destination;
  sample.destination_port = path.destination_port;
  sample.has_destination =
      path.destination.bits != 0 && path.destination.family == packet.source.family;
  sample.reply_size = 0;
  sample.reply_time_ns = 0;
  if (packet.reply_size > kReplySizeMax) {
    bump(reply_too_long_);
  } else if (packet.reply_size != 0) {
    sample.reply_size = static_cast<uint16_t>(packet.reply_size);
    sample.reply_time_ns = now_ns();
    std::memcpy(sample.reply.data(), packet.message, packet.reply_size);
  }
}

void Sampler::publish() {
  head_.store(head_.load(kRelaxed) + chosen_count_, std::memory_order_release);
  chosen_count_ = 0;
}

const Sample* Sampler::front() const {
  const uint64_t tail = tail_.load(kRelaxed);
  return tail == head_.load(std::memory_order_acquire) ? nullptr : &ring_[tail & (kRingSize - 1)];
}

void Sampler::pop() {
  tail_.store(tail_.load(kRelaxed) + 1, std::memory_order_release);
}

Sampler::Numbers Sampler::numbers() const {
  return {.sampled = sampled_.load(kRelaxed),
          .ring_full = ring_full_.load(kRelaxed),
          .query_too_long = query_too_long_.load(kRelaxed),
          .reply_too_long = reply_too_long_.load(kRelaxed)};
}

}  // namespace merlon::dnstap

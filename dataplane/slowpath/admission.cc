// SPDX-License-Identifier: Apache-2.0
#include "dataplane/slowpath/admission.h"

namespace merlon::slowpath {
namespace {

// The finaliser of SplitMix64: every bit of the input moves every bit of the output.
constexpr uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

uint16_t Admission::share_of(const address::Address& source) const {
  const uint64_t prefix = source.family == address::Family::v4
                              ? static_cast<uint64_t>(source.bits)
                              : static_cast<uint64_t>(source.bits >> 64);
  return static_cast<uint16_t>(mix(mix(prefix + secret_) + secret_) % kShareCount);
}

Admission::Verdict Admission::admit(const address::Address& source, uint16_t& share) {
  if (!open_.load(std::memory_order_relaxed)) {
    return Verdict::closed;
  }
  share = share_of(source);
  if (shares_[share].fetch_add(1, std::memory_order_relaxed) >= share_max_) {
    shares_[share].fetch_sub(1, std::memory_order_relaxed);
    return Verdict::share_full;
  }
  if (total_.fetch_add(1, std::memory_order_relaxed) >= total_max_) {
    release(share);
    return Verdict::full;
  }
  return Verdict::admitted;
}

void Admission::release(uint16_t share) {
  shares_[share].fetch_sub(1, std::memory_order_relaxed);
  total_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace merlon::slowpath

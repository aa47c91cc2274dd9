// SPDX-License-Identifier: Apache-2.0
// Access segments (FORMAT.md, "Access"): which source address is which subject, and what a subject
// may see. AccessView::find is the reference that the data plane's faster table is tested against.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "zones/address/address.h"
#include "zones/base/error.h"
#include "zones/snapshot/segment.h"

namespace merlon::snapshot {

// As rbldnsd's acl dataset: answer, REFUSED, "nothing is listed", or silence.
enum class Verb : uint8_t { pass = 0, refuse = 1, empty = 2, ignore = 3 };

namespace subject_flag {
inline constexpr uint8_t recursion = 1;  // names of others are looked up for it
}

struct Subject {
  uint32_t account;
  uint32_t device;
  uint32_t tier_mask;
  Verb verb;
  uint8_t flags;  // subject_flag
  std::array<uint8_t, 2> reserved;
};
static_assert(sizeof(Subject) == 16 && std::has_unique_object_representations_v<Subject>);

struct SourceEntry4 {
  uint32_t address;
  uint32_t subject;
  uint8_t length;
  std::array<uint8_t, 3> reserved;
};
static_assert(sizeof(SourceEntry4) == 12);

struct SourceEntry6 {
  uint64_t high;
  uint64_t low;
  uint32_t subject;
  uint8_t length;
  std::array<uint8_t, 3> reserved;

  address::Prefix<address::Bits6> prefix() const {
    return {(address::Bits6{high} << 64) | low, length};
  }
};
static_assert(sizeof(SourceEntry6) == 24);

inline constexpr uint32_t kNoSubject = UINT32_MAX;

class AccessView {
 public:
  static Result<AccessView> open(const Segment& segment);

  std::span<const Subject> subjects() const { return subjects_; }
  std::span<const SourceEntry4> sources4() const { return sources4_; }
  std::span<const SourceEntry6> sources6() const { return sources6_; }
  // Longest prefix wins; kNoSubject when none matches. O(log n) per prefix length in use.
  uint32_t find(const address::Address& source) const;

 private:
  std::span<const Subject> subjects_;
  std::span<const SourceEntry4> sources4_;
  std::span<const SourceEntry6> sources6_;
  std::vector<uint8_t> lengths4_;  // in use, longest first
  std::vector<uint8_t> lengths6_;
};

class AccessBuilder {
 public:
  uint32_t add_subject(const Subject& subject);
  // REQUIRES: subject came from add_subject.
  void add_source(const address::AnyPrefix& source, uint32_t subject);
  // The finished segment, verified by reading it back. Errors: conflict when a source was added
  // twice, internal when it does not read back (host bits, an unknown verb).
  Result<std::vector<uint8_t>> finish();

 private:
  std::vector<Subject> subjects_;
  std::vector<SourceEntry4> sources4_;
  std::vector<SourceEntry6> sources6_;
};

}  // namespace merlon::snapshot

// SPDX-License-Identifier: Apache-2.0
// Composes many lists at once. What all feeds list is swept once into elementary ranges, each with
// a class: the set of feeds that list it and how (in a narrow or a wide prefix). There are far
// fewer classes than ranges, so what a policy takes is decided per class, and one walk over the
// ranges writes the lists of all policies: cost = ranges + what comes out.
//
// A device holds so many addresses. When a list has more, those that matter most stay: classes by
// descending score (severity, confidence, number of feeds), and in the class where the room ends
// the addresses with the lowest hash, so that one address more or less moves one address. What an
// account lists itself comes first. Addresses only; the domains of a list are composed elsewhere.
// Deterministic for any number of threads; a Universe is immutable and readable from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/policy/lists.h"
#include "controlplane/store/model.h"
#include "zones/address/range_set.h"

namespace merlon::policy {

template <class Bits>
struct ElementaryRange {
  Bits first;
  Bits last;
  uint32_t class_number;
  bool operator==(const ElementaryRange&) const = default;
};

// One feed's word on a class.
struct Membership {
  uint16_t feed = 0;  // its number in the universe
  bool narrow = false;
  bool wide = false;
  bool operator==(const Membership&) const = default;
};

class Universe {
 public:
  struct Feed {
    std::string id;
    const store::FeedSet* set = nullptr;  // sorted and unique; not kept
  };
  struct Options {
    NarrowFrom narrow_from{};
    unsigned threads = 2;
  };
  static constexpr size_t kFeedCountMax = 65535;

  Universe() = default;
  // REQUIRES: at most kFeedCountMax feeds, each once.
  static Universe build(std::span<const Feed> feeds, const Options& options);

  const std::vector<std::string>& feeds() const { return feeds_; }
  // The number of a feed, or -1.
  int feed_number(std::string_view id) const;
  // Sorted and disjoint; what no feed lists is left out.
  std::span<const ElementaryRange<address::Bits4>> ranges4() const { return ranges4_; }
  std::span<const ElementaryRange<address::Bits6>> ranges6() const { return ranges6_; }
  size_t class_count() const { return class_first_.empty() ? 0 : class_first_.size() - 1; }
  // Ascending by feed. REQUIRES: class_number < class_count().
  std::span<const Membership> members_of(uint32_t class_number) const {
    return std::span(members_).subspan(class_first_[class_number],
                                       class_first_[class_number + 1] - class_first_[class_number]);
  }
  size_t memory_bytes() const;

 private:
  std::vector<std::string> feeds_;
  std::vector<ElementaryRange<address::Bits4>> ranges4_;
  std::vector<ElementaryRange<address::Bits6>> ranges6_;
  std::vector<Membership> members_;
  std::vector<uint32_t> class_first_;
};

// What one list takes.
struct Selection {
  struct Chosen {
    uint16_t feed = 0;   // its number in the universe
    uint16_t score = 0;  // score_of(); higher matters more
    bool operator==(const Chosen&) const = default;
  };
  std::vector<Chosen> feeds{};    // ascending by feed
  address::IpSet block{};         // the account's own
  address::IpSet block_narrow{};  // the part of `block` that becomes address records
  address::IpSet allow{};         // the account's own; beats all of the above
  uint64_t capacity = 0;          // addresses in `narrow`, both families; 0: no limit
  bool operator==(const Selection&) const = default;
};

constexpr uint16_t score_of(uint8_t severity, uint8_t confidence) {
  return static_cast<uint16_t>(severity << 8 | confidence);
}

// What did not fit. The addresses themselves: compose again with capacity 0 and subtract.
struct FallenOff {
  uint64_t addresses = 0;
  uint64_t own_addresses = 0;  // of these: the account's own, when they alone exceed the capacity
  // Severity << 16 | confidence << 8 | number of feeds; 0 when nothing fell off.
  uint32_t score_lost_max = 0;
  uint32_t score_kept_min = 0;
  // Addresses by feed id, for the feeds that lost any; an address that two feeds list counts twice.
  std::vector<std::pair<std::string, uint64_t>> by_feed{};
  bool operator==(const FallenOff&) const = default;
};

struct Composed {
  // As policy::compose says, `domains` empty: what is selected is addresses + taken_out_protected +
  // taken_out_allowed + what fell off, and nothing is in two of them. What fell off and is also
  // listed in a wide prefix stays in `addresses`.
  std::shared_ptr<const ListContent> content;
  FallenOff fallen_off;
};

struct ComposeOptions {
  const address::IpSet& never;    // protected_addresses(), and the operator's own
  const address::IpSet& allowed;  // allowed_addresses()
  unsigned threads = 2;
};

// One per selection, in their order; equal selections share one content. A walk over the universe
// costs little, so who has many selections may compose them some hundred at a time and drop the
// contents between.
std::vector<Composed> compose_all(const Universe& universe, std::span<const Selection> selections,
                                  const ComposeOptions& options);

// How many addresses of `set` (IPv6: ranges) each feed lists, for the feeds that list any.
struct FeedShare {
  std::string feed;
  uint64_t addresses4 = 0;
  uint64_t ranges6 = 0;
};
std::vector<FeedShare> listed_by(const Universe& universe, const address::IpSet& set);

}  // namespace merlon::policy

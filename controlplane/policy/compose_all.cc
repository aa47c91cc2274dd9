// SPDX-License-Identifier: Apache-2.0
// Writes lists in groups: one walk over the universe appends each range to the lists of the group
// that take its class. Groups are dealt to threads; a list does not depend on its group.
#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <thread>
#include <unordered_map>

#include "controlplane/policy/compose_plan.h"
#include "controlplane/policy/sweep.h"

namespace merlon::policy {
namespace {

using address::Bits4;
using address::Bits6;
using address::IpSet;
using address::Range;
using address::RangeSet;
using sweeping::Common;
using sweeping::OwnParts;
using sweeping::Plan;
using sweeping::Take;

constexpr size_t kGroupSize = 128;

template <class Bits>
using Ranges = std::vector<Range<Bits>>;

template <class Bits>
void append_merged(Ranges<Bits>& out, Range<Bits> range) {
  if (!out.empty() && out.back().last != address::kAllOnes<Bits> &&
      static_cast<Bits>(out.back().last + 1) == range.first) {
    out.back().last = range.last;
  } else {
    out.push_back(range);
  }
}

// An address in the bucket where the room of a list ends.
template <class Bits>
struct Candidate {
  uint64_t hash;
  Bits bits;
  uint32_t take;  // index in the takes of the plan
};

// What is written of a list in one family.
template <class Bits>
struct Written {
  Ranges<Bits> addresses;
  Ranges<Bits> narrow;  // empty when all is narrow
  Ranges<Bits> never;
  Ranges<Bits> allowed;
  std::vector<Candidate<Bits>> candidates;

  RangeSet<Bits> set_of(Ranges<Bits> Written::* member) {
    return RangeSet<Bits>::from_normal(std::move(this->*member));
  }
};

// A list of the group, while it is written.
struct Draft {
  const Plan* plan = nullptr;
  std::vector<Take> takes{};
  bool all_narrow = true;
  std::vector<uint64_t> kept{};  // addresses by take, of those at the boundary
  Written<Bits4> v4{};
  Written<Bits6> v6{};

  template <class Bits>
  Written<Bits>& written() {
    if constexpr (sizeof(Bits) == sizeof(Bits4)) {
      return v4;
    } else {
      return v6;
    }
  }
  bool at_boundary(const Take& take) const {
    return plan->cut && take.narrow && take.score == plan->boundary_score;
  }
  bool falls(const Take& take) const {
    return plan->cut && take.narrow && take.score < plan->boundary_score;
  }
};

// Rows by class, packed.
template <class T>
class ByClass {
 public:
  explicit ByClass(size_t class_count) : first_(class_count + 1) {}

  void announce(uint32_t number) { ++first_[number + 1]; }
  void close() {
    for (size_t i = 1; i < first_.size(); ++i) {
      first_[i] += first_[i - 1];
    }
    at_ = first_;
    rows_.resize(first_.back());
  }
  void put(uint32_t number, const T& row) { rows_[at_[number]++] = row; }
  std::span<T> of(uint32_t number) {
    return std::span(rows_).subspan(first_[number], first_[number + 1] - first_[number]);
  }

 private:
  std::vector<uint32_t> first_;
  std::vector<uint32_t> at_;
  std::vector<T> rows_;
};

struct WholeRow {
  uint16_t draft;
  bool narrow;  // into `narrow` too
};
struct PartRow {
  uint64_t limit_low;
  uint64_t limit_high;
  uint32_t take;
  uint16_t draft;
  bool addresses;  // into `addresses` too
};

// The lists of a group.
class Group {
 public:
  Group(const Common& common, std::span<const Plan> plans)
      : common_(common),
        drafts_(plans.size()),
        whole_(common.universe.class_count()),
        part_(common.universe.class_count()),
        taken_(common.universe.class_count()) {
    for (size_t i = 0; i < plans.size(); ++i) {
      drafts_[i].plan = &plans[i];
      drafts_[i].takes = plans[i].takes(common.universe);
      drafts_[i].kept.resize(drafts_[i].takes.size());
    }
    deal([](auto& rows, uint32_t number, const auto&) { rows.announce(number); });
    whole_.close();
    part_.close();
    taken_.close();
    deal([](auto& rows, uint32_t number, const auto& row) { rows.put(number, row); });
    for (uint32_t number = 0; number < common.universe.class_count(); ++number) {
      std::ranges::sort(part_.of(number), [](const PartRow& a, const PartRow& b) {
        return a.limit_high != b.limit_high ? a.limit_high > b.limit_high : a.draft < b.draft;
      });
    }
    reserve();
  }

  void write() {
    write_family<Bits4>(common_.universe.ranges4(), common_.specials4);
    write_family<Bits6>(common_.universe.ranges6(), common_.specials6);
  }
  std::vector<Draft>& drafts() { return drafts_; }

 private:
  // Calls use(rows, class, row) for every row that the takes of the drafts ask for.
  template <class Use>
  void deal(Use&& use) {
    for (size_t i = 0; i < drafts_.size(); ++i) {
      Draft& draft = drafts_[i];
      const auto index = static_cast<uint16_t>(i);
      for (size_t k = 0; k < draft.takes.size(); ++k) {
        const Take& take = draft.takes[k];
        use(taken_, take.class_number, index);
        draft.all_narrow = draft.all_narrow && take.narrow && !take.wide;
        if (draft.at_boundary(take)) {
          use(part_, take.class_number,
              PartRow{draft.plan->limit_low, draft.plan->limit_high, static_cast<uint32_t>(k),
                      index, !take.wide});
        }
        const bool kept_whole = !draft.at_boundary(take) && !draft.falls(take);
        if (kept_whole || take.wide) {
          use(whole_, take.class_number, WholeRow{index, take.narrow && kept_whole});
        }
      }
    }
  }

  // At most so many ranges, IPv4 as good as always.
  void reserve() {
    for (Draft& draft : drafts_) {
      size_t ranges = draft.plan->room;
      for (const Take& take : draft.takes) {
        if (!draft.at_boundary(take) && !draft.falls(take)) {
          ranges += common_.class_ranges[take.class_number];
        }
      }
      draft.v4.addresses.reserve(std::min(ranges, common_.universe.ranges4().size()));
    }
  }

  template <class Bits>
  void write_family(std::span<const ElementaryRange<Bits>> ranges,
                    const sweeping::Specials<Bits>& specials) {
    sweeping::for_each_part(
        ranges, specials,
        [this](Bits first, Bits last, uint32_t number) {
          for (const WholeRow& row : whole_.of(number)) {
            Draft& draft = drafts_[row.draft];
            append_merged(draft.written<Bits>().addresses, {first, last});
            if (row.narrow && !draft.all_narrow) {
              append_merged(draft.written<Bits>().narrow, {first, last});
            }
          }
          if (const auto part = part_.of(number); !part.empty()) {
            write_part(first, last, part);
          }
        },
        [this](Bits first, Bits last, uint32_t number, bool never) {
          for (const uint16_t index : taken_.of(number)) {
            Written<Bits>& written = drafts_[index].written<Bits>();
            append_merged(never ? written.never : written.allowed, {first, last});
          }
        });
  }

  template <class Bits>
  void write_part(Bits first, Bits last, std::span<const PartRow> rows) {
    for (Bits bits = first;; ++bits) {
      const uint64_t hash = sweeping::hash_of(bits);
      for (const PartRow& row : rows) {
        if (hash >= row.limit_high) {
          break;  // nor do those behind it keep the address
        }
        Draft& draft = drafts_[row.draft];
        Written<Bits>& written = draft.written<Bits>();
        if (hash >= row.limit_low) {
          written.candidates.push_back({hash, bits, row.take});
          continue;
        }
        ++draft.kept[row.take];
        if (row.addresses) {
          append_merged(written.addresses, {bits, bits});
        }
        if (!draft.all_narrow) {
          append_merged(written.narrow, {bits, bits});
        }
      }
      if (bits == last) {
        break;
      }
    }
  }

  const Common& common_;
  std::vector<Draft> drafts_;
  ByClass<WholeRow> whole_;
  ByClass<PartRow> part_;
  ByClass<uint16_t> taken_;
};

template <class Bits>
RangeSet<Bits> set_of_parts(const std::vector<sweeping::OwnPart<Bits>>& parts,
                            const std::vector<bool>& taken) {
  Ranges<Bits> ranges;
  for (const auto& part : parts) {
    if (taken[part.class_number]) {
      ranges.push_back({part.first, part.last});
    }
  }
  return RangeSet<Bits>::from_unsorted(std::move(ranges));
}

// Makes a list of its draft.
class Finisher {
 public:
  Finisher(const Common& common, Draft& draft) : common_(common), draft_(draft) {}

  Composed finish() {
    const Plan& plan = *draft_.plan;
    const Selection& selection = *plan.selection;
    drop_candidates_of_own();
    resolve();
    auto content = std::make_shared<ListContent>();
    content->addresses = {set(&Written<Bits4>::addresses, draft_.v4),
                          set(&Written<Bits6>::addresses, draft_.v6)};
    content->narrow = draft_.all_narrow ? content->addresses
                                        : IpSet{set(&Written<Bits4>::narrow, draft_.v4),
                                                set(&Written<Bits6>::narrow, draft_.v6)};
    add(content->addresses, address_rest4_, address_rest6_);
    add(content->narrow, narrow_rest4_, narrow_rest6_);
    content->taken_out_protected = {set(&Written<Bits4>::never, draft_.v4),
                                    set(&Written<Bits6>::never, draft_.v6)};
    content->taken_out_allowed = {set(&Written<Bits4>::allowed, draft_.v4),
                                  set(&Written<Bits6>::allowed, draft_.v6)};
    if (!selection.block.empty() || !selection.allow.empty()) {
      add_own(*content);
    }
    return {.content = std::move(content), .fallen_off = fallen_off()};
  }

 private:
  template <class Bits>
  static RangeSet<Bits> set(Ranges<Bits> Written<Bits>::* member, Written<Bits>& written) {
    return written.set_of(member);
  }
  static void add(IpSet& set, Ranges<Bits4>& v4, Ranges<Bits6>& v6) {
    if (!v4.empty()) {
      set.v4 = set.v4.united(RangeSet<Bits4>::from_unsorted(v4));
    }
    if (!v6.empty()) {
      set.v6 = set.v6.united(RangeSet<Bits6>::from_unsorted(v6));
    }
  }

  // Addresses of which own entries decide do not count against the room.
  void drop_candidates_of_own() {
    const Plan& plan = *draft_.plan;
    if (!plan.cut || (plan.selection->block.empty() && plan.selection->allow.empty())) {
      return;
    }
    std::unordered_map<uint32_t, size_t> take_of_class;
    for (size_t k = 0; k < draft_.takes.size(); ++k) {
      if (draft_.at_boundary(draft_.takes[k])) {
        take_of_class.emplace(draft_.takes[k].class_number, k);
      }
    }
    const auto uncount = [&](const auto& part) {
      const auto take = take_of_class.find(part.class_number);
      for (auto bits = part.first; take != take_of_class.end(); ++bits) {
        draft_.kept[take->second] -= sweeping::hash_of(bits) < plan.limit_low ? 1u : 0u;
        if (bits == part.last) {
          break;
        }
      }
    };
    const auto drop = [&](const auto& parts, auto& candidates) {
      std::ranges::for_each(parts, uncount);
      std::erase_if(candidates, [&](const auto& candidate) {
        return std::ranges::any_of(parts, [&](const auto& part) {
          return part.first <= candidate.bits && candidate.bits <= part.last;
        });
      });
    };
    drop(plan.allowed_parts.v4, draft_.v4.candidates);
    drop(plan.allowed_parts.v6, draft_.v6.candidates);
    drop(plan.replaced_parts.v4, draft_.v4.candidates);
    drop(plan.replaced_parts.v6, draft_.v6.candidates);
  }

  // The first few of the bucket in which the room ends.
  void resolve() {
    const auto by_hash = [](const auto& a, const auto& b) {
      return a.hash != b.hash ? a.hash < b.hash : a.bits < b.bits;
    };
    std::ranges::sort(draft_.v4.candidates, by_hash);
    std::ranges::sort(draft_.v6.candidates, by_hash);
    size_t at4 = 0;
    size_t at6 = 0;
    for (uint64_t left = draft_.plan->rest; left > 0; --left) {
      const bool more4 = at4 < draft_.v4.candidates.size();
      const bool more6 = at6 < draft_.v6.candidates.size();
      if (more4 && (!more6 || draft_.v4.candidates[at4].hash <= draft_.v6.candidates[at6].hash)) {
        keep(draft_.v4.candidates[at4++], address_rest4_, narrow_rest4_);
      } else if (more6) {
        keep(draft_.v6.candidates[at6++], address_rest6_, narrow_rest6_);
      } else {
        break;
      }
    }
  }
  template <class Bits>
  void keep(const Candidate<Bits>& candidate, Ranges<Bits>& addresses, Ranges<Bits>& narrow) {
    ++draft_.kept[candidate.take];
    narrow.push_back({candidate.bits, candidate.bits});
    if (!draft_.takes[candidate.take].wide) {
      addresses.push_back({candidate.bits, candidate.bits});
    }
  }

  // What own entries lost falls off although feeds list it too: classes that are kept whole and
  // hashes below the limit were counted without it. Where a feed lists it in a wide prefix it stays
  // in that.
  void take_out_lost(ListContent& content) const {
    const Plan& plan = *draft_.plan;
    std::vector<bool> only_narrow(common_.universe.class_count());
    for (const Take& take : draft_.takes) {
      only_narrow[take.class_number] = !take.wide;
    }
    const IpSet parts{set_of_parts(plan.replaced_parts.v4, only_narrow),
                      set_of_parts(plan.replaced_parts.v6, only_narrow)};
    content.narrow = content.narrow.minus(plan.own_lost_set);
    content.addresses = content.addresses.minus(parts.intersected(plan.own_lost_set));
  }

  void add_own(ListContent& content) const {
    const Plan& plan = *draft_.plan;
    const Selection& selection = *plan.selection;
    std::vector<bool> taken(common_.universe.class_count());
    for (const Take& take : draft_.takes) {
      taken[take.class_number] = true;
    }
    if (plan.own_lost != 0) {
      take_out_lost(content);
    }
    content.addresses = content.addresses.minus(selection.allow).united(plan.block);
    content.narrow = content.narrow.minus(selection.allow).united(plan.block_narrow);
    content.taken_out_protected =
        content.taken_out_protected.united(selection.block.intersected(common_.never));
    const IpSet by_allowed = selection.block.intersected(common_.allowed.united(selection.allow));
    content.taken_out_allowed = content.taken_out_allowed.united(by_allowed.minus(common_.never))
                                    .united({set_of_parts(plan.allowed_parts.v4, taken),
                                             set_of_parts(plan.allowed_parts.v6, taken)});
  }

  // Addresses of own entries by class: they neither are kept nor fall off.
  std::unordered_map<uint32_t, uint64_t> own_counts() const {
    std::unordered_map<uint32_t, uint64_t> counts;
    const auto count = [&](const auto& parts) {
      for (const auto& part : parts) {
        counts[part.class_number] += static_cast<uint64_t>(part.last - part.first) + 1;
      }
    };
    count(draft_.plan->allowed_parts.v4);
    count(draft_.plan->allowed_parts.v6);
    count(draft_.plan->replaced_parts.v4);
    count(draft_.plan->replaced_parts.v6);
    return counts;
  }

  FallenOff fallen_off() const {
    FallenOff fallen;
    const Plan& plan = *draft_.plan;
    fallen.addresses = fallen.own_addresses = plan.own_lost;
    if (!plan.cut) {
      return fallen;
    }
    const auto own = own_counts();
    std::map<uint16_t, uint64_t> by_feed;
    for (size_t k = 0; k < draft_.takes.size(); ++k) {
      const Take& take = draft_.takes[k];
      if (!take.narrow) {
        continue;
      }
      uint64_t all = common_.class_addresses[take.class_number];
      const auto of_own = own.find(take.class_number);
      all -= of_own == own.end() ? 0 : std::min(all, of_own->second);
      const uint64_t kept =
          draft_.at_boundary(take) ? draft_.kept[k] : (draft_.falls(take) ? 0 : all);
      if (kept != 0 && (fallen.score_kept_min == 0 || take.score < fallen.score_kept_min)) {
        fallen.score_kept_min = take.score;
      }
      if (kept == all) {
        continue;
      }
      fallen.addresses += all - kept;
      fallen.score_lost_max = std::max(fallen.score_lost_max, take.score);
      for (const Membership& member : common_.universe.members_of(take.class_number)) {
        if (plan.score_by_feed[member.feed] >= 0) {
          by_feed[member.feed] += all - kept;
        }
      }
    }
    for (const auto& [feed, addresses] : by_feed) {
      fallen.by_feed.emplace_back(common_.universe.feeds()[feed], addresses);
    }
    return fallen;
  }

  const Common& common_;
  Draft& draft_;
  Ranges<Bits4> address_rest4_;
  Ranges<Bits4> narrow_rest4_;
  Ranges<Bits6> address_rest6_;
  Ranges<Bits6> narrow_rest6_;
};

size_t hash_of_selection(const Selection& selection) {
  size_t hash = std::hash<uint64_t>()(selection.capacity);
  const auto mix = [&hash](uint64_t value) { hash = (hash ^ value) * 0x9e3779b97f4a7c15; };
  for (const Selection::Chosen& chosen : selection.feeds) {
    mix(uint64_t{chosen.feed} << 16 | chosen.score);
  }
  for (const IpSet* set : {&selection.block, &selection.block_narrow, &selection.allow}) {
    mix(set->v4.ranges().size());
    mix(set->v6.ranges().size());
    for (const auto& range : set->v4.ranges()) {
      mix(uint64_t{range.first} << 32 | range.last);
    }
  }
  return hash;
}

// Which of the selections are different, and which of those each one is.
struct Distinct {
  std::vector<const Selection*> selections;
  std::vector<size_t> index_of;

  explicit Distinct(std::span<const Selection> all) {
    std::unordered_multimap<size_t, size_t> known;
    for (const Selection& selection : all) {
      const size_t hash = hash_of_selection(selection);
      auto [at, end] = known.equal_range(hash);
      while (at != end && *selections[at->second] != selection) {
        ++at;
      }
      if (at == end) {
        at = known.emplace(hash, selections.size());
        selections.push_back(&selection);
      }
      index_of.push_back(at->second);
    }
  }
};

// Calls work(0) .. work(count - 1), dealt to threads.
void in_parallel(size_t count, unsigned threads, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next = 0;
  const auto run = [&] {
    for (size_t i = next++; i < count; i = next++) {
      work(i);
    }
  };
  std::vector<std::jthread> workers;
  for (unsigned i = 1; i < threads && i < count; ++i) {
    workers.emplace_back(run);
  }
  run();
}

}  // namespace

std::vector<Composed> compose_all(const Universe& universe, std::span<const Selection> selections,
                                  const ComposeOptions& options) {
  const Distinct distinct(selections);
  const size_t count = distinct.selections.size();
  const Common common = Common::make(universe, options);
  std::vector<Plan> plans(count);
  in_parallel(count, options.threads,
              [&](size_t i) { plans[i] = sweeping::make_plan(*distinct.selections[i], common); });
  std::vector<bool> wanted(universe.class_count());
  for (const Plan& plan : plans) {
    for (const uint32_t number : plan.boundary_classes) {
      wanted[number] = true;
    }
  }
  const sweeping::Histogram histogram(common, std::move(wanted), options.threads);
  in_parallel(count, options.threads, [&](size_t i) { histogram.set_limits(plans[i]); });
  std::vector<Composed> made(count);
  in_parallel((count + kGroupSize - 1) / kGroupSize, options.threads, [&](size_t i) {
    const size_t first = i * kGroupSize;
    const size_t size = std::min(kGroupSize, count - first);
    Group group(common, std::span(plans).subspan(first, size));
    group.write();
    for (size_t k = 0; k < size; ++k) {
      made[first + k] = Finisher(common, group.drafts()[k]).finish();
      group.drafts()[k] = {};
    }
  });
  std::vector<Composed> composed;
  composed.reserve(selections.size());
  for (const size_t index : distinct.index_of) {
    composed.push_back(made[index]);
  }
  return composed;
}

}  // namespace merlon::policy

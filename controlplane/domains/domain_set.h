// SPDX-License-Identifier: Apache-2.0
// Sets of domains: what the entries of a list stand for, all the names below them included.
//
// A set is kept in its one normal form: by key, no name twice, nothing that is below an entry which
// has all below it already. So two sets that stand for the same names are equal, and a name is in a
// set when the entry before it says so. Names are packed one after the other: a name costs its
// length and nine bytes. Immutable, so readable from any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "controlplane/domains/domain.h"

namespace merlon::domains {

class DomainSet {
 public:
  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  // REQUIRES: i < size(). Valid as long as the set.
  std::string_view key(size_t i) const {
    return {names_.data() + entries_[i].offset, entries_[i].size};
  }
  Scope scope(size_t i) const { return entries_[i].scope; }
  // Whether the name of this key is one that the set stands for.
  bool covers(std::string_view key) const;
  size_t memory_bytes() const {
    return names_.capacity() + entries_.capacity() * sizeof(Entry) + sizeof *this;
  }

  // All that is in any of the sets.
  static DomainSet unite(std::span<const DomainSet* const> sets);
  DomainSet united(const DomainSet& other) const;

  // What is here and not in `allowed`. A domain below an entry that stays cannot be cut out of a
  // list of entries: it is a hole, and takes an entry of its own that lets it pass. Exactly:
  // kept less holes = this less allowed.
  struct Remainder;
  Remainder minus(const DomainSet& allowed) const;

  bool operator==(const DomainSet& other) const;

 private:
  friend class DomainSetBuilder;
  struct Entry {
    uint32_t offset;
    uint8_t size;
    Scope scope;
    uint16_t reserved;
  };
  static_assert(sizeof(Entry) == 8);

  // REQUIRES: above all keys before. False: not added, an entry before covers it.
  bool append(std::string_view key, Scope scope);
  void shrink();

  std::vector<char> names_;
  std::vector<Entry> entries_;
  size_t cover_ = SIZE_MAX;  // while it is made: the last entry that has all below it
};

struct DomainSet::Remainder {
  DomainSet kept;
  DomainSet holes;
  uint64_t removed = 0;   // entries that are allowed whole
  uint64_t narrowed = 0;  // entries that lost the name, or all below it
};

// What a builder left out, and why.
struct Dropped {
  uint64_t duplicates = 0;  // the name again
  uint64_t covered = 0;     // below a listed name
};

// Takes names in any order, at most 4 GiB of them. Not thread-safe.
class DomainSetBuilder {
 public:
  void add(const Domain& domain) { add(domain.key(), domain.scope); }
  void add(std::string_view key, Scope scope);
  size_t size() const { return items_.size(); }
  // Leaves the builder empty.
  DomainSet finish(Dropped* dropped = nullptr);

 private:
  // What sorting looks at first, without a look at the names: most differ in it.
  struct Item {
    uint64_t prefix[2];
    uint32_t offset;
    uint8_t size;
    Scope scope;
  };

  std::vector<char> names_;
  std::vector<Item> items_;
};

}  // namespace merlon::domains

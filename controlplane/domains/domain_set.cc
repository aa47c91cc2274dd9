// SPDX-License-Identifier: Apache-2.0
#include "controlplane/domains/domain_set.h"

#include <algorithm>
#include <cstring>

#include "controlplane/domains/merge.h"
#include "zones/base/assert.h"
#include "zones/base/bytes.h"

namespace merlon::domains {
namespace {

// Eight bytes as a number that orders as they do.
uint64_t word_at(std::string_view key, size_t at) {
  uint8_t bytes[sizeof(uint64_t)] = {};
  if (at < key.size()) {
    std::memcpy(bytes, key.data() + at, std::min(sizeof bytes, key.size() - at));
  }
  return (uint64_t{load_be32(bytes)} << 32) | load_be32(bytes + 4);
}

}  // namespace

bool DomainSet::append(std::string_view key, Scope scope) {
  if (cover_ != SIZE_MAX && key.starts_with(this->key(cover_))) {
    return false;
  }
  MERLON_ASSERT(names_.size() + key.size() <= UINT32_MAX && key.size() <= kKeySizeMax);
  if (has_below(scope)) {
    cover_ = entries_.size();
  }
  entries_.push_back(
      {static_cast<uint32_t>(names_.size()), static_cast<uint8_t>(key.size()), scope, 0});
  names_.insert(names_.end(), key.begin(), key.end());
  return true;
}

void DomainSet::shrink() {
  // Worth a copy only when much is unused.
  if (names_.capacity() > names_.size() + names_.size() / 8) {
    names_.shrink_to_fit();
  }
  if (entries_.capacity() > entries_.size() + entries_.size() / 8) {
    entries_.shrink_to_fit();
  }
}

bool DomainSet::covers(std::string_view key) const {
  const auto above =
      std::partition_point(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return std::string_view(names_.data() + entry.offset, entry.size) <= key;
      });
  if (above == entries_.begin()) {
    return false;
  }
  const auto at = static_cast<size_t>(above - entries_.begin()) - 1;
  return this->key(at) == key ? has_exact(scope(at))
                              : has_below(scope(at)) && key.starts_with(this->key(at));
}

bool DomainSet::operator==(const DomainSet& other) const {
  return names_ == other.names_ &&
         std::ranges::equal(entries_, other.entries_, [](const Entry& a, const Entry& b) {
           return a.offset == b.offset && a.size == b.size && a.scope == b.scope;
         });
}

DomainSet DomainSet::unite(std::span<const DomainSet* const> sets) {
  DomainSet all;
  merge(sets, [&](std::string_view key, std::span<const Member> members) {
    Scope scope = members.front().scope;
    for (const Member& member : members) {
      scope = scope | member.scope;
    }
    all.append(key, scope);
  });
  all.shrink();
  return all;
}

DomainSet DomainSet::united(const DomainSet& other) const {
  const DomainSet* sets[] = {this, &other};
  return unite(sets);
}

DomainSet::Remainder DomainSet::minus(const DomainSet& allowed) const {
  Remainder left;
  const DomainSet* sets[] = {this, &allowed};
  std::string_view passing;  // the allowed name below which all passes; "" is none
  std::string_view blocking;
  merge(sets, [&](std::string_view key, std::span<const Member> members) {
    passing = !passing.empty() && key.starts_with(passing) ? passing : std::string_view();
    blocking = !blocking.empty() && key.starts_with(blocking) ? blocking : std::string_view();
    unsigned blocked = 0;
    unsigned passed = 0;
    for (const Member& member : members) {
      (member.set == 0 ? blocked : passed) = static_cast<unsigned>(member.scope);
    }
    if (passed != 0 && !blocking.empty()) {
      left.holes.append(key, static_cast<Scope>(passed));
    }
    if (blocked != 0) {
      const unsigned kept = passing.empty() ? blocked & ~passed : 0;
      left.removed += kept == 0 ? 1u : 0u;
      left.narrowed += kept != 0 && kept != blocked ? 1u : 0u;
      if (kept != 0) {
        left.kept.append(key, static_cast<Scope>(kept));
        blocking = has_below(static_cast<Scope>(kept)) ? key : blocking;
      }
    }
    if (passed != 0 && has_below(static_cast<Scope>(passed))) {
      passing = key;
    }
  });
  left.kept.shrink();
  left.holes.shrink();
  return left;
}

void DomainSetBuilder::add(std::string_view key, Scope scope) {
  MERLON_ASSERT(!key.empty() && key.size() <= kKeySizeMax &&
                names_.size() + key.size() <= UINT32_MAX);
  items_.push_back({{word_at(key, 0), word_at(key, sizeof(uint64_t))},
                    static_cast<uint32_t>(names_.size()),
                    static_cast<uint8_t>(key.size()),
                    scope});
  names_.insert(names_.end(), key.begin(), key.end());
}

DomainSet DomainSetBuilder::finish(Dropped* dropped) {
  const auto key = [this](const Item& item) {
    return std::string_view(names_.data() + item.offset, item.size);
  };
  std::ranges::sort(items_, [&](const Item& a, const Item& b) {
    if (a.prefix[0] != b.prefix[0]) {
      return a.prefix[0] < b.prefix[0];
    }
    return a.prefix[1] != b.prefix[1] ? a.prefix[1] < b.prefix[1] : key(a) < key(b);
  });
  DomainSet set;
  set.names_.reserve(names_.size());
  set.entries_.reserve(items_.size());
  Dropped out;
  for (size_t i = 0; i < items_.size();) {
    Scope scope = items_[i].scope;
    size_t next = i + 1;
    for (; next < items_.size() && key(items_[next]) == key(items_[i]); ++next) {
      scope = scope | items_[next].scope;
    }
    out.duplicates += next - i - 1;
    out.covered += set.append(key(items_[i]), scope) ? 0u : 1u;
    i = next;
  }
  set.shrink();
  if (dropped != nullptr) {
    *dropped = out;
  }
  names_ = {};
  items_ = {};
  return set;
}

}  // namespace merlon::domains

// SPDX-License-Identifier: Apache-2.0
// What each subject asked over TCP: how often, when, and which names. Beside the data plane's count
// of truncated answers it says who was told to come over TCP and never came, and a resolver that
// asks for one name again and again does not keep its answer. One worker adds, anybody reads; the
// lock is that worker's own and free but for the moments of a report.
//
// Memory is bounded: as many rows as there were subjects since the start, kNamesPerSubjectMax names
// a subject and `names_max` in all (a subject's name that was asked longest ago makes room for a
// new one), kUnknownMax sources that belong to nobody.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "zones/address/address.h"
#include "zones/answer/answer.h"
#include "zones/snapshot/access.h"

namespace merlon::dns {

struct SubjectCount {
  uint64_t queries = 0;
  int64_t last = 0;  // Unix seconds
};
// By account and device.
using SubjectCounts = std::map<std::pair<uint32_t, uint32_t>, SubjectCount>;

// One name of a subject's; times are Unix seconds.
struct AskedName {
  std::string name{};  // folded, in wire form
  uint16_t type = 0;
  answer::Outcome outcome = answer::Outcome::answered;  // the last: answered, nodata, nxdomain, ..
  uint64_t count = 0;
  int64_t last = 0;
  uint32_t records = 0;  // of the last answer
  uint32_t ttl_s = 0;
  // The most questions within one TTL that one source sent with DO set, as resolvers with a cache
  // do: of the present TTL and the one before it.
  uint32_t within_ttl = 0;
};

struct AskedOfSubject {
  uint64_t queries = 0;
  int64_t last = 0;
  int64_t last_useful = 0;  // an answer, or a name that there is
  std::vector<AskedName> names{};
};

struct UnknownSource {
  address::Address address{};
  uint64_t count = 0;
  int64_t last = 0;
};

struct AskedReport {
  std::map<std::pair<uint32_t, uint32_t>, AskedOfSubject> subjects{};  // by account and device
  std::vector<UnknownSource> unknown{};
};

class SubjectQueries {
 public:
  static constexpr size_t kNamesPerSubjectMax = 64;
  static constexpr size_t kNamesMax = 100'000;
  static constexpr size_t kUnknownMax = 256;

  explicit SubjectQueries(size_t names_max = kNamesMax) : names_max_(names_max) {}

  // A query that was answered, or dropped.
  struct Asked {
    const answer::Query& query;
    const answer::Reply& reply;
    address::Address source{};
    int64_t now = 0;
    bool has_name = true;  // false: a transfer, or what is looked up elsewhere
  };
  void add(const snapshot::Subject& subject, const Asked& asked);
  // It belongs to no device.
  void add_unknown(const address::Address& source, int64_t now);

  void add_into(SubjectCounts& sum) const;
  // All workers' together; of names that several were asked for, `within_ttl` is the largest.
  void add_into(AskedReport& sum) const;

 private:
  struct Name {
    AskedName asked;
    uint64_t source = 0;        // a hash; of the first question of the present TTL
    int64_t window_start = 0;   // of the present TTL
    uint32_t window_count = 0;  // questions of that source
    uint32_t before = 0;        // the same of the TTL before it
  };
  struct Row {
    uint64_t queries = 0;
    int64_t last = 0;
    int64_t last_useful = 0;
    std::vector<uint64_t> hashes{};  // of `names`, which are searched by these
    std::vector<Name> names{};
  };

  void add_name(Row& row, const Asked& asked);
  Name* make_room(Row& row, uint64_t hash);

  mutable std::mutex mutex_;
  std::unordered_map<uint64_t, Row> rows_;
  std::vector<UnknownSource> unknown_;
  const size_t names_max_;
  size_t name_count_ = 0;
};

}  // namespace merlon::dns

// SPDX-License-Identifier: Apache-2.0
// The safety net: what no list may carry whatever feeds say, and why.
//   built-in    private, reserved and service addresses (policy/protected_set.h)
//   allow files the operator's own: addresses, prefixes, ranges and domains, one a line
//   top domains files of popular names ("name" or "rank,name" a line): an entry of just such a name
//               (or of its www) is left out, and a wider entry gets a hole for it; what is below it
//               stays listable, for hostile names live below popular ones
// An account's own lists may block top domains and the operator's domains, feeds may not.
// Subtraction is exact. A Net is immutable, and readable from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "controlplane/domains/domain.h"
#include "controlplane/domains/domain_set.h"
#include "controlplane/store/model.h"
#include "zones/address/range_set.h"
#include "zones/base/error.h"

namespace merlon::safety {

struct NetOptions {
  std::vector<std::string> allow_files{};
  std::vector<std::string> top_domain_files{};
  bool empty() const { return allow_files.empty() && top_domain_files.empty(); }
};

// An address range that somebody wants kept out of lists.
struct Protected {
  address::AnyRange range{};
  std::string why{};
};

// An entry of a feed that the net took out, whole or in part.
struct TakenOut {
  std::string entry{};
  std::string protected_by{};  // the prefix, range or name that protects it
  std::string why{};
  bool operator==(const TakenOut&) const = default;
};

inline constexpr size_t kExamplesMax = 10;

// What one feed lists that it must not.
struct Findings {
  uint64_t count4 = 0;  // entries
  uint64_t count6 = 0;
  uint64_t domains = 0;
  std::map<std::string, uint64_t> by_reason{};  // of the examined entries, each once
  std::vector<TakenOut> examples{};             // the first
  uint64_t count() const { return count4 + count6 + domains; }
  bool operator==(const Findings&) const = default;
};

class Net {
 public:
  // The built-in net alone.
  Net();
  // Errors: not_found, io; invalid_argument with file and line when a line of an allow file is
  // neither address nor name (what a top list holds that is no name is passed over).
  static Result<Net> load(const NetOptions& options);

  // Built-in and of the allow files.
  const address::IpSet& never() const { return never_; }
  bool has_domains() const { return !tops_.empty() || !owned_.empty(); }

  struct Split {
    domains::DomainSet kept;
    domains::DomainSet holes;  // protected names below entries that stay
  };
  // Whether an entry is just a top domain. Asked before entries are merged into a set, where it
  // would swallow hostile names below it.
  bool leaves_out(const domains::Domain& entry) const { return is_top(entry.key()); }
  // What a feed's other domains become.
  Split split(const domains::DomainSet& listed) const;

  // `own`: addresses of devices and the like, besides the net's.
  Findings examine(const store::FeedSet& set, std::span<const Protected> own) const;
  // "10.0.0.0/8: private use, RFC 1918", or "" when nothing protects it.
  std::string protected_by(const address::Address& address, std::span<const Protected> own) const;
  std::string protected_by(std::string_view domain) const;

 private:
  Status read_allow_file(const std::string& path, const domains::Canonicaliser& reader);
  Status read_top_file(const std::string& path, const domains::Canonicaliser& reader);
  bool is_top(std::string_view key) const;
  void examine_domains(const store::FeedSet& set, Findings& findings) const;

  address::IpSet never_;
  std::vector<Protected> operators_;
  domains::DomainSet tops_;   // exact
  domains::DomainSet owned_;  // the allow files'
  domains::DomainSet all_;
};

// 0..100: how far a feed deserves belief, of what was seen of it. 100 less
//   5 x log2(1 + n) + 200 x n / entries, at most 60, for the n entries that the net takes out;
//   5 when it had such entries within the last 30 days and has none now;
//   40 x the share of its lines that cannot be read, at most 20;
//   10 while its content is in quarantine, and 5 when it has become stale.
struct TrustFacts {
  uint64_t taken_out = 0;
  uint64_t entries = 0;
  bool taken_out_lately = false;
  uint64_t lines = 0;
  uint64_t rejected = 0;
  bool quarantined = false;
  bool stale = false;
};
int trust_of(const TrustFacts& facts);

}  // namespace merlon::safety

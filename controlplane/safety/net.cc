// SPDX-License-Identifier: Apache-2.0
#include "controlplane/safety/net.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "controlplane/policy/protected_set.h"
#include "zones/base/bytes.h"
#include "zones/base/file.h"

namespace merlon::safety {
namespace {

using address::AnyRange;
using address::Bits4;
using address::Bits6;

constexpr uint64_t kFileSizeMax = uint64_t{256} << 20;
constexpr std::string_view kWww{"www\0", 4};

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\"");
  return first == std::string_view::npos
             ? std::string_view()
             : text.substr(first, text.find_last_not_of(" \t\r\"") - first + 1);
}

// Calls use(number, text) for what each line holds before a comment, until it fails.
template <class Use>
Status for_each_line(const std::string& path, Use&& use) {
  const auto bytes = read_file(path, kFileSizeMax);
  if (!bytes) {
    return std::unexpected(bytes.error());
  }
  std::string_view rest = as_text(*bytes);
  for (uint64_t number = 1; !rest.empty(); ++number) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const std::string_view text = trimmed(line.substr(0, line.find('#')));
    if (!text.empty()) {
      if (Status used = use(number, text); !used) {
        return used;
      }
    }
  }
  return {};
}

std::string text_of(const AnyRange& range) {
  return range.family == address::Family::v4 ? address::to_text(range.v4())
                                             : address::to_text(range.v6());
}

template <class Bits>
AnyRange any_of(const address::Prefix<Bits>& prefix) {
  return {sizeof(Bits) == sizeof(Bits4) ? address::Family::v4 : address::Family::v6,
          prefix.range().first, prefix.range().last};
}

address::IpSet set_of(std::span<const Protected> ranges) {
  std::vector<address::Range<Bits4>> v4;
  std::vector<address::Range<Bits6>> v6;
  for (const Protected& one : ranges) {
    if (one.range.family == address::Family::v4) {
      v4.push_back(one.range.v4());
    } else {
      v6.push_back(one.range.v6());
    }
  }
  return {address::RangeSet4::from_unsorted(std::move(v4)),
          address::RangeSet6::from_unsorted(std::move(v6))};
}

bool meet(const AnyRange& a, const AnyRange& b) {
  return a.family == b.family && a.first <= b.last && b.first <= a.last;
}

// What protects some of the range: what is built in first, as its reasons are the plainest.
TakenOut explain(const AnyRange& range, std::span<const Protected> operators,
                 std::span<const Protected> own) {
  TakenOut found{.entry = text_of(range)};
  if (std::string said = policy::protected_within(range); !said.empty()) {
    const size_t colon = said.find(": ");  // "::1/128: loopback": no blank in the prefix
    found.protected_by = said.substr(0, colon);
    found.why = said.substr(std::min(said.size(), colon + 2));
    return found;
  }
  for (const std::span<const Protected> group : {operators, own}) {
    for (const Protected& one : group) {
      if (meet(one.range, range)) {
        found.protected_by = text_of(one.range);
        found.why = one.why;
        return found;
      }
    }
  }
  return found;
}

}  // namespace

Net::Net() : never_(policy::protected_addresses()) {}

Result<Net> Net::load(const NetOptions& options) {
  Net net;
  if (options.empty()) {
    return net;
  }
  domains::CanonicalOptions canonical;
  canonical.purpose = domains::CanonicalOptions::Purpose::allow;
  const auto reader = domains::Canonicaliser::make(canonical);
  if (!reader) {
    return std::unexpected(reader.error());
  }
  for (const std::string& path : options.allow_files) {
    if (auto done = net.read_allow_file(path, *reader); !done) {
      return in(fmt::format("allow file {}", path), done.error());
    }
  }
  for (const std::string& path : options.top_domain_files) {
    if (auto done = net.read_top_file(path, *reader); !done) {
      return in(fmt::format("top domains {}", path), done.error());
    }
  }
  net.never_ = net.never_.united(set_of(net.operators_));
  net.all_ = net.tops_.united(net.owned_);
  return net;
}

Status Net::read_allow_file(const std::string& path, const domains::Canonicaliser& reader) {
  domains::DomainSetBuilder builder;
  const Status done = for_each_line(path, [&](uint64_t number, std::string_view text) -> Status {
    if (const auto range = address::parse_range(text)) {
      operators_.push_back({*range, fmt::format("the operator's, {} line {}", path, number)});
      return {};
    }
    const auto domain = reader.read(text);
    if (!domain) {
      return fail(ErrorCode::invalid_argument,
                  "line {}: \"{}\" is no address, prefix, range or domain", number,
                  text.substr(0, 80));
    }
    builder.add(*domain);
    return {};
  });
  owned_ = owned_.united(builder.finish());
  return done;
}

Status Net::read_top_file(const std::string& path, const domains::Canonicaliser& reader) {
  domains::DomainSetBuilder builder;
  const Status done = for_each_line(path, [&](uint64_t, std::string_view text) -> Status {
    const size_t comma = text.rfind(',');
    const std::string_view name =
        trimmed(comma == std::string_view::npos ? text : text.substr(comma + 1));
    if (const auto domain = reader.read(name)) {
      builder.add(domain->key(), domains::Scope::exact);
    }
    return {};
  });
  tops_ = tops_.united(builder.finish());
  return done;
}

bool Net::is_top(std::string_view key) const {
  if (tops_.covers(key)) {
    return true;
  }
  return key.ends_with(kWww) && tops_.covers(key.substr(0, key.size() - kWww.size()));
}

Net::Split Net::split(const domains::DomainSet& listed) const {
  if (!has_domains()) {
    return {.kept = listed, .holes = {}};
  }
  domains::DomainSet::Remainder rest = listed.minus(all_);
  return {.kept = std::move(rest.kept), .holes = std::move(rest.holes)};
}

void Net::examine_domains(const store::FeedSet& set, Findings& findings) const {
  if (!has_domains() || set.domains.empty()) {
    return;
  }
  const auto reader =
      domains::Canonicaliser::make({.purpose = domains::CanonicalOptions::Purpose::allow});
  for (const std::string& text : reader ? set.domains : std::vector<std::string>{}) {
    const auto domain = reader->read(text);
    if (!domain) {
      continue;
    }
    const bool top = is_top(domain->key());
    if (!top && !owned_.covers(domain->key())) {
      continue;
    }
    const std::string why = top ? "a top domain" : "the operator's domain";
    ++findings.domains;
    ++findings.by_reason[why];
    if (findings.examples.size() < kExamplesMax) {
      findings.examples.push_back({text, domains::text_of(domain->key()), why});
    }
  }
}

Findings Net::examine(const store::FeedSet& set, std::span<const Protected> own) const {
  Findings findings;
  const address::IpSet all = own.empty() ? never_ : never_.united(set_of(own));
  const auto look = [&](const auto& prefixes, const auto& protected_ranges, uint64_t& count) {
    for (const auto& prefix : prefixes) {
      if (!protected_ranges.overlaps(prefix.range())) {
        continue;
      }
      ++count;
      if (count > 10'000) {  // a list of reasons that long says no more
        continue;
      }
      TakenOut found = explain(any_of(prefix), operators_, own);
      ++findings.by_reason[found.why];
      if (findings.examples.size() < kExamplesMax) {
        findings.examples.push_back(std::move(found));
      }
    }
  };
  look(set.v4, all.v4, findings.count4);
  look(set.v6, all.v6, findings.count6);
  examine_domains(set, findings);
  return findings;
}

std::string Net::protected_by(const address::Address& address,
                              std::span<const Protected> own) const {
  if (std::string built_in = policy::protected_by(address); !built_in.empty()) {
    return built_in;
  }
  const TakenOut found = explain({address.family, address.bits, address.bits}, operators_, own);
  return found.why.empty() ? "" : fmt::format("{}: {}", found.protected_by, found.why);
}

std::string Net::protected_by(std::string_view domain) const {
  const auto name = name::Name::from_text(domain);
  if (!has_domains() || !name) {
    return "";
  }
  const std::string key = domains::key_of(name->folded());
  return is_top(key) ? "a top domain" : owned_.covers(key) ? "the operator's domain" : "";
}

int trust_of(const TrustFacts& facts) {
  double trust = 100;
  const auto taken = static_cast<double>(facts.taken_out);
  if (facts.taken_out != 0) {
    const double share = taken / static_cast<double>(std::max(facts.entries, facts.taken_out));
    trust -= std::min(60.0, 5 * std::log2(1 + taken) + 200 * share);
  } else if (facts.taken_out_lately) {
    trust -= 5;
  }
  if (facts.lines != 0) {
    trust -=
        std::min(20.0, 40 * static_cast<double>(facts.rejected) / static_cast<double>(facts.lines));
  }
  trust -= facts.quarantined ? 10 : 0;
  trust -= facts.stale ? 5 : 0;
  return static_cast<int>(std::clamp(std::floor(trust), 0.0, 100.0));
}

}  // namespace merlon::safety

// SPDX-License-Identifier: Apache-2.0
// What must hold for every parsed feed, whatever the content: used by the tests and the fuzzers.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "controlplane/feeds/parse.h"
#include "zones/name/name.h"

namespace merlon::feeds {

template <class Bits>
std::string prefix_fault(const std::vector<address::Prefix<Bits>>& prefixes, int widest) {
  for (const address::Prefix<Bits>& prefix : prefixes) {
    if (prefix.length > address::kWidth<Bits> || prefix.length < widest) {
      return fmt::format("prefix length {}", prefix.length);
    }
    if ((prefix.bits & address::host_mask<Bits>(prefix.length)) != 0) {
      return "host bits set";
    }
    if (prefix.bits == 0) {
      return "covers the unspecified address";
    }
  }
  return "";
}

inline std::string name_fault(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const std::string_view fault = name::host_name_fault(name);
    if (!fault.empty() || name.ends_with('.')) {
      return fmt::format("name {}: {}", name, fault.empty() ? "final dot" : fault);
    }
    if (std::any_of(name.begin(), name.end(), [](char c) { return c >= 'A' && c <= 'Z'; })) {
      return fmt::format("name {}: upper case", name);
    }
  }
  return "";
}

inline std::string count_fault(const ParsedFeed& feed) {
  if (feed.line_count != feed.entry_line_count + feed.ignored_count + feed.rejected_count) {
    return fmt::format("{} lines, but {} entry + {} ignored + {} rejected", feed.line_count,
                       feed.entry_line_count, feed.ignored_count, feed.rejected_count);
  }
  uint64_t by_reason = 0;
  for (const auto& [reason, count] : feed.rejected_by_reason) {
    by_reason += count;
  }
  if (by_reason != feed.rejected_count) {
    return "rejected_by_reason does not add up";
  }
  if (feed.rejected_examples.size() !=
      std::min<uint64_t>(feed.rejected_count, kRejectedExamplesMax)) {
    return "number of examples";
  }
  if (feed.entry_count < feed.entry_line_count || feed.entry_count < feed.set.domains.size()) {
    return "entry_count";
  }
  return "";
}

// "" when all is well.
inline std::string fault_of(const ParsedFeed& feed) {
  store::FeedSet sorted = feed.set;
  sorted.normalise();
  if (!(sorted == feed.set)) {
    return "the set is not normalised";
  }
  for (const store::RejectedLine& example : feed.rejected_examples) {
    if (example.text.size() > kExampleSizeMax || example.line == 0 ||
        example.line > feed.line_count ||
        printable(example.text, kExampleSizeMax) != example.text) {
      return fmt::format("example of line {}", example.line);
    }
  }
  for (const std::string& fault :
       {count_fault(feed), prefix_fault(feed.set.v4, kWidestV4),
        prefix_fault(feed.set.v6, kWidestV6), name_fault(feed.set.domains)}) {
    if (!fault.empty()) {
      return fault;
    }
  }
  return "";
}

}  // namespace merlon::feeds

// SPDX-License-Identifier: Apache-2.0
#include "controlplane/feeds/probe.h"

#include <algorithm>

#include "controlplane/feeds/decode.h"
#include "controlplane/feeds/guess.h"

namespace merlon::feeds {
namespace {

constexpr size_t kExamplesMax = 5;

void describe(const ParsedFeed& parsed, Probe& out) {
  const store::FeedSet& set = parsed.set;
  out.ipv4_count = set.v4.size();
  out.ipv6_count = set.v6.size();
  out.domain_count = set.domains.size();
  for (size_t i = 0; i < std::min(kExamplesMax, set.v4.size()); ++i) {
    out.examples.push_back(address::to_text(
        address::AnyPrefix{address::Family::v4, set.v4[i].length, set.v4[i].bits}));
  }
  for (size_t i = 0; i < std::min(kExamplesMax, set.v6.size()); ++i) {
    out.examples.push_back(address::to_text(
        address::AnyPrefix{address::Family::v6, set.v6[i].length, set.v6[i].bits}));
  }
  for (size_t i = 0; i < std::min(kExamplesMax, set.domains.size()); ++i) {
    out.examples.push_back(set.domains[i]);
  }
}

}  // namespace

Probe probe(Bytes content, std::string_view format, uint64_t size_max_bytes) {
  Probe out;
  const Result<Decoded> decoded = decode(content, {.size_max_bytes = size_max_bytes});
  if (!decoded) {
    out.problem = decoded.error().message;
    return out;
  }
  const Result<Declaration> declaration =
      format == "auto" ? guess(decoded->text()) : parse_declaration(format);
  if (!declaration) {
    out.problem = declaration.error().message;
    return out;
  }
  out.format = to_text(*declaration);
  // Twice, the second time without the guard: what it refuses is shown as well.
  Result<ParsedFeed> believed = parse_feed(content, out.format, size_max_bytes);
  if (!believed) {
    out.problem = believed.error().message;
    believed = parse(as_bytes(decoded->text()), *declaration);
  }
  if (believed) {
    describe(*believed, out);
    out.feed = std::move(*believed);
    out.feed.set = {};
  }
  return out;
}

}  // namespace merlon::feeds

// SPDX-License-Identifier: Apache-2.0
// What all feed fuzzers assert: whatever the bytes, every line is counted once and the set is
// normalised and believable.
#pragma once

#include <cstdio>

#include "controlplane/feeds/declaration.h"
#include "controlplane/feeds/parse.h"
#include "tests/controlplane/feeds/feed_checks.h"
#include "zones/base/assert.h"

namespace merlon::feeds {

inline void fuzz_parse(Bytes content, const Declaration& declaration) {
  const Result<ParsedFeed> feed = parse(content, declaration);
  if (!feed) {
    MERLON_ASSERT(feed.error().code == ErrorCode::invalid_argument);
    return;
  }
  const std::string fault = fault_of(*feed);
  if (!fault.empty()) {
    std::fprintf(stderr, "%s: %s\n", to_text(declaration).c_str(), fault.c_str());
  }
  MERLON_ASSERT(fault.empty());
}

inline void fuzz_parse(Bytes content, Format format) {
  Declaration declaration;
  declaration.format = format;
  fuzz_parse(content, declaration);
}

// The declaration of a fuzzer's own format, with its options.
inline void fuzz_parse(Bytes content, std::string_view text) {
  const Result<Declaration> declaration = parse_declaration(text);
  MERLON_ASSERT(declaration.has_value());
  fuzz_parse(content, *declaration);
}

}  // namespace merlon::feeds

// SPDX-License-Identifier: Apache-2.0
// A fixture's snapshot with its source table, ready for the pipeline.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "dataplane/swap/live.h"
#include "tests/support/snapshot_fixture.h"

namespace merlon::tests {

inline std::unique_ptr<swap::Live> make_live(const Fixture& fixture) {
  auto live = std::make_unique<swap::Live>();
  live->snapshot = fixture.snapshot;
  auto sources = access::SourceTable::build(fixture.snapshot->access()->view);
  EXPECT_TRUE(sources.has_value());
  live->sources = std::move(*sources);
  return live;
}

inline address::Address source(std::string_view text) {
  return *address::parse_address(text);
}

}  // namespace merlon::tests

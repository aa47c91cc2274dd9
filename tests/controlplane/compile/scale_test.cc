// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstdio>

#include "tests/controlplane/compile/compiled.h"

namespace merlon::compile {
namespace {

TEST(CompileAtScale, TwoMillionScatteredAddresses) {
  constexpr uint32_t kCount = 2'000'000;
  std::vector<address::Range<address::Bits4>> ranges;
  ranges.reserve(kCount);
  for (uint32_t i = 0; i < kCount; ++i) {
    const uint32_t at = 0x14000000 + i * 700;
    ranges.push_back({at, at});
  }
  const ListInput input = list("big", {address::RangeSet4::from_normal(ranges), {}});
  const auto start = std::chrono::steady_clock::now();
  const auto compiled = compile({.lists = {input}, .devices = {}}, settings(), {.next = 1});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  ASSERT_TRUE(compiled.has_value()) << compiled.error().message;
  std::printf("2,000,000 addresses compiled in %.2f s, %zu names\n", took.count(),
              compiled->lists[0].names.size());
  EXPECT_EQ(compiled->lists[0].address4_count, kCount + 1);
  EXPECT_EQ(compiled->lists[0].names.size(), 556u);
  EXPECT_LT(took.count(), 60.0);
}

}  // namespace
}  // namespace merlon::compile

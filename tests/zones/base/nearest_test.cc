// SPDX-License-Identifier: Apache-2.0
#include "zones/base/nearest.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace merlon {
namespace {

constexpr std::array<std::string_view, 5> kWords = {"severity", "confidence", "tier", "title",
                                                    "id"};

TEST(Nearest, FindsTheWordBehindASlip) {
  EXPECT_EQ(nearest("sevrity", kWords), "severity");
  EXPECT_EQ(nearest("severty", kWords), "severity");
  EXPECT_EQ(nearest("confidense", kWords), "confidence");
  EXPECT_EQ(nearest("titel", kWords), "title");
  EXPECT_EQ(nearest("teir", kWords), "tier");
  EXPECT_EQ(nearest("di", kWords), "id");
}

TEST(Nearest, IsSilentWhenNothingIsClose) {
  EXPECT_EQ(nearest("zzzz", kWords), "");
  EXPECT_EQ(nearest("", kWords), "");
  EXPECT_EQ(nearest("x", kWords), "");
  EXPECT_EQ(nearest("tier", {}), "");
}

TEST(Nearest, TakesTheCloserAndOfEqualsTheFirst) {
  constexpr std::array<std::string_view, 3> kClose = {"list", "lint", "mint"};
  EXPECT_EQ(nearest("lisst", kClose), "list");
  EXPECT_EQ(nearest("liat", kClose), "list");
  EXPECT_EQ(nearest("mnit", kClose), "mint");
}

TEST(Nearest, HugeWordsAreNotCompared) {
  EXPECT_EQ(nearest(std::string(1 << 20, 'a'), kWords), "");
}

}  // namespace
}  // namespace merlon

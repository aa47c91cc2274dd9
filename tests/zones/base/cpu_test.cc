// SPDX-License-Identifier: Apache-2.0
#include "zones/base/cpu.h"

#include <gtest/gtest.h>

#include <array>
#include <span>
#include <string_view>

namespace merlon {
namespace {

TEST(Cpu, NamesTheFirstFeatureThatIsWantedAndMissing) {
  constexpr std::array kFeatures{CpuFeature{"a", false, false}, CpuFeature{"b", true, true},
                                 CpuFeature{"c", true, false}, CpuFeature{"d", true, false}};
  EXPECT_STREQ(missing_cpu_feature({kFeatures.data(), 4}), "c");
  EXPECT_EQ(missing_cpu_feature({kFeatures.data(), 2}), nullptr);
}

TEST(Cpu, ThisProgramRunsHereAndKnowsWhatItWants) {
  const CpuFeatures features = cpu_features();
  EXPECT_EQ(missing_cpu_feature(features), nullptr);
#if defined(__x86_64__)
  bool aes = false;
  bool avx2 = false;
#if defined(__AES__)
  aes = true;
#endif
#if defined(__AVX2__)
  avx2 = true;
#endif
  for (const CpuFeature& feature : std::span(features.first, features.count)) {
    if (feature.name == std::string_view("aes")) {
      EXPECT_EQ(feature.wanted, aes);
    }
    if (feature.name == std::string_view("avx2")) {
      EXPECT_EQ(feature.wanted, avx2);
    }
  }
#endif
}

}  // namespace
}  // namespace merlon

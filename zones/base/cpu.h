// SPDX-License-Identifier: Apache-2.0
// Whether this machine's processor has what the build was made for (MERLON_CPU). Every program
// checks it before anything else runs: an instruction that the processor does not know would end it
// with a signal and no word.
#pragma once

#include <cstddef>

namespace merlon {

struct CpuFeature {
  const char* name;
  bool wanted;  // by this build
  bool present;
};

// All that builds for x86-64 may want; none on other processors. Plain pointers, as cpu.cc says.
struct CpuFeatures {
  const CpuFeature* first;
  size_t count;
};
CpuFeatures cpu_features();
// The first that is wanted and not present; nullptr when there is none.
const char* missing_cpu_feature(CpuFeatures features);

}  // namespace merlon

// SPDX-License-Identifier: Apache-2.0
// Compiled for any processor, unlike all else; what the others are compiled for comes as
// MERLON_CPU_WANTS, because here the compiler's own macros say something else. Nothing of the
// standard library is used at run time: the linker might take its inline functions from another
// file.
#include "zones/base/cpu.h"

#include <unistd.h>

#include <cstring>
#include <string_view>

namespace merlon {
namespace {

// Whether the blank-separated list has the feature.
consteval bool wants(std::string_view feature) {
  std::string_view left = MERLON_CPU_WANTS;
  while (!left.empty()) {
    const size_t end = left.find(' ') == std::string_view::npos ? left.size() : left.find(' ');
    if (left.substr(0, end) == feature) {
      return true;
    }
    left.remove_prefix(end == left.size() ? end : end + 1);
  }
  return false;
}

#define MERLON_CPU_FEATURES(X) \
  X("sse4.2")                  \
  X("popcnt")                  \
  X("avx")                     \
  X("avx2")                    \
  X("bmi")                     \
  X("bmi2")                    \
  X("fma")                     \
  X("aes")

#if defined(__x86_64__)
void say(const char* text) {
  const ssize_t written = ::write(STDERR_FILENO, text, std::strlen(text));
  static_cast<void>(written);
}

// Before the constructors of static objects, which are compiled for MERLON_CPU.
[[gnu::constructor(101), gnu::used]] void check_at_start() {
  __builtin_cpu_init();
  if (const char* missing = missing_cpu_feature(cpu_features()); missing != nullptr) {
    say("merlon: this program was built for processors with ");
    say(missing);
    say(", which this machine's does not have; build with cmake -DMERLON_CPU=x86-64\n");
    ::_exit(1);
  }
}
#endif

}  // namespace

CpuFeatures cpu_features() {
#if defined(__x86_64__)
#define MERLON_X(name) {name, wants(name), __builtin_cpu_supports(name) != 0},
  static const CpuFeature kFeatures[] = {MERLON_CPU_FEATURES(MERLON_X)};
#undef MERLON_X
  return {kFeatures, sizeof kFeatures / sizeof kFeatures[0]};
#else
  return {nullptr, 0};
#endif
}

const char* missing_cpu_feature(CpuFeatures features) {
  for (size_t i = 0; i < features.count; ++i) {
    if (features.first[i].wanted && !features.first[i].present) {
      return features.first[i].name;
    }
  }
  return nullptr;
}

}  // namespace merlon

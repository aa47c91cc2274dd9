// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/fuzz_feed.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  merlon::feeds::fuzz_parse({data, size}, "csv; column=2; urls=host; defanged=yes");
  merlon::feeds::fuzz_parse({data, size}, "csv; start=1; end=2; prefix=3; delimiter=tab");
  merlon::feeds::fuzz_parse({data, size}, "csv; column=1; zeros=decimal");
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/fuzz_feed.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  merlon::feeds::fuzz_parse({data, size}, "stix2; urls=host");
  merlon::feeds::fuzz_parse({data, size}, "misp; to_ids=any");
  merlon::feeds::fuzz_parse({data, size}, "stix1");
  return 0;
}

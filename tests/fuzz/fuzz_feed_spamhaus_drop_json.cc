// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/fuzz_feed.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  merlon::feeds::fuzz_parse({data, size}, merlon::feeds::Format::spamhaus_drop_json);
  return 0;
}

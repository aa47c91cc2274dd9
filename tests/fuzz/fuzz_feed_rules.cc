// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/fuzz_feed.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  merlon::feeds::fuzz_parse({data, size}, "dnsmasq");
  merlon::feeds::fuzz_parse({data, size}, "unbound");
  merlon::feeds::fuzz_parse({data, size}, "adblock");
  merlon::feeds::fuzz_parse({data, size}, "wildcard");
  merlon::feeds::fuzz_parse({data, size}, "rpz");
  return 0;
}

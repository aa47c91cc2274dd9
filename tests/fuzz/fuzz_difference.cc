// SPDX-License-Identifier: Apache-2.0
// A stored difference without its checksum, which is added here: what decodes comes back the same
// from its own encoding.
#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "controlplane/compile/difference.h"
#include "zones/base/assert.h"
#include "zones/base/bytes.h"

using namespace merlon::compile;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<uint8_t> bytes(data, data + size);
  const merlon::Le64 checksum = XXH3_64bits(data, size);
  bytes.insert(bytes.end(), checksum.bytes.begin(), checksum.bytes.end());
  const auto difference = decode_difference(bytes);
  if (difference) {
    const auto again = decode_difference(encode(*difference));
    MERLON_ASSERT(again && *again == *difference);
  }
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// The one file that is compiled with AES instructions in every build for x86-64.
#include "zones/name/hash.h"

#if defined(__AES__)
namespace merlon::name::detail {

uint64_t hash_hardware(const uint8_t* data, size_t size, const uint8_t* key) {
  return NameHash<HardwareAes>{key}(data, size);
}

}  // namespace merlon::name::detail
#endif

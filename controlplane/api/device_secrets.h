// SPDX-License-Identifier: Apache-2.0
// What the server makes for devices: keys for TSIG and tokens for zone files. A token is told once;
// only its digest is kept, so looking one up compares digests and tells nothing by its time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "zones/base/error.h"

namespace merlon::api {

// `size` random bytes.
Result<std::string> random_base64(size_t size);
Result<std::string> random_token();  // 32 bytes as base64url without padding

// SHA-256 as 64 lower-case hex digits.
Result<std::string> digest_of_token(std::string_view token);

}  // namespace merlon::api

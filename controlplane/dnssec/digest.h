// SPDX-License-Identifier: Apache-2.0
// The hashes that DNSSEC needs, of OpenSSL. Safe from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

#include "zones/base/bytes.h"

namespace merlon::dnssec {

using Sha1 = std::array<uint8_t, 20>;
using Sha256 = std::array<uint8_t, 32>;
using Sha384 = std::array<uint8_t, 48>;

// Of the parts as if they were one.
Sha1 sha1(std::initializer_list<Bytes> parts);
Sha256 sha256(std::initializer_list<Bytes> parts);
Sha384 sha384(std::initializer_list<Bytes> parts);

std::string to_base64(Bytes bytes);
// RFC 4648 section 7, lower case, without padding: NSEC3 owner labels.
std::string to_base32hex(Bytes bytes);

}  // namespace merlon::dnssec

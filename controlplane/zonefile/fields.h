// SPDX-License-Identifier: Apache-2.0
// Record data by a table of its fields: the part of rdata.h that needs no library.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/zonefile/text.h"
#include "zones/base/bytes.h"

namespace merlon::zonefile {

// The fields of a type, a letter each; "" when the table has none.
std::string_view layout_of(uint16_t type);
// Appends to `out`. Returns "" or what is wrong.
std::string read_by_layout(std::string_view fields, std::span<const Token> tokens, Bytes origin,
                           std::vector<uint8_t>& out);

// The lowest `size` bytes of a number, in network order.
void append_be(uint64_t number, unsigned size, std::vector<uint8_t>& out);
// The digits of all tokens together. Returns "" or what is wrong.
std::string_view append_hex(std::span<const Token> tokens, std::vector<uint8_t>& out);

}  // namespace merlon::zonefile

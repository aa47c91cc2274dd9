// SPDX-License-Identifier: Apache-2.0
// Record data from presentation form to wire form, names uncompressed. The types that make up most
// zones are read by a table of their fields; the others, and other ways to write these (mnemonics
// of algorithms and the like), by ldns. RFC 3597's \# works for every type, and what it gives of a
// known type must be a record of that type.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/zonefile/text.h"
#include "zones/base/bytes.h"

namespace merlon::zonefile {

// The number of a type's name ("A", "type65280"); 0 when there is none.
uint16_t type_from_text(std::string_view text);
// "A", "CAA", "TYPE65280".
std::string type_text(uint16_t type);

// Appends to `out`. Returns "" or what is wrong. `origin` is a wire name, or empty.
std::string read_rdata(uint16_t type, std::span<const Token> tokens, Bytes origin,
                       std::vector<uint8_t>& out);

// "" or what is wrong with data in wire form, names uncompressed.
std::string rdata_fault(uint16_t type, Bytes data);

// Record data at message[at .. at + size) of a message, whose names may be compressed where RFC
// 3597 section 4 lets them, written out in full to `out`. False when it is malformed.
bool decompress_rdata(uint16_t type, Bytes message, size_t at, size_t size,
                      std::vector<uint8_t>& out);

// What two records of one RRset are the same by (RFC 4034 section 6.2): names of the old types are
// folded.
void fold_rdata(uint16_t type, std::vector<uint8_t>& data);

}  // namespace merlon::zonefile

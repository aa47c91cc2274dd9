// SPDX-License-Identifier: Apache-2.0
// What changed in a zone from one serial to another, record by record, as IXFR carries it (RFC
// 1995): old SOA, what went, new SOA, what came. A record whose TTL changed went and came. Pure
// values.
#pragma once

#include <cstdint>
#include <vector>

#include "controlplane/compile/records.h"
#include "zones/base/error.h"
#include "zones/name/name.h"

namespace merlon::compile {

struct Difference {
  name::Name apex;
  uint32_t serial_from = 0;
  uint32_t serial_to = 0;
  RecordList soa_from;  // the one record
  RecordList soa_to;
  RecordList removed;  // in canonical order, without the SOA
  RecordList added;
  bool operator==(const Difference&) const = default;
};

// Errors: invalid_argument (two zones of different apexes, or one without SOA).
Result<Difference> diff(const ZoneContent& before, const ZoneContent& after);

// `records`, all of a zone in canonical order, after the change. Errors: conflict (what should go
// is not there, what should come is there already).
Result<RecordList> apply(const RecordList& records, const Difference& difference);

// A compact form for keeping: owners by what they share with the one before, and type, TTL and data
// only when they differ from the record before, so that a name that comes to a policy zone costs
// little more than its own bytes. Ends with a checksum.
std::vector<uint8_t> encode(const Difference& difference);
// Errors: corruption with the offset; nothing of it is trusted.
Result<Difference> decode_difference(Bytes bytes);

// The most that a difference may hold in wire form. What is larger is a transfer of the whole zone.
inline constexpr size_t kDifferenceSizeMax = size_t{1} << 30;

}  // namespace merlon::compile

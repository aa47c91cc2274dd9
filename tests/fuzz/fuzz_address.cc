// SPDX-License-Identifier: Apache-2.0
// What parses must print as text that parses to the same value, and prefixes must cover a range.
#include <cstddef>
#include <cstdint>

#include "zones/address/address.h"
#include "zones/address/range_set.h"
#include "zones/base/assert.h"
#include "zones/base/bytes.h"

using namespace merlon::address;  // NOLINT(google-build-using-namespace): one short file

namespace {

template <class Bits>
void check_cover(Range<Bits> range) {
  std::vector<Range<Bits>> parts;
  for_each_prefix(range, [&](Prefix<Bits> prefix) { parts.push_back(prefix.range()); });
  MERLON_ASSERT(parts.size() <= 2 * kWidth<Bits>);
  MERLON_ASSERT(RangeSet<Bits>::from_unsorted(parts) == RangeSet<Bits>::from_normal({range}));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = merlon::as_text({data, size});
  if (const auto address = parse_address(text)) {
    MERLON_ASSERT(parse_address(to_text(*address)) == *address);
    MERLON_ASSERT(parse_prefix(text).has_value());
  }
  if (const auto prefix = parse_prefix(text)) {
    MERLON_ASSERT(parse_prefix(to_text(*prefix)) == *prefix);
    MERLON_ASSERT(prefix->contains(Address{prefix->family, prefix->bits}));
  }
  if (const auto range = parse_range(text)) {
    const bool v4 = range->family == Family::v4;
    MERLON_ASSERT(range->first <= range->last);
    MERLON_ASSERT(parse_range(v4 ? to_text(range->v4()) : to_text(range->v6())) == *range);
    v4 ? check_cover(range->v4()) : check_cover(range->v6());
  }
  return 0;
}

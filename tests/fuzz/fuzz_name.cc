// SPDX-License-Identifier: Apache-2.0
// Text -> wire -> text and wire -> text -> wire come back; order, equality and kinship agree.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "zones/base/assert.h"
#include "zones/name/name.h"

using merlon::name::Name;

namespace {

void check(const Name& name) {
  const auto again = Name::from_text(name.to_text());
  MERLON_ASSERT(again && std::ranges::equal(again->wire(), name.wire()));
  MERLON_ASSERT(std::ranges::equal(Name::from_wire(name.wire())->wire(), name.wire()));
  MERLON_ASSERT(name == name.folded() && (name <=> name.folded()) == 0);
  size_t labels = 0;
  for (Name at = name; !at.is_root(); at = at.parent()) {
    MERLON_ASSERT(name.is_at_or_below(at) && at.is_at_or_below(at.parent()));
    MERLON_ASSERT(at.parent() < at && !at.parent().is_at_or_below(at));
    ++labels;
  }
  MERLON_ASSERT(labels == name.label_count());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const merlon::Bytes bytes(data, size);
  const auto from_text = Name::from_text(merlon::as_text(bytes));
  const auto from_wire = Name::from_wire(bytes);
  if (from_text)
    check(*from_text);
  if (from_wire)
    check(*from_wire);
  const bool host = merlon::name::host_name_fault(merlon::as_text(bytes)).empty();
  MERLON_ASSERT(!host || from_text.has_value());
  return 0;
}

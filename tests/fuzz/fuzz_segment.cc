// SPDX-License-Identifier: Apache-2.0
// Any bytes as a segment. An odd first byte makes the checksums good first, so that the checks
// behind them are reached. What opens must be usable: every name found, every body walked.
#include <algorithm>
#include <vector>

#include "tests/support/segment_edit.h"
#include "tests/support/snapshot_fixture.h"
#include "zones/address/address.h"
#include "zones/base/assert.h"
#include "zones/snapshot/snapshot.h"
#include "zones/wire/wire.h"

using namespace merlon::snapshot;  // NOLINT(google-build-using-namespace): one short file

namespace {

void use_bodies(const BodiesView& view) {
  for (uint32_t i = 0; i < view.size(); ++i) {
    const Body body = view.body(i);
    MERLON_ASSERT(body.size <= kBodySizeMax);
    MERLON_ASSERT(merlon::wire::checksum_partial(body.bytes()) == body.checksum);
    for (unsigned k = 0; k < body.pointer_count; ++k) {
      MERLON_ASSERT(body.pointers[k] + 2u <= body.size);
    }
  }
}

void use_zone(Segment segment) {
  const auto view = ZoneView::open(segment);
  if (!view || !view->dependencies().empty()) {
    return;
  }
  use_bodies(view->own_bodies());
  const IndexKey key = merlon::tests::fixed_index_key();
  const auto zone = LoadedZone::make(std::move(segment), {}, key);
  MERLON_ASSERT(zone.has_value());
  for (const NodeEntry& node : (*zone)->view().nodes()) {
    const merlon::Bytes name = (*zone)->view().name_of(node);
    const merlon::snapshot::Node* found = (*zone)->find(key.hash(name), name);
    MERLON_ASSERT(found != nullptr && std::ranges::equal(found->name(), name));
    MERLON_ASSERT(found->tier_mask == node.tier_mask && found->rrset_count == node.rrset_count);
    for (const Rrset& rrset : (*zone)->rrsets_of(*found)) {
      MERLON_ASSERT(rrset.body.answer_count > 0 && rrset.body.pointer_count == 0);
    }
  }
}

void use_access(const Segment& segment) {
  const auto view = AccessView::open(segment);
  if (!view) {
    return;
  }
  for (const SourceEntry4& source : view->sources4()) {
    MERLON_ASSERT(view->find(merlon::address::Address::v4(source.address)) != kNoSubject);
  }
  for (const SourceEntry6& source : view->sources6()) {
    MERLON_ASSERT(view->find(merlon::address::Address::v6(source.prefix().bits)) != kNoSubject);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > (1u << 20)) {
    return 0;
  }
  std::vector<uint8_t> bytes(data + 1, data + size);
  if ((data[0] & 1) != 0) {
    merlon::tests::fix_checksums(bytes);
  }
  auto segment = Segment::from_bytes(bytes);
  if (!segment) {
    MERLON_ASSERT(!segment.error().message.empty());
    return 0;
  }
  if (segment->kind() == SegmentKind::bodies) {
    if (const auto view = BodiesView::open(*segment)) {
      use_bodies(*view);
    }
  } else if (segment->kind() == SegmentKind::zone) {
    use_zone(std::move(*segment));
  } else {
    use_access(*segment);
  }
  return 0;
}

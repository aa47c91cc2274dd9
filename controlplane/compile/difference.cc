// SPDX-License-Identifier: Apache-2.0
#include "controlplane/compile/difference.h"

#include <algorithm>

#include "zones/wire/wire.h"

namespace merlon::compile {
namespace {

bool same_bytes(Bytes a, Bytes b) {
  return (a.data() == b.data() && a.size() == b.size()) || std::ranges::equal(a, b);
}

// Whether two nodes have the same bodies, which most have.
bool same_node(const ZoneContent& a, const snapshot::NodeEntry& node_a, const ZoneContent& b,
               const snapshot::NodeEntry& node_b) {
  if (node_a.rrset_count != node_b.rrset_count) {
    return false;
  }
  for (size_t i = 0; i < node_a.rrset_count; ++i) {
    const size_t at_a = node_a.rrset_first + i;
    const size_t at_b = node_b.rrset_first + i;
    if (a.view->rrsets()[at_a].type != b.view->rrsets()[at_b].type ||
        !same_bytes(rrset_bytes(a, at_a), rrset_bytes(b, at_b)) ||
        !same_bytes(signature_bytes(a, at_a), signature_bytes(b, at_b))) {
      return false;
    }
  }
  return true;
}

std::strong_ordering order(const NodeRecord& a, const NodeRecord& b) {
  if (a.type != b.type) {
    return a.type <=> b.type;
  }
  const auto data = std::lexicographical_compare_three_way(a.data.begin(), a.data.end(),
                                                           b.data.begin(), b.data.end());
  return data != 0 ? data : a.ttl <=> b.ttl;
}

// Where the records go that one side has and the other has not.
struct Side {
  RecordList* soa;
  RecordList* others;

  void add(Bytes owner, const NodeRecord& record) const {
    RecordList* list = record.type == wire::type::soa ? soa : others;
    list->add(owner, record.type, record.ttl, record.data);
  }
};

// REQUIRES: both in canonical order.
void compare_records(Bytes owner, const std::vector<NodeRecord>& before,
                     const std::vector<NodeRecord>& after, const Side& from, const Side& to) {
  size_t i = 0;
  size_t k = 0;
  while (i < before.size() || k < after.size()) {
    const auto which = i == before.size()  ? std::strong_ordering::greater
                       : k == after.size() ? std::strong_ordering::less
                                           : order(before[i], after[k]);
    if (which < 0) {
      from.add(owner, before[i++]);
    } else if (which > 0) {
      to.add(owner, after[k++]);
    } else {
      ++i;
      ++k;
    }
  }
}

void compare_nodes(const ZoneContent& before, const ZoneContent& after, const Side& from,
                   const Side& to) {
  const auto nodes_before = before.view->nodes();
  const auto nodes_after = after.view->nodes();
  size_t i = 0;
  size_t k = 0;
  while (i < nodes_before.size() || k < nodes_after.size()) {
    const Bytes a = i < nodes_before.size() ? before.view->name_of(nodes_before[i]) : Bytes();
    const Bytes b = k < nodes_after.size() ? after.view->name_of(nodes_after[k]) : Bytes();
    const auto which = a.empty()   ? std::strong_ordering::greater
                       : b.empty() ? std::strong_ordering::less
                                   : name::compare_canonical(a, b);
    if (which < 0) {
      compare_records(a, records_of_node(before, i++), {}, from, to);
    } else if (which > 0) {
      compare_records(b, {}, records_of_node(after, k++), from, to);
    } else {
      if (!same_node(before, nodes_before[i], after, nodes_after[k])) {
        compare_records(a, records_of_node(before, i), records_of_node(after, k), from, to);
      }
      ++i;
      ++k;
    }
  }
}

void compare_nsec3(const ZoneContent& before, const ZoneContent& after, const Side& from,
                   const Side& to) {
  const auto entries_before = before.view->nsec3();
  const auto entries_after = after.view->nsec3();
  size_t i = 0;
  size_t k = 0;
  while (i < entries_before.size() || k < entries_after.size()) {
    const auto which = i == entries_before.size() ? std::strong_ordering::greater
                       : k == entries_after.size()
                           ? std::strong_ordering::less
                           : entries_before[i].hash <=> entries_after[k].hash;
    if (which < 0) {
      compare_records(nsec3_owner(before, i), records_of_nsec3(before, i), {}, from, to);
      ++i;
    } else if (which > 0) {
      compare_records(nsec3_owner(after, k), {}, records_of_nsec3(after, k), from, to);
      ++k;
    } else {
      compare_records(nsec3_owner(before, i), records_of_nsec3(before, i),
                      records_of_nsec3(after, k), from, to);
      ++i;
      ++k;
    }
  }
}

// The SOA record of a zone as a list of one; empty when there is none.
RecordList soa_of(const ZoneContent& zone) {
  RecordList soa;
  for (const NodeRecord& record : records_of_node(zone, 0)) {
    if (record.type == wire::type::soa) {
      soa.add(zone.view->apex(), record.type, record.ttl, record.data);
    }
  }
  return soa;
}

}  // namespace

Result<Difference> diff(const ZoneContent& before, const ZoneContent& after) {
  const auto apex = name::Name::from_wire(after.view->apex());
  if (!apex || !same_bytes(before.view->apex(), after.view->apex())) {
    return fail(ErrorCode::invalid_argument, "a difference of two zones with different apexes");
  }
  Difference made;
  made.apex = *apex;
  made.serial_from = before.view->info().serial;
  made.serial_to = after.view->info().serial;
  made.soa_from = soa_of(before);
  made.soa_to = soa_of(after);
  if (made.soa_from.size() != 1 || made.soa_to.size() != 1) {
    return fail(ErrorCode::invalid_argument, "zone {} has no SOA", apex->to_text());
  }
  RecordList soa_unused;  // a SOA that did not change is no part of what went or came either
  compare_nodes(before, after, {&soa_unused, &made.removed}, {&soa_unused, &made.added});
  RecordList nsec3_removed;
  RecordList nsec3_added;
  compare_nsec3(before, after, {&soa_unused, &nsec3_removed}, {&soa_unused, &nsec3_added});
  if (!nsec3_removed.empty()) {
    made.removed = merged(made.removed, nsec3_removed);
  }
  if (!nsec3_added.empty()) {
    made.added = merged(made.added, nsec3_added);
  }
  return made;
}

Result<RecordList> apply(const RecordList& records, const Difference& difference) {
  const RecordList gone = merged(difference.soa_from, difference.removed);
  const RecordList come = merged(difference.soa_to, difference.added);
  RecordList kept;
  auto at = gone.begin();
  for (const RecordView record : records) {
    if (at != gone.end()) {
      const auto which = compare(*at, record);
      if (which < 0) {
        break;
      }
      if (which == 0) {
        ++at;
        continue;
      }
    }
    kept.add(record);
  }
  if (at != gone.end()) {
    return fail(ErrorCode::conflict, "a record that should go is not there: {}",
                to_hex((*at).wire()));
  }
  RecordList all = merged(kept, come);
  const std::vector<RecordView> views = all.views();
  const auto twice = std::ranges::adjacent_find(
      views, [](const RecordView& a, const RecordView& b) { return compare(a, b) == 0; });
  if (twice != views.end()) {
    return fail(ErrorCode::conflict, "a record that should come is there already: {}",
                to_hex(twice->wire()));
  }
  return all;
}

}  // namespace merlon::compile

// SPDX-License-Identifier: Apache-2.0
// What transfers are made of, record by record: a whole zone (RFC 5936), or what changed in it (RFC
// 1995). Each keeps alive what it reads from.
#pragma once

#include <memory>
#include <vector>

#include "controlplane/compile/difference.h"
#include "controlplane/compile/records.h"
#include "controlplane/transfer/writer.h"
#include "zones/snapshot/loaded_zone.h"

namespace merlon::transfer {

using ZonePointer = std::shared_ptr<const snapshot::LoadedZone>;

class RecordSource {
 public:
  virtual ~RecordSource() = default;
  // False: there are no more. The record's bytes stay until the next call.
  virtual bool next(Record& record) = 0;
};

// SOA, all other records (RRSIG, NSEC and NSEC3 included), SOA. REQUIRES: the zone has an SOA.
std::unique_ptr<RecordSource> zone_records(ZonePointer zone);
// The SOA alone: there is nothing newer, or come over TCP.
std::unique_ptr<RecordSource> soa_record(ZonePointer zone);

// Differences that lead from one serial to another, as the journal keeps them: decoded one after
// the other, so that one is in memory at a time. SOA new, then for each: SOA old, what went, SOA
// new, what came; SOA new.
class Changes {
 public:
  // REQUIRES: `payloads` is not empty. Errors: corruption.
  static Result<Changes> make(std::vector<std::vector<uint8_t>> payloads);

  // All in one step, without what came and went again. Errors: corruption.
  Status condense();
  // Bytes of the records in wire form, without compression; of steps that are not decoded yet, of
  // what is kept.
  size_t size() const { return size_; }
  size_t step_count() const { return steps_.size(); }
  uint32_t serial_to() const { return last_.serial_to; }
  std::unique_ptr<RecordSource> records() &&;

 private:
  std::vector<std::vector<uint8_t>> steps_;  // encoded; the last one, too
  compile::Difference last_;
  size_t size_ = 0;
};

// What a whole transfer of the zone takes, about.
size_t transfer_size(const snapshot::LoadedZone& zone);

// A loaded zone as differences are made of.
class Content {
 public:
  explicit Content(const snapshot::LoadedZone& zone);
  compile::ZoneContent content() const { return {.view = view_, .bodies = bodies_}; }

 private:
  const snapshot::ZoneView* view_;
  std::vector<const snapshot::BodiesView*> bodies_;
};

}  // namespace merlon::transfer

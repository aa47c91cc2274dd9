// SPDX-License-Identifier: Apache-2.0
// Reading generations for people: manifests whose signer is only reported, zones together with the
// bodies that they use, records as text.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "zones/base/error.h"
#include "zones/snapshot/directory.h"
#include "zones/snapshot/snapshot.h"

namespace merlon::tools::snapshot {

namespace format = merlon::snapshot;

struct ReadManifest {
  format::Manifest manifest;
  format::PublicKey signer{};  // the signature is good for this key, whoever has it
};
Result<ReadManifest> read_manifest(const format::Directory& directory, uint64_t generation);

// A zone segment and, as far as they are found in `segments_path`, the bodies it depends on.
class ReadZone {
 public:
  static Result<ReadZone> open(format::Segment segment, const std::string& segments_path);

  const format::ZoneView& view() const { return view_; }
  // nullptr when the bodies segment is not there or the reference leads nowhere.
  const format::BodiesView* bodies_of(const format::RrsetEntry& rrset) const;

 private:
  format::Segment segment_;
  format::ZoneView view_;
  std::vector<std::unique_ptr<format::LoadedBodies>> bodies_;  // nullptr: not found
};

// The data of each answer record: addresses as text, other types as RFC 3597 hex. Sorted.
std::vector<std::string> record_texts(const format::Body& body, uint16_t type);

std::string name_text(Bytes wire);

}  // namespace merlon::tools::snapshot

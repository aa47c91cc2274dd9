// SPDX-License-Identifier: Apache-2.0
// The same zones as Merlon serves them: read, compiled and loaded as a snapshot, answered by
// zones/answer as over TCP; and by a real data plane over UDP.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controlplane/zonefile/zone_data.h"
#include "tests/support/nsd.h"
#include "zones/snapshot/snapshot.h"

namespace merlon::differential {

using tests::Connection;
using tests::Nsd;
using tests::Process;
using tests::ZoneFile;

class Served {
 public:
  // Errors: those of the zone files.
  static Result<Served> load(const std::vector<ZoneFile>& files);

  const std::vector<zonefile::ZoneData>& zones() const { return zones_; }
  bool has_name(const std::string& folded_owner) const { return owners_.contains(folded_owner); }
  // As over TCP.
  std::vector<uint8_t> answer(Bytes query) const;
  // A state directory for a data plane.
  Status write_state(const std::string& directory) const;

 private:
  std::vector<zonefile::ZoneData> zones_;
  std::vector<std::vector<uint8_t>> segments_;
  std::vector<uint8_t> access_;
  std::set<std::string> owners_;
  std::shared_ptr<const snapshot::Snapshot> snapshot_;
};

// A data plane on loopback.
class DataPlane {
 public:
  static Result<std::unique_ptr<DataPlane>> start(const std::string& program, const Served& served,
                                                  const std::string& directory);
  ~DataPlane();
  // Over UDP, asked again when nothing comes.
  Result<std::vector<uint8_t>> ask(Bytes query) const;

 private:
  explicit DataPlane(Process process) : process_(std::move(process)) {}
  Process process_;
  int fd_ = -1;
};

}  // namespace merlon::differential

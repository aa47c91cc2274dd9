// SPDX-License-Identifier: Apache-2.0
// Keeps every zone compiled: the shared one, one per account with the lists of its policies and its
// own block lists, a response policy zone per DNS policy, and a catalog zone per device that
// transfers. A build looks at what changed
// (inputs.h), compiles the zones concerned side by side, and names all other segments by hash. What
// a build has compiled is on disk before the next zones are begun, so a cold start holds the bytes
// of some hundred lists and not of all.
//
// What is remembered of a zone (its chunks, its serial) is kept over a restart by a log
// (zone_log.h) and the generation in force. An account whose zone cannot be compiled keeps the one
// it had, and problems() says why; no other account waits for it. Not thread-safe: builds never
// overlap.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "controlplane/api/operations.h"
#include "controlplane/compile/catalog.h"
#include "controlplane/compile/compile.h"
#include "controlplane/compile/rpz.h"
#include "controlplane/coordinator/inputs.h"
#include "controlplane/coordinator/rpz_plan.h"
#include "controlplane/coordinator/zone_log.h"
#include "controlplane/publish/publisher.h"
#include "controlplane/store/store.h"
#include "zones/snapshot/snapshot.h"

namespace merlon::coordinator {

struct BuilderOptions {
  compile::Settings compile;
  std::string log_path;                   // "": nothing is remembered over a restart
  compile::ZoneSigner* signer = nullptr;  // nullptr: nothing is signed
  unsigned threads = 2;
};

class Builder {
 public:
  struct Build {
    uint64_t revision = 0;                       // of the store, that it is made of
    std::vector<publish::SegmentFile> segments;  // of the whole generation, without bytes
    publish::Written stored;                     // what was written on the way
    size_t zones_compiled = 0;
    uint64_t list_count = 0;
    uint64_t name_count = 0;
  };

  // The references outlive the builder.
  Builder(const store::Store& store, publish::Publisher& publisher, BuilderOptions options);

  // Takes up what was remembered of the generation in force.
  void resume(const snapshot::Manifest& in_force, const snapshot::Snapshot& served);
  // The net has changed: everything is compiled again.
  void set_net(std::shared_ptr<const safety::Net> net);
  void set_geo(std::shared_ptr<const enrich::Geo> geo);  // likewise
  // Brings every zone up to the store's present state. Errors: the store's, the disk's, the
  // signer's; what was compiled until then is not compiled again by the next build.
  Result<Build> build(int64_t now);
  // The last build's generation is in force. Trouble with the log is logged: it is a cache.
  void keep(uint64_t generation);
  // Reads the sets of all feeds, so that the first edit need not.
  Status warm_up();

  // Whether a signed zone is to be signed again by now.
  bool is_signing_due(int64_t now) const;

  // By account's name: why its zone is not what it should be.
  std::vector<std::string> problems() const;
  const std::map<uint32_t, std::string>& problems_by_account() const { return problems_; }
  // What is published for each account (by number) for which it changed since the last call;
  // nothing for one that is gone.
  std::map<uint32_t, api::Published> take_publications();
  // The shared lists, sorted by name.
  const std::vector<api::ListInfo>& shared_lists() const;
  // Bodies that the last build made, while it is not in force.
  const snapshot::BodiesByHash& made() const { return made_; }
  // All segments that the zones and the access table have now.
  std::vector<snapshot::ManifestSegment> segments() const;

 private:
  enum class Kind : uint8_t { lists, rpz, catalog };
  struct Zone {
    uint32_t account = 0;
    Kind kind = Kind::lists;
    compile::ZoneMemory memory;  // of a zone of lists
    compile::RpzMemory rpz;      // of others
    std::vector<snapshot::ManifestSegment> segments;
    std::vector<api::ListInfo> lists;
    uint64_t name_count = 0;
  };
  struct PlannedList {
    compile::ListInput input;
    policy::Selection selection;
    api::ListInfo info;
  };
  struct PlannedZone {
    name::Name apex;
    uint32_t account = 0;
    std::vector<PlannedList> lists;
    uint64_t weight = 0;  // about how many addresses, before any is composed
  };

  Status take_over_changes();
  void find_due_zones(int64_t now);
  Result<PlannedZone> plan_shared(int64_t now) const;
  Result<PlannedZone> plan_account(const AccountInputs& inputs, int64_t now) const;
  Result<PlannedList> plan_policy(const AccountInputs& inputs, const store::Policy& policy,
                                  int64_t now) const;
  Status compile_accounts(int64_t now, Build& build);
  Status compile_batch(std::span<PlannedZone> zones, int64_t now, Build& build);
  void compose(std::span<PlannedZone> zones) const;
  // Bodies are written on the way, and kept in made_.
  std::vector<Result<compile::CompiledZone>> compile(std::span<const PlannedZone> zones,
                                                     int64_t now, Build& build);
  Status accept(const PlannedZone& planned, compile::CompiledZone compiled, Build& build);
  // The response policy zones of the account; their names go to `wanted`.
  Status compile_rpz_zones(const AccountInputs& inputs, int64_t now, std::set<name::Name>& wanted,
                           Build& build);
  // The catalog zones of accounts whose zones or devices changed, after all others.
  Status compile_catalogs(int64_t now, Build& build);
  Status compile_catalog(const compile::CatalogInput& input, int64_t now, Build& build);
  // Of the account's zones of lists and policies, or of its catalogs, those that are not wanted.
  enum class Drop : uint8_t { contents, catalogs };
  void drop_others(uint32_t account, const std::set<name::Name>& wanted, Drop drop);
  Kind kind_of(const name::Name& apex, uint32_t account) const;
  bool is_signed(const name::Name& apex, const Zone& zone) const;
  Status compile_access(Build& build);
  uint32_t next_serial(int64_t now) const;
  uint64_t weight_of(const policy::Selection& selection) const;
  std::string settings_text() const;
  void seed_from(const snapshot::Manifest& in_force, const snapshot::Snapshot& served);
  void finish(Build& build) const;

  const store::Store& store_;
  publish::Publisher& publisher_;
  const BuilderOptions options_;
  Inputs inputs_;
  RpzPlanner rpz_;
  bool inputs_valid_ = false;
  uint64_t revision_ = 0;  // that inputs_ is of
  Concerned pending_;      // what is still to be compiled
  std::map<name::Name, Zone> zones_;
  std::map<uint32_t, std::set<name::Name>> apexes_of_;  // of each account's zones
  snapshot::ManifestSegment access_;
  bool has_access_ = false;
  std::map<uint32_t, std::string> problems_;
  std::set<uint32_t> touched_;  // accounts, since the last take_publications()
  uint32_t newest_serial_ = 0;
  std::optional<uint64_t> kept_revision_;  // what was resumed is of this revision
  ZoneLog log_;
  std::set<name::Name> unsaved_;
  snapshot::BodiesByHash made_;
};

}  // namespace merlon::coordinator

// SPDX-License-Identifier: Apache-2.0
// What the REST API can ask of the control plane. The HTTP server, the JSON shapes and merlonctl
// know only this interface; the coordinator implements it. Every method may be called from any
// thread at any time and blocks until the work is done. Errors carry what, where and what to do.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/api/check.h"
#include "controlplane/api/clients.h"
#include "controlplane/api/dnssec.h"
#include "controlplane/api/feed_report.h"
#include "controlplane/api/safety.h"
#include "controlplane/api/transfers.h"
#include "controlplane/store/model.h"
#include "controlplane/store/own_lists.h"
#include "zones/base/error.h"

namespace merlon::api {

struct RefreshReport {
  std::string feed;
  store::FeedState state;
  bool not_modified = false;  // the source said that nothing changed
  uint64_t added = 0;
  uint64_t removed = 0;
};

// What would become of a source as a feed.
struct ProbeReport {
  std::string url = {};
  std::string format = {};   // for the definition of the feed; "" when nothing fits
  std::string problem = {};  // why it would not be taken; "" when it would
  uint64_t size_bytes = 0;
  uint64_t line_count = 0;
  uint64_t entry_count = 0;
  uint64_t ignored_count = 0;
  uint64_t rejected_count = 0;
  uint64_t prefix4_count = 0;
  uint64_t prefix6_count = 0;
  uint64_t domain_count = 0;
  std::vector<std::string> examples = {};
  std::vector<std::string> notes = {};
  std::vector<std::pair<std::string, uint64_t>> rejected_by_reason = {};
  std::vector<store::RejectedLine> rejected_examples = {};
};

// One compiled list, split over `names`.
struct ListInfo {
  std::string name;  // the first name's label, e.g. "basic"
  std::string kind;  // "feed", "category" or "basic"
  store::Tier tier = store::Tier::basic;
  std::vector<std::string> feeds;
  uint64_t address4_count = 0;  // A records in all
  uint64_t address6_count = 0;
  uint64_t prefix_only_count = 0;       // too wide for A/AAAA: in APL and counted in TXT
  uint64_t protected_prefix_count = 0;  // prefixes taken out by the never-block net
  uint64_t domain_count = 0;
  uint64_t fallen_off_count = 0;   // addresses for which the devices have no room
  std::vector<std::string> names;  // full names with dot: basic.merlon.internal., basic1...
};

// A response policy zone, of a DNS policy.
struct PolicyZone {
  std::string apex;
  uint32_t serial = 0;
  uint64_t name_count = 0;
};

// What an account's devices find, as of the last build.
struct Published {
  std::vector<ListInfo> lists{};  // of IP policies and own block lists
  std::vector<PolicyZone> policy_zones{};
  std::vector<PolicyZone> catalogs{};   // one for each device that transfers; names: its members
  std::vector<std::string> problems{};  // why some of it is as it was before
};

// A zone of an operator's, from a file or a primary.
struct ZoneInfo {
  std::string apex;
  std::string source{};              // path or address
  std::string account{};             // who sees it; "": every registered device
  std::string health{};              // "good", "kept" (refused, served as it was) or "refused"
  std::string error{};               // file, line and reason; "" when good
  std::vector<std::string> notes{};  // what was mended, with file and line
  uint32_t serial = 0;
  uint64_t record_count = 0;
  uint64_t size_bytes = 0;
  bool is_signed = false;
  int64_t loaded = 0;
};

// A zone file's text, to be checked.
struct ZoneText {
  std::string apex;
  std::string file;  // for messages
  std::string text;
};

// A zone as it is served, as a zone file.
struct ZoneFile {
  uint32_t serial = 0;
  std::string text{};
};

struct SnapshotInfo {
  uint64_t generation = 0;
  int64_t created = 0;
  bool current = false;  // what `current` on disk names
  uint64_t segment_count = 0;
  uint64_t size_bytes = 0;
};

struct BuildReport {
  uint64_t generation = 0;
  bool changed = false;  // false: the input gave the same segments, generation is the present one
  uint64_t segments_written = 0;
  uint64_t segments_reused = 0;
  uint64_t list_count = 0;
  uint64_t name_count = 0;
  double compile_seconds = 0;
  double publish_seconds = 0;
  // What the data plane said to the new generation; "" when it serves it.
  std::string dataplane_error;
};

struct ControlPlaneStatus {
  std::string version;
  int64_t started = 0;
  uint64_t feed_count = 0;
  uint64_t feed_unhealthy_count = 0;
  uint64_t device_count = 0;
  uint64_t generation = 0;      // current on disk, 0 when none
  uint64_t tcp_generation = 0;  // what DNS over TCP serves
  std::string suffix;
  std::string last_build_error;  // "" when the last build went well
  // Accounts whose zone cannot be compiled as it should be, and why; the others are up to date.
  std::vector<std::string> problems;
  std::string dataplane;  // "serving generation N" or the reason why not
  std::string dnssec;     // "off", or what was signed and what is wrong with it
};

// Queries over TCP of one subject, by its numbers.
struct SubjectQueries {
  uint32_t account = 0;
  uint32_t device = 0;
  uint64_t queries = 0;
  int64_t last = 0;  // Unix seconds
};

// What the control plane has done since it started, and its DNS over TCP.
struct Activity {
  uint64_t builds = 0;  // that went well
  uint64_t builds_changed = 0;
  uint64_t build_failures = 0;
  double last_build_seconds = 0;
  uint64_t refreshes = 0;
  uint64_t refresh_failures = 0;
  uint64_t tcp_connections_open = 0;
  std::vector<std::pair<std::string, uint64_t>> tcp_counters;  // by name
  std::vector<std::pair<std::string, uint64_t>> tcp_closes;
  std::vector<std::pair<std::string, uint64_t>> tcp_outcomes;
  std::vector<SubjectQueries> tcp_subjects;
  std::vector<std::pair<std::string, uint64_t>> forward_counters;
};

class Operations {
 public:
  virtual ~Operations() = default;

  virtual Result<ControlPlaneStatus> status() = 0;

  virtual Result<std::vector<store::FeedRecord>> feeds() = 0;
  virtual Result<store::FeedRecord> feed(const std::string& id) = 0;
  virtual Status add_feed(const store::FeedDefinition& definition) = 0;
  virtual Status remove_feed(const std::string& id) = 0;
  virtual Result<RefreshReport> refresh_feed(const std::string& id) = 0;
  // What a feed with the URL "upload:" lists from its next refresh on.
  virtual Status put_content(const std::string& id, std::string_view content) = 0;
  // Applies the content that is in quarantine, once. Errors: conflict when there is none.
  virtual Result<RefreshReport> accept_feed(const std::string& id) = 0;
  virtual Result<FeedSafety> feed_safety(const std::string& id) = 0;
  // Of these feeds, or of all enabled ones that block. Errors: not_found.
  virtual Result<FeedsReport> feeds_report(const std::vector<std::string>& ids) = 0;
  // Fetches and reads, and keeps nothing. `format`: "auto" to have it guessed.
  virtual Result<ProbeReport> probe_feed(const std::string& url, const std::string& format) = 0;

  virtual Result<std::vector<ListInfo>> lists() = 0;  // of the current snapshot
  virtual Result<ListInfo> list(const std::string& name) = 0;

  virtual Result<std::vector<store::Device>> devices() = 0;
  virtual Result<store::Device> add_device(const store::Device& device) = 0;
  virtual Result<store::Device> device(const std::string& name) = 0;
  virtual Result<store::Device> replace_device(const store::Device& device) = 0;
  virtual Status remove_device(const std::string& name) = 0;

  // As the store's methods of these names, at the present time.
  virtual Result<std::vector<store::Account>> accounts() = 0;
  virtual Result<store::Account> account(const std::string& name) = 0;
  virtual Result<store::Account> add_account(const store::Account& account) = 0;
  virtual Result<store::Account> replace_account(const store::Account& account) = 0;
  virtual Status remove_account(const std::string& name, const store::RemoveAccount& options) = 0;

  virtual Result<Published> published_of(const std::string& account) = 0;

  virtual Result<std::vector<store::CustomList>> lists_of(const std::string& account) = 0;
  virtual Result<store::CustomList> list_of(const std::string& account,
                                            const std::string& name) = 0;
  virtual Result<store::CustomList> add_list(const store::CustomList& list) = 0;
  virtual Status remove_list(const std::string& account, const std::string& name) = 0;
  virtual Result<store::EntryPage> entries_of(const std::string& account, const std::string& list,
                                              const store::EntryRange& range) = 0;
  virtual Result<store::EntryReport> add_entries(const std::string& account,
                                                 const std::string& list,
                                                 std::span<const store::CustomEntry> entries,
                                                 store::OnFault on_fault) = 0;
  virtual Result<store::EntryReport> remove_entries(const std::string& account,
                                                    const std::string& list,
                                                    std::span<const std::string> values,
                                                    store::OnFault on_fault) = 0;

  virtual Result<std::vector<store::Policy>> policies_of(const std::string& account) = 0;
  virtual Result<store::Policy> policy(const std::string& account, const std::string& name) = 0;
  virtual Result<store::Policy> add_policy(const store::Policy& policy) = 0;
  virtual Result<store::Policy> replace_policy(const store::Policy& policy) = 0;
  virtual Status remove_policy(const std::string& account, const std::string& name) = 0;

  virtual Result<std::vector<ZoneInfo>> zones() = 0;
  // Reads those whose files or primaries have something new, and publishes.
  virtual Result<std::vector<ZoneInfo>> reload_zones() = 0;
  // What loading it would say; nothing is changed.
  virtual Result<ZoneInfo> check_zone(const ZoneText& text) = 0;

  // A zone of the account whose device has the token of this digest. Errors: not_found (no such
  // token), conflict (the account has no such zone). `source`: the address of who asks, for the
  // facts about transfers.
  virtual Result<ZoneFile> zone_file(const std::string& token_digest, const std::string& apex,
                                     const std::string& source) = 0;

  virtual Result<Dnssec> dnssec_zones() = 0;
  virtual Result<DnssecZone> dnssec_zone(const std::string& apex) = 0;
  // These sign anew what they concern, soon after they return.
  virtual Result<DnssecZone> start_rollover(const std::string& apex,
                                            const RolloverRequest& request) = 0;
  // The parent shows the new DS, or whoever validates has the new trust anchor.
  virtual Result<DnssecZone> ds_seen(const std::string& apex) = 0;
  // The clock is right now, although it jumped.
  virtual Status confirm_clock() = 0;

  virtual Result<std::vector<SnapshotInfo>> snapshots() = 0;
  virtual Result<BuildReport> build_snapshot() = 0;  // compile, publish, activate
  virtual Result<BuildReport> activate_snapshot(uint64_t generation) = 0;
  virtual Result<BuildReport> rollback_snapshot() = 0;  // to the generation before the current one
  // Reads every segment again. Returns lines that say what is good; an error names file, section
  // and offset of the first damage.
  virtual Result<std::vector<std::string>> verify_snapshot(uint64_t generation) = 0;

  // The data plane's own JSON answer to a command of its control socket.
  virtual Result<std::string> dataplane(const std::string& command) = 0;
  virtual Result<Activity> activity() = 0;
  // Upstreams, cache and counters of the forwarder, in its own JSON.
  virtual Result<std::string> forwarding() = 0;
  // Who asks over TCP and for what.
  virtual Result<TcpClients> tcp_clients() = 0;

  // One address or domain, with the lines of the feeds that list it. not_found: no such account.
  virtual Result<CheckReport> check(const std::string& value, const CheckOptions& options = {}) = 0;
  // At most kCheckValuesMax, without lines; a value that cannot be understood has an `error`.
  virtual Result<std::vector<CheckReport>> check_many(const std::vector<std::string>& values,
                                                      const CheckOptions& options) = 0;
  // Adds a backup of the store to a directory on the server's disk.
  virtual Result<BackupReport> backup(const std::string& directory) = 0;

  // Secondaries, NOTIFY and failed signatures since the start.
  virtual Result<Transfers> transfers() = 0;
};

}  // namespace merlon::api

// SPDX-License-Identifier: Apache-2.0
// Runs the control plane's jobs in their order: fetch a feed -> believe it or not -> store it ->
// compile -> publish -> serve over TCP -> tell the data plane. Answers the REST API meanwhile.
//
// Threads of its own: one says which feeds are due, a fixed number refreshes them, so that slow
// sources hold up only themselves (fetch/work_queue.h); one builds when something changed (after a
// short quiet time, so that a hundred changes of feeds make one build; an edit is built at once).
// Builds never overlap, nor do refreshes of one feed.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/api/operations.h"
#include "controlplane/compile/compile.h"
#include "controlplane/coordinator/builder.h"
#include "controlplane/coordinator/operator_zones.h"
#include "controlplane/coordinator/options.h"
#include "controlplane/coordinator/watched.h"
#include "controlplane/dns/server.h"
#include "controlplane/dns/snapshot_slot.h"
#include "controlplane/fetch/fetch.h"
#include "controlplane/fetch/work_queue.h"
#include "controlplane/publish/publisher.h"
#include "controlplane/store/store.h"
#include "zones/snapshot/snapshot.h"

namespace merlon::feeds {
struct ParsedFeed;
}

namespace merlon::coordinator {

class Coordinator final : public api::Operations {
 public:
  // The references outlive the coordinator.
  Coordinator(store::Store& store, publish::Publisher& publisher, dns::SnapshotSlot& slot,
              Options options);
  ~Coordinator() override;

  // DNS over TCP: for activity(), and told which certificates devices must show. It outlives the
  // coordinator's threads and callers. Before start().
  void watch(dns::Server& server) { dns_server_ = &server; }
  // Serves what is in force on disk (a damaged one is said and replaced by a build), builds when
  // the store has moved on since, and starts the threads. Once in a coordinator's life.
  Status start();
  // Whatever waits for a feed's server or the data plane gives up soon, and so do its callers.
  void cancel_waits() { stop_now_ = true; }
  // Ends the threads, and whatever waits for a feed's server or the data plane, within seconds.
  void stop();

  Result<api::ControlPlaneStatus> status() override;
  Result<std::vector<store::FeedRecord>> feeds() override;
  Result<store::FeedRecord> feed(const std::string& id) override;
  Status add_feed(const store::FeedDefinition& definition) override;
  Status remove_feed(const std::string& id) override;
  Result<api::RefreshReport> refresh_feed(const std::string& id) override;
  Status put_content(const std::string& id, std::string_view content) override;
  Result<api::RefreshReport> accept_feed(const std::string& id) override;
  Result<api::FeedSafety> feed_safety(const std::string& id) override;
  Result<api::FeedsReport> feeds_report(const std::vector<std::string>& ids) override;
  Result<api::ProbeReport> probe_feed(const std::string& url, const std::string& format) override;
  Result<std::vector<api::ListInfo>> lists() override;
  Result<api::ListInfo> list(const std::string& name) override;
  Result<std::vector<api::ZoneInfo>> zones() override;
  Result<std::vector<api::ZoneInfo>> reload_zones() override;
  Result<api::ZoneInfo> check_zone(const api::ZoneText& text) override;
  Result<std::vector<store::Device>> devices() override;
  Result<store::Device> add_device(const store::Device& device) override;
  Result<store::Device> device(const std::string& name) override;
  Result<store::Device> replace_device(const store::Device& device) override;
  Status remove_device(const std::string& name) override;
  Result<std::vector<store::Account>> accounts() override;
  Result<store::Account> account(const std::string& name) override;
  Result<store::Account> add_account(const store::Account& account) override;
  Result<store::Account> replace_account(const store::Account& account) override;
  Status remove_account(const std::string& name, const store::RemoveAccount& options) override;
  Result<api::Published> published_of(const std::string& account) override;
  Result<std::vector<store::CustomList>> lists_of(const std::string& account) override;
  Result<store::CustomList> list_of(const std::string& account, const std::string& name) override;
  Result<store::CustomList> add_list(const store::CustomList& list) override;
  Status remove_list(const std::string& account, const std::string& name) override;
  Result<store::EntryPage> entries_of(const std::string& account, const std::string& list,
                                      const store::EntryRange& range) override;
  Result<store::EntryReport> add_entries(const std::string& account, const std::string& list,
                                         std::span<const store::CustomEntry> entries,
                                         store::OnFault on_fault) override;
  Result<store::EntryReport> remove_entries(const std::string& account, const std::string& list,
                                            std::span<const std::string> values,
                                            store::OnFault on_fault) override;
  Result<std::vector<store::Policy>> policies_of(const std::string& account) override;
  Result<store::Policy> policy(const std::string& account, const std::string& name) override;
  Result<store::Policy> add_policy(const store::Policy& policy) override;
  Result<store::Policy> replace_policy(const store::Policy& policy) override;
  Status remove_policy(const std::string& account, const std::string& name) override;
  Result<api::ZoneFile> zone_file(const std::string& token_digest, const std::string& apex,
                                  const std::string& source) override;
  Result<api::Dnssec> dnssec_zones() override;
  Result<api::DnssecZone> dnssec_zone(const std::string& apex) override;
  Result<api::DnssecZone> start_rollover(const std::string& apex,
                                         const api::RolloverRequest& request) override;
  Result<api::DnssecZone> ds_seen(const std::string& apex) override;
  Status confirm_clock() override;
  Result<std::vector<api::SnapshotInfo>> snapshots() override;
  Result<api::BuildReport> build_snapshot() override;
  Result<api::BuildReport> activate_snapshot(uint64_t generation) override;
  Result<api::BuildReport> rollback_snapshot() override;
  Result<std::vector<std::string>> verify_snapshot(uint64_t generation) override;
  Result<std::string> dataplane(const std::string& command) override;
  Result<api::Activity> activity() override;
  Result<std::string> forwarding() override;
  Result<api::TcpClients> tcp_clients() override;
  Result<api::CheckReport> check(const std::string& value,
                                 const api::CheckOptions& options = {}) override;
  Result<std::vector<api::CheckReport>> check_many(const std::vector<std::string>& values,
                                                   const api::CheckOptions& options) override;
  Result<api::BackupReport> backup(const std::string& directory) override;
  Result<api::Transfers> transfers() override;

 private:
  // What was built from what: kept per generation beside the snapshots.
  struct Catalogue {
    uint64_t revision = 0;  // of the store
    std::vector<api::ListInfo> lists;
  };
  // What the data plane said to a generation.
  struct Told {
    bool answered = false;
    std::string error;  // "": it serves it
  };

  // The build side; build_mutex_ is held.
  std::vector<OperatorSegment> operator_segments();
  Result<api::BuildReport> build_locked();
  Result<api::BuildReport> build_and_publish();
  Result<std::shared_ptr<const snapshot::Snapshot>> load(uint64_t generation);
  Result<api::BuildReport> publish_built(const Builder::Build& built);
  // The generation is read back and checked whole before it is put in force.
  Status check_and_put_in_force(uint64_t generation, const Catalogue& catalogue);
  Result<api::BuildReport> activate_locked(uint64_t generation);
  Status put_in_force(uint64_t generation, std::shared_ptr<const snapshot::Snapshot> snapshot);
  void clean_up();
  void tell_forwarder();
  Told tell_dataplane(uint64_t generation);
  std::string dataplane_word() const;
  Status save_catalogue(uint64_t generation, const Catalogue& catalogue) const;
  Result<Catalogue> load_catalogue(uint64_t generation) const;
  std::string catalogue_file(uint64_t generation) const;
  Status clean_up_catalogues() const;

  // The mutex of the feed is held.
  Result<api::RefreshReport> refresh_and_count(const store::FeedRecord& record);
  Result<api::RefreshReport> refresh_locked(const store::FeedRecord& record);
  Result<api::RefreshReport> not_changed(api::RefreshReport report, int64_t now);
  void refresh_if_due(const std::string& id);
  Result<api::RefreshReport> apply(api::RefreshReport report, const feeds::ParsedFeed& parsed,
                                   int64_t now, const Judged& judged);
  void keep_lines(const std::string& id, Bytes content);
  // Compares content with what the feed sent before.
  Judged judge(const store::FeedRecord& record, Bytes body, const feeds::ParsedFeed& parsed);
  // Quarantined content is kept for somebody to accept.
  void hold(const std::string& id, const fetch::FetchResult& fetched, const std::string& reason);
  void release(const std::string& id);  // what is held of the feed is of no use any more
  Result<std::vector<std::string>> feeds_to_report(const std::vector<std::string>& wanted) const;
  safety::Memory memory_of(const std::string& id) const;
  void remember(const std::string& id, const safety::Memory& memory);
  std::string held_file(const std::string& id) const;
  std::string other_feed_with(uint64_t set_hash, const store::FeedDefinition& definition) const;
  std::vector<safety::Protected> own_addresses() const;  // of all devices
  std::shared_ptr<const safety::Net> net() const;
  Status load_net();
  void watch_net();  // takes over files that changed
  void load_geo();   // trouble is logged: what was known stays
  std::shared_ptr<const enrich::Geo> geo() const;
  void run_builder();
  bool build_if_stale();  // false: the build failed
  void run_schedule();
  void run_refresher();
  fetch::FetchRequest request_for(const store::FeedDefinition& definition) const;
  std::mutex& mutex_of_feed(const std::string& id);
  // The builder hears of it: a change of a feed may have company soon, an edit has somebody who
  // waits for it.
  void feed_changed();
  void changed();
  void note_change(uint64_t edits);
  void signing_changed();
  std::string dnssec_word() const;
  void note_publications();
  // After the data plane was told; `before` is what was in force then.
  void tell_transfers(const dns::SnapshotPointer& before);
  void take_over_devices();
  void tell_certificates();
  void resume(uint64_t generation, const snapshot::Snapshot* served);
  template <class T>
  T told(T result);
  void expire_entries();
  void age_out();
  void compact_history();

  // Of check(), in check.cc: whose lists are looked at.
  struct CheckScope {
    std::string name;  // of an account; "": of everybody
    std::optional<uint32_t> number;
  };
  Result<CheckScope> scope_of(const api::CheckOptions& options) const;
  Result<api::CheckReport> look_up(const std::string& value, int64_t at);
  std::shared_ptr<const snapshot::Snapshot> snapshot_of(api::CheckReport& report);
  Status replay_lists(const std::vector<store::FeedRecord>& records, const CheckScope& scope,
                      api::CheckReport& report);
  Status add_own_allowed(const CheckScope& scope, const std::string& value,
                         api::CheckReport& report);
  void add_lines(const std::map<std::string, const store::FeedRecord*>& feeds,
                 api::CheckReport& report);

  store::Store& store_;
  publish::Publisher& publisher_;
  dns::SnapshotSlot& slot_;
  Options options_;
  snapshot::IndexKey index_key_ = snapshot::IndexKey::random();
  int64_t started_ = 0;
  dns::Server* dns_server_ = nullptr;

  std::mutex build_mutex_;  // builds, activations, and the next member
  Builder builder_;
  OperatorZones zones_;
  std::mutex devices_mutex_;                  // the next member
  std::optional<uint64_t> devices_revision_;  // of the store, that transfers know
  std::mutex infos_mutex_;                    // the next member: a manifest never changes
  std::map<uint64_t, api::SnapshotInfo> infos_;
  std::mutex facts_mutex_;  // the members up to the next mutex
  std::string last_build_error_;
  std::vector<std::string> problems_;             // of accounts' zones, as of the last build
  std::map<uint32_t, api::Published> published_;  // by account's number, without problems
  std::map<uint32_t, std::string> account_problems_;
  uint64_t built_revision_ = 0;
  uint64_t builds_ = 0;
  uint64_t builds_changed_ = 0;
  uint64_t build_failures_ = 0;
  double last_build_seconds_ = 0;
  uint64_t refreshes_ = 0;
  uint64_t refresh_failures_ = 0;
  std::map<std::string, std::unique_ptr<std::mutex>> feed_mutexes_;

  mutable Watched watched_;

  std::mutex wake_mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  uint64_t change_count_ = 0;
  uint64_t edit_count_ = 0;             // of these, changes that somebody waits for
  std::atomic<bool> stop_now_ = false;  // stopping_ for those who wait elsewhere
  std::thread build_thread_;
  std::atomic<int64_t> next_sweep_ = 0;     // over the history
  std::atomic<bool> build_wanted_ = false;  // though nothing in the store changed
  fetch::WorkQueue work_;
  fetch::MemoryBudget feed_memory_;
  std::counting_semaphore<> parse_slots_{2};  // parsing is not waiting: more would be no faster
  std::thread schedule_thread_;
  std::vector<std::thread> refreshers_;
};

}  // namespace merlon::coordinator

// SPDX-License-Identifier: Apache-2.0
// A control plane kept in memory: feeds are really read from their file:// addresses and parsed
// line by line, refreshes open and close observations, builds number their generations and can be
// rolled back. It has no store, no compiler and no data plane process, so tests of the REST API and
// of merlonctl run in milliseconds and on their own. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/api/operations.h"

namespace merlon::tests {

// What no list may hold, as in every real set-up.
inline constexpr std::string_view kNeverBlock[] = {"10.0.0.0/8", "127.0.0.0/8", "192.168.0.0/16",
                                                   "::1"};

class FakeOperations : public api::Operations {
 public:
  using Clock = std::function<int64_t()>;

  // Without a clock time starts at 2026-03-01T12:00:00Z and moves a second with every look.
  explicit FakeOperations(Clock clock = {});

  // The next operation fails with this error, respectively throws std::runtime_error.
  void fail_next(Error error);
  void throw_next(std::string message);
  // A data plane that is away answers neither status nor stats, and builds say so.
  void set_dataplane_away(std::string reason);
  void set_dataplane_answer(std::string json);  // to every command
  // To this command, with its arguments.
  void set_dataplane_answer(const std::string& command, std::string json);
  void set_activity(api::Activity activity);
  void set_transfers(api::Transfers transfers);
  void set_tcp_clients(api::TcpClients clients) { tcp_clients_ = std::move(clients); }

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
  // No zones but those of set_zones(); every text is good that has an SOA record.
  void set_zones(std::vector<api::ZoneInfo> zones) { zones_ = std::move(zones); }
  Result<std::vector<api::ZoneInfo>> zones() override { return zones_; }
  Result<std::vector<api::ZoneInfo>> reload_zones() override { return zones_; }
  Result<api::ZoneInfo> check_zone(const api::ZoneText& text) override {
    const bool good = text.text.contains("SOA");
    return api::ZoneInfo{.apex = text.apex,
                         .source = text.file,
                         .health = good ? "good" : "refused",
                         .error = good ? "" : text.file + ": no SOA record of " + text.apex};
  }
  // A zone with one key; none is signed before the first.
  void sign_zone(const std::string& apex);
  Result<api::ZoneFile> zone_file(const std::string& token_digest, const std::string& apex,
                                  const std::string& source) override;
  Result<api::Dnssec> dnssec_zones() override;
  Result<api::DnssecZone> dnssec_zone(const std::string& apex) override;
  Result<api::DnssecZone> start_rollover(const std::string& apex,
                                         const api::RolloverRequest& request) override;
  Result<api::DnssecZone> ds_seen(const std::string& apex) override;
  Status confirm_clock() override;
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
  Result<std::vector<api::SnapshotInfo>> snapshots() override;
  Result<api::BuildReport> build_snapshot() override;
  Result<api::BuildReport> activate_snapshot(uint64_t generation) override;
  Result<api::BuildReport> rollback_snapshot() override;
  Result<std::vector<std::string>> verify_snapshot(uint64_t generation) override;
  Result<std::string> dataplane(const std::string& command) override;
  Result<api::Activity> activity() override;
  Result<std::string> forwarding() override;
  Result<api::Transfers> transfers() override;
  Result<api::TcpClients> tcp_clients() override { return tcp_clients_; }
  Result<api::CheckReport> check(const std::string& value,
                                 const api::CheckOptions& options = {}) override;
  Result<std::vector<api::CheckReport>> check_many(const std::vector<std::string>& values,
                                                   const api::CheckOptions& options) override;
  Result<api::BackupReport> backup(const std::string& directory) override;

 private:
  std::vector<api::ZoneInfo> zones_;
  api::TcpClients tcp_clients_;
  api::Dnssec dnssec_;
  struct Feed {
    store::FeedRecord record;
    store::FeedSet set;
    std::string upload = {};
  };
  struct Snapshot {
    int64_t created = 0;
    uint64_t revision = 0;
    std::vector<api::ListInfo> lists;
    uint64_t name_count() const;
  };

  struct OwnList {
    store::CustomList list;
    std::map<std::string, store::CustomEntry> entries;  // by key
  };
  struct Account {
    store::Account account;
    std::map<std::string, OwnList> lists;
    std::map<std::string, store::Policy> policies;
  };

  // All with mutex_ held.
  Result<Account*> find_account(const std::string& name);
  Result<api::DnssecZone*> find_zone(const std::string& apex);
  Result<OwnList*> find_list(const std::string& account, const std::string& name);
  Account& account_named(const std::string& name);  // made when there is none
  Status injected();
  Result<Feed*> find_feed(const std::string& id);
  void apply(Feed& feed, store::FeedSet set, api::RefreshReport& report, int64_t now);
  std::vector<api::ListInfo> compile() const;
  api::BuildReport report_of(uint64_t generation, bool changed) const;

  std::mutex mutex_;
  Clock clock_;
  int64_t started_ = 0;
  std::optional<Error> next_error_;
  std::optional<std::string> next_exception_;
  std::string dataplane_away_;
  std::string dataplane_answer_;
  std::map<std::string, std::string> dataplane_answers_;
  api::Activity activity_;
  api::Transfers transfers_;
  uint64_t revision_ = 0;
  std::map<std::string, Feed> feeds_;
  std::vector<store::Observation> observations_;
  std::map<std::string, store::Device> devices_;
  std::map<std::string, Account> accounts_;
  uint32_t account_number_ = 0;
  uint32_t list_number_ = 0;
  uint32_t policy_number_ = 0;
  std::map<uint64_t, Snapshot> snapshots_;
  uint64_t current_ = 0;
  uint32_t device_number_ = 0;
};

}  // namespace merlon::tests

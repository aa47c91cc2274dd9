// SPDX-License-Identifier: Apache-2.0
// Zone transfers out: signed messages, AXFR (RFC 5936) and IXFR (RFC 1995), NOTIFY (RFC 1996). What
// a request gets:
//
//   TSIG        of a known key: verified; wrong ones get what RFC 8945 section 5.2 says. Everything
//               else is answered as if it were unsigned, and signed. A key that is not that of the
//               device whose source asks gets REFUSED
//   AXFR, IXFR  of a zone that the subject may see whole: an account's zones are its own, in a
//   shared
//               zone every name must be of its tier. A device that has a key must sign with it. All
//               others get one REFUSED, the same bytes whether the zone exists or not
//   IXFR        the differences of the journal, in one step when that is cheap to make, or the
//   whole
//               zone when there is no chain or it would be longer; over UDP what fits, or the SOA
//   the rest    is left to dns::answer_special()
//
// Its threads: one writes the journal and finds out who is to be told (changes.h), one tells them
// (notify.h). Thread-safe.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <span>

#include "controlplane/api/transfers.h"
#include "controlplane/compile/journal.h"
#include "controlplane/dns/service.h"
#include "controlplane/store/model.h"
#include "controlplane/transfer/changes.h"
#include "controlplane/transfer/facts.h"
#include "controlplane/transfer/keys.h"
#include "controlplane/transfer/message.h"
#include "controlplane/transfer/notify.h"
#include "controlplane/transfer/stream.h"
#include "controlplane/transfer/tsig.h"

namespace merlon::transfer {

struct ServiceOptions {
  compile::Journal* journal = nullptr;  // outlives the service; nullptr: whole zones only
  size_t transfers_per_account_max = 16;
  size_t transfers_max = 256;
  NotifierOptions notifier{};
  Clock clock = [] { return int64_t{std::time(nullptr)}; };
};

class Service final : public dns::SpecialHandler {
 public:
  // Errors: io (no sockets for NOTIFY).
  static Result<std::unique_ptr<Service>> start(ServiceOptions options);
  ~Service() override;

  std::optional<dns::Response> answer(const dns::Request& request) override;

  // From now on these are the devices. Returns what is wrong with them.
  std::vector<std::string> set_devices(std::span<const store::Device> devices,
                                       const name::Name& suffix);
  // `after` is in force, and the data plane knows. `before` may be null: nothing is known of what
  // secondaries have.
  void published(SnapshotPointer before, SnapshotPointer after);
  // Whether the differences of all generations up to this one are in the journal.
  bool is_behind(uint64_t generation) const { return follower_->is_behind(generation); }
  // A zone was given as a file over HTTPS, or was known to the client already.
  void file_given(const Facts::Asker& asker, uint32_t serial);
  // `served` may be null.
  api::Transfers facts(const snapshot::Snapshot* served) const;
  // Writes what is still to be written; afterwards it only answers.
  void stop();

 private:
  // A request whose signature was verified, or that has none.
  struct Asked {
    const dns::Request& request;
    const Message& read;
    const std::optional<Signer>& signer;
  };

  explicit Service(ServiceOptions options);
  std::optional<dns::Response> answer_signed(const dns::Request& request, const Message& read);
  dns::Response reject(const dns::Request& request, const Message& read, const KeyPointer& key,
                       Fault fault);
  dns::Response answer_ordinary(const Asked& asked);
  dns::Response answer_transfer(const Asked& asked);
  dns::Response answer_ixfr(const Asked& asked, ZonePointer zone);
  dns::Response whole_zone(const Asked& asked, ZonePointer zone);
  // The differences from the client's serial; nullopt: there are none, or they are too long.
  std::optional<Changes> changes_for(const Asked& asked, const snapshot::LoadedZone& zone) const;
  dns::Response one_message(const Asked& asked, RecordSource& source) const;
  dns::Response stream(const Asked& asked, std::unique_ptr<RecordSource> source,
                       std::string_view kind, uint32_t serial);
  dns::Response refuse(const Asked& asked, answer::Outcome outcome) const;
  void count_failure(const dns::Request& request, std::string key, std::string_view error,
                     int64_t skew_s);
  void on_change(const SnapshotPointer& snapshot, std::span<const ChangedZone> zones);

  const ServiceOptions options_;
  KeySlot keys_;
  ReplayWindow replays_;
  Slots slots_;
  Facts facts_;
  std::unique_ptr<Notifier> notifier_;
  std::unique_ptr<ChangeFollower> follower_;  // the last: it uses the others
};

// Whether the subject may have this zone whole.
bool may_transfer(const snapshot::LoadedZone& zone, const snapshot::Subject& subject);

}  // namespace merlon::transfer

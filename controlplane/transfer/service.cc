// SPDX-License-Identifier: Apache-2.0
#include "controlplane/transfer/service.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "controlplane/dns/special.h"
#include "controlplane/transfer/reply.h"
#include "controlplane/zonefile/transfer.h"
#include "zones/wire/wire.h"

namespace merlon::transfer {
namespace {

using answer::Outcome;
using answer::Transport;

// Differences up to this size are made one step at once; what is larger is sent step by step.
constexpr size_t kCondenseMax = size_t{1} << 20;
constexpr size_t kUdpChangesMax = 8192;
// What a kept difference takes in a message, at most, and a zone's name at least.
constexpr size_t kUnpackedFactor = 2;
constexpr size_t kNameSizeMin = 16;

Facts::Asker asker_of(const dns::Request& request, const Message& read) {
  return {.account = request.subject.account,
          .device = request.subject.device,
          .source = request.client.source,
          .apex = read.qname};
}

ZonePointer find_zone(const dns::Request& request, const name::Name& apex) {
  const snapshot::LoadedZone* zone = find_exactly(*request.snapshot, apex);
  if (zone == nullptr || !may_transfer(*zone, request.subject)) {
    return nullptr;
  }
  const auto& zones = request.snapshot->zones();
  return *std::ranges::find(zones, zone, [](const ZonePointer& one) { return one.get(); });
}

}  // namespace

bool may_transfer(const snapshot::LoadedZone& zone, const snapshot::Subject& subject) {
  const snapshot::ZoneInfo& info = zone.view().info();
  if (info.account != 0) {
    return info.account == subject.account;
  }
  return std::ranges::all_of(zone.view().nodes(), [&](const snapshot::NodeEntry& node) {
    return ((node.tier_mask != 0 ? node.tier_mask : info.tier_mask) & subject.tier_mask) != 0;
  });
}

Service::Service(ServiceOptions options)
    : options_(std::move(options)),
      slots_(options_.transfers_per_account_max, options_.transfers_max) {}

Service::~Service() {
  stop();
}

Result<std::unique_ptr<Service>> Service::start(ServiceOptions options) {
  std::unique_ptr<Service> service(new Service(std::move(options)));
  auto notifier = Notifier::start(service->options_.notifier);
  if (!notifier) {
    return std::unexpected(notifier.error());
  }
  service->notifier_ = std::move(*notifier);
  service->follower_ = std::make_unique<ChangeFollower>(
      service->options_.journal,
      [raw = service.get()](const SnapshotPointer& snapshot, std::span<const ChangedZone> zones) {
        raw->on_change(snapshot, zones);
      });
  return service;
}

void Service::stop() {
  if (follower_ != nullptr) {
    follower_->stop();
  }
}

std::vector<std::string> Service::set_devices(std::span<const store::Device> devices,
                                              const name::Name& suffix) {
  auto table = std::make_shared<const KeyTable>(devices, suffix);
  std::vector<std::string> faults = table->faults();
  keys_.set(std::move(table));
  return faults;
}

void Service::published(SnapshotPointer before, SnapshotPointer after) {
  follower_->published(std::move(before), std::move(after));
}

api::Transfers Service::facts(const snapshot::Snapshot* served) const {
  api::Transfers all = facts_.all(served);
  all.notified = notifier_->facts();
  return all;
}

std::optional<dns::Response> Service::answer(const dns::Request& request) {
  Message read;
  if (!read_message(request.message, read) || (read.has_edns && read.edns_version != 0)) {
    return std::nullopt;
  }
  if (read.tsig) {
    return answer_signed(request, read);
  }
  const bool over_udp = request.limits.transport == Transport::udp;
  if (!read.is_transfer() || (over_udp && read.qtype == kTypeAxfr)) {
    return std::nullopt;
  }
  return answer_transfer({request, read, std::nullopt});
}

void Service::count_failure(const dns::Request& request, std::string key, std::string_view error,
                            int64_t skew_s) {
  facts_.key_failed({.key = std::move(key), .error = std::string(error), .clock_skew_s = skew_s},
                    request.client.source, options_.clock());
}

std::optional<dns::Response> Service::answer_signed(const dns::Request& request,
                                                    const Message& read) {
  const TsigRecord& tsig = *read.tsig;
  const KeyPointer key = keys_.get()->find(tsig.key);
  const int64_t now = options_.clock();
  const Fault fault =
      key == nullptr ? Fault::bad_key : verify_request(request.message, tsig, *key, now);
  if (fault != Fault::none) {
    const int64_t skew = fault == Fault::bad_time ? static_cast<int64_t>(tsig.time) - now : 0;
    count_failure(request, tsig.key.to_text(), to_string(fault), skew);
    return fault == Fault::bad_key ? std::nullopt  // answer_special() says so
                                   : std::optional(reject(request, read, key, fault));
  }
  const std::optional<Signer> signer(std::in_place, key, tsig);
  if (key->device != request.subject.device || key->account != request.subject.account) {
    count_failure(request, tsig.key.to_text(), "NOT_ITS_OWN", 0);
    return refuse({request, read, signer}, Outcome::refused_not_ours);
  }
  const bool over_udp = request.limits.transport == Transport::udp;
  if (!read.is_transfer() || (over_udp && read.qtype == kTypeAxfr)) {
    return answer_ordinary({request, read, signer});
  }
  // Over UDP the same bytes come again when an answer was lost.
  if (!over_udp && !replays_.admit(*key, tsig, now)) {
    count_failure(request, tsig.key.to_text(), to_string(Fault::bad_time), 0);
    return reject(request, read, key, Fault::bad_time);
  }
  return answer_transfer({request, read, signer});
}

// Without OPT: the client's may have been changed on the way.
dns::Response Service::reject(const dns::Request& request, const Message& read,
                              const KeyPointer& key, Fault fault) {
  dns::Response response{.outcome = Outcome::notauth_tsig};
  response.message.resize(dns::kSpecialReplySizeMax);
  const bool malformed = fault == Fault::malformed;
  response.message.resize(dns::write_bare_reply(
      request.message, malformed ? wire::rcode::formerr : wire::rcode::notauth, response.message));
  if (malformed) {
    response.outcome = Outcome::formerr_record;
  } else if (fault == Fault::bad_sig) {
    append_unsigned_fault(response.message, *read.tsig, fault);
  } else {
    Signer(key, *read.tsig).sign_fault(response.message, fault, options_.clock());
  }
  cut_to_fit(response, request, read);
  return response;
}

dns::Response Service::answer_ordinary(const Asked& asked) {
  return signed_answer(asked.request, asked.read, *asked.signer, options_.clock());
}

dns::Response Service::refuse(const Asked& asked, Outcome outcome) const {
  return bare_answer(asked.request, asked.read, asked.signer,
                     {.outcome = outcome, .now = options_.clock()});
}

dns::Response Service::answer_transfer(const Asked& asked) {
  const auto& [request, read, signer] = asked;
  if (read.question_end == 0 ||
      (read.qtype == kTypeIxfr && (read.authority_count != 1 || !read.client_serial))) {
    return refuse(asked, Outcome::formerr_record_count);  // RFC 1995 section 3
  }
  if (read.qclass != wire::kClassIn) {
    return refuse(asked, Outcome::refused_class);
  }
  if (request.client.tls == dns::Tls::before_1_3) {  // RFC 9103 section 7.1
    count_failure(request, signer ? read.tsig->key.to_text() : "", "TLS_TOO_OLD", 0);
    return refuse(asked, Outcome::refused_not_ours);
  }
  const std::shared_ptr<const KeyTable> keys = keys_.get();
  const Peer* peer = keys->peer(request.subject.device);
  const bool must_sign = peer != nullptr && peer->must_sign && !signer;
  if (must_sign) {
    count_failure(request, "", "UNSIGNED", 0);
  }
  ZonePointer zone = must_sign ? nullptr : find_zone(request, read.qname);
  facts_.asked(asker_of(request, read),
               zone == nullptr ? Facts::Verdict::may_not : Facts::Verdict::may, options_.clock());
  if (zone == nullptr) {
    return refuse(asked, Outcome::refused_not_ours);
  }
  return read.qtype == kTypeAxfr ? whole_zone(asked, std::move(zone))
                                 : answer_ixfr(asked, std::move(zone));
}

dns::Response Service::whole_zone(const Asked& asked, ZonePointer zone) {
  const uint32_t serial = zone->view().info().serial;
  return stream(asked, zone_records(std::move(zone)), "AXFR", serial);
}

dns::Response Service::answer_ixfr(const Asked& asked, ZonePointer zone) {
  const uint32_t serial = zone->view().info().serial;
  if (!zonefile::is_newer(serial, *asked.read.client_serial)) {
    const auto soa = soa_record(std::move(zone));
    return one_message(asked, *soa);
  }
  std::optional<Changes> changes = changes_for(asked, *zone);
  if (asked.request.limits.transport == Transport::tcp) {
    if (!changes) {
      return whole_zone(asked, std::move(zone));
    }
    const uint32_t serial_to = changes->serial_to();
    return stream(asked, std::move(*changes).records(), "IXFR", serial_to);
  }
  if (changes) {
    const uint32_t serial_to = changes->serial_to();
    const auto records = std::move(*changes).records();
    dns::Response response = one_message(asked, *records);
    if (!response.message.empty()) {
      facts_.given(asker_of(asked.request, asked.read), "IXFR", serial_to, options_.clock());
      return response;
    }
  }
  const auto soa = soa_record(std::move(zone));
  return one_message(asked, *soa);
}

void Service::file_given(const Facts::Asker& asker, uint32_t serial) {
  const int64_t now = options_.clock();
  facts_.asked(asker, Facts::Verdict::may, now);
  facts_.given(asker, "file", serial, now);
}

std::optional<Changes> Service::changes_for(const Asked& asked,
                                            const snapshot::LoadedZone& zone) const {
  if (options_.journal == nullptr) {
    return std::nullopt;
  }
  const uint32_t serial_from = *asked.read.client_serial;
  const name::Name& apex = asked.read.qname;
  auto chain = options_.journal->chain(apex, serial_from, zone.view().info().serial);
  if (!chain && chain.error().code == ErrorCode::not_found &&
      is_behind(asked.request.snapshot->generation())) {
    // The last difference is being written: those up to it are as good, and NOTIFY follows.
    if (const auto newest = options_.journal->newest(apex);
        newest && zonefile::is_newer(*newest, serial_from)) {
      chain = options_.journal->chain(apex, serial_from, *newest);
    }
  }
  if (!chain || chain->empty()) {
    if (!chain && chain.error().code != ErrorCode::not_found) {
      spdlog::error("differences of {}: {}", apex.to_text(), chain.error().message);
    }
    return std::nullopt;
  }
  size_t kept = 0;
  for (const std::vector<uint8_t>& payload : *chain) {
    kept += payload.size();
  }
  const bool over_udp = asked.request.limits.transport == Transport::udp;
  if (over_udp && kept > kUdpChangesMax) {
    return std::nullopt;
  }
  auto changes = Changes::make(std::move(*chain));
  if (!changes || (kept <= kCondenseMax && !changes->condense())) {
    return std::nullopt;
  }
  const size_t size =
      std::max(changes->size(), changes->step_count() > 1 ? kept * kUnpackedFactor : size_t{0});
  // The zone is looked at only when it is not clearly larger.
  if (size > zone.view().nodes().size() * kNameSizeMin && size > transfer_size(zone)) {
    return std::nullopt;
  }
  return std::move(*changes);
}

dns::Response Service::one_message(const Asked& asked, RecordSource& source) const {
  WriterOptions options = writer_options(asked.request, asked.read, asked.signer);
  return {.outcome = Outcome::answered,
          .message = as_one_message(source, std::move(options), options_.clock())};
}

dns::Response Service::stream(const Asked& asked, std::unique_ptr<RecordSource> source,
                              std::string_view kind, uint32_t serial) {
  Slots::Place place = slots_.take(asked.request.subject.account);
  if (!place) {
    return refuse(asked, Outcome::refused_by_verb);
  }
  dns::Response response{.outcome = Outcome::answered};
  response.stream = std::make_unique<Stream>(Stream::Parts{
      .source = std::move(source),
      .writer = writer_options(asked.request, asked.read, asked.signer),
      .place = std::move(place),
      .clock = options_.clock,
      .done = [this, asker = asker_of(asked.request, asked.read), kind = std::string(kind),
               serial] { facts_.given(asker, kind, serial, options_.clock()); }});
  return response;
}

void Service::on_change(const SnapshotPointer& snapshot, std::span<const ChangedZone> zones) {
  struct Listener {
    const Peer* peer;
    const snapshot::Subject* subject;
  };
  const std::shared_ptr<const KeyTable> keys = keys_.get();
  std::multimap<uint32_t, Listener> listeners;  // by account
  for (const snapshot::Subject& subject : snapshot->access()->view.subjects()) {
    const Peer* peer = keys->peer(subject.device);
    if (peer != nullptr && !peer->notify.empty()) {
      listeners.emplace(subject.account, Listener{peer, &subject});
    }
  }
  std::map<std::string, uint32_t> serials;
  std::vector<News> news;
  for (const ChangedZone& zone : zones) {
    const snapshot::ZoneInfo& info = zone.after->view().info();
    if (zone.before != nullptr && zone.before->view().info().serial == info.serial) {
      continue;
    }
    const auto apex = name::Name::from_wire(zone.after->view().apex());
    serials[apex->folded().to_text()] = info.serial;
    auto [at, end] = info.account == 0 ? std::pair(listeners.begin(), listeners.end())
                                       : listeners.equal_range(info.account);
    for (; at != end; ++at) {
      const auto& [peer, subject] = at->second;
      if (!may_transfer(*zone.after, *subject)) {
        continue;
      }
      for (const Target& target : peer->notify) {
        news.push_back({.device = peer->name,
                        .target = target,
                        .key = peer->key,
                        .apex = *apex,
                        .serial = info.serial});
      }
    }
  }
  facts_.published(serials, options_.clock());
  notifier_->tell(std::move(news));
}

}  // namespace merlon::transfer

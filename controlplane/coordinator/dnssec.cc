// SPDX-License-Identifier: Apache-2.0
// Keys and rollovers: the signer's word, and a build when somebody moved a rollover on.
#include "controlplane/dnssec/zone_signer.h"

#include <spdlog/spdlog.h>

#include "controlplane/coordinator/coordinator.h"

namespace merlon::coordinator {
namespace {

std::unexpected<Error> nothing_is_signed() {
  return fail(ErrorCode::unsupported,
              "no zone is signed: set `sign` to \"accounts\" or \"all\" in [dnssec], or name zones "
              "in `also`, and restart merlon-controlplane");
}

Result<name::Name> read_apex(const std::string& text) {
  const auto apex = name::Name::from_text(text);
  if (!apex) {
    return in(fmt::format("zone \"{}\"", text), apex.error());
  }
  return apex->folded();
}

// What to do when a zone has no keys; any other error as it is.
std::unexpected<Error> explain(const Error& error, const name::Name& apex,
                               const dnssec::Signer& signer) {
  if (error.code != ErrorCode::not_found) {
    return std::unexpected(error);
  }
  if (!signer.signs_anything()) {
    return nothing_is_signed();
  }
  if (!signer.signs(apex)) {
    return fail(ErrorCode::not_found,
                "zone {} is not signed; name it in `also` of [dnssec] and restart "
                "merlon-controlplane (`merlonctl dnssec list` shows the zones that have keys)",
                apex.to_text());
  }
  return fail(ErrorCode::not_found,
              "zone {} has no keys; a zone gets them when it is first built, and `merlonctl dnssec "
              "list` shows those that have some",
              apex.to_text());
}

std::string state_of(const dnssec::KeyState& key) {
  if (!key.is_in_use()) {
    return "removed";
  }
  if (key.signs_zone() || (key.role == dnssec::Role::ksk && key.signs_keys())) {
    return "active";
  }
  if (key.retire != 0) {
    return "retired";
  }
  return key.is_shown() ? "published" : "waiting";
}

api::DnssecZone to_api(const dnssec::ZoneReport& report, const dnssec::Signer& signer) {
  const dnssec::Rollover& rollover = report.keys.rollover;
  api::DnssecZone zone{
      .apex = report.apex.to_text(),
      .is_signed = signer.signs(report.apex),
      .rollover = std::string(to_string(rollover.kind)),
      .step = std::string(to_string(rollover.step)),
      .step_since = rollover.since,
      .awaits_ds = rollover.step == dnssec::Step::parent && rollover.since != 0 &&
                   rollover.ds_seen == 0 && signer.policy().trust == dnssec::Trust::confirmed,
      .next_step_at = report.next_step_at == dnssec::kNever ? 0 : report.next_step_at,
      .trust_anchors = report.dnskeys,
      .ds = report.ds};
  for (const dnssec::KeyState& key : report.keys.keys) {
    zone.keys.push_back({.tag = dnssec::key_tag(key.dnskey()),
                         .role = std::string(to_string(key.role)),
                         .algorithm = std::string(to_string(key.algorithm)),
                         .state = state_of(key),
                         .is_trust_anchor = is_trust_anchor(report.keys, key),
                         .created = key.created,
                         .published = key.publish,
                         .active = key.active,
                         .retired = key.retire,
                         .removed = key.remove});
  }
  return zone;
}

Result<dnssec::RolloverKind> read_request(const api::RolloverRequest& request,
                                          const dnssec::Signer& signer) {
  const auto kind = dnssec::parse_rollover_kind(request.kind);
  if (!kind || *kind == dnssec::RolloverKind::none) {
    return fail(ErrorCode::invalid_argument, "\"{}\" is none of ksk, zsk and algorithm",
                request.kind);
  }
  if (*kind != dnssec::RolloverKind::algorithm) {
    return kind;
  }
  const auto algorithm = dnssec::parse_algorithm(request.algorithm);
  if (!algorithm) {
    return std::unexpected(algorithm.error());
  }
  if (*algorithm != signer.policy().algorithm) {
    return fail(ErrorCode::conflict,
                "new keys are {} ones; set algorithm = \"{}\" in [dnssec], restart "
                "merlon-controlplane and ask again",
                to_string(signer.policy().algorithm), to_string(*algorithm));
  }
  return kind;
}

}  // namespace

Result<api::Dnssec> Coordinator::dnssec_zones() {
  api::Dnssec dnssec;
  const dnssec::Signer* signer = options_.dnssec;
  if (signer == nullptr) {
    return dnssec;
  }
  dnssec.enabled = signer->signs_anything();
  dnssec.trouble = signer->cache_trouble();
  const dnssec::SignerCounters counters = signer->counters();
  dnssec.signatures_made = counters.made;
  dnssec.signatures_reused = counters.reused;
  for (const dnssec::ZoneReport& report : signer->zones()) {
    dnssec.zones.push_back(to_api(report, *signer));
  }
  return dnssec;
}

Result<api::DnssecZone> Coordinator::dnssec_zone(const std::string& apex) {
  const auto name = read_apex(apex);
  if (!name) {
    return std::unexpected(name.error());
  }
  if (options_.dnssec == nullptr) {
    return nothing_is_signed();
  }
  const auto report = options_.dnssec->zone(*name);
  if (!report) {
    return explain(report.error(), *name, *options_.dnssec);
  }
  return to_api(*report, *options_.dnssec);
}

Result<api::DnssecZone> Coordinator::start_rollover(const std::string& apex,
                                                    const api::RolloverRequest& request) {
  const auto name = read_apex(apex);
  if (!name) {
    return std::unexpected(name.error());
  }
  if (options_.dnssec == nullptr) {
    return nothing_is_signed();
  }
  const auto kind = read_request(request, *options_.dnssec);
  if (!kind) {
    return std::unexpected(kind.error());
  }
  if (auto started = options_.dnssec->start_rollover(*name, *kind); !started) {
    return explain(started.error(), *name, *options_.dnssec);
  }
  spdlog::info("zone {}: {} rollover begun", name->to_text(), request.kind);
  signing_changed();
  return dnssec_zone(apex);
}

Result<api::DnssecZone> Coordinator::ds_seen(const std::string& apex) {
  const auto name = read_apex(apex);
  if (!name) {
    return std::unexpected(name.error());
  }
  if (options_.dnssec == nullptr) {
    return nothing_is_signed();
  }
  if (auto noted = options_.dnssec->ds_seen(*name); !noted) {
    return explain(noted.error(), *name, *options_.dnssec);
  }
  spdlog::info("zone {}: the DS of the new key is seen", name->to_text());
  signing_changed();
  return dnssec_zone(apex);
}

Status Coordinator::confirm_clock() {
  if (options_.dnssec == nullptr || !options_.dnssec->signs_anything()) {
    return nothing_is_signed();
  }
  if (auto confirmed = options_.dnssec->confirm_clock(); !confirmed) {
    return confirmed;
  }
  spdlog::info("the clock is confirmed for signing");
  signing_changed();
  return {};
}

// A build comes though the store is what it was.
void Coordinator::signing_changed() {
  zones_.want_signatures();
  build_wanted_ = true;
  changed();
}

std::string Coordinator::dnssec_word() const {
  const dnssec::Signer* signer = options_.dnssec;
  if (signer == nullptr || !signer->signs_anything()) {
    return "off";
  }
  const dnssec::SignerCounters counters = signer->counters();
  const std::string trouble = signer->cache_trouble();
  return fmt::format("{} signatures made since the start, {} reused{}{}", counters.made,
                     counters.reused, trouble.empty() ? "" : "; ", trouble);
}

}  // namespace merlon::coordinator

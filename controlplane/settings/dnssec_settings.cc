// SPDX-License-Identifier: Apache-2.0
#include "controlplane/settings/dnssec_settings.h"

#include "zones/settings/settings.h"

namespace merlon::controlplane {
namespace {

using settings::Kind;

constexpr std::string_view kSection = "dnssec";
constexpr int64_t kYear_s = 365 * 86400;
constexpr settings::Option kOptions[] = {
    {"sign", Kind::text, "\"none\"", 0, 0,
     "which zones: none, accounts (the zones below the suffix), all"},
    {"also", Kind::text_list, "[]", 0, 0, "zones that are signed whatever `sign` says"},
    {"never", Kind::text_list, "[]", 0, 0, "zones that are not signed whatever `sign` says"},
    {"algorithm", Kind::text, "\"ecdsa-p256\"", 0, 0,
     "of new keys: ecdsa-p256, ed25519; zones that have keys change by a rollover"},
    {"csk", Kind::boolean, "true", 0, 0, "one key a zone; false: a KSK and a ZSK"},
    {"dnskey_ttl_s", Kind::number, "3600", 1, 86400, "TTL of DNSKEY, CDS and CDNSKEY in seconds"},
    {"validity_s", Kind::number, "1209600", 3600, kYear_s,
     "how long a signature is valid; it is renewed when less than a quarter is left"},
    {"inception_back_s", Kind::number, "3600", 0, 86400,
     "how far back signatures begin, for clocks that are behind"},
    {"propagation_s", Kind::number, "3600", 0, kYear_s,
     "after how long every server has a generation; rollovers wait for it"},
    {"parent_ds_ttl_s", Kind::number, "86400", 0, kYear_s, "TTL of the DS records at the parent"},
    {"trust", Kind::text, "\"confirmed\"", 0, 0,
     "when a new KSK is trusted: confirmed (merlonctl dnssec ds-seen), hold_down (RFC 5011)"},
    {"hold_down_s", Kind::number, "2592000", 0, kYear_s, "RFC 5011's hold-down time"},
    {"zsk_lifetime_s", Kind::number, "0", 0, 10 * kYear_s,
     "after which a ZSK is rolled over by itself; 0: on request only"},
    {"ksk_lifetime_s", Kind::number, "0", 0, 10 * kYear_s,
     "after which a KSK or CSK is rolled over by itself; 0: on request only"},
    {"threads", Kind::number, "1", 1, 256, "threads that sign a zone"},
    {"clock_jump_max_s", Kind::number, "86400", 60, kYear_s,
     "a clock further off than this stops signing until it is confirmed"},
};

Result<std::vector<name::Name>> names_of(const settings::Section& section, std::string_view key) {
  std::vector<name::Name> names;
  for (const std::string& text : section.text_list(key)) {
    const auto name = name::Name::from_text(text);
    if (!name) {
      return in(fmt::format("[dnssec] {}: \"{}\"", key, text), name.error());
    }
    names.push_back(name->folded());
  }
  return names;
}

Status read_policy(const settings::Section& section, dnssec::SignerOptions& out) {
  const auto algorithm = dnssec::parse_algorithm(section.text("algorithm"));
  if (!algorithm) {
    return in("[dnssec] algorithm", algorithm.error());
  }
  const std::string& trust = section.text("trust");
  if (trust != "confirmed" && trust != "hold_down") {
    return fail(ErrorCode::invalid_argument,
                "[dnssec] trust: \"{}\" is neither confirmed nor hold_down", trust);
  }
  out.policy = {.layout = section.boolean("csk") ? dnssec::Layout::csk : dnssec::Layout::split,
                .algorithm = *algorithm,
                .trust = trust == "confirmed" ? dnssec::Trust::confirmed : dnssec::Trust::hold_down,
                .propagation_s = section.number("propagation_s"),
                .parent_ds_ttl_s = section.number("parent_ds_ttl_s"),
                .hold_down_s = section.number("hold_down_s"),
                .signature_validity_s = section.number("validity_s"),
                .zsk_lifetime_s = section.number("zsk_lifetime_s"),
                .ksk_lifetime_s = section.number("ksk_lifetime_s")};
  return {};
}

}  // namespace

Result<dnssec::SignerOptions> load_dnssec_settings(const std::string& path,
                                                   const Settings& settings) {
  const auto section = settings::Section::load(path, kSection, kOptions);
  if (!section) {
    return std::unexpected(section.error());
  }
  const auto scope = dnssec::parse_scope(section->text("sign"));
  const auto also = names_of(*section, "also");
  const auto never = names_of(*section, "never");
  if (!scope || !also || !never) {
    return in(path, !scope ? scope.error() : !also ? also.error() : never.error());
  }
  dnssec::SignerOptions out{.keys_path = settings.state_directory + "/keys",
                            .suffix = settings.compile.suffix,
                            .scope = *scope,
                            .also = *also,
                            .never = *never,
                            .times = {.validity_s = section->number("validity_s"),
                                      .inception_back_s = section->number("inception_back_s")},
                            .dnskey_ttl_s = static_cast<uint32_t>(section->number("dnskey_ttl_s")),
                            .thread_count = static_cast<unsigned>(section->number("threads")),
                            .clock_jump_max_s = section->number("clock_jump_max_s")};
  if (auto done = read_policy(*section, out); !done) {
    return in(path, done.error());
  }
  return out;
}

std::string example_dnssec_settings() {
  return settings::example(kSection, kOptions);
}

}  // namespace merlon::controlplane

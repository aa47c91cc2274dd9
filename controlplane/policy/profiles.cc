// SPDX-License-Identifier: Apache-2.0
#include "controlplane/policy/profiles.h"

#include <algorithm>
#include <array>

namespace merlon::policy {
namespace {

constexpr uint32_t kFull4 = 4000;
constexpr uint32_t kFull6 = 2300;

constexpr auto kProfiles = std::to_array<Profile>({
    {"default", kFull4, kFull6, 0,
     "whatever takes a whole answer over TCP (Unbound, glibc and BSD resolvers, dig): as much as a "
     "message of 65,535 bytes holds with room for a signature"},
    {"aws-waf", kFull4, kFull6, 10'000,
     "AWS WAF and DNS Firewall filled by a script: an IP set holds 10,000 prefixes (AWS WAFv2 "
     "quotas)"},
    {"bind", 100, 100, 0,
     "BIND as forwarder, cache or secondary: max-records-per-type is 100 unless its "
     "configuration says otherwise; what has more fails (BIND reference manual)"},
    {"checkpoint", kFull4, kFull6, 0,
     "Check Point domain objects in FQDN mode, resolved by the gateway: no limit is documented"},
    {"cisco-asa", kFull4, kFull6, 0,
     "Cisco ASA and FTD FQDN objects: every address becomes an access list entry, whose number "
     "depends on the platform; set the policy's capacity to what yours takes (Cisco TSCM)"},
    {"forcepoint", kFull4, kFull6, 0,
     "Forcepoint NGFW domain names, asked every 6 minutes: no limit is documented"},
    {"fortigate", 1000, 1000, 128'000,
     "FortiGate: 1,000 addresses of a wildcard FQDN object, the one figure that is documented; "
     "128 K entries of an external list up to FortiOS 7.4.3 (Fortinet documents)"},
    {"ipset", kFull4, kFull6, 65'536,
     "Linux ipset filled by a script: maxelem is 65,536 unless the set was made with another"},
    {"juniper-srx", kFull4, kFull6, 0, "Juniper SRX dns-name addresses: no limit is documented"},
    {"mikrotik", 250, 140, 0,
     "MikroTik address lists by name: what fits into the 4,096 bytes of its max-udp-packet-size, "
     "as it keeps few TCP sessions (MikroTik DNS manual)"},
    {"musl", 48, 48, 0,
     "musl libc, so Alpine and OpenWrt programs that call getaddrinfo: MAXADDRS is 48, and a "
     "program should ask for one family at a time, as both share them (musl lookup.h)"},
    {"paloalto", 32, 32, 50'000,
     "Palo Alto FQDN objects: 32 addresses of each family since PAN-OS 7.1; 50,000 in all, which "
     "most models take (Palo Alto knowledge base, external dynamic lists)"},
    {"pf", kFull4, kFull6, 200'000,
     "pf of OpenBSD and FreeBSD filled by a script: the default table-entries limit is 200,000 "
     "(pf.conf manual)"},
    {"pfsense", kFull4, kFull6, 200'000,
     "pfSense aliases: all tables together may use half of 400,000 entries (Netgate "
     "documentation)"},
    {"powerdns", 256, 256, 0,
     "PowerDNS Recursor: recordcache.max_rrset_size is 256 unless its configuration says "
     "otherwise; what has more fails (PowerDNS documentation)"},
});

}  // namespace

std::span<const Profile> profiles() {
  return kProfiles;
}

const Profile* find_profile(std::string_view name) {
  if (name.empty()) {
    return &kProfiles.front();
  }
  const auto found = std::ranges::find(kProfiles, name, &Profile::name);
  return found == kProfiles.end() ? nullptr : &*found;
}

}  // namespace merlon::policy

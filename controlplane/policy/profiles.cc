// SPDX-License-Identifier: Apache-2.0
#include "controlplane/policy/profiles.h"

#include <algorithm>
#include <array>

namespace merlon::policy {
namespace {

constexpr auto kProfiles = std::to_array<Profile>({
    {"default", 4000, 2300, 0,
     "takes a whole DNS message over TCP: Unbound, BIND with max-records-per-type 0, scripts with "
     "dig, pf, ipset, nft"},
    {"bind", 100, 100, 0,
     "BIND as it comes, which refuses more than 100 records of a type at a name "
     "(max-records-per-type)"},
    {"powerdns", 256, 256, 0,
     "PowerDNS Recursor as it comes, which refuses more than 256 records "
     "(recordcache.max_rrset_size)"},
    {"palo-alto", 32, 32, 0,
     "Palo Alto Networks FQDN objects: 32 IPv4 and 32 IPv6 addresses each; an external dynamic "
     "list holds more"},
    {"musl", 48, 48, 0, "systems on musl (Alpine, OpenWrt), whose getaddrinfo gives 48 addresses"},
    {"fortigate", 1000, 1000, 0, "FortiGate FQDN objects: 1000 addresses each"},
    {"palo-alto-edl", 4000, 2300, 50'000,
     "Palo Alto Networks external dynamic lists of most models: 50,000 addresses in all"},
    {"palo-alto-edl-large", 4000, 2300, 150'000,
     "Palo Alto Networks external dynamic lists of large models: 150,000 addresses in all"},
    {"fortigate-resource", 4000, 2300, 131'072,
     "FortiGate external resources before 7.4.4: 128 Ki entries each"},
    {"pfsense", 4000, 2300, 200'000,
     "pfSense aliases: half of the 400,000 table entries that it has as it comes"},
});

}  // namespace

std::span<const Profile> profiles() {
  return kProfiles;
}

const Profile* find_profile(std::string_view name) {
  if (name.empty()) {
    return &kProfiles.front();
  }
  const auto at = std::ranges::find(kProfiles, name, &Profile::name);
  return at == kProfiles.end() ? nullptr : &*at;
}

}  // namespace merlon::policy

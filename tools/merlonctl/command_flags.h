// SPDX-License-Identifier: Apache-2.0
// The flags of the commands, for command.cc.
#pragma once

#include <array>

#include "tools/merlonctl/command.h"

namespace merlon::merlonctl {

inline constexpr Flag kYes = {"--yes", "", "do not ask"};

inline constexpr auto kFeedAddFlags = std::to_array<Flag>({
    {"--url", "URL", "https://, ftp://, taxii+https://, file:///absolute/path, upload:, .."},
    {"--dir", "DIR", "one feed per file of DIR (or per entry of DIR/feeds.json), each refreshed"},
    {"--title", "TEXT", "a name for people"},
    {"--format", "NAME", "how to read it, as `feed probe` writes it (default: auto)"},
    {"--category", "NAME", "what it lists, an RSIT type (default: blacklist)"},
    {"--severity", "0-5", "5 is command and control (default: 3)"},
    {"--confidence", "0-100", "how far its entries are believed (default: 50)"},
    {"--direction", "block|allow", "allow: its entries are taken out of lists (default: block)"},
    {"--tier", "TIER", "who may see it: community, basic, advanced, operator (default: basic)"},
    {"--interval", "TIME", "between refreshes: 900, 15m, 1h, 1d (default: 1h)"},
    {"--size-max", "SIZE", "larger content is refused: 1000000, 64MiB (default: 64MiB)"},
    {"--not-in-basic", "", "keep its addresses out of the shared list `basic`"},
    {"--disabled", "", "define it without fetching it"},
    {"--provider", "TEXT", "who publishes it"},
    {"--licence", "TEXT", "under what terms"},
    {"--homepage", "URL", "where its publisher tells of it"},
    {"--credentials", "TEXT", "how we show who we are; secrets are in files"},
    {"--private-hosts", "", "its URL may lead to private and loopback addresses"},
    {"--ageing", "RULE", "when its entries stop counting (default: sudden_death)"},
    {"--copies", "FEED,..", "feeds that it takes its entries from"},
});
inline constexpr auto kProbeFlags = std::to_array<Flag>({
    {"--format", "NAME", "read it as this instead of guessing"},
    {"--write", "ID", "define a feed with this ID from it"},
});
inline constexpr auto kReportFlags =
    std::to_array<Flag>({{"--svg", "FILE", "a picture: overlap as a heat map, and bars"}});
inline constexpr auto kRefreshFlags =
    std::to_array<Flag>({{"--all", "", "every feed that is not disabled"}});
inline constexpr auto kCatalogueFlags = std::to_array<Flag>({
    {"--free", "", "all that anybody may use for any purpose"},
    {"--credentials", "TEXT", "for one that needs a key, as `show` says; secrets are in files"},
});
inline constexpr auto kDeviceAddFlags = std::to_array<Flag>({
    {"--account", "NAME", "whose device it is"},
    {"--source", "PREFIX,..", "addresses or prefixes that it asks from"},
    {"--tier", "TIER", "community, basic, advanced or operator (default: basic)"},
    {"--recursion", "on|off", "names of others are looked up for it (default: off)"},
    {"--dns-policy", "NAME",
     "the policy for those names (default, and \"\": all of the account's)"},
    {"--tsig", "ALGORITHM", "hmac-sha256 or hmac-sha512: a new key for its transfers; off: none"},
    {"--notify", "ADDRESS,..",
     "who is told of changes: 192.0.2.1, [2001:db8::1]:5353; off: nobody"},
    {"--certificate", "SHA256", "fingerprint of the one it must show over TLS; off: any or none"},
    {"--token", "new|off", "a new token for zone files over HTTPS, shown this once"},
});
inline constexpr auto kDeviceConfigFlags = std::to_array<Flag>({
    {"--for", "SERVER", "named, knot, nsd, unbound or pdns"},
    {"--address", "ADDRESS", "where it reaches this service: 192.0.2.53 or 192.0.2.53:5353"},
    {"--tls", "NAME", "unbound: transfers over TLS, with the name in our certificate"},
    {"--https", "HOST", "unbound: files over HTTPS from HOST or HOST:PORT, with a token"},
});
inline constexpr auto kDeviceSetFlags = std::to_array<Flag>({
    {"--source", "PREFIX,..", "addresses or prefixes that it asks from"},
    {"--tier", "TIER", "community, basic, advanced or operator (default: basic)"},
    {"--recursion", "on|off", "names of others are looked up for it (default: off)"},
    {"--dns-policy", "NAME",
     "the policy for those names (default, and \"\": all of the account's)"},
    {"--tsig", "ALGORITHM", "hmac-sha256 or hmac-sha512: a new key for its transfers; off: none"},
    {"--notify", "ADDRESS,..",
     "who is told of changes: 192.0.2.1, [2001:db8::1]:5353; off: nobody"},
    {"--certificate", "SHA256", "fingerprint of the one it must show over TLS; off: any or none"},
    {"--token", "new|off", "a new token for zone files over HTTPS, shown this once"},
});
inline constexpr auto kAccountFlags = std::to_array<Flag>({
    {"--title", "TEXT", "a name for people"},
    {"--tier", "TIER",
     "what it is entitled to: community, basic, advanced, operator "
     "(default: advanced)"},
});
inline constexpr auto kAccountRemoveFlags = std::to_array<Flag>({
    kYes,
    {"--with-contents", "", "remove its devices, lists and policies too"},
});
inline constexpr auto kCustomListAddFlags = std::to_array<Flag>({
    {"--direction", "block|allow", "allow: policies take its entries out (default: block)"},
    {"--title", "TEXT", "a name for people"},
});
inline constexpr Flag kFile = {"--file", "FILE", "read it from FILE, or from stdin for \"-\""};
inline constexpr Flag kSkipInvalid = {"--skip-invalid", "",
                                      "take the good values (default: one bad value refuses all)"};
inline constexpr auto kEntryListFlags = std::to_array<Flag>({
    {"--values", "", "only the values, one a line, as `entry add --file` reads them"},
});
inline constexpr auto kEntryAddFlags = std::to_array<Flag>({
    kFile,
    kSkipInvalid,
    {"--comment", "TEXT", "for those that have none of their own (in a file: after #)"},
    {"--expires", "TIME", "2026-12-31T23:59:59Z, or from now on: 12h, 30d (default: never)"},
});
inline constexpr auto kEntryRemoveFlags = std::to_array<Flag>({kFile, kSkipInvalid});
inline constexpr auto kPolicyAddFlags = std::to_array<Flag>({
    {"--kind", "ip|dns", "addresses for firewalls, or names for resolvers (default: ip)"},
    {"--title", "TEXT", "a name for people"},
    {"--category", "NAME,..", "what feeds of these categories list"},
    {"--feed", "ID,..", "what these feeds list"},
    {"--severity-min", "0-5", "what feeds of at least this severity list"},
    {"--confidence-min", "0-100", "what feeds of at least this confidence list"},
    {"--country", "CC,..", "of it, addresses in these countries: DE,FR"},
    {"--asn", "AS,..", "of it, addresses in these autonomous systems: AS3320,13335"},
    {"--list", "NAME,..", "own lists: those to block are added, those to allow taken out"},
    {"--action", "ACTION",
     "DNS: nxdomain, nodata, passthru, drop, tcp-only or garden "
     "(default: nxdomain)"},
    {"--list-action", "ACTION", "DNS: the action for own lists (default: as --action)"},
    {"--garden", "DOMAIN", "DNS: where the action garden sends to; may begin with *."},
    {"--profile", "NAME", "IP: what its devices can take (see policy profiles)"},
    {"--capacity", "NUMBER", "IP: addresses in all (default: as the profile says)"},
    {"--file", "FILE", "the policy as JSON, for several targets; \"-\" is stdin"},
    {"--replace", "", "replace the policy of this name"},
});
inline constexpr auto kStatsFlags = std::to_array<Flag>({
    {"--watch", "", "show what the counters grow by, per second, until Ctrl-C"},
    {"--interval", "TIME", "with --watch: between two looks (default: 1s)"},
    {"--count", "NUMBER", "with --watch: end after so many looks"},
});
inline constexpr auto kTopFlags =
    std::to_array<Flag>({{"--limit", "NUMBER", "how many at most (default: 20)"}});
inline constexpr auto kSubjectsFlags = std::to_array<Flag>({
    {"--account", "NAME", "only this account's devices"},
    {"--limit", "NUMBER", "how many at most (default: 1000)"},
});
inline constexpr auto kProfileFlags = std::to_array<Flag>(
    {{"--seconds", "TIME", "measure anew for so long (default: show the last measurement)"}});
inline constexpr auto kZoneCheckFlags =
    std::to_array<Flag>({{"--apex", "NAME", "the zone (default: the file's name without ending)"}});
inline constexpr auto kCheckFlags = std::to_array<Flag>({
    {"--at", "TIME", "as it was then: 2026-03-01T12:00:00Z"},
    {"--account", "NAME", "only shared lists and those of this account"},
    {"--file", "FILE", "up to 10000 values, one a line; - for stdin"},
});
inline constexpr auto kDsFlags = std::to_array<Flag>({
    {"--dnskey", "", "DNSKEY records, as trust anchor files hold them"},
});
inline constexpr auto kRolloverFlags = std::to_array<Flag>({
    {"--ksk", "", "the key that DS records name (also the only key of a zone)"},
    {"--zsk", "", "the key that signs the rest"},
    {"--algorithm", "NAME", "all keys, to the algorithm that [dnssec] has now"},
});
inline constexpr auto kYesFlags = std::to_array<Flag>({kYes});

}  // namespace merlon::merlonctl

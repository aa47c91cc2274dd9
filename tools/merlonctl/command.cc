// SPDX-License-Identifier: Apache-2.0
// The table of commands and what every command shares.
#include "tools/merlonctl/command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <iostream>

namespace merlon::merlonctl {
namespace {

constexpr uint32_t kQuickS = 30;
constexpr uint32_t kSlowS = 900;  // fetching, compiling, reading every segment

constexpr auto kGlobalFlags = std::to_array<Flag>({
    {"--socket", "PATH", "control socket (default: $MERLON_SOCKET, else /run/merlon/control.sock)"},
    {"--server", "https://HOST", "the REST API over HTTPS instead of the socket"},
    {"--token-file", "FILE", "with --server: the operator's token"},
    {"--ca-file", "FILE", "with --server: who may have issued its certificate (default: system's)"},
    {"--json", "", "print the REST API's answer as JSON"},
    {"--timeout", "SECONDS", "how long to wait for an answer (default: see the command)"},
    {"--dry-run", "", "print the requests that would change something instead of sending them"},
    {"--no-color", "", "no colours, also with NO_COLOR set or when stdout is not a terminal"},
    {"--help", "", "this help, or that of a command"},
    {"--version", "", "the version"},
});

constexpr Flag kYes = {"--yes", "", "do not ask"};

constexpr auto kFeedAddFlags = std::to_array<Flag>({
    {"--url", "URL", "http://, https:// or file:///absolute/path"},
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
constexpr auto kProbeFlags = std::to_array<Flag>({
    {"--format", "NAME", "read it as this instead of guessing"},
    {"--write", "ID", "define a feed with this ID from it"},
});
constexpr auto kRefreshFlags =
    std::to_array<Flag>({{"--all", "", "every feed that is not disabled"}});
constexpr auto kDeviceAddFlags = std::to_array<Flag>({
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
constexpr auto kDeviceConfigFlags = std::to_array<Flag>({
    {"--for", "SERVER", "named, knot, nsd, unbound or pdns"},
    {"--address", "ADDRESS", "where it reaches this service: 192.0.2.53 or 192.0.2.53:5353"},
    {"--tls", "NAME", "unbound: transfers over TLS, with the name in our certificate"},
    {"--https", "HOST", "unbound: files over HTTPS from HOST or HOST:PORT, with a token"},
});
constexpr auto kDeviceSetFlags = std::to_array<Flag>({
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
constexpr auto kAccountFlags = std::to_array<Flag>({
    {"--title", "TEXT", "a name for people"},
    {"--tier", "TIER",
     "what it is entitled to: community, basic, advanced, operator "
     "(default: advanced)"},
});
constexpr auto kAccountRemoveFlags = std::to_array<Flag>({
    kYes,
    {"--with-contents", "", "remove its devices, lists and policies too"},
});
constexpr auto kCustomListAddFlags = std::to_array<Flag>({
    {"--direction", "block|allow", "allow: policies take its entries out (default: block)"},
    {"--title", "TEXT", "a name for people"},
});
constexpr Flag kFile = {"--file", "FILE", "read it from FILE, or from stdin for \"-\""};
constexpr Flag kSkipInvalid = {"--skip-invalid", "",
                               "take the good values (default: one bad value refuses all)"};
constexpr auto kEntryListFlags = std::to_array<Flag>({
    {"--values", "", "only the values, one a line, as `entry add --file` reads them"},
});
constexpr auto kEntryAddFlags = std::to_array<Flag>({
    kFile,
    kSkipInvalid,
    {"--comment", "TEXT", "for those that have none of their own (in a file: after #)"},
    {"--expires", "TIME", "2026-12-31T23:59:59Z, or from now on: 12h, 30d (default: never)"},
});
constexpr auto kEntryRemoveFlags = std::to_array<Flag>({kFile, kSkipInvalid});
constexpr auto kPolicyAddFlags = std::to_array<Flag>({
    {"--kind", "ip|dns", "addresses for firewalls, or names for resolvers (default: ip)"},
    {"--title", "TEXT", "a name for people"},
    {"--category", "NAME,..", "what feeds of these categories list"},
    {"--feed", "ID,..", "what these feeds list"},
    {"--severity-min", "0-5", "what feeds of at least this severity list"},
    {"--confidence-min", "0-100", "what feeds of at least this confidence list"},
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
constexpr auto kStatsFlags = std::to_array<Flag>({
    {"--watch", "", "show what the counters grow by, per second, until Ctrl-C"},
    {"--interval", "TIME", "with --watch: between two looks (default: 1s)"},
    {"--count", "NUMBER", "with --watch: end after so many looks"},
});
constexpr auto kTopFlags =
    std::to_array<Flag>({{"--limit", "NUMBER", "how many at most (default: 20)"}});
constexpr auto kSubjectsFlags = std::to_array<Flag>({
    {"--account", "NAME", "only this account's devices"},
    {"--limit", "NUMBER", "how many at most (default: 1000)"},
});
constexpr auto kProfileFlags = std::to_array<Flag>(
    {{"--seconds", "TIME", "measure anew for so long (default: show the last measurement)"}});
constexpr auto kZoneCheckFlags =
    std::to_array<Flag>({{"--apex", "NAME", "the zone (default: the file's name without ending)"}});
constexpr auto kDsFlags = std::to_array<Flag>({
    {"--dnskey", "", "DNSKEY records, as trust anchor files hold them"},
});
constexpr auto kRolloverFlags = std::to_array<Flag>({
    {"--ksk", "", "the key that DS records name (also the only key of a zone)"},
    {"--zsk", "", "the key that signs the rest"},
    {"--algorithm", "NAME", "all keys, to the algorithm that [dnssec] has now"},
});
constexpr auto kYesFlags = std::to_array<Flag>({kYes});

constexpr auto kCommands = std::to_array<Command>({
    {"status",
     "",
     "",
     0,
     0,
     {},
     kQuickS,
     "the control plane at a glance",
     "merlonctl status",
     run_status},
    {"feed",
     "list",
     "",
     0,
     0,
     {},
     kQuickS,
     "all feeds with their health and counts",
     "merlonctl feed list",
     run_feed_list},
    {"feed",
     "show",
     "ID",
     1,
     1,
     {},
     kQuickS,
     "one feed: state, counts, rejected lines",
     "merlonctl feed show dshield",
     run_feed_show},
    {"feed", "add", "[ID]", 0, 1, kFeedAddFlags, kSlowS,
     "define a feed, or one per file of a folder",
     "merlonctl feed add dshield --url https://feeds.dshield.org/block.txt --interval 15m",
     run_feed_add},
    {"feed", "probe", "FILE|URL", 1, 1, kProbeFlags, kSlowS,
     "guess a source's format; what it would list, what not and why",
     "merlonctl feed probe https://example.net/list.csv --write example", run_feed_probe},
    {"feed", "refresh", "[ID...]", 0, kAnyCount, kRefreshFlags, kSlowS,
     "fetch feeds now and apply what they list", "merlonctl feed refresh dshield",
     run_feed_refresh},
    {"feed", "remove", "ID", 1, 1, kYesFlags, kQuickS, "forget a feed; what it listed is withdrawn",
     "merlonctl feed remove dshield --yes", run_feed_remove},
    {"list",
     "list",
     "",
     0,
     0,
     {},
     kQuickS,
     "the shared lists of the current snapshot",
     "merlonctl list list",
     run_list_list},
    {"list",
     "show",
     "NAME",
     1,
     1,
     {},
     kQuickS,
     "one shared list: its feeds, counts and DNS names",
     "merlonctl list show basic",
     run_list_show},
    {"zone",
     "list",
     "",
     0,
     0,
     {},
     kQuickS,
     "operators' zones: state, serial, what is wrong",
     "merlonctl zone list",
     run_zone_list},
    {"zone",
     "reload",
     "",
     0,
     0,
     {},
     kSlowS,
     "read zones that changed, and publish them",
     "merlonctl zone reload",
     run_zone_reload},
    {"zone", "check", "FILE", 1, 1, kZoneCheckFlags, kSlowS,
     "whether a zone file would be taken, and why not", "merlonctl zone check example.org.zone",
     run_zone_check},
    {"device",
     "list",
     "",
     0,
     0,
     {},
     kQuickS,
     "the devices that are answered",
     "merlonctl device list",
     run_device_list},
    {"device", "add", "NAME", 1, 1, kDeviceAddFlags, kQuickS, "let a device ask for lists",
     "merlonctl device add fw1 --account acme --source 192.0.2.1,2001:db8::/48", run_device_add},
    {"device", "set", "NAME", 1, 1, kDeviceSetFlags, kQuickS, "change what the flags name",
     "merlonctl device set fw1 --tsig hmac-sha256 --notify 192.0.2.1", run_device_set},
    {"device",
     "show",
     "NAME",
     1,
     1,
     {},
     kQuickS,
     "one device",
     "merlonctl device show fw1",
     run_device_show},
    {"device",
     "key",
     "NAME",
     1,
     1,
     {},
     kQuickS,
     "its key for transfers, as servers write it",
     "merlonctl device key fw1",
     run_device_key},
    {"device", "config", "NAME", 1, 1, kDeviceConfigFlags, kQuickS,
     "what its server needs to take the policy zones, ready to be pasted",
     "merlonctl device config ns1 --for named --address 192.0.2.53", run_device_config},
    {"device", "remove", "NAME", 1, 1, kYesFlags, kQuickS, "stop answering a device",
     "merlonctl device remove fw1 --yes", run_device_remove},
    {"account",
     "list",
     "",
     0,
     0,
     {},
     kQuickS,
     "all accounts",
     "merlonctl account list",
     run_account_list},
    {"account",
     "show",
     "NAME",
     1,
     1,
     {},
     kQuickS,
     "one account: its lists and policies",
     "merlonctl account show acme",
     run_account_show},
    {"account",
     "lists",
     "NAME",
     1,
     1,
     {},
     kQuickS,
     "what its devices find: counts, names, what did not fit",
     "merlonctl account lists acme",
     run_account_lists},
    {"account", "add", "NAME", 1, 1, kAccountFlags, kQuickS, "add an account",
     "merlonctl account add acme --tier advanced", run_account_add},
    {"account", "change", "NAME", 1, 1, kAccountFlags, kQuickS, "change its title or tier",
     "merlonctl account change acme --tier basic", run_account_change},
    {"account", "remove", "NAME", 1, 1, kAccountRemoveFlags, kQuickS, "forget an account",
     "merlonctl account remove acme --yes", run_account_remove},
    {"custom-list",
     "list",
     "ACCOUNT",
     1,
     1,
     {},
     kQuickS,
     "the lists that an account keeps itself",
     "merlonctl custom-list list acme",
     run_custom_list_list},
    {"custom-list",
     "show",
     "ACCOUNT NAME",
     2,
     2,
     {},
     kQuickS,
     "one such list and which policies use it",
     "merlonctl custom-list show acme blocked",
     run_custom_list_show},
    {"custom-list", "add", "ACCOUNT NAME", 2, 2, kCustomListAddFlags, kQuickS,
     "begin a list of an account's own", "merlonctl custom-list add acme blocked",
     run_custom_list_add},
    {"custom-list", "remove", "ACCOUNT NAME", 2, 2, kYesFlags, kQuickS,
     "forget such a list and its entries", "merlonctl custom-list remove acme blocked --yes",
     run_custom_list_remove},
    {"entry", "list", "ACCOUNT LIST", 2, 2, kEntryListFlags, kSlowS,
     "the entries of an account's own list", "merlonctl entry list acme blocked", run_entry_list},
    {"entry", "add", "ACCOUNT LIST [VALUE...]", 2, kAnyCount, kEntryAddFlags, kSlowS,
     "put addresses, prefixes, ranges, domains or *.domains on it",
     "merlonctl entry add acme blocked 192.0.2.7 bad.example --expires 30d", run_entry_add},
    {"entry", "remove", "ACCOUNT LIST [VALUE...]", 2, kAnyCount, kEntryRemoveFlags, kSlowS,
     "take values off it", "merlonctl entry remove acme blocked 192.0.2.7", run_entry_remove},
    {"policy",
     "list",
     "ACCOUNT",
     1,
     1,
     {},
     kQuickS,
     "an account's policies",
     "merlonctl policy list acme",
     run_policy_list},
    {"policy",
     "show",
     "ACCOUNT NAME",
     2,
     2,
     {},
     kQuickS,
     "one policy: its targets, lists and limits",
     "merlonctl policy show acme edge",
     run_policy_show},
    {"policy", "add", "ACCOUNT NAME", 2, 2, kPolicyAddFlags, kQuickS,
     "say what an account blocks, and how",
     "merlonctl policy add acme edge --category c2-server --severity-min 4 --list blocked",
     run_policy_add},
    {"policy", "remove", "ACCOUNT NAME", 2, 2, kYesFlags, kQuickS, "forget a policy",
     "merlonctl policy remove acme edge --yes", run_policy_remove},
    {"policy",
     "profiles",
     "",
     0,
     0,
     {},
     kQuickS,
     "what kinds of devices can take",
     "merlonctl policy profiles",
     run_policy_profiles},
    {"dnssec",
     "list",
     "",
     0,
     0,
     {},
     kSlowS,
     "signed zones, their keys and rollovers",
     "merlonctl dnssec list",
     run_dnssec_list},
    {"dnssec",
     "show",
     "ZONE",
     1,
     1,
     {},
     kQuickS,
     "one zone: its keys and what its rollover waits for",
     "merlonctl dnssec show acme.merlon.internal",
     run_dnssec_show},
    {"dnssec", "ds", "ZONE", 1, 1, kDsFlags, kQuickS, "DS records for the parent, or trust anchors",
     "merlonctl dnssec ds acme.merlon.internal --dnskey", run_dnssec_ds},
    {"dnssec", "rollover", "ZONE", 1, 1, kRolloverFlags, kQuickS,
     "replace a key; each step comes when it is safe",
     "merlonctl dnssec rollover acme.merlon.internal --ksk", run_dnssec_rollover},
    {"dnssec",
     "ds-seen",
     "ZONE",
     1,
     1,
     {},
     kQuickS,
     "the parent, or who validates, has the new key",
     "merlonctl dnssec ds-seen acme.merlon.internal",
     run_dnssec_ds_seen},
    {"dnssec",
     "confirm-clock",
     "",
     0,
     0,
     {},
     kQuickS,
     "a clock that jumped is right: sign again",
     "merlonctl dnssec confirm-clock",
     run_dnssec_confirm_clock},
    {"snapshot",
     "list",
     "",
     0,
     0,
     {},
     kQuickS,
     "the generations on disk",
     "merlonctl snapshot list",
     run_snapshot_list},
    {"snapshot",
     "build",
     "",
     0,
     0,
     {},
     kSlowS,
     "compile, publish and activate what is stored now",
     "merlonctl snapshot build",
     run_snapshot_build},
    {"snapshot", "activate", "GENERATION", 1, 1, kYesFlags, kSlowS, "serve another generation",
     "merlonctl snapshot activate 41 --yes", run_snapshot_activate},
    {"snapshot", "rollback", "", 0, 0, kYesFlags, kSlowS, "serve the generation before this one",
     "merlonctl snapshot rollback --yes", run_snapshot_rollback},
    {"snapshot",
     "verify",
     "[GENERATION]",
     0,
     1,
     {},
     kSlowS,
     "read every segment of a generation again (default: the current one)",
     "merlonctl snapshot verify 41",
     run_snapshot_verify},
    {"forward",
     "status",
     "",
     0,
     0,
     {},
     kQuickS,
     "upstreams and their health, the cache, what became of forwarded queries",
     "merlonctl forward status",
     run_forward_status},
    {"dataplane",
     "status",
     "",
     0,
     0,
     {},
     kQuickS,
     "what the data plane says of itself",
     "merlonctl dataplane status",
     run_dataplane_status},
    {"dataplane", "stats", "", 0, 0, kStatsFlags, kQuickS, "its counters that are not zero",
     "merlonctl dataplane stats --watch", run_dataplane_stats},
    {"dataplane", "top", "", 0, 0, kTopFlags, kQuickS,
     "the unknown sources that ask most, all of them refused", "merlonctl dataplane top",
     run_dataplane_top},
    {"dataplane", "subjects", "", 0, 0, kSubjectsFlags, kQuickS,
     "what each device asked and was told", "merlonctl dataplane subjects --account acme",
     run_dataplane_subjects},
    {"dataplane", "profile", "", 0, 0, kProfileFlags, kQuickS,
     "what a packet costs, stage by stage", "merlonctl dataplane profile --seconds 10",
     run_dataplane_profile},
    {"transfers",
     "",
     "",
     0,
     0,
     {},
     kQuickS,
     "who fetches which zones, who was told, whose keys are wrong",
     "merlonctl transfers",
     run_transfers},
    {"doctor",
     "",
     "[DEVICE]",
     0,
     1,
     {},
     kQuickS,
     "why devices do not get their lists, and what to do",
     "merlonctl doctor fw1",
     run_doctor},
    {"check",
     "",
     "ADDRESS|DOMAIN",
     1,
     1,
     {},
     kQuickS,
     "who lists a value, since when, on which lists",
     "merlonctl check 192.0.2.7",
     run_check},
});

}  // namespace

std::span<const Command> commands() {
  return kCommands;
}

std::span<const Flag> global_flags() {
  return kGlobalFlags;
}

std::string Command::name() const {
  return verb.empty() ? std::string(noun) : fmt::format("{} {}", noun, verb);
}

std::unexpected<Failure> failed(std::string message) {
  return std::unexpected(Failure{Exit::failed, std::move(message), {}});
}

std::unexpected<Failure> usage_error(std::string message) {
  return std::unexpected(Failure{Exit::usage, std::move(message), {}});
}

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void say(std::string_view text) {
  std::fflush(stdout);
  fmt::print(stderr, "{}\n", text);
}

void print_json(const Json& json) {
  print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

Done confirm(const Context& context, const std::string& question) {
  if (context.call.has("--yes") || context.dry_run) {
    return {};
  }
  if (::isatty(STDIN_FILENO) == 0) {
    return usage_error(
        fmt::format("{} There is no terminal to ask on: give --yes to do it", question));
  }
  fmt::print(stderr, "{} [y/N] ", question);
  std::fflush(stderr);
  std::string line;
  std::getline(std::cin, line);
  if (line == "y" || line == "Y" || line == "yes") {
    return {};
  }
  return failed("nothing was changed");
}

}  // namespace merlon::merlonctl

// SPDX-License-Identifier: Apache-2.0
#include "controlplane/doctor/doctor.h"

#include <algorithm>
#include <tuple>

#include "controlplane/doctor/rules.h"

namespace merlon::doctor {
namespace {

// With fewer it may be a packet that was lost.
constexpr size_t kNeverCameMin = 3;
constexpr uint64_t kSmallMin = 20;
constexpr uint64_t kLimitedMin = 10;
constexpr uint64_t kOutsideMin = 20;
// A device that asks once a day may be late for once.
constexpr int64_t kSilentAfter = 2 * kDay;

bool look_at_tcp(const Rule& rule) {
  const Input& input = rule.input;
  const Device& device = rule.device;
  const int64_t after = std::max(input.tcp_started, device.tcp.last);
  std::vector<int64_t> alone;  // truncated since, and long enough ago
  std::ranges::copy_if(device.udp.truncated_times, std::back_inserter(alone), [&](int64_t time) {
    return time > after && input.now - time >= kComesWithin;
  });
  if (alone.size() < kNeverCameMin || !rule.is_recent(std::ranges::max(alone))) {
    return false;
  }
  Finding& finding = rule.add(
      Severity::error, "tcp_blocked",
      fmt::format("its answers over UDP were cut off, so it was told to come over TCP, and never "
                  "{}: TCP port 53 is blocked on the way, or it does not ask over TCP",
                  device.tcp.queries == 0 ? "came" : "came back"),
      fmt::format("allow TCP port 53 from {} to this server on every firewall between; to check, "
                  "on the device: dig +tcp basic.{} @SERVER",
                  sources_text(device), input.suffix));
  finding.numbers = {{"truncated", static_cast<int64_t>(device.udp.truncated)},
                     {"truncated_last_unix_s", std::ranges::max(alone)},
                     {"tcp_queries", static_cast<int64_t>(device.tcp.queries)},
                     {"tcp_last_unix_s", device.tcp.last}};
  return true;
}

void look_at_edns(const Rule& rule, Severity severity) {
  const Udp& udp = rule.device.udp;
  const bool is_recent =
      !udp.truncated_times.empty() && rule.is_recent(std::ranges::max(udp.truncated_times));
  if (udp.would_fit < kSmallMin || !is_recent) {
    return;
  }
  rule.add(severity, "edns_missing",
           fmt::format("it asks without EDNS, so that answers over 512 bytes are cut off although "
                       "they would fit ({} of {})",
                       udp.would_fit, udp.truncated),
           "switch EDNS on in its DNS client with a size of 1232, and let UDP packets of that size "
           "pass on the way")
      .numbers = {{"would_fit", static_cast<int64_t>(udp.would_fit)},
                  {"truncated", static_cast<int64_t>(udp.truncated)}};
}

void look_at_limits(const Rule& rule) {
  const Udp& udp = rule.device.udp;
  if (udp.limited < kLimitedMin || udp.limited * 100 < udp.queries ||
      !rule.is_recent(udp.limited_last)) {
    return;
  }
  const bool is_foreign = udp.badcookie * 2 >= udp.limited;
  rule.add(
          Severity::warning, is_foreign ? "cookies_foreign" : "rate_limited",
          is_foreign ? fmt::format("over the rate limit with cookies that are not ours: {} of its "
                                   "queries were turned away, last {}",
                                   udp.limited, ago(rule.input.now, udp.limited_last))
                     : fmt::format("over the rate limit: {} of its {} queries were not answered, "
                                   "last {}",
                                   udp.limited, udp.queries, ago(rule.input.now, udp.limited_last)),
          is_foreign ? "give all servers that share an address the same cookie_secret_file; behind "
                       "a NAT whose address changes, register a prefix and raise the limit"
                     : "find out why it asks so often (it should keep answers for their TTL), let "
                       "it use DNS cookies, or raise the rate limit")
      .numbers = {{"limited", static_cast<int64_t>(udp.limited)},
                  {"badcookie", static_cast<int64_t>(udp.badcookie)},
                  {"queries", static_cast<int64_t>(udp.queries)}};
}

void look_at_verb(const Rule& rule) {
  const Udp& udp = rule.device.udp;
  if (udp.refused_by_verb == 0 || udp.last_useful == udp.last_seen) {
    return;
  }
  rule.add(Severity::error, "refused_by_entry", "its access entry says that it is refused",
           "if it should be answered, remove the device and add it again")
      .numbers = {{"refused_by_verb", static_cast<int64_t>(udp.refused_by_verb)}};
}

void look_at_recursion(const Rule& rule) {
  const Device& device = rule.device;
  const Udp& udp = device.udp;
  if (device.recursion || udp.outside < kOutsideMin || udp.outside * 10 < udp.queries ||
      !rule.is_recent(udp.outside_last)) {
    return;
  }
  Finding& finding = rule.add(
      udp.outside * 2 >= udp.queries ? Severity::error : Severity::warning, "recursion_refused",
      fmt::format("it asks for names that are not ours ({} of {} queries), and may not have them "
                  "looked up",
                  udp.outside, udp.queries),
      fmt::format("let only {} be sent here (a forward or stub zone), or: merlonctl device set {} "
                  "--recursion on",
                  rule.input.suffix, device.name));
  finding.numbers = {{"outside", static_cast<int64_t>(udp.outside)},
                     {"queries", static_cast<int64_t>(udp.queries)}};
  if (!udp.refused_name.empty()) {
    finding.texts = {{"last_name", udp.refused_name}};
  }
}

void look_at_silence(const Rule& rule) {
  const Input& input = rule.input;
  const Device& device = rule.device;
  const int64_t last = device.last_seen();
  if (last != 0) {
    if (input.now - last > kSilentAfter) {
      rule.add(Severity::warning, "silent",
               fmt::format("it has not asked since {}", ago(input.now, last)),
               fmt::format("check that it is up, that it still asks this server, and that its "
                           "address is still one of {}",
                           sources_text(device)))
          .numbers = {{"last_seen_unix_s", last}};
    }
    return;
  }
  // Who was there before the counting began may have asked before; then a day must be over.
  const int64_t counted = std::max(input.dataplane_started, input.tcp_started);
  const bool is_new = device.created >= counted;
  const int64_t silent = input.now - std::max(device.created, counted);
  if (silent < (is_new ? kHour : kDay)) {
    return;
  }
  rule.add(silent < kDay ? Severity::info : Severity::warning, "never_asked",
           is_new
               ? fmt::format("it has never asked since it was added {}",
                             ago(input.now, device.created))
               : fmt::format("it has not asked since counting began {}", ago(input.now, counted)),
           fmt::format("check that it asks this server for names below {}, that its packets leave "
                       "with one of its sources ({}), and that UDP and TCP port 53 are open",
                       input.suffix, sources_text(device)))
      .numbers = {{"created_unix_s", device.created}, {"counted_since_unix_s", counted}};
}

void look_at_snapshot(const Rule& rule) {
  if (rule.device.is_served || rule.input.now - rule.device.created < kMinute) {
    return;
  }
  rule.add(Severity::error, "not_served",
           fmt::format("the data plane does not know it: it was added {}, and the snapshot that is "
                       "served is older",
                       ago(rule.input.now, rule.device.created)),
           "see what holds up the build: merlonctl status; then: merlonctl snapshot build")
      .numbers = {{"created_unix_s", rule.device.created}};
}

void look_at(const Rule& rule) {
  look_at_snapshot(rule);
  if (rule.device.has_udp) {
    const bool is_blocked = look_at_tcp(rule);
    look_at_edns(rule, is_blocked ? Severity::warning : Severity::info);
    look_at_limits(rule);
    look_at_verb(rule);
    look_at_recursion(rule);
    look_at_silence(rule);
  }
  look_at_names(rule);
  look_at_transfers(rule);
}

void look_at_dataplane(const Input& input, Findings& findings) {
  if (input.dataplane_error.empty()) {
    return;
  }
  findings.push_back(
      {.severity = input.has_dataplane ? Severity::error : Severity::info,
       .code = "no_dataplane",
       .cause = fmt::format("nothing is known of UDP: {}", input.dataplane_error),
       .todo =
           input.has_dataplane
               ? "start merlon-dataplane, and look into its log; what is said here is of TCP and "
                 "transfers only"
               : "ask a server that has a data plane; what is said here is of TCP and transfers "
                 "only"});
}

}  // namespace

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::info:
      return "info";
    case Severity::warning:
      return "warning";
    case Severity::error:
      return "error";
  }
  return "unknown";
}

std::string_view to_string(Told told) {
  switch (told) {
    case Told::answered:
      return "answered";
    case Told::nodata:
      return "nodata";
    case Told::missing:
      return "nxdomain";
    case Told::refused:
      return "refused";
  }
  return "unknown";
}

int64_t Device::last_seen() const {
  return std::max(udp.last_seen, tcp.last);
}

bool is_asked_again(const AskedName& name) {
  return name.within_ttl >= kAgainMin && name.records > kSmallestResolverLimit &&
         name.told == Told::answered;
}

std::string ago(int64_t now, int64_t time) {
  if (time == 0) {
    return "never";
  }
  const int64_t age = std::max<int64_t>(0, now - time);
  if (age < 2 * kMinute) {
    return fmt::format("{} s ago", age);
  }
  if (age < 2 * kHour) {
    return fmt::format("{} min ago", age / kMinute);
  }
  return age < 2 * kDay ? fmt::format("{} h ago", age / kHour)
                        : fmt::format("{} d ago", age / kDay);
}

std::string sources_text(const Device& device) {
  constexpr size_t kShownMax = 3;
  std::string text;
  for (size_t i = 0; i < std::min(kShownMax, device.sources.size()); ++i) {
    text += (i == 0 ? "" : ", ") + to_text(device.sources[i]);
  }
  return device.sources.size() > kShownMax
             ? fmt::format("{} and {} more", text, device.sources.size() - kShownMax)
             : text;
}

std::vector<Finding> diagnose(const Input& input) {
  Findings findings;
  look_at_dataplane(input, findings);
  for (const Device& device : input.devices) {
    look_at({.input = input, .device = device, .findings = findings});
  }
  look_at_neighbours(input, findings);
  std::ranges::stable_sort(findings, [](const Finding& a, const Finding& b) {
    return a.severity != b.severity ? a.severity > b.severity
                                    : std::tie(a.account, a.device) < std::tie(b.account, b.device);
  });
  return findings;
}

}  // namespace merlon::doctor

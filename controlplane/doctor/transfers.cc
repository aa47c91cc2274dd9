// SPDX-License-Identifier: Apache-2.0
// Who takes zones: keys that do not fit, serials that stay behind, NOTIFY that nobody acknowledges.
#include <algorithm>
#include <cstdlib>

#include "controlplane/doctor/rules.h"

namespace merlon::doctor {
namespace {

// A secondary that is told takes seconds, one that looks by itself the SOA's refresh.
constexpr int64_t kBehindMax = 2 * kHour;
constexpr int64_t kBehindToldMax = 10 * kMinute;
constexpr int64_t kAcknowledgesWithin = 2 * kMinute;
constexpr uint32_t kTriesMin = 3;

struct KeyWords {
  std::string code;
  std::string cause;
  std::string todo;
};

std::string skew_text(int64_t skew) {
  return fmt::format("{} s {}", std::abs(skew), skew < 0 ? "behind" : "ahead of");
}

KeyWords words_of(const KeyFailure& failure, const Device& device) {
  const std::string key = device.key.empty() ? "(none is set)" : device.key;
  if (failure.error == "BADTIME") {
    return {"tsig_clock",
            fmt::format("its clock is {} ours, so that its signatures with key {} are not taken",
                        skew_text(failure.clock_skew_s), failure.key),
            "set its clock by NTP (and check this server's); up to 300 s are taken"};
  }
  if (failure.error == "BADKEY") {
    return {"tsig_key",
            fmt::format("it signs with key {}, which is not known, or with another algorithm than "
                        "that key's",
                        failure.key),
            fmt::format("let it sign with name and algorithm of its own key: {}", key)};
  }
  if (failure.error == "NOT_ITS_OWN") {
    return {"tsig_not_its_own",
            fmt::format("it signs with key {}, which is another device's", failure.key),
            fmt::format("let it sign with its own key: {}", key)};
  }
  if (failure.error == "UNSIGNED") {
    return {"tsig_unsigned", "it asks for transfers without a signature although it has a key",
            fmt::format("let it sign with its own key: {}", key)};
  }
  if (failure.error == "TLS_TOO_OLD") {
    return {"tls_too_old", "it asks for transfers over TLS 1.2, and they need 1.3 (RFC 9103)",
            "let it speak TLS 1.3, or transfer with its key over TCP"};
  }
  if (failure.error == "BADTRUNC") {
    return {"tsig_truncated",
            fmt::format("its signatures with key {} are cut too short", failure.key),
            "let it send whole signatures: no truncated HMAC in its configuration"};
  }
  return {"tsig_secret",
          fmt::format("its signatures with key {} are wrong: its secret is not ours", failure.key),
          "copy the key's secret to it anew, without blanks or line breaks"};
}

// A transfer after the failure shows that it was mended.
bool is_mended(const Device& device, const KeyFailure& failure) {
  return std::ranges::any_of(device.secondaries, [&failure](const Secondary& secondary) {
    return secondary.given > failure.last && secondary.source == failure.source;
  });
}

void look_at_keys(const Rule& rule) {
  for (const KeyFailure& failure : rule.device.key_failures) {
    if (failure.count == 0 || !rule.is_recent(failure.last) || is_mended(rule.device, failure)) {
      continue;
    }
    KeyWords words = words_of(failure, rule.device);
    Finding& finding = rule.add(Severity::error, "", std::move(words.cause), std::move(words.todo));
    finding.code = std::move(words.code);
    finding.numbers = {{"count", static_cast<int64_t>(failure.count)},
                       {"last_unix_s", failure.last}};
    if (failure.error == "BADTIME") {
      finding.numbers.emplace_back("clock_skew_s", failure.clock_skew_s);
    }
    finding.texts = {{"key", failure.key}, {"source", failure.source}, {"error", failure.error}};
  }
}

bool is_told(const Device& device, const Secondary& secondary) {
  return std::ranges::any_of(device.notified, [&secondary](const Notified& notified) {
    return notified.apex == secondary.apex && notified.acknowledged != 0;
  });
}

void add_secondary(const Rule& rule, const Secondary& secondary) {
  const int64_t now = rule.input.now;
  const bool asks = secondary.asked > secondary.behind_since;
  Finding& finding = rule.add(
      Severity::error, "secondary_behind",
      asks ? fmt::format("secondary {} has serial {} of {}, in force is {} since {}; it asks (last "
                         "{}) and takes nothing",
                         secondary.source, secondary.serial_given, secondary.apex,
                         secondary.serial_current, ago(now, secondary.behind_since),
                         ago(now, secondary.asked))
           : fmt::format("secondary {} has serial {} of {}, in force is {} since {}; it does not "
                         "ask (last {})",
                         secondary.source, secondary.serial_given, secondary.apex,
                         secondary.serial_current, ago(now, secondary.behind_since),
                         ago(now, secondary.asked)),
      asks ? "look into its log for the reason: its limits (BIND: max-records-per-type), its disk, "
             "or TCP port 53 from it to this server"
           : "let it be told of changes (the device's notify addresses), let it take NOTIFY from "
             "this server, and check that it is up");
  finding.numbers = {{"serial_given", secondary.serial_given},
                     {"serial_current", secondary.serial_current},
                     {"behind_s", now - secondary.behind_since},
                     {"refused", static_cast<int64_t>(secondary.refused)}};
  finding.texts = {{"zone", secondary.apex}, {"source", secondary.source}};
}

void look_at_secondaries(const Rule& rule) {
  for (const Secondary& secondary : rule.device.secondaries) {
    const bool has_old = secondary.transfers != 0 && secondary.behind_since != 0 &&
                         secondary.serial_given != secondary.serial_current;
    const int64_t patience = is_told(rule.device, secondary) ? kBehindToldMax : kBehindMax;
    if (has_old && rule.input.now - secondary.behind_since > patience) {
      add_secondary(rule, secondary);
    } else if (secondary.transfers == 0 && secondary.refused != 0 &&
               rule.is_recent(secondary.asked)) {
      Finding& finding = rule.add(
          Severity::error, "transfer_refused",
          fmt::format("its transfers of {} are refused ({} times, last {})", secondary.apex,
                      secondary.refused, ago(rule.input.now, secondary.asked)),
          "let it sign with its key, ask from its registered address, and ask for zones of its own "
          "account");
      finding.numbers = {{"refused", static_cast<int64_t>(secondary.refused)}};
      finding.texts = {{"zone", secondary.apex}, {"source", secondary.source}};
    }
  }
}

void look_at_notified(const Rule& rule) {
  for (const Notified& notified : rule.device.notified) {
    const bool was_given_up = !notified.error.empty();
    const bool is_late =
        notified.tries >= kTriesMin && rule.input.now - notified.sent > kAcknowledgesWithin;
    if (notified.acknowledged >= notified.sent || !(was_given_up || is_late) ||
        !rule.is_recent(notified.sent)) {
      continue;
    }
    Finding& finding = rule.add(
        Severity::warning, "notify_unheard",
        fmt::format("{} does not acknowledge that {} changed ({} tries{}{}), so it comes only when "
                    "its refresh time is over",
                    notified.target, notified.apex, notified.tries, was_given_up ? ": " : "",
                    notified.error),
        fmt::format(
            "let {} take NOTIFY from this server (BIND, Unbound: allow-notify), and let UDP "
            "port 53 pass to it",
            notified.target));
    finding.numbers = {
        {"tries", notified.tries}, {"sent_unix_s", notified.sent}, {"serial", notified.serial}};
    finding.texts = {{"zone", notified.apex}, {"target", notified.target}};
  }
}

}  // namespace

void look_at_transfers(const Rule& rule) {
  look_at_keys(rule);
  look_at_secondaries(rule);
  look_at_notified(rule);
}

}  // namespace merlon::doctor

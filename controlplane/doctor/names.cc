// SPDX-License-Identifier: Apache-2.0
// What a device asks for: names that are gone or not for it, and lists that are longer than what it
// keeps.
#include <algorithm>

#include "controlplane/doctor/rules.h"

namespace merlon::doctor {
namespace {

constexpr uint64_t kInVainMin = 3;

int64_t last_useful(const Device& device) {
  return std::max(device.udp.last_useful, device.tcp.last_useful);
}

// The last one that `told` fits; "" when there is none.
std::string last_name(const Device& device, Told told) {
  const AskedName* last = nullptr;
  for (const AskedName& name : device.tcp.names) {
    if (name.told == told && (last == nullptr || name.last > last->last)) {
      last = &name;
    }
  }
  return last == nullptr ? "" : last->name;
}

struct InVain {
  uint64_t count = 0;
  int64_t last = 0;
  std::string name{};
};

InVain in_vain(const Device& device, Told told) {
  const bool is_missing = told == Told::missing;
  InVain found{.count = is_missing ? device.udp.nxdomain : device.udp.hidden,
               .last = is_missing ? device.udp.missed_last : device.udp.hidden_last,
               .name = is_missing ? device.udp.missed_name : device.udp.refused_name};
  int64_t tcp_last = 0;
  for (const AskedName& name : device.tcp.names) {
    if (name.told == told) {
      found.count += name.count;
      tcp_last = std::max(tcp_last, name.last);
    }
  }
  if (tcp_last > found.last) {
    found.last = tcp_last;
    found.name = last_name(device, told);
  }
  return found;
}

// Nothing of what it asks for is there, or not for a day. Of a device that has names of others
// looked up it cannot be said: those are neither.
bool is_all_in_vain(const Rule& rule, const InVain& found) {
  const int64_t useful = last_useful(rule.device);
  return !rule.device.recursion && found.count >= kInVainMin && rule.is_recent(found.last) &&
         (useful == 0 || useful + kDay < found.last);
}

std::string quoted(const std::string& name) {
  return name.empty() ? "" : fmt::format(" (last: {})", name);
}

bool look_at_missing(const Rule& rule) {
  const InVain found = in_vain(rule.device, Told::missing);
  if (!is_all_in_vain(rule, found)) {
    return false;
  }
  Finding& finding = rule.add(
      Severity::error, "only_missing",
      fmt::format(
          "it asks only for names that do not exist{}: a list or policy that was removed or "
          "renamed, or a misspelt name",
          quoted(found.name)),
      fmt::format("let it ask for a list that there is: merlonctl list list; merlonctl account "
                  "lists {}",
                  rule.device.account));
  finding.numbers = {{"nxdomain", static_cast<int64_t>(found.count)},
                     {"last_unix_s", found.last},
                     {"last_useful_unix_s", last_useful(rule.device)}};
  finding.texts = {{"last_name", found.name}};
  return true;
}

// Counts what the data plane refused, so other names may be among them; a fifth is no accident.
void look_at_hidden(const Rule& rule) {
  const Device& device = rule.device;
  const InVain found = in_vain(device, Told::refused);
  const bool is_all = is_all_in_vain(rule, found);
  const bool is_much = found.count >= 4 * kInVainMin && found.count * 5 >= device.queries() &&
                       rule.is_recent(found.last);
  if (!is_all && !is_much) {
    return;
  }
  Finding& finding = rule.add(
      is_all ? Severity::error : Severity::warning, "not_for_it",
      fmt::format(
          "it asks for names that it may not see{}: tier {} does not have them, or they are "
          "another account's",
          quoted(found.name), device.tier),
      fmt::format(
          "let it ask for what it may see (merlonctl list list; merlonctl account lists {}), "
          "or: merlonctl device set {} --tier TIER",
          device.account, device.name));
  finding.numbers = {{"refused", static_cast<int64_t>(found.count)},
                     {"queries", static_cast<int64_t>(device.queries())},
                     {"last_useful_unix_s", last_useful(device)}};
  finding.texts = {{"last_name", found.name}, {"tier", device.tier}};
}

// Who takes a list part by part asks for the part behind the last one, too.
bool is_next_part(const Device& device, const std::string& missing) {
  const std::string label = missing.substr(0, missing.find('.'));
  const std::string rest = missing.substr(label.size());
  const std::string list = label.substr(0, label.find_last_not_of("0123456789") + 1);
  return list.size() != label.size() &&
         std::ranges::any_of(device.tcp.names, [&](const AskedName& other) {
           return other.told == Told::answered && other.name.starts_with(list) &&
                  other.name.ends_with(rest);
         });
}

void look_at_gone(const Rule& rule) {
  for (const AskedName& name : rule.device.tcp.names) {
    if (name.told != Told::missing || name.count < kInVainMin || !rule.is_recent(name.last) ||
        is_next_part(rule.device, name.name)) {
      continue;
    }
    Finding& finding =
        rule.add(Severity::warning, "name_missing",
                 fmt::format("it asks for {}, which does not exist (any more)", name.name),
                 fmt::format("take it out of the device's configuration, or have the list again: "
                             "merlonctl account lists {}",
                             rule.device.account));
    finding.numbers = {{"count", static_cast<int64_t>(name.count)}, {"last_unix_s", name.last}};
    finding.texts = {{"name", name.name}};
  }
}

std::string profile_words(const ListFacts* list) {
  if (list == nullptr) {
    return "";
  }
  return list->is_shared ? fmt::format(", and shared lists hold up to {} a name", list->per_name)
                         : fmt::format(", and {} is compiled with the profile \"{}\", {} a name",
                                       list->list, list->profile, list->per_name);
}

std::string profile_todo(const Rule& rule, const ListFacts* list) {
  const std::string own =
      list == nullptr || list->is_shared
          ? fmt::format(
                "take it from a policy of the profile bind (merlonctl policy add {} NAME "
                "--profile bind ..)",
                rule.device.account)
          : fmt::format(
                "give the policy the profile bind (merlonctl policy add {} {} --replace "
                "--profile bind ..)",
                rule.device.account, list->list);
  return own +
         ", or set max-records-per-type 0 in its named.conf (PowerDNS Recursor: "
         "recordcache.max_rrset_size)";
}

void look_at_repeats(const Rule& rule) {
  const AskedName* worst = nullptr;
  size_t name_count = 0;
  for (const AskedName& name : rule.device.tcp.names) {
    if (is_asked_again(name) && rule.is_recent(name.last)) {
      ++name_count;
      worst = worst == nullptr || name.within_ttl > worst->within_ttl ? &name : worst;
    }
  }
  if (worst == nullptr) {
    return;
  }
  const auto found = rule.input.lists.find(worst->name);
  const ListFacts* list = found == rule.input.lists.end() ? nullptr : &found->second;
  Finding& finding = rule.add(
      Severity::error, "list_too_long",
      fmt::format(
          "its resolver cannot keep {} ({} records) and asks again and again ({} times "
          "within its TTL of {} s): stock BIND takes {} records of a type under one name{}{}",
          worst->name, worst->records, worst->within_ttl, worst->ttl_s, kSmallestResolverLimit,
          worst->records > 256 ? ", PowerDNS Recursor 256" : "", profile_words(list)),
      profile_todo(rule, list));
  finding.numbers = {{"records", static_cast<int64_t>(worst->records)},
                     {"within_ttl", worst->within_ttl},
                     {"ttl_s", worst->ttl_s},
                     {"count", static_cast<int64_t>(worst->count)},
                     {"names", static_cast<int64_t>(name_count)}};
  finding.texts = {{"name", worst->name}, {"type", worst->type}};
  if (list != nullptr) {
    finding.texts.emplace_back("profile", list->profile);
  }
}

}  // namespace

void look_at_names(const Rule& rule) {
  if (!look_at_missing(rule)) {
    look_at_gone(rule);
  }
  look_at_hidden(rule);
  look_at_repeats(rule);
}

}  // namespace merlon::doctor

// SPDX-License-Identifier: Apache-2.0
#include "controlplane/api/doctor.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "controlplane/api/observe.h"
#include "controlplane/doctor/doctor.h"
#include "controlplane/policy/profiles.h"

namespace merlon::api {
namespace {

using Key = std::pair<uint32_t, uint32_t>;  // account and device by number

constexpr int kSubjectsMax = 10'000;  // the data plane's own limits
constexpr int kUnknownMax = 1000;

doctor::Udp udp_from_json(const Json& row) {
  const Json none = Json::object();
  const Json& troubles = row.contains("troubles") ? row.at("troubles") : none;
  const auto number = [](const Json& json, const char* key) {
    return json.value(key, uint64_t{0});
  };
  const auto time = [](const Json& json, const char* key) { return json.value(key, int64_t{0}); };
  return {.queries = number(row, "queries"),
          .last_seen = time(row, "last_seen_unix_s"),
          .last_useful = time(row, "last_useful_unix_s"),
          .nxdomain = number(row, "nxdomain"),
          .refused_by_verb = number(row, "refused_by_verb"),
          .truncated = number(troubles, "truncated"),
          .would_fit = number(troubles, "would_fit"),
          .truncated_times = troubles.value("truncated_unix_s", std::vector<int64_t>()),
          .limited = number(troubles, "limited"),
          .badcookie = number(troubles, "badcookie"),
          .limited_last = time(troubles, "limited_unix_s"),
          .outside = number(troubles, "outside"),
          .outside_last = time(troubles, "outside_unix_s"),
          .hidden = number(troubles, "hidden"),
          .hidden_last = time(troubles, "hidden_unix_s"),
          .refused_name = troubles.value("refused_name", std::string()),
          .missed_last = time(troubles, "missed_unix_s"),
          .missed_name = troubles.value("missed_name", std::string())};
}

doctor::Told told_from_text(const std::string& outcome) {
  return outcome == "answered"   ? doctor::Told::answered
         : outcome == "nodata"   ? doctor::Told::nodata
         : outcome == "nxdomain" ? doctor::Told::missing
                                 : doctor::Told::refused;
}

doctor::Tcp tcp_of(const TcpDevice& seen) {
  doctor::Tcp tcp{.queries = seen.queries, .last = seen.last, .last_useful = seen.last_useful};
  for (const AskedName& name : seen.names) {
    tcp.names.push_back({.name = name.name,
                         .type = name.type,
                         .told = told_from_text(name.outcome),
                         .count = name.count,
                         .last = name.last,
                         .records = name.records,
                         .ttl_s = name.ttl_s,
                         .within_ttl = name.within_ttl});
  }
  return tcp;
}

// One call's: collects the input piece by piece.
class Collector {
 public:
  Collector(Operations& operations, int64_t now) : operations_(operations) { input_.now = now; }

  Result<doctor::Input> collect(const std::string& wanted) {
    const auto status = operations_.status();
    const auto devices = operations_.devices();
    if (!status || !devices) {
      return std::unexpected(status ? devices.error() : status.error());
    }
    input_.suffix = status->suffix;
    if (!wanted.empty() &&
        std::ranges::find(*devices, wanted, &store::Device::name) == devices->end()) {
      return fail(ErrorCode::not_found, "there is no device \"{}\"", wanted);
    }
    for (const store::Device& device : *devices) {
      add_device(device);
    }
    add_dataplane();
    if (Status added = add_tcp(); !added) {
      return std::unexpected(added.error());
    }
    if (Status added = add_transfers(); !added) {
      return std::unexpected(added.error());
    }
    if (Status added = add_lists(); !added) {
      return std::unexpected(added.error());
    }
    return std::move(input_);
  }

 private:
  void add_device(const store::Device& device) {
    index_[{device.account_number, device.number}] = input_.devices.size();
    input_.devices.push_back({.account = device.account,
                              .name = device.name,
                              .tier = std::string(to_string(device.tier)),
                              .sources = device.sources,
                              .created = device.created,
                              .recursion = device.recursion,
                              .key = device.tsig_algorithm.empty()
                                         ? ""
                                         : fmt::format("{}.{}.{} ({})", device.name, device.account,
                                                       input_.suffix, device.tsig_algorithm)});
  }

  doctor::Device* device_of(Key key) {
    const auto found = index_.find(key);
    return found == index_.end() ? nullptr : &input_.devices[found->second];
  }

  doctor::Device* device_at(const std::string& source) {
    const auto address = address::parse_address(source);
    doctor::Device* best = nullptr;
    unsigned best_length = 0;
    for (doctor::Device& device : input_.devices) {
      for (const address::AnyPrefix& prefix : device.sources) {
        if (address && prefix.contains(*address) &&
            (best == nullptr || prefix.length > best_length)) {
          best = &device;
          best_length = prefix.length;
        }
      }
    }
    return best;
  }

  void add_dataplane() {
    const Result<Json> status = ask_dataplane(operations_, "status");
    const Result<Json> subjects =
        status ? ask_dataplane(operations_, fmt::format("subjects {}", kSubjectsMax)) : status;
    const Result<Json> top =
        subjects ? ask_dataplane(operations_, fmt::format("top {}", kUnknownMax)) : subjects;
    if (!top) {
      input_.dataplane_error = top.error().message;
      input_.has_dataplane = top.error().code != ErrorCode::unsupported;
      return;
    }
    input_.dataplane_started = status->value("started_unix_s", int64_t{0});
    const Json& rows = subjects->at("subjects");
    std::set<Key> known;
    for (const Json& row : rows) {
      const Key key{row.at("account").get<uint32_t>(), row.at("device").get<uint32_t>()};
      if (doctor::Device* device = device_of(key)) {
        device->udp = udp_from_json(row);
        device->has_udp = true;
      }
      known.insert(key);
    }
    const bool is_whole = subjects->value("subject_count", uint64_t{0}) <= rows.size();
    for (const auto& [key, index] : index_) {
      input_.devices[index].is_served = !is_whole || known.contains(key);
    }
    for (const Json& source : top->at("unknown_sources")) {
      if (const auto address = address::parse_address(source.at("address").get<std::string>())) {
        add_unknown(
            {.address = *address,
             .count = source.value("count", uint64_t{0}) - source.value("error", uint64_t{0}),
             .last = source.value("last_seen_unix_s", int64_t{0})});
      }
    }
  }

  void add_unknown(const doctor::Unknown& source) {
    const auto same = std::ranges::find(input_.unknown, source.address, &doctor::Unknown::address);
    if (same == input_.unknown.end()) {
      input_.unknown.push_back(source);
    } else {
      same->count += source.count;
      same->last = std::max(same->last, source.last);
    }
  }

  Status add_tcp() {
    const auto clients = operations_.tcp_clients();
    if (!clients) {
      return std::unexpected(clients.error());
    }
    input_.tcp_started = clients->since;
    for (const TcpDevice& seen : clients->devices) {
      if (doctor::Device* device = device_of({seen.account, seen.device})) {
        device->tcp = tcp_of(seen);
      }
    }
    for (const TcpUnknown& source : clients->unknown) {
      add_unknown({.address = source.address, .count = source.count, .last = source.last});
    }
    return {};
  }

  Status add_transfers() {
    const auto transfers = operations_.transfers();
    if (!transfers) {
      return std::unexpected(transfers.error());
    }
    for (const Secondary& seen : transfers->secondaries) {
      if (doctor::Device* device = device_of({seen.account, seen.device})) {
        device->secondaries.push_back({.source = seen.source,
                                       .apex = seen.apex,
                                       .kind = seen.kind,
                                       .serial_given = seen.serial_given,
                                       .serial_current = seen.serial_current,
                                       .given = seen.given,
                                       .asked = seen.asked,
                                       .behind_since = seen.behind_since,
                                       .transfers = seen.transfers,
                                       .refused = seen.refused});
      }
    }
    for (const Notified& seen : transfers->notified) {
      const auto device = std::ranges::find(input_.devices, seen.device, &doctor::Device::name);
      if (device != input_.devices.end()) {
        device->notified.push_back({.target = seen.target,
                                    .apex = seen.apex,
                                    .serial = seen.serial,
                                    .sent = seen.sent,
                                    .acknowledged = seen.acknowledged,
                                    .tries = seen.tries,
                                    .error = seen.error});
      }
    }
    for (const KeyFailure& seen : transfers->key_failures) {
      if (doctor::Device* device = device_at(seen.source)) {
        device->key_failures.push_back({.key = seen.key,
                                        .source = seen.source,
                                        .error = seen.error,
                                        .clock_skew_s = seen.clock_skew_s,
                                        .count = seen.count,
                                        .last = seen.last});
      }
    }
    return {};
  }

  // Of the names that the doctor will look up: few, so their accounts are asked one by one.
  Status add_lists() {
    std::set<std::string> accounts;
    for (const doctor::Device& device : input_.devices) {
      if (std::ranges::any_of(device.tcp.names, doctor::is_asked_again)) {
        accounts.insert(device.account);
      }
    }
    if (accounts.empty()) {
      return {};
    }
    const auto shared = operations_.lists();
    if (!shared) {
      return std::unexpected(shared.error());
    }
    for (const ListInfo& list : *shared) {
      add_list(list, {.list = list.name,
                      .profile = "default",
                      .is_shared = true,
                      .per_name = policy::find_profile("")->addresses4_per_name});
    }
    for (const std::string& account : accounts) {
      add_lists_of(account);
    }
    return {};
  }

  // An account that was removed a moment ago has none.
  void add_lists_of(const std::string& account) {
    const auto published = operations_.published_of(account);
    const auto policies = operations_.policies_of(account);
    if (!published || !policies) {
      return;
    }
    for (const ListInfo& list : published->lists) {
      const auto policy = std::ranges::find(*policies, list.name, &store::Policy::name);
      const policy::Profile* profile =
          policy::find_profile(policy == policies->end() ? "" : policy->profile);
      add_list(list, {.list = list.name,
                      .profile = std::string(profile == nullptr ? "default" : profile->name),
                      .per_name = profile == nullptr ? 0 : profile->addresses4_per_name});
    }
  }

  void add_list(const ListInfo& list, const doctor::ListFacts& facts) {
    for (const std::string& name : list.names) {
      input_.lists[name] = facts;
    }
  }

  Operations& operations_;
  doctor::Input input_;
  std::map<Key, size_t> index_;
};

Json text_or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

Json finding_json(const doctor::Finding& finding) {
  Json evidence = Json::object();
  for (const auto& [key, number] : finding.numbers) {
    evidence[key] = number;
  }
  for (const auto& [key, text] : finding.texts) {
    evidence[key] = text;
  }
  return Json{{"severity", to_string(finding.severity)},
              {"code", finding.code},
              {"account", text_or_null(finding.account)},
              {"device", text_or_null(finding.device)},
              {"cause", finding.cause},
              {"todo", finding.todo},
              {"evidence", std::move(evidence)}};
}

Json device_json(const doctor::Device& device, std::string_view health) {
  Json names = Json::array();
  for (const doctor::AskedName& name : device.tcp.names) {
    names.push_back(Json{{"name", name.name},
                         {"type", name.type},
                         {"told", to_string(name.told)},
                         {"count", name.count},
                         {"last", time_to_json(name.last)},
                         {"records", name.records}});
  }
  Json zones = Json::array();
  for (const doctor::Secondary& secondary : device.secondaries) {
    zones.push_back(Json{{"apex", secondary.apex},
                         {"source", secondary.source},
                         {"kind", text_or_null(secondary.kind)},
                         {"serial_given", secondary.serial_given},
                         {"serial_current", secondary.serial_current},
                         {"given", time_to_json(secondary.given)},
                         {"asked", time_to_json(secondary.asked)}});
  }
  return Json{{"account", device.account},
              {"device", device.name},
              {"health", health},
              {"last_seen", time_to_json(device.last_seen())},
              {"udp_known", device.has_udp},
              {"udp_queries", device.udp.queries},
              {"udp_last_seen", time_to_json(device.udp.last_seen)},
              {"tcp_queries", device.tcp.queries},
              {"tcp_last_seen", time_to_json(device.tcp.last)},
              {"tcp_names", std::move(names)},
              {"zones", std::move(zones)}};
}

}  // namespace

Result<Json> doctor_json(Operations& operations, const std::string& device, int64_t now) {
  const auto input = Collector(operations, now).collect(device);
  if (!input) {
    return std::unexpected(input.error());
  }
  std::map<std::string, doctor::Severity> worst;
  Json findings = Json::array();
  for (const doctor::Finding& finding : doctor::diagnose(*input)) {
    worst.emplace(finding.device, finding.severity);  // the worst come first
    if (device.empty() || finding.device.empty() || finding.device == device) {
      findings.push_back(finding_json(finding));
    }
  }
  Json devices = Json::array();
  for (const doctor::Device& one : input->devices) {
    if (device.empty() || one.name == device) {
      const auto found = worst.find(one.name);
      devices.push_back(device_json(one, found == worst.end() ? "good" : to_string(found->second)));
    }
  }
  return Json{{"checked", time_to_json(now)},
              {"dataplane_since", time_to_json(input->dataplane_started)},
              {"tcp_since", time_to_json(input->tcp_started)},
              {"findings", std::move(findings)},
              {"devices", std::move(devices)}};
}

}  // namespace merlon::api

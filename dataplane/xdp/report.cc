// SPDX-License-Identifier: Apache-2.0
// The preflight report for people and for programs.
#include <linux/if_link.h>

#include <nlohmann/json.hpp>

#include "dataplane/xdp/preflight.h"

namespace merlon::xdp {
namespace {

using Json = nlohmann::ordered_json;

void line(std::string& text, std::string_view name, std::string_view value) {
  text += fmt::format("  {:<18}{}\n", name, value);
}

std::string_view yes_no(bool value) {
  return value ? "yes" : "no";
}

std::string memory_text(uint64_t kib) {
  return fmt::format("{:.1f} GiB", static_cast<double>(kib) / (1024.0 * 1024.0));
}

struct NamedFlag {
  std::string_view name;
  bool is_set;
};

// "a b c", or "a b, not c".
std::string flags_text(std::initializer_list<NamedFlag> flags) {
  std::string has;
  std::string lacks;
  for (const NamedFlag& flag : flags) {
    std::string& list = flag.is_set ? has : lacks;
    list += list.empty() ? "" : " ";
    list += flag.name;
  }
  if (lacks.empty()) {
    return has;
  }
  return has.empty() ? "not " + lacks : has + "; not " + lacks;
}

std::string io_uring_text(const HostFacts& host) {
  std::string text = host.io_uring_works ? "works" : "refused: " + host.io_uring_error;
  if (host.io_uring_disabled) {
    text += fmt::format(" (kernel.io_uring_disabled={})", *host.io_uring_disabled);
  }
  return text;
}

void host_text(const HostFacts& host, std::string& text) {
  const Capabilities& has = host.capabilities;
  text += "Host\n";
  line(text, "kernel", fmt::format("{} {}", host.kernel, host.machine));
  line(text, "capabilities",
       flags_text({{"CAP_NET_ADMIN", has.net_admin},
                   {"CAP_NET_RAW", has.net_raw},
                   {"CAP_BPF", has.bpf},
                   {"CAP_SYS_ADMIN", has.sys_admin},
                   {"CAP_IPC_LOCK", has.ipc_lock},
                   {"CAP_NET_BIND_SERVICE", has.net_bind_service}}));
  line(text, "locked memory",
       host.memlock_limit_bytes
           ? fmt::format("at most {} KiB{}", *host.memlock_limit_bytes / 1024,
                         has.ipc_lock ? " (does not bind: CAP_IPC_LOCK)"
                                      : ": raise it (systemd: LimitMEMLOCK=infinity)")
           : std::string("unlimited"));
  line(text, "memory",
       fmt::format("{}, {} available", memory_text(host.memory_total_kib),
                   memory_text(host.memory_available_kib)));
  line(text, "huge pages",
       fmt::format("2 MiB: {} of {} free; 1 GiB: {} of {} free", host.huge_2m.free,
                   host.huge_2m.total, host.huge_1g.free, host.huge_1g.total));
  line(text, "BPF",
       fmt::format("JIT {}, /sys/fs/bpf {}",
                   !host.bpf_jit        ? "unknown"
                   : *host.bpf_jit != 0 ? "on"
                                        : "off",
                   host.has_bpf_filesystem ? "mounted" : "not mounted (not needed)"));
  line(text, "io_uring", io_uring_text(host));
  line(text, "processor",
       fmt::format("{} cores, {}", host.cpu_count,
                   flags_text({{"SSE4.2", host.cpu.sse42},
                               {"AVX2", host.cpu.avx2},
                               {"AES", host.cpu.aes},
                               {"BMI2", host.cpu.bmi2}})));
}

std::string attached_text(const InterfaceFacts& facts) {
  const Attached& attached = facts.attached;
  if (!facts.attached_error.empty()) {
    return facts.attached_error;
  }
  if (attached.owner == Owner::nobody) {
    return "nothing";
  }
  constexpr std::string_view kOwners[] = {"", "ours, serving", "ours, left behind", "not ours",
                                          "could not be looked at"};
  return fmt::format(
      "{} (id {}, {}; {})", attached.program_name.empty() ? "a program" : attached.program_name,
      attached.program_id, to_string(attached.mode), kOwners[static_cast<size_t>(attached.owner)]);
}

std::string finding_text(const Finding& finding) {
  return finding.why.empty() ? std::string(to_string(finding.answer))
                             : fmt::format("{} ({})", to_string(finding.answer), finding.why);
}

void interface_text(const InterfaceReport& report, std::string& text) {
  const InterfaceFacts& facts = report.facts;
  text += fmt::format("\nInterface {}: {}\n", facts.name, to_string(report.choice.mode));
  line(text, "because", report.choice.why);
  if (facts.index != 0) {
    line(text, "state",
         fmt::format("{}, {}", facts.is_up ? "up" : "down",
                     facts.has_carrier ? "carrier" : "no carrier"));
    line(text, "driver",
         facts.driver.empty() ? "none named" : fmt::format("{} {}", facts.driver, facts.bus));
    line(text, "MTU",
         fmt::format("{}{}", facts.mtu,
                     facts.mtu > kMtuMax
                         ? fmt::format(": above {}, most drivers refuse XDP", kMtuMax)
                         : ""));
    line(text, "receive queues",
         fmt::format("{} of at most {}", facts.queue_count, facts.queue_count_max));
    line(text, "XDP attached", attached_text(facts));
    line(text, "native XDP", finding_text(facts.support.native));
    line(text, "generic XDP", finding_text(facts.support.generic));
    line(text, "AF_XDP copy", finding_text(facts.support.copy));
    line(text, "AF_XDP zero copy", finding_text(facts.support.zero_copy));
    line(text, "offloads",
         fmt::format("VLAN stripping {}, LRO {}, GRO {}, UDP spread by port {}",
                     yes_no(facts.strips_vlan_tags), yes_no(facts.has_lro), yes_no(facts.has_gro),
                     facts.spreads_udp_by_port ? yes_no(*facts.spreads_udp_by_port) : "unknown"));
  }
  for (const std::string& advice : report.choice.advice) {
    line(text, "advice", advice);
  }
}

Json finding_json(const Finding& finding) {
  return Json{{"answer", to_string(finding.answer)}, {"why", finding.why}};
}

template <class T>
Json optional_json(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json host_json(const HostFacts& host) {
  const Capabilities& has = host.capabilities;
  const auto huge = [](const HugePageCounts& counts) {
    return Json{{"size_kib", counts.size_kib}, {"total", counts.total}, {"free", counts.free}};
  };
  return Json{{"kernel", host.kernel},
              {"machine", host.machine},
              {"capabilities",
               {{"net_admin", has.net_admin},
                {"net_raw", has.net_raw},
                {"bpf", has.bpf},
                {"sys_admin", has.sys_admin},
                {"ipc_lock", has.ipc_lock},
                {"net_bind_service", has.net_bind_service}}},
              {"memlock_limit_bytes", optional_json(host.memlock_limit_bytes)},
              {"huge_pages", Json::array({huge(host.huge_2m), huge(host.huge_1g)})},
              {"memory_total_kib", host.memory_total_kib},
              {"memory_available_kib", host.memory_available_kib},
              {"cpu_count", host.cpu_count},
              {"cpu_features",
               {{"sse42", host.cpu.sse42},
                {"avx2", host.cpu.avx2},
                {"aes", host.cpu.aes},
                {"bmi2", host.cpu.bmi2}}},
              {"has_bpf_filesystem", host.has_bpf_filesystem},
              {"bpf_jit", optional_json(host.bpf_jit)},
              {"io_uring_disabled", optional_json(host.io_uring_disabled)},
              {"io_uring_works", host.io_uring_works},
              {"io_uring_error", host.io_uring_error}};
}

Json interface_json(const InterfaceReport& report) {
  const InterfaceFacts& facts = report.facts;
  Json json{{"name", facts.name}, {"exists", facts.index != 0}};
  if (facts.index != 0) {
    json.update(Json{{"index", facts.index},
                     {"is_up", facts.is_up},
                     {"has_carrier", facts.has_carrier},
                     {"is_loopback", facts.is_loopback},
                     {"mtu", facts.mtu},
                     {"mtu_max_xdp", kMtuMax},
                     {"driver", facts.driver},
                     {"bus", facts.bus},
                     {"queue_count", facts.queue_count},
                     {"queue_count_max", facts.queue_count_max},
                     {"xdp_features", optional_json(facts.xdp_features)},
                     {"spreads_udp_by_port", optional_json(facts.spreads_udp_by_port)},
                     {"strips_vlan_tags", facts.strips_vlan_tags},
                     {"has_lro", facts.has_lro},
                     {"has_gro", facts.has_gro},
                     {"attached",
                      {{"mode", to_string(facts.attached.mode)},
                       {"owner", to_string(facts.attached.owner)},
                       {"program_id", facts.attached.program_id},
                       {"program_name", facts.attached.program_name},
                       {"error", facts.attached_error}}},
                     {"native", finding_json(facts.support.native)},
                     {"generic", finding_json(facts.support.generic)},
                     {"copy", finding_json(facts.support.copy)},
                     {"zero_copy", finding_json(facts.support.zero_copy)}});
  }
  json["mode"] = to_string(report.choice.mode);
  json["why"] = report.choice.why;
  json["advice"] = report.choice.advice;
  return json;
}

}  // namespace

std::string to_text(const PreflightReport& report) {
  std::string text;
  host_text(report.host, text);
  for (const InterfaceReport& found : report.interfaces) {
    interface_text(found, text);
  }
  text += "\nVerdict\n";
  for (const InterfaceReport& found : report.interfaces) {
    line(text, found.facts.name,
         fmt::format("{}: {}", to_string(found.choice.mode), explain(found.choice.mode)));
  }
  for (const Check& check : report.checks) {
    line(text, check.subject,
         fmt::format("{}: {}", check.answer == Answer::no ? "FAILS" : "ok", check.text));
  }
  if (report.engine.empty()) {
    text += report.can_run ? "  Ready.\n" : "  AF_XDP cannot be used on every interface named.\n";
  } else {
    text += fmt::format("  The configured engine, {}, {}.\n", report.engine,
                        report.can_run ? "can run" : "CANNOT RUN; see above what to do");
  }
  return text;
}

std::string to_json(const PreflightReport& report) {
  Json json{{"schema_version", 1}, {"host", host_json(report.host)}};
  json["interfaces"] = Json::array();
  for (const InterfaceReport& found : report.interfaces) {
    json["interfaces"].push_back(interface_json(found));
  }
  json["engine"] = report.engine.empty() ? Json(nullptr) : Json(report.engine);
  json["checks"] = Json::array();
  for (const Check& check : report.checks) {
    json["checks"].push_back(Json{
        {"subject", check.subject}, {"answer", to_string(check.answer)}, {"text", check.text}});
  }
  json["can_run"] = report.can_run;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace merlon::xdp

// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/preflight.h"

#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstddef>
#include <cstring>

#include "dataplane/xdp/filter.h"

namespace merlon::xdp {
namespace {

constexpr std::string_view kAfXdp = "af_xdp:";

std::string_view name_of(dataplane::Engine engine) {
  switch (engine) {
    case dataplane::Engine::io_uring:
      return "io_uring";
    case dataplane::Engine::mmsg:
      return "mmsg";
    case dataplane::Engine::dpdk:
      return "dpdk";
    case dataplane::Engine::automatic:
      break;
  }
  return "auto";
}

// "af_xdp:eth0" and "af_xdp:eth0,queues=2" -> "eth0"; nothing for other ports.
std::optional<std::string> interface_of(std::string_view port) {
  if (!port.starts_with(kAfXdp)) {
    return std::nullopt;
  }
  port.remove_prefix(kAfXdp.size());
  return std::string(port.substr(0, port.find(',')));
}

bool is_pci_address(std::string_view port) {
  port = port.substr(0, port.find(','));
  return port.size() >= 7 && port.contains(':') && port[port.size() - 2] == '.' &&
         std::ranges::all_of(port, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == ':' || c == '.';
         });
}

Check check_pci(std::string_view port) {
  std::string address(port.substr(0, port.find(',')));
  if (address.size() == 7) {
    address = "0000:" + address;
  }
  Check check{std::string(port), Answer::no, ""};
  const std::string folder = "/sys/bus/pci/devices/" + address;
  struct stat status{};
  if (::stat(folder.c_str(), &status) != 0) {
    check.text = "there is no such PCI device; `lspci -D` lists them";
    return check;
  }
  std::array<char, PATH_MAX> link{};
  const ssize_t size = ::readlink((folder + "/driver").c_str(), link.data(), link.size());
  std::string_view driver(link.data(), size > 0 ? static_cast<size_t>(size) : 0);
  driver = driver.substr(driver.rfind('/') + 1);
  constexpr std::string_view kUsable[] = {"vfio-pci",  "uio_pci_generic", "igb_uio",
                                          "mlx4_core", "mlx5_core",       "mana"};
  if (std::ranges::find(kUsable, driver) != std::end(kUsable)) {
    check.answer = Answer::yes;
    check.text = fmt::format("bound to {}", driver);
  } else {
    check.text = fmt::format("bound to {}: dpdk-devbind.py --bind=vfio-pci {}",
                             driver.empty() ? "no driver" : driver, address);
  }
  return check;
}

Check check_filter(const dataplane::PortSettings& settings) {
  Check check{"BPF filter", Answer::no, ""};
  auto path =
      settings.xdp_program.empty() ? installed_filter() : Result<std::string>(settings.xdp_program);
  if (!path) {
    check.text = path.error().message;
    return check;
  }
  check.text = *path;
  if (::access(path->c_str(), R_OK) != 0) {
    check.text += ": cannot be read";
    return check;
  }
  if (const auto config = make_config(settings.port, settings.addresses); !config) {
    check.text = config.error().message;
    return check;
  }
  check.answer = Answer::yes;
  return check;
}

Check check_huge_pages(const dataplane::PortSettings& settings, const HostFacts& host) {
  const uint64_t free = host.huge_2m.free + host.huge_1g.free;
  Check check{"huge pages", Answer::yes, fmt::format("{} free", free)};
  if (settings.huge_pages == dataplane::HugePages::no) {
    check.text = "not wanted (dpdk_huge_pages = \"no\")";
  } else if (free == 0) {
    const bool must = settings.huge_pages == dataplane::HugePages::yes;
    check.answer = must ? Answer::no : Answer::yes;
    check.text = fmt::format("none free{}: sysctl vm.nr_hugepages=512",
                             must ? "" : "; ordinary pages will do, somewhat slower");
  }
  return check;
}

void check_dpdk(const dataplane::PortSettings& settings, PreflightReport& report) {
  bool has_af_xdp = false;
  for (const std::string& port : settings.ports) {
    const auto interface = interface_of(port);
    if (!interface) {
      report.checks.push_back(
          is_pci_address(port)
              ? check_pci(port)
              : Check{port, Answer::unknown, "a virtual device of DPDK's: not examined"});
      continue;
    }
    has_af_xdp = true;
    for (const InterfaceReport& found : report.interfaces) {
      if (found.facts.name == *interface) {
        const bool works = found.choice.mode != Mode::sockets;
        report.checks.push_back(
            {port, works ? Answer::yes : Answer::no,
             fmt::format("{}: {}", to_string(found.choice.mode), found.choice.why)});
      }
    }
  }
  if (has_af_xdp) {
    report.checks.push_back(check_filter(settings));
  }
  report.checks.push_back(check_huge_pages(settings, report.host));
}

uint16_t port_of(const io::Endpoint& endpoint) {
  sockaddr_in address;  // sockaddr_in6 has its port at the same place
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  std::memcpy(&address, &endpoint.storage, sizeof address);
  return ntohs(address.sin_port);
}

// The socket engines always run: io_uring falls back to mmsg.
void check_sockets(const dataplane::Settings& settings, PreflightReport& report) {
  const HostFacts& host = report.host;
  if (settings.engine != dataplane::Engine::mmsg) {
    report.checks.push_back(
        {"io_uring", Answer::yes,
         host.io_uring_works
             ? "works"
             : fmt::format("refused here ({}){}: the mmsg engine will serve instead",
                           host.io_uring_error,
                           host.io_uring_disabled.value_or(0) != 0
                               ? "; sysctl kernel.io_uring_disabled=0 allows it"
                               : "")});
  }
  for (const io::Endpoint& endpoint : settings.listen) {
    const uint16_t port = port_of(endpoint);
    if (port != 0 && port < host.unprivileged_port_min && !host.capabilities.net_bind_service) {
      report.checks.push_back(
          {endpoint.to_text(), Answer::no,
           fmt::format("a port below {} needs CAP_NET_BIND_SERVICE", host.unprivileged_port_min)});
    }
  }
}

}  // namespace

Result<PreflightReport> preflight(const PreflightOptions& options) {
  PreflightReport report;
  std::optional<dataplane::Settings> settings;
  std::vector<std::string> names = options.interfaces;
  if (!options.config.empty()) {
    auto loaded = dataplane::load_settings(options.config);
    if (!loaded) {
      return std::unexpected(loaded.error());
    }
    settings = std::move(*loaded);
    for (const std::string& port : settings->dpdk.ports) {
      const auto interface = interface_of(port);
      if (interface && std::ranges::find(names, *interface) == names.end()) {
        names.push_back(*interface);
      }
    }
  }
  if (names.empty()) {
    names = list_interfaces();
  }
  report.host = examine_host();
  for (const std::string& name : names) {
    InterfaceReport found{examine_interface(name, options.trials), {}};
    found.choice = choose_mode(report.host, found.facts);
    report.interfaces.push_back(std::move(found));
  }
  if (!settings) {
    // Without a configuration the question is whether the named interfaces can do AF_XDP; none
    // named: whether anything runs, and sockets do.
    report.can_run = options.interfaces.empty() ||
                     std::ranges::none_of(report.interfaces, [](const InterfaceReport& found) {
                       return found.choice.mode == Mode::sockets;
                     });
    return report;
  }
  report.engine = name_of(settings->engine);
  if (settings->engine == dataplane::Engine::dpdk) {
    check_dpdk(settings->dpdk, report);
  } else {
    check_sockets(*settings, report);
  }
  report.can_run = std::ranges::none_of(
      report.checks, [](const Check& check) { return check.answer == Answer::no; });
  return report;
}

}  // namespace merlon::xdp

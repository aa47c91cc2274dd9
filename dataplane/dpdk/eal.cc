// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dpdk/eal.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/ranges.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

namespace merlon::dpdk {
namespace {

constexpr size_t kWordsMax = 512;

enum class EalState : uint8_t { fresh, running, failed, stopped };

struct Eal {
  std::mutex mutex;
  std::string words;  // the last lines that DPDK logged
  EalState state = EalState::fresh;
  bool huge_pages = false;
  std::vector<std::string> arguments;  // DPDK keeps pointers into them
};

Eal& eal() {
  static Eal instance;
  return instance;
}

ssize_t take_words(void*, const char* text, size_t size) {
  std::fwrite(text, 1, size, stderr);
  const std::lock_guard lock(eal().mutex);
  std::string& words = eal().words;
  words.append(text, size);
  if (words.size() > kWordsMax) {
    words.erase(0, words.size() - kWordsMax);
  }
  return static_cast<ssize_t>(size);
}

void listen_to_dpdk() {
  static FILE* stream = [] {
    cookie_io_functions_t functions{};
    functions.write = take_words;
    FILE* opened = ::fopencookie(nullptr, "w", functions);
    if (opened != nullptr) {
      ::setvbuf(opened, nullptr, _IOLBF, 1024);
    }
    return opened;
  }();
  if (stream != nullptr) {
    ::rte_openlog_stream(stream);
  }
}

// Of a file in /sys, which says that it is longer than it is.
uint64_t read_number(const std::string& path) {
  std::array<char, 32> text{};
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const ssize_t size = fd < 0 ? -1 : ::read(fd, text.data(), text.size() - 1);
  if (fd >= 0) {
    ::close(fd);
  }
  return size <= 0 ? 0 : std::strtoull(text.data(), nullptr, 10);
}

size_t free_huge_pages_mb() {
  static constexpr std::string_view kFolder = "/sys/kernel/mm/hugepages";
  static constexpr std::string_view kPrefix = "hugepages-";
  size_t total_kb = 0;
  DIR* folder = ::opendir(std::string(kFolder).c_str());
  if (folder == nullptr) {
    return 0;
  }
  while (const dirent* entry = ::readdir(folder)) {
    const std::string_view name = entry->d_name;
    if (name.starts_with(kPrefix)) {
      const size_t size_kb = std::strtoull(entry->d_name + kPrefix.size(), nullptr, 10);
      total_kb += size_kb * read_number(fmt::format("{}/{}/free_hugepages", kFolder, name));
    }
  }
  ::closedir(folder);
  return total_kb / 1024;
}

Result<bool> choose_huge_pages(const EalOptions& options) {
  const size_t free_mb = free_huge_pages_mb();
  const bool enough = free_mb >= options.memory_mb;
  if (options.huge_pages == dataplane::HugePages::yes && !enough) {
    return fail(ErrorCode::io,
                "dpdk_huge_pages = \"yes\": the ports need {} MB of huge pages, {} MB are free; "
                "raise vm.nr_hugepages, or choose auto or no",
                options.memory_mb, free_mb);
  }
  const bool use = enough && options.huge_pages != dataplane::HugePages::no;
  if (!use && !options.pci_devices.empty()) {
    return fail(ErrorCode::io,
                "PCI port {} needs huge pages: {} MB, {} MB are free; raise vm.nr_hugepages",
                options.pci_devices.front(), options.memory_mb, free_mb);
  }
  return use;
}

// The cores that this process may use, as the EAL writes sets: one lcore on all of them, so that it
// binds nobody.
std::string own_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::string result;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    for (size_t core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(core, &set)) {
        result += fmt::format("{}{}", result.empty() ? "" : ",", core);
      }
    }
  }
  return fmt::format("0@({})", result.empty() ? "0" : result);
}

std::vector<std::string> eal_arguments(const EalOptions& options, bool huge_pages) {
  std::vector<std::string> result = {"merlon-dataplane", "--no-telemetry", "--log-level=*:warning",
                                     fmt::format("--file-prefix=merlon-{}", ::getpid()),
                                     fmt::format("--lcores={}", own_cores())};
  if (huge_pages) {
    result.push_back("--in-memory");
  } else {
    result.insert(result.end(),
                  {"--no-shconf", "--no-huge", "-m", std::to_string(options.memory_mb)});
  }
  if (options.pci_devices.empty()) {
    result.push_back("--no-pci");
  }
  for (const std::string& device : options.pci_devices) {
    result.insert(result.end(), {"-a", device});
  }
  result.insert(result.end(), options.arguments.begin(), options.arguments.end());
  return result;
}

Status initialise(const EalOptions& options) {
  const auto huge_pages = choose_huge_pages(options);
  if (!huge_pages) {
    return std::unexpected(huge_pages.error());
  }
  listen_to_dpdk();
  // The memory of AF_XDP rings is locked memory; without the right to raise it the limit stays.
  const rlimit unlimited{.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
  ::setrlimit(RLIMIT_MEMLOCK, &unlimited);
  // One program on an interface is enough: no dispatcher of libxdp, which needs a bpf file system.
  ::setenv("LIBXDP_SKIP_DISPATCHER", "1", 0);
  eal().huge_pages = *huge_pages;
  eal().arguments = eal_arguments(options, *huge_pages);
  std::vector<char*> argv;
  for (std::string& argument : eal().arguments) {
    argv.push_back(argument.data());
  }
  argv.push_back(nullptr);
  cpu_set_t cores;
  const bool known = ::sched_getaffinity(0, sizeof cores, &cores) == 0;
  const int done = ::rte_eal_init(static_cast<int>(argv.size() - 1), argv.data());
  const int error = rte_errno;
  if (known) {
    ::sched_setaffinity(0, sizeof cores, &cores);
  }
  if (done < 0) {
    eal().state = EalState::failed;
    return fail(ErrorCode::io, "DPDK did not start{} (arguments: {})", because(error),
                fmt::join(eal().arguments.begin() + 1, eal().arguments.end(), " "));
  }
  eal().state = EalState::running;
  return {};
}

}  // namespace

Status start_eal(const EalOptions& options) {
  switch (eal().state) {
    case EalState::running:
      return {};
    case EalState::fresh:
      return initialise(options);
    case EalState::failed:
    case EalState::stopped:
      break;
  }
  return fail(ErrorCode::unsupported, "DPDK starts once in a process; start the process again");
}

bool eal_has_huge_pages() {
  return eal().huge_pages;
}

void stop_eal() {
  if (eal().state == EalState::running) {
    eal().state = EalState::stopped;
    const std::string folder = ::rte_eal_get_runtime_dir();
    ::rte_eal_cleanup();
    ::rmdir(folder.c_str());  // made at start even when nothing is kept in files
  }
}

std::string last_words() {
  const std::lock_guard lock(eal().mutex);
  std::string result;
  for (const char c : eal().words) {
    if (c != '\n') {
      result += c;
    } else if (!result.empty() && !result.ends_with("; ")) {
      result += "; ";
    }
  }
  eal().words.clear();
  while (result.ends_with("; ")) {
    result.resize(result.size() - 2);
  }
  return result;
}

std::string because(int error_number) {
  std::string words = last_words();
  if (words.empty()) {
    words = std::strerror(error_number < 0 ? -error_number : error_number);
  }
  return ": " + words;
}

}  // namespace merlon::dpdk

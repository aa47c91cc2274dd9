// SPDX-License-Identifier: Apache-2.0
#include "dataplane/settings/settings.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <thread>

#include "zones/answer/identity.h"
#include "zones/settings/settings.h"

namespace merlon::dataplane {
namespace {

using settings::Kind;

constexpr std::string_view kSection = "dataplane";
constexpr size_t kInterfaceNameMax = 12;  // the kernel's limit, less the port's number
constexpr settings::Option kOptions[] = {
    {"listen", Kind::text_list, R"(["127.0.0.1:5300", "[::1]:5300"])", 0, 0,
     "UDP addresses to answer on"},
    {"engine", Kind::text, "\"auto\"", 0, 0,
     "auto, io_uring, mmsg or dpdk; auto takes dpdk_ports when there are any and they work; auto "
     "and "
     "io_uring fall back to mmsg where io_uring is refused"},
    {"workers", Kind::number, "0", 0, 256, "worker threads; 0: one per core"},
    {"cores", Kind::text_list, "[]", 0, 0,
     "cores to pin the workers to, in order; empty: unpinned"},
    {"snapshot_directory", Kind::text, "\"/var/lib/merlon/snapshots\"", 0, 0,
     "where the control plane publishes"},
    {"manifest_key_file", Kind::text, "\"/var/lib/merlon/manifest.pub\"", 0, 0,
     "the publisher's public key, 64 hex digits"},
    {"control_socket", Kind::text, "\"/run/merlon/dataplane.sock\"", 0, 0,
     "Unix socket for load, status and stats"},
    {"udp_size_max", Kind::number, "1232", 512, 1452, "largest UDP answer in bytes"},
    {"dpdk_ports", Kind::text_list, "[]", 0, 0,
     "engine dpdk: ports, as af_xdp:eth0, a PCI address, or an EAL vdev (net_tap0,iface=dns0)"},
    {"dpdk_addresses", Kind::text_list, "[]", 0, 0,
     "engine dpdk: our addresses on the ports; empty: any destination"},
    {"dpdk_port", Kind::number, "53", 1, 65535, "engine dpdk: UDP port answered"},
    {"dpdk_exception", Kind::text, "\"none\"", 0, 0,
     "engine dpdk: none, tap or virtio_user; carries what is not DNS between a port and the "
     "kernel"},
    {"dpdk_exception_name", Kind::text, "\"mrl\"", 0, 0,
     "engine dpdk: name of the exception path's interfaces, less the port's number"},
    {"dpdk_huge_pages", Kind::text, "\"auto\"", 0, 0, "engine dpdk: auto, yes or no"},
    {"dpdk_idle", Kind::text, "\"sleep\"", 0, 0,
     "engine dpdk: sleep (an idle worker waits) or poll (it burns its core)"},
    {"dpdk_xdp_program", Kind::text, "\"\"", 0, 0,
     "engine dpdk: BPF object for af_xdp ports; empty: the one beside the program"},
    {"dpdk_eal_arguments", Kind::text_list, "[]", 0, 0,
     "engine dpdk: passed to the EAL as they are"},
    {"identity", Kind::text, "\"\"", 0, 0,
     "answer to NSID and id.server, at most 64 bytes; empty: none"},
    {"version", Kind::text, "\"\"", 0, 0,
     "answer to version.bind, at most 64 bytes; empty: refused"},
    {"cookies", Kind::boolean, "true", 0, 0, "answer DNS cookies (RFC 7873, 9018)"},
    {"cookie_secret_file", Kind::text, "\"\"", 0, 0,
     "hex secrets, a line each: the active one, then another that is accepted; empty: random; "
     "SIGHUP reads it again"},
    {"rate_limit", Kind::number, "0", 0, 1'000'000'000,
     "answers a second to one IPv4 address or IPv6 /64; wider prefixes in proportion; 0: off"},
    {"rate_limit_slip", Kind::number, "2", 0, 100,
     "every n-th limited answer is a truncated one instead of none; 0: never"},
    {"rate_limit_dry_run", Kind::boolean, "false", 0, 0, "count what would be limited, answer all"},
    {"slow_path_socket", Kind::text, "\"\"", 0, 0,
     "the control plane's socket for what is not answered here; empty: none"},
    {"dnstap", Kind::text, "\"\"", 0, 0,
     "samples of queries as Frame Streams: a Unix socket, or file:/path; empty: off"},
    {"dnstap_sample", Kind::number, "1000", 1, 1'000'000'000,
     "dnstap: one query of so many, at random places"},
};

Result<Engine> parse_engine(const std::string& text) {
  if (text == "auto") {
    return Engine::automatic;
  }
  if (text == "io_uring") {
    return Engine::io_uring;
  }
  if (text == "mmsg") {
    return Engine::mmsg;
  }
  if (text == "dpdk") {
    return Engine::dpdk;
  }
  return fail(ErrorCode::invalid_argument, "engine = \"{}\": choose auto, io_uring, mmsg or dpdk",
              text);
}

template <class T>
struct Choice {
  std::string_view word;
  T value;
};

template <class T, size_t N>
Result<T> choose(const settings::Section& section, std::string_view key,
                 const Choice<T> (&choices)[N]) {
  const std::string& text = section.text(key);
  std::string words;
  for (const Choice<T>& choice : choices) {
    if (text == choice.word) {
      return choice.value;
    }
    words += words.empty() ? "" : ", ";
    words += choice.word;
  }
  return fail(ErrorCode::invalid_argument, "{} = \"{}\": choose one of {}", key, text, words);
}

constexpr Choice<Exception> kExceptions[] = {
    {"none", Exception::none}, {"tap", Exception::tap}, {"virtio_user", Exception::virtio_user}};
constexpr Choice<HugePages> kHugePages[] = {
    {"auto", HugePages::automatic}, {"yes", HugePages::yes}, {"no", HugePages::no}};
constexpr Choice<Idle> kIdle[] = {{"sleep", Idle::sleep}, {"poll", Idle::poll}};

Result<PortSettings> load_ports(const settings::Section& section) {
  PortSettings result;
  result.ports = section.text_list("dpdk_ports");
  for (const std::string& text : section.text_list("dpdk_addresses")) {
    const auto address = address::parse_address(text);
    if (!address) {
      return fail(ErrorCode::invalid_argument, "dpdk_addresses: \"{}\" is no address", text);
    }
    result.addresses.push_back(*address);
  }
  result.port = static_cast<uint16_t>(section.number("dpdk_port"));
  const auto exception = choose(section, "dpdk_exception", kExceptions);
  const auto huge_pages = choose(section, "dpdk_huge_pages", kHugePages);
  const auto idle = choose(section, "dpdk_idle", kIdle);
  if (!exception || !huge_pages || !idle) {
    return std::unexpected(!exception    ? exception.error()
                           : !huge_pages ? huge_pages.error()
                                         : idle.error());
  }
  result.exception = *exception;
  result.exception_name = section.text("dpdk_exception_name");
  if (result.exception_name.empty() || result.exception_name.size() > kInterfaceNameMax) {
    return fail(ErrorCode::invalid_argument, "dpdk_exception_name = \"{}\": 1 to {} characters",
                result.exception_name, kInterfaceNameMax);
  }
  result.huge_pages = *huge_pages;
  result.idle = *idle;
  result.xdp_program = section.text("dpdk_xdp_program");
  result.eal_arguments = section.text_list("dpdk_eal_arguments");
  return result;
}

// What is answered and how, besides lists.
void load_answering(const settings::Section& section, Settings& result) {
  result.identity = section.text("identity");
  result.version = section.text("version");
  result.cookies = section.boolean("cookies");
  result.cookie_secret_file = section.text("cookie_secret_file");
  result.rate_limit = {.per_second = static_cast<uint32_t>(section.number("rate_limit")),
                       .slip = static_cast<uint32_t>(section.number("rate_limit_slip")),
                       .dry_run = section.boolean("rate_limit_dry_run")};
  result.slow_path_socket = section.text("slow_path_socket");
  result.dnstap = {.path = section.text("dnstap"),
                   .sample = static_cast<uint32_t>(section.number("dnstap_sample"))};
}

Status load_workers(const settings::Section& section, const std::string& path, Settings& result) {
  result.worker_count = static_cast<size_t>(section.number("workers"));
  if (result.worker_count == 0) {
    result.worker_count = std::max(1u, std::thread::hardware_concurrency());
  }
  for (const std::string& text : section.text_list("cores")) {
    int core = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), core);
    if (error != std::errc{} || end != text.data() + text.size() || core < 0 ||
        core >= CPU_SETSIZE) {
      return fail(ErrorCode::invalid_argument, "{}: cores: \"{}\" is no core number", path, text);
    }
    result.cores.push_back(core);
  }
  if (!result.cores.empty() && result.cores.size() < result.worker_count) {
    return fail(ErrorCode::invalid_argument, "{}: {} cores for {} workers", path,
                result.cores.size(), result.worker_count);
  }
  return {};
}

}  // namespace

Result<Settings> load_settings(const std::string& path) {
  const auto section = settings::Section::load(path, kSection, kOptions);
  if (!section) {
    return std::unexpected(section.error());
  }
  Settings result;
  if (auto done = load_workers(*section, path, result); !done) {
    return std::unexpected(done.error());
  }
  for (const std::string& text : section->text_list("listen")) {
    const auto endpoint = io::Endpoint::parse(text);
    if (!endpoint) {
      return in(fmt::format("{}: listen", path), endpoint.error());
    }
    result.listen.push_back(*endpoint);
  }
  if (result.listen.empty()) {
    return fail(ErrorCode::invalid_argument, "{}: listen names no address", path);
  }
  const auto engine = parse_engine(section->text("engine"));
  if (!engine) {
    return in(path, engine.error());
  }
  result.engine = *engine;
  result.snapshot_directory = section->text("snapshot_directory");
  result.manifest_key_file = section->text("manifest_key_file");
  result.control_socket = section->text("control_socket");
  result.udp_size_max = static_cast<uint16_t>(section->number("udp_size_max"));
  auto ports = load_ports(*section);
  if (!ports) {
    return in(path, ports.error());
  }
  result.dpdk = std::move(*ports);
  const size_t slash = result.control_socket.rfind('/');
  result.dpdk.runtime_directory =
      slash == std::string::npos ? "." : result.control_socket.substr(0, slash);
  if (result.engine == Engine::dpdk && result.dpdk.ports.empty()) {
    return fail(ErrorCode::invalid_argument, "{}: engine = \"dpdk\" needs dpdk_ports", path);
  }
  load_answering(*section, result);
  for (const std::string_view key : {"identity", "version"}) {
    if (section->text(key).size() > answer::Identity::kTextSizeMax) {
      return fail(ErrorCode::invalid_argument, "{}: {} has more than {} bytes", path, key,
                  answer::Identity::kTextSizeMax);
    }
  }
  return result;
}

std::string example_settings() {
  return settings::example(kSection, kOptions);
}

}  // namespace merlon::dataplane

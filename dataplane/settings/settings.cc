// SPDX-License-Identifier: Apache-2.0
#include "dataplane/settings/settings.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <thread>

#include "zones/settings/settings.h"

namespace merlon::dataplane {
namespace {

using settings::Kind;

constexpr std::string_view kSection = "dataplane";
constexpr settings::Option kOptions[] = {
    {"listen", Kind::text_list, R"(["127.0.0.1:5300", "[::1]:5300"])", 0, 0,
     "UDP addresses to answer on"},
    {"engine", Kind::text, "\"auto\"", 0, 0,
     "auto, io_uring or mmsg; auto and io_uring fall back to mmsg where io_uring is refused"},
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
  return fail(ErrorCode::invalid_argument, "engine = \"{}\": choose auto, io_uring or mmsg", text);
}

}  // namespace

Result<Settings> load_settings(const std::string& path) {
  const auto section = settings::Section::load(path, kSection, kOptions);
  if (!section) {
    return std::unexpected(section.error());
  }
  Settings result;
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
  result.worker_count = static_cast<size_t>(section->number("workers"));
  if (result.worker_count == 0) {
    result.worker_count = std::max(1u, std::thread::hardware_concurrency());
  }
  for (const std::string& text : section->text_list("cores")) {
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
  result.snapshot_directory = section->text("snapshot_directory");
  result.manifest_key_file = section->text("manifest_key_file");
  result.control_socket = section->text("control_socket");
  result.udp_size_max = static_cast<uint16_t>(section->number("udp_size_max"));
  return result;
}

std::string example_settings() {
  return settings::example(kSection, kOptions);
}

}  // namespace merlon::dataplane

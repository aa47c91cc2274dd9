// SPDX-License-Identifier: Apache-2.0
// merlon-frame-storm: sends damaged frames to a data plane's port as fast as it can, and judges
// every frame that comes back. Prints JSON; exit status 1 when something came back that must not.
//
// Everything follows from --seed: a frame is made from it and its number alone.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "tests/soak/judge.h"
#include "tests/soak/link.h"
#include "tests/soak/mutate.h"
#include "tests/soak/seeds.h"

namespace merlon::soak {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

constexpr size_t kBatch = 64;
std::atomic<bool> stopped{false};

struct Options {
  std::string interface;
  std::string server_mac;
  std::string client_mac;
  std::string server4 = "192.0.2.1";
  std::string server6 = "2001:db8::1";
  std::string device4 = "192.0.2.0";
  std::string device6 = "2001:db8::";
  std::string stranger4 = "198.51.100.0";
  std::string stranger6 = "2001:db8:ffff::";
  std::vector<std::string> bystanders;
  SeedOptions seeds;
  double seconds = 10;
  uint64_t rate = 0;
  uint64_t seed = 0;
  uint16_t udp_size_max = 1232;
};

std::optional<tests::Mac> parse_mac(const std::string& text) {
  tests::Mac mac{};
  std::array<unsigned, 6> parts{};
  if (std::sscanf(text.c_str(), "%2x:%2x:%2x:%2x:%2x:%2x", &parts[0], &parts[1], &parts[2],
                  &parts[3], &parts[4], &parts[5]) != 6) {
    return {};
  }
  std::ranges::copy(parts, mac.begin());
  return mac;
}

std::string hex(Bytes bytes) {
  std::string text;
  for (const uint8_t byte : bytes) {
    text += fmt::format("{:02x}", byte);
  }
  return text;
}

Result<Place> place_of(const Options& options) {
  const auto server = parse_mac(options.server_mac);
  const auto client = parse_mac(options.client_mac);
  if (!server || !client) {
    return fail(ErrorCode::invalid_argument, "--server-mac and --client-mac: six bytes in hex");
  }
  Place place{.server_mac = *server, .client_mac = *client};
  const std::pair<const std::string&, address::Address&> addresses[] = {
      {options.server4, place.server4},     {options.server6, place.server6},
      {options.device4, place.device4},     {options.device6, place.device6},
      {options.stranger4, place.stranger4}, {options.stranger6, place.stranger6}};
  for (const auto& [text, address] : addresses) {
    const auto parsed = address::parse_address(text);
    if (!parsed) {
      return fail(ErrorCode::invalid_argument, "\"{}\" is no address", text);
    }
    address = *parsed;
  }
  return place;
}

struct Sent {
  uint64_t made = 0;
  uint64_t taken = 0;
  double seconds = 0;
};

// Sends until the time is over, and waits a moment for what is under way.
Sent storm(const Options& options, const FrameMaker& maker, Link& link, Judge& judge) {
  constexpr auto kPatience = std::chrono::milliseconds(3500);  // the slow path's, and some
  const auto take = [&](Bytes frame) { judge.received(frame); };
  Sent sent;
  std::vector<Buffer> batch(kBatch);
  const auto started = Clock::now();
  const auto elapsed = [&] {
    return std::chrono::duration<double>(Clock::now() - started).count();
  };
  while (!stopped && elapsed() < options.seconds) {
    if (options.rate != 0 &&
        static_cast<double>(sent.made) > elapsed() * static_cast<double>(options.rate)) {
      link.receive(take);
      std::this_thread::sleep_for(std::chrono::microseconds(100));
      continue;
    }
    for (Buffer& frame : batch) {
      maker.make(sent.made, frame);
      judge.sent(sent.made++, frame);
    }
    sent.taken += link.send(batch);
    link.receive(take);
  }
  sent.seconds = elapsed();
  for (const auto end = Clock::now() + kPatience; Clock::now() < end;) {
    if (link.receive(take) == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  return sent;
}

json report(const Options& options, const Sent& sent, const Judge& judge, uint64_t missed) {
  const Counts& counts = judge.counts();
  json violations = json::array();
  for (const Violation& violation : judge.violations()) {
    json frames = json::array();
    for (const Buffer& frame : violation.sent) {
      frames.push_back(hex(frame));
    }
    violations.push_back(
        {{"what", violation.what}, {"reply", hex(violation.reply)}, {"sent", frames}});
  }
  json rcodes = json::object();
  for (size_t i = 0; i < std::size(counts.rcodes); ++i) {
    if (counts.rcodes[i] != 0) {
      rcodes[std::to_string(i)] = counts.rcodes[i];
    }
  }
  return {{"seed", options.seed},
          {"seconds", sent.seconds},
          {"made", sent.made},
          {"sent", sent.taken},
          {"sent_as",
           {{"queries", counts.queries},
            {"responses", counts.responses},
            {"too_short", counts.short_ones},
            {"broken", counts.frame_drops},
            {"not_ours", counts.not_ours}}},
          {"received",
           {{"replies", counts.replies},
            {"judged_by_headers_only", counts.loosely},
            {"to_other_clients", counts.to_others},
            {"arp", counts.arp},
            {"icmp", counts.icmp},
            {"other_ip", counts.other_ip},
            {"missed", missed}}},
          {"rcodes", rcodes},
          {"violations", judge.violation_count()},
          {"first_violations", violations}};
}

Result<bool> run(const Options& options) {
  auto seeds = gather_seeds(options.seeds);
  const auto place = place_of(options);
  if (!seeds || !place) {
    return std::unexpected(seeds ? place.error() : seeds.error());
  }
  Judge::Options judged{.place = *place, .udp_size_max = options.udp_size_max};
  for (const std::string& text : options.bystanders) {
    judged.bystanders.push_back(tests::ip(text));
  }
  const FrameMaker maker(std::move(*seeds), *place, options.seed);
  const auto judge = std::make_unique<Judge>(maker, std::move(judged));
  const auto link = Link::open(options.interface);
  if (!link) {
    return std::unexpected(link.error());
  }
  const Sent sent = storm(options, maker, **link, *judge);
  fmt::print("{}\n", report(options, sent, *judge, (*link)->missed()).dump(1));
  return judge->violation_count() == 0;
}

}  // namespace
}  // namespace merlon::soak

int main(int argc, char** argv) {
  CLI::App app("Sends damaged frames as fast as it can and judges what comes back");
  merlon::soak::Options options;
  app.add_option("--interface", options.interface, "the cable's end")->required();
  app.add_option("--server-mac", options.server_mac, "of the other end")->required();
  app.add_option("--client-mac", options.client_mac, "of this end")->required();
  app.add_option("--server4", options.server4, "asked")->capture_default_str();
  app.add_option("--server6", options.server6, "asked")->capture_default_str();
  app.add_option("--device4", options.device4, "a /24 that is a device's")->capture_default_str();
  app.add_option("--device6", options.device6, "a /120 that is a device's")->capture_default_str();
  app.add_option("--stranger4", options.stranger4, "a /24 that is nobody's")->capture_default_str();
  app.add_option("--stranger6", options.stranger6, "a /120 likewise")->capture_default_str();
  app.add_option("--bystander", options.bystanders, "answers to it are not ours");
  app.add_option("--corpus", options.seeds.corpus, "tests/fuzz/corpus")->required();
  app.add_option("--pcap", options.seeds.captures, "frames to start from as well");
  app.add_option("--name", options.seeds.names, "names that exist");
  app.add_option("--seconds", options.seconds, "how long")->capture_default_str();
  app.add_option("--rate", options.rate, "frames a second; 0: all it can")->capture_default_str();
  app.add_option("--seed", options.seed, "of the frames")->capture_default_str();
  app.add_option("--udp-size-max", options.udp_size_max, "as the server has it")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  for (const int number : {SIGINT, SIGTERM}) {
    std::signal(number, [](int) { merlon::soak::stopped = true; });
  }
  const auto clean = merlon::soak::run(options);
  if (!clean) {
    fmt::print(stderr, "merlon-frame-storm: {}\n", clean.error().message);
    return 2;
  }
  return *clean ? 0 : 1;
}

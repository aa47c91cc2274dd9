// SPDX-License-Identifier: Apache-2.0
// merlon-bench-snapshot: writes a state directory that both processes serve as it is: a zone with
// many small names and one name with a full list, for measuring. Loopback and --allow may ask.
//
//   n0.<suffix> .. n<names-1>.<suffix>  A x 4      list.<suffix>  A x --list
//
// The same records go to --zone-file in master file format, for other servers.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "bench/state.h"
#include "zones/base/file.h"

namespace merlon::bench {
namespace {

struct Options {
  std::string state;
  std::string zone_file;
  std::string suffix = "merlon.internal";
  unsigned names = 2000;
  unsigned list = 4000;
  std::vector<std::string> allow;
};

Result<std::vector<uint8_t>> access_of(const Options& options) {
  std::vector<std::string> texts = {"127.0.0.0/8", "::1/128"};
  texts.insert(texts.end(), options.allow.begin(), options.allow.end());
  std::vector<address::AnyPrefix> sources;
  for (const std::string& text : texts) {
    const auto prefix = address::parse_prefix(text);
    if (!prefix) {
      return fail(ErrorCode::invalid_argument, "--allow: \"{}\" {}", text,
                  address::explain(prefix.error()));
    }
    sources.push_back(*prefix);
  }
  return sources_may_ask(sources);
}

Status run(const Options& options) {
  const auto apex = name::Name::from_text(options.suffix);
  if (!apex) {
    return std::unexpected(apex.error());
  }
  Zone zone(apex->folded(), options.zone_file.empty() ? Zone::Text::none : Zone::Text::master_file);
  Status done = zone.add_apex();
  if (done) {
    done = zone.add_names(options.names);
  }
  if (done) {
    done = zone.add_addresses("list", 0x2D000000, options.list);
  }
  if (!done) {
    return done;
  }
  const auto bytes = zone.finish();
  const auto access = access_of(options);
  if (!bytes || !access) {
    return std::unexpected(bytes ? access.error() : bytes.error());
  }
  if (auto written = write_state(options.state, apex->folded(), *bytes, *access); !written) {
    return written;
  }
  return options.zone_file.empty() ? Status()
                                   : write_file_durably(options.zone_file, as_bytes(zone.text()));
}

}  // namespace
}  // namespace merlon::bench

int main(int argc, char** argv) {
  CLI::App app("Writes a state directory for measuring");
  merlon::bench::Options options;
  app.add_option("--state", options.state, "the directory to make")->required();
  app.add_option("--zone-file", options.zone_file, "the same as a master file");
  app.add_option("--suffix", options.suffix, "the zone")->capture_default_str();
  app.add_option("--names", options.names, "names with four addresses")->capture_default_str();
  app.add_option("--list", options.list, "addresses of list.<suffix>")->capture_default_str();
  app.add_option("--allow", options.allow, "prefixes that may ask, besides loopback");
  CLI11_PARSE(app, argc, argv);
  if (const auto done = merlon::bench::run(options); !done) {
    fmt::print(stderr, "merlon-bench-snapshot: {}\n", done.error().message);
    return 1;
  }
  return 0;
}

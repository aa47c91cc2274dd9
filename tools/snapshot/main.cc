// SPDX-License-Identifier: Apache-2.0
// merlon-snapshot inspect|verify|diff|export|example. Exit status: 0 good, 1 damaged or failed, 2
// usage, 3 not found.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "tools/snapshot/commands.h"
#include "zones/base/file.h"

namespace merlon::tools::snapshot {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;
constexpr int kExitNotFound = 3;

Result<merlon::snapshot::PublicKey> read_key(const std::string& hex, const std::string& file) {
  if (!hex.empty()) {
    return merlon::snapshot::parse_public_key(hex);
  }
  const auto content = read_file(file, 4096);
  if (!content) {
    return std::unexpected(content.error());
  }
  const auto key = merlon::snapshot::parse_public_key(as_text(*content));
  if (!key) {
    return in(file, key.error());
  }
  return key;
}

struct Arguments {
  InspectOptions inspect;
  VerifyOptions verify;
  DiffOptions diff;
  ExportOptions exported;
  std::string key;
  std::string key_file;
  bool inspect_json = false;
  bool diff_json = false;
};

void declare(CLI::App& app, Arguments& arguments) {
  app.require_subcommand(1);
  CLI::App* inspect = app.add_subcommand("inspect", "Show a segment, or a directory's generation");
  inspect->add_option("path", arguments.inspect.path, "Segment file or snapshot directory")
      ->required();
  inspect->add_option("--generation", arguments.inspect.generation,
                      "Generation of a directory (default: the current one)");
  inspect->add_flag("--json", arguments.inspect_json, "Print JSON");

  CLI::App* verify = app.add_subcommand("verify", "Check a whole generation");
  verify->add_option("directory", arguments.verify.directory, "Snapshot directory")->required();
  verify->add_option("--generation", arguments.verify.generation, "Default: the current one");
  CLI::Option_group* keys = verify->add_option_group("key", "The publisher's public key");
  keys->add_option("--key", arguments.key, "64 hex digits");
  keys->add_option("--key-file", arguments.key_file, "File with 64 hex digits");
  keys->require_option(1);

  CLI::App* diff = app.add_subcommand("diff", "What changed from one generation to another");
  diff->add_option("directory", arguments.diff.directory, "Snapshot directory")->required();
  diff->add_option("from", arguments.diff.from, "Older generation")->required();
  diff->add_option("to", arguments.diff.to, "Newer generation")->required();
  diff->add_flag("--json", arguments.diff_json, "Print JSON");

  CLI::App* exported = app.add_subcommand("export", "Print a zone as a zone file");
  exported->add_option("directory", arguments.exported.directory, "Snapshot directory")->required();
  exported->add_option("apex", arguments.exported.apex, "The zone's name")->required();
  exported->add_option("--generation", arguments.exported.generation, "Default: the current one");

  app.add_subcommand("example", "Print the worked example of FORMAT.md as a hex dump");
}

Status run(const CLI::App& app, Arguments& arguments) {
  if (app.got_subcommand("inspect")) {
    arguments.inspect.format = arguments.inspect_json ? Format::json : Format::text;
    return inspect(arguments.inspect);
  }
  if (app.got_subcommand("diff")) {
    arguments.diff.format = arguments.diff_json ? Format::json : Format::text;
    return diff(arguments.diff);
  }
  if (app.got_subcommand("export")) {
    return export_zone(arguments.exported);
  }
  if (app.got_subcommand("verify")) {
    const auto key = read_key(arguments.key, arguments.key_file);
    if (!key) {
      return std::unexpected(key.error());
    }
    arguments.verify.key = *key;
    return verify(arguments.verify);
  }
  return example();
}

int main_with_exceptions(int argc, char** argv) {
  CLI::App app("Looks into Merlon's snapshot files");
  Arguments arguments;
  declare(app, arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }
  const Status done = run(app, arguments);
  if (done) {
    return 0;
  }
  std::fflush(stdout);
  fmt::print(stderr, "merlon-snapshot: {}: {}\n", to_string(done.error().code),
             done.error().message);
  return done.error().code == ErrorCode::not_found ? kExitNotFound : kExitFailed;
}

}  // namespace
}  // namespace merlon::tools::snapshot

int main(int argc, char** argv) {
  try {
    return merlon::tools::snapshot::main_with_exceptions(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "merlon-snapshot: {}\n", error.what());
    return 1;
  }
}

// SPDX-License-Identifier: Apache-2.0
// What a command of merlonctl is. One table row says all about it: the parser, the help, the usage
// errors and their suggestions are made from the rows (table of rows: command.cc).
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace merlon::merlonctl {

using Json = nlohmann::ordered_json;

enum class Exit : int { ok = 0, failed = 1, usage = 2, not_found = 3, unreachable = 4 };

struct Failure {
  Exit exit = Exit::failed;
  std::string message;  // "" when everything is said already
  Json answer = {};     // the API's error object, for --json
};
template <class T>
using Outcome = std::expected<T, Failure>;
using Done = Outcome<void>;

std::unexpected<Failure> failed(std::string message);
std::unexpected<Failure> usage_error(std::string message);

struct Flag {
  std::string_view name;   // with its dashes
  std::string_view value;  // "URL"; "" when it is a switch
  std::string_view help;
};

struct Context;

struct Command {
  std::string_view noun;
  std::string_view verb;  // "" for a noun that is the whole command
  std::string_view args;  // as in the help: "ID..."
  size_t args_min = 0;
  size_t args_max = 0;
  std::span<const Flag> flags;
  uint32_t timeout_s = 0;  // default of --timeout: how long an honest answer may take
  std::string_view summary;
  std::string_view example;
  Done (*run)(const Context&) = nullptr;

  std::string name() const;  // "feed add"
};

inline constexpr size_t kAnyCount = SIZE_MAX;

std::span<const Command> commands();
std::span<const Flag> global_flags();

// The command line, taken apart.
struct Invocation {
  const Command* command = nullptr;  // nullptr: help or version was asked for
  std::string noun;                  // of the help that was asked for
  std::vector<std::string> args;
  std::map<std::string, std::string, std::less<>> flags;

  bool has(std::string_view flag) const { return flags.find(flag) != flags.end(); }
  // REQUIRES: has(flag) and the flag takes a value.
  const std::string& value(std::string_view flag) const { return flags.find(flag)->second; }
};

// Flags may stand anywhere, "--name value" or "--name=value"; after "--" nothing is a flag.
Outcome<Invocation> parse(std::span<const std::string> words);
std::string help_text(const Invocation& invocation);

class Client;

struct Context {
  const Invocation& call;
  const Client& client;
  bool json = false;
  bool colour = false;
  bool dry_run = false;
  int64_t now = 0;

  const std::string& arg(size_t index) const { return call.args[index]; }
};

// To stdout, pretty; bytes that are not UTF-8 become U+FFFD.
void print_json(const Json& json);
// To stdout, respectively (talk) to stderr with a newline.
void print(std::string_view text);
void say(std::string_view text);
// Asks on the terminal unless --yes; without a terminal and --yes it is a usage error.
Done confirm(const Context& context, const std::string& question);

// One file per noun.
Done run_status(const Context& context);
Done run_feed_list(const Context& context);
Done run_feed_show(const Context& context);
Done run_feed_add(const Context& context);
Done run_feed_probe(const Context& context);
Done run_feed_refresh(const Context& context);
Done run_feed_accept(const Context& context);
Done run_feed_report(const Context& context);
Done run_feed_compare(const Context& context);
Done run_feed_remove(const Context& context);
Done run_feed_upload(const Context& context);
Done run_feed_catalogue_list(const Context& context);
Done run_feed_catalogue_show(const Context& context);
Done run_feed_catalogue_enable(const Context& context);
Done run_list_list(const Context& context);
Done run_list_show(const Context& context);
Done run_zone_list(const Context& context);
Done run_zone_reload(const Context& context);
Done run_zone_check(const Context& context);
Done run_device_list(const Context& context);
Done run_device_show(const Context& context);
Done run_device_add(const Context& context);
Done run_device_set(const Context& context);
Done run_device_key(const Context& context);
Done run_device_config(const Context& context);
Done run_device_remove(const Context& context);
Done run_account_list(const Context& context);
Done run_account_show(const Context& context);
Done run_account_lists(const Context& context);
Done run_account_add(const Context& context);
Done run_account_change(const Context& context);
Done run_account_remove(const Context& context);
Done run_custom_list_list(const Context& context);
Done run_custom_list_show(const Context& context);
Done run_custom_list_add(const Context& context);
Done run_custom_list_remove(const Context& context);
Done run_entry_list(const Context& context);
Done run_entry_add(const Context& context);
Done run_entry_remove(const Context& context);
Done run_policy_list(const Context& context);
Done run_policy_show(const Context& context);
Done run_policy_add(const Context& context);
Done run_policy_remove(const Context& context);
Done run_policy_profiles(const Context& context);
Done run_transfers(const Context& context);
Done run_dnssec_list(const Context& context);
Done run_dnssec_show(const Context& context);
Done run_dnssec_ds(const Context& context);
Done run_dnssec_rollover(const Context& context);
Done run_dnssec_ds_seen(const Context& context);
Done run_dnssec_confirm_clock(const Context& context);
Done run_snapshot_list(const Context& context);
Done run_snapshot_build(const Context& context);
Done run_snapshot_activate(const Context& context);
Done run_snapshot_rollback(const Context& context);
Done run_snapshot_verify(const Context& context);
Done run_forward_status(const Context& context);
Done run_dataplane_status(const Context& context);
Done run_dataplane_stats(const Context& context);
Done watch_dataplane_stats(const Context& context);  // with --watch
Done run_dataplane_top(const Context& context);
Done run_dataplane_subjects(const Context& context);
Done run_dataplane_profile(const Context& context);
Done run_doctor(const Context& context);
Done run_check(const Context& context);
Done run_backup(const Context& context);

}  // namespace merlon::merlonctl

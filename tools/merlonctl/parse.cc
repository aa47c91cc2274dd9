// SPDX-License-Identifier: Apache-2.0
// The command line against the table. A flag that takes a value does so in every command that has
// it, which lets flags stand before the words that say which command it is.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "tools/merlonctl/command.h"
#include "zones/base/nearest.h"

namespace merlon::merlonctl {
namespace {

const Flag* find_flag(std::span<const Flag> flags, std::string_view name) {
  const auto found =
      std::find_if(flags.begin(), flags.end(), [&](const Flag& flag) { return flag.name == name; });
  return found == flags.end() ? nullptr : &*found;
}

const Flag* find_flag_anywhere(std::string_view name) {
  const Flag* flag = find_flag(global_flags(), name);
  for (const Command& command : commands()) {
    flag = flag == nullptr ? find_flag(command.flags, name) : flag;
  }
  return flag;
}

std::vector<std::string_view> flag_names(const Command* only) {
  std::vector<std::string_view> names;
  for (const Command& command : commands()) {
    if (only == nullptr || only == &command) {
      for (const Flag& flag : command.flags) {
        names.push_back(flag.name);
      }
    }
  }
  for (const Flag& flag : global_flags()) {
    names.push_back(flag.name);
  }
  return names;
}

std::vector<std::string_view> nouns() {
  std::vector<std::string_view> names;
  for (const Command& command : commands()) {
    if (names.empty() || names.back() != command.noun) {
      names.push_back(command.noun);
    }
  }
  return names;
}

std::vector<std::string_view> verbs_of(std::string_view noun) {
  std::vector<std::string_view> names;
  for (const Command& command : commands()) {
    if (command.noun == noun) {
      names.push_back(command.verb);
    }
  }
  return names;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> known,
                         std::string_view before = "") {
  const std::string_view meant = nearest(word, known);
  return meant.empty() ? std::string() : fmt::format("; did you mean \"{}{}\"?", before, meant);
}

// Takes the flags out of `words`; what is left are the noun, the verb and the arguments.
Outcome<std::vector<std::string>> take_flags(std::span<const std::string> words,
                                             Invocation& invocation) {
  std::vector<std::string> rest;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") {
      rest.insert(rest.end(), words.begin() + static_cast<ptrdiff_t>(i) + 1, words.end());
      break;
    }
    if (word.size() < 2 || word[0] != '-') {
      rest.push_back(word);
      continue;
    }
    const size_t equals = word.find('=');
    const std::string name = word == "-h" ? "--help" : word.substr(0, equals);
    const Flag* flag = find_flag_anywhere(name);
    if (flag == nullptr) {
      return usage_error(
          fmt::format("unknown flag {}{}", name, did_you_mean(name, flag_names(nullptr))));
    }
    std::string value;
    if (flag->value.empty()) {
      if (equals != std::string::npos) {
        return usage_error(fmt::format("{} takes no value", name));
      }
    } else if (equals != std::string::npos) {
      value = word.substr(equals + 1);
    } else if (i + 1 < words.size()) {
      value = words[++i];
    } else {
      return usage_error(fmt::format("{} needs a value: {} {}", name, name, flag->value));
    }
    if (!invocation.flags.emplace(name, std::move(value)).second) {
      return usage_error(fmt::format("{} is given twice", name));
    }
  }
  return rest;
}

// "feed catalogue" is the noun "feed-catalogue".
void join_noun(std::vector<std::string>& words) {
  if (words.size() >= 2 && !verbs_of(words[0] + "-" + words[1]).empty()) {
    words[0] += "-" + words[1];
    words.erase(words.begin() + 1);
  }
}

Outcome<const Command*> find_command(std::vector<std::string>& words) {
  join_noun(words);
  const std::string noun = words.front();
  const std::vector<std::string_view> verbs = verbs_of(noun);
  if (verbs.empty()) {
    const std::string meant = did_you_mean(noun, nouns(), "merlonctl ");
    return usage_error(fmt::format(
        "unknown command \"{}\"{}", noun,
        meant.empty() ? fmt::format("; there are {}", fmt::join(nouns(), ", ")) : meant));
  }
  words.erase(words.begin());
  const bool needs_verb = !verbs.front().empty();
  if (needs_verb && words.empty()) {
    return usage_error(fmt::format("{} what? The verbs are {}", noun, fmt::join(verbs, ", ")));
  }
  const std::string verb = needs_verb ? words.front() : std::string();
  for (const Command& command : commands()) {
    if (command.noun == noun && command.verb == verb) {
      words.erase(words.begin(), words.begin() + (needs_verb ? 1 : 0));
      return &command;
    }
  }
  const std::string meant = did_you_mean(verb, verbs, fmt::format("merlonctl {} ", noun));
  return usage_error(fmt::format(
      "unknown command \"{} {}\"{}", noun, verb,
      meant.empty() ? fmt::format("; the verbs are {}", fmt::join(verbs, ", ")) : meant));
}

Done check_fit(const Invocation& invocation) {
  const Command& command = *invocation.command;
  for (const auto& [name, value] : invocation.flags) {
    if (find_flag(global_flags(), name) == nullptr && find_flag(command.flags, name) == nullptr) {
      return usage_error(fmt::format("{} takes no flag {}{}", command.name(), name,
                                     did_you_mean(name, flag_names(&command))));
    }
  }
  const size_t count = invocation.args.size();
  if (count < command.args_min || count > command.args_max) {
    return usage_error(fmt::format("{} takes {}, not {} argument{}", command.name(),
                                   command.args.empty() ? "no arguments" : command.args, count,
                                   count == 1 ? "" : "s"));
  }
  for (const std::string& arg : invocation.args) {
    if (arg.empty()) {
      return usage_error(fmt::format("{}: an argument is empty", command.name()));
    }
  }
  return {};
}

void append_flags(std::string& text, std::span<const Flag> flags) {
  size_t width = 0;
  for (const Flag& flag : flags) {
    width = std::max(width, flag.name.size() + 1 + flag.value.size());
  }
  for (const Flag& flag : flags) {
    text += fmt::format("  {:<{}}  {}\n", fmt::format("{} {}", flag.name, flag.value), width,
                        flag.help);
  }
}

std::string help_of(const Command& command) {
  std::string text = fmt::format("{}: {}\n\nUsage: merlonctl {}{}{}{}\n", command.name(),
                                 command.summary, command.name(), command.args.empty() ? "" : " ",
                                 command.args, command.flags.empty() ? "" : " [flags]");
  text += fmt::format("Example: {}\nWaits at most {} s for an answer (--timeout).\n",
                      command.example, command.timeout_s);
  if (!command.flags.empty()) {
    text += "\nFlags:\n";
    append_flags(text, command.flags);
  }
  text += "\nFlags of every command:\n";
  append_flags(text, global_flags());
  return text;
}

}  // namespace

Outcome<Invocation> parse(std::span<const std::string> words) {
  Invocation invocation;
  Outcome<std::vector<std::string>> rest = take_flags(words, invocation);
  if (!rest) {
    return std::unexpected(rest.error());
  }
  const bool asks_only = invocation.has("--help") || invocation.has("--version");
  if (rest->empty()) {
    if (asks_only) {
      return invocation;
    }
    return usage_error("which command?");
  }
  const std::string noun = rest->front();
  if (invocation.has("--help") && rest->size() == 1 && !verbs_of(noun).empty()) {
    invocation.noun = noun;
    return invocation;
  }
  const Outcome<const Command*> command = find_command(*rest);
  if (!command) {
    return std::unexpected(command.error());
  }
  invocation.command = *command;
  invocation.args = std::move(*rest);
  if (!asks_only) {
    const Done fits = check_fit(invocation);
    if (!fits) {
      return std::unexpected(fits.error());
    }
  }
  return invocation;
}

std::string help_text(const Invocation& invocation) {
  if (invocation.command != nullptr) {
    return help_of(*invocation.command);
  }
  std::string text;
  if (invocation.noun.empty()) {
    text = "merlonctl: the operator's tool of Merlon, a client of its REST API\n\n";
  }
  text += "Usage: merlonctl [flags] COMMAND [arguments] [flags]\n\nCommands:\n";
  size_t width = 0;
  for (const Command& command : commands()) {
    width = std::max(width, command.name().size() + 1 + command.args.size());
  }
  for (const Command& command : commands()) {
    if (invocation.noun.empty() || invocation.noun == command.noun) {
      text += fmt::format("  {:<{}}  {}\n", fmt::format("{} {}", command.name(), command.args),
                          width, command.summary);
    }
  }
  text += "\nFlags of every command:\n";
  append_flags(text, global_flags());
  text +=
      "\nExit status: 0 ok, 1 failed, 2 usage, 3 not found, 4 control plane unreachable.\n"
      "More: merlonctl COMMAND --help\n";
  return text;
}

}  // namespace merlon::merlonctl

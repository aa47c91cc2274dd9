// SPDX-License-Identifier: Apache-2.0
#include "controlplane/store/rules.h"

#include <algorithm>

#include "controlplane/policy/profiles.h"
#include "controlplane/store/ageing.h"
#include "controlplane/store/own_lists.h"
#include "zones/name/name.h"

namespace merlon::store {
namespace {

constexpr size_t kDeclarationSizeMax = 1000;
constexpr size_t kLabelSizeMax = 40;  // leaves room for the number of a split list's part
constexpr size_t kTitleSizeMax = 200;
constexpr size_t kUrlSizeMax = 2048;
constexpr size_t kTargetCountMax = 100;
constexpr size_t kNameCountMax = 1000;  // of feeds, categories or lists in one place

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

template <class T>
Status check_between(std::string_view what, T value, T low, T high) {
  if (low <= value && value <= high) {
    return {};
  }
  return fail(ErrorCode::invalid_argument, "{} {} is outside {}..{}", what, value, low, high);
}

bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= ' ' && c != 0x7f; });
}

Status check_title(std::string_view title) {
  if (is_plain(title) && title.size() <= kTitleSizeMax) {
    return {};
  }
  return fail(ErrorCode::invalid_argument,
              "title is longer than {} bytes or holds a control character", kTitleSizeMax);
}

// Names of other things: labels, each once, not too many.
Status check_names(std::string_view what, const std::vector<std::string>& names) {
  if (names.size() > kNameCountMax) {
    return fail(ErrorCode::invalid_argument, "{} names, at most {} are possible: {}", names.size(),
                kNameCountMax, what);
  }
  for (const std::string& name : names) {
    if (auto good = check_label(what, name); !good) {
      return good;
    }
    if (std::count(names.begin(), names.end(), name) > 1) {
      return fail(ErrorCode::invalid_argument, "{} {} is named twice", what, name);
    }
  }
  return {};
}

Status check_action(Action action, const Policy& policy) {
  if (static_cast<unsigned>(action) > static_cast<unsigned>(Action::garden)) {
    return fail(ErrorCode::invalid_argument, "action has no such value");
  }
  if (policy.kind == PolicyKind::ip && action != Action::nxdomain) {
    return fail(ErrorCode::invalid_argument,
                "action {}: an IP policy is a list of addresses and has no actions; leave it out "
                "or make the policy a DNS policy",
                to_string(action));
  }
  if (action == Action::garden && policy.garden.empty()) {
    return fail(ErrorCode::invalid_argument,
                "action garden needs the domain to send to: give garden");
  }
  return {};
}

Status check_place(const Target& target) {
  if (target.countries.size() > kNameCountMax || target.asns.size() > kNameCountMax) {
    return fail(ErrorCode::invalid_argument, "at most {} countries and as many systems",
                kNameCountMax);
  }
  for (const std::string& country : target.countries) {
    const bool good = country.size() == 2 &&
                      std::ranges::all_of(country, [](char c) { return c >= 'A' && c <= 'Z'; });
    if (!good) {
      return fail(ErrorCode::invalid_argument,
                  "country \"{}\" is no ISO 3166 code of two capital letters, such as DE",
                  country.substr(0, kLabelSizeMax));
    }
  }
  if (std::ranges::find(target.asns, 0u) != target.asns.end()) {
    return fail(ErrorCode::invalid_argument, "there is no autonomous system 0");
  }
  return {};
}

Status check_target(const Target& target, const Policy& policy) {
  Status checks[] = {
      check_names("feed", target.feeds),
      check_names("category", target.categories),
      check_between<unsigned>("severity_min", target.severity_min, 0, 5),
      check_between<unsigned>("confidence_min", target.confidence_min, 0, 100),
      check_action(target.action, policy),
      check_place(target),
  };
  for (Status& check : checks) {
    if (!check) {
      return std::move(check);
    }
  }
  return {};
}

Status check_garden(std::string_view garden) {
  if (garden.empty()) {
    return {};
  }
  const std::string_view host = garden.starts_with("*.") ? garden.substr(2) : garden;
  const auto fault = name::host_name_fault(host);
  if (fault.empty()) {
    return {};
  }
  return fail(ErrorCode::invalid_argument, "garden \"{}\" is no domain ({})",
              garden.substr(0, kTitleSizeMax), fault);
}

// What only policies of one kind have, and the profile that bounds the capacity.
Status check_profile(const Policy& policy) {
  const policy::Profile* profile = policy::find_profile(policy.profile);
  if (profile == nullptr) {
    return fail(ErrorCode::invalid_argument,
                "there is no profile \"{}\"; `merlonctl policy profiles` lists them",
                policy.profile.substr(0, kLabelSizeMax));
  }
  if (policy.kind == PolicyKind::dns) {
    if (profile != policy::find_profile("") || policy.capacity != 0) {
      return fail(ErrorCode::invalid_argument,
                  "profile and capacity are what firewalls can take of an IP policy; a DNS policy "
                  "has neither");
    }
    return {};
  }
  if (!policy.garden.empty()) {
    return fail(ErrorCode::invalid_argument, "garden is for DNS policies");
  }
  if (profile->capacity != 0 && policy.capacity > profile->capacity) {
    return fail(ErrorCode::invalid_argument,
                "capacity {} is more than profile {} takes, which is {}", policy.capacity,
                profile->name, profile->capacity);
  }
  return {};
}

// How feeds come (fetch/fetch.h): from hosts, and from what lies on this machine.
constexpr std::string_view kHostSchemes[] = {"http://",        "https://",     "ftp://",
                                             "ftps://",        "sftp://",      "taxii+http://",
                                             "taxii+https://", "misp+http://", "misp+https://",
                                             "rss+http://",    "rss+https://"};
constexpr std::string_view kLocalSchemes[] = {"file:///", "misp+file:///", "mbox:///",
                                              "maildir:///", "pipe:///"};

// Hosts of others are not asked more than once a minute.
uint64_t interval_min_s(const FeedDefinition& definition) {
  const bool local =
      std::any_of(std::begin(kLocalSchemes), std::end(kLocalSchemes),
                  [&](std::string_view scheme) { return definition.url.starts_with(scheme); });
  return local || definition.private_hosts ? 1 : 60;
}

Status check_url(std::string_view url) {
  if (url.size() > kUrlSizeMax) {
    return fail(ErrorCode::invalid_argument, "url is longer than {} bytes", kUrlSizeMax);
  }
  const bool printable =
      std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!printable) {
    return fail(ErrorCode::invalid_argument,
                "url holds a blank, control or non-ASCII byte; write it as %XX");
  }
  for (const std::string_view scheme : kLocalSchemes) {
    if (url.starts_with(scheme) && url.size() > scheme.size()) {
      return {};
    }
  }
  for (const std::string_view scheme : kHostSchemes) {
    if (!url.starts_with(scheme)) {
      continue;
    }
    const std::string_view rest = url.substr(scheme.size());
    if (rest.empty() || rest.find_first_of("/?#") == 0) {
      return fail(ErrorCode::invalid_argument, "url {} names no host", url);
    }
    return {};
  }
  if (url == "upload:") {
    return {};
  }
  return fail(ErrorCode::invalid_argument,
              "url \"{}\" does not start with http://, https:// or another scheme of feeds, nor "
              "with file:///absolute/path",
              url);
}

}  // namespace

Status check_label(std::string_view what, std::string_view text) {
  const bool good =
      !text.empty() && text.size() <= kLabelSizeMax && is_alphanumeric(text.front()) &&
      is_alphanumeric(text.back()) &&
      std::all_of(text.begin(), text.end(), [](char c) { return is_alphanumeric(c) || c == '-'; });
  if (good) {
    return {};
  }
  return fail(ErrorCode::invalid_argument,
              "{} \"{}\" is not 1 to {} of a-z, 0-9 and '-', with no '-' at either end", what, text,
              kLabelSizeMax);
}

Status check_definition(const FeedDefinition& definition) {
  if (static_cast<unsigned>(definition.direction) > static_cast<unsigned>(Direction::allow) ||
      static_cast<unsigned>(definition.tier) > static_cast<unsigned>(Tier::operator_)) {
    return fail(ErrorCode::invalid_argument, "direction or tier has no such value");
  }
  if (definition.format.empty() || definition.format.size() > kDeclarationSizeMax) {
    return fail(ErrorCode::invalid_argument, "format is empty or too long; \"auto\" is good");
  }
  for (const std::string* text : {&definition.provider, &definition.licence, &definition.homepage,
                                  &definition.credentials, &definition.ageing}) {
    if (text->size() > kDeclarationSizeMax) {
      return fail(ErrorCode::invalid_argument, "\"{:.40}...\" is longer than {} bytes", *text,
                  kDeclarationSizeMax);
    }
  }
  for (const std::string& copied : definition.copies) {
    if (auto good = check_label("feed id in copies", copied); !good) {
      return good;
    }
  }
  Status checks[] = {
      check_title(definition.title),
      check_ageing(definition),
      check_label("feed id", definition.id),
      check_url(definition.url),
      check_label("category", definition.category),
      check_between<unsigned>("severity", definition.severity, 0, 5),
      check_between<unsigned>("confidence", definition.confidence, 0, 100),
      check_between<uint64_t>("interval_s", definition.interval_s, interval_min_s(definition),
                              UINT32_MAX),
      check_between<uint64_t>("timeout_s", definition.timeout_s, 1, 600),
      check_between<uint64_t>("size_max_bytes", definition.size_max_bytes, 1 << 10, 1 << 30),
  };
  for (Status& check : checks) {
    if (!check) {
      return std::move(check);
    }
  }
  return {};
}

Status check_account(const Account& account) {
  if (static_cast<unsigned>(account.tier) > static_cast<unsigned>(Tier::operator_)) {
    return fail(ErrorCode::invalid_argument, "tier has no such value");
  }
  if (auto good = check_label("account", account.name); !good) {
    return good;
  }
  return check_title(account.title);
}

Status check_list(const CustomList& list) {
  if (static_cast<unsigned>(list.direction) > static_cast<unsigned>(Direction::allow)) {
    return fail(ErrorCode::invalid_argument, "direction has no such value");
  }
  if (auto good = check_label("list name", list.name); !good) {
    return good;
  }
  return check_title(list.title);
}

Status check_policy(const Policy& policy) {
  if (static_cast<unsigned>(policy.kind) > static_cast<unsigned>(PolicyKind::dns)) {
    return fail(ErrorCode::invalid_argument, "kind has no such value");
  }
  if (policy.targets.empty() && policy.lists.empty()) {
    return fail(ErrorCode::invalid_argument,
                "policy {} names neither a target nor a list, so it would hold nothing",
                policy.name);
  }
  if (policy.targets.size() > kTargetCountMax) {
    return fail(ErrorCode::invalid_argument, "policy {} has {} targets, at most {} are possible",
                policy.name, policy.targets.size(), kTargetCountMax);
  }
  for (size_t i = 0; i < policy.targets.size(); ++i) {
    if (auto good = check_target(policy.targets[i], policy); !good) {
      return in(fmt::format("target {}", i + 1), good.error());
    }
  }
  Status checks[] = {
      check_label("policy name", policy.name),
      check_title(policy.title),
      check_names("list", policy.lists),
      check_action(policy.list_action, policy),
      check_garden(policy.garden),
      check_profile(policy),
  };
  for (Status& check : checks) {
    if (!check) {
      return std::move(check);
    }
  }
  return {};
}

Status check_entry(const CustomEntry& entry, int64_t now) {
  if (!is_plain(entry.comment) || entry.comment.size() > kCommentSizeMax) {
    return fail(ErrorCode::invalid_argument,
                "the comment is longer than {} bytes or holds a control character",
                kCommentSizeMax);
  }
  if (entry.expires != 0 && entry.expires <= now) {
    return fail(ErrorCode::invalid_argument, "it would have expired already");
  }
  if (entry.expires >= UINT32_MAX) {
    return fail(ErrorCode::invalid_argument, "it expires after 2106; leave the expiry out");
  }
  return {};
}

}  // namespace merlon::store

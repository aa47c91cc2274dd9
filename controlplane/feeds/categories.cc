// SPDX-License-Identifier: Apache-2.0
#include "controlplane/feeds/categories.h"

#include <algorithm>
#include <array>
#include <vector>

#include "controlplane/feeds/parse.h"

namespace merlon::feeds {
namespace {

constexpr size_t kNameSizeMax = 40;

constexpr std::array kCategories = std::to_array<Category>({
    {"blacklist", "other", 3, "listed by a source that gives no closer reason"},
    {"botnet", "malicious-code", 4, "member or controller of a botnet, role not given"},
    {"brute-force", "intrusion-attempts", 3, "tries passwords on SSH, RDP, mail or web logins"},
    {"c2-server", "malicious-code", 5, "commands infected machines"},
    {"ddos", "availability", 3, "takes part in distributed denial of service"},
    {"ddos-amplifier", "vulnerable", 2, "open service that amplifies spoofed requests"},
    {"dga-domain", "other", 4, "name made by a malware's domain generation algorithm"},
    {"dos", "availability", 3, "source of denial of service"},
    {"exploit", "intrusion-attempts", 4, "tries or serves exploits of vulnerabilities"},
    {"harmful-speech", "abusive-content", 1, "content against the law or the house rules"},
    {"ids-alert", "intrusion-attempts", 3, "set off an intrusion detection system"},
    {"infected-system", "malicious-code", 4, "runs malware, usually without its owner's knowledge"},
    {"malware", "malicious-code", 4, "concerned with malware, role not given"},
    {"malware-configuration", "malicious-code", 5, "serves configuration to malware"},
    {"malware-distribution", "malicious-code", 4, "serves malware"},
    {"masquerade", "fraud", 3, "poses as another organisation"},
    {"other", "other", 1, "none of the other categories"},
    {"phishing", "fraud", 4, "collects credentials or payments under a false name"},
    {"potentially-unwanted-accessible", "vulnerable", 1,
     "service that should not face the Internet"},
    {"proxy", "other", 1, "open proxy or VPN exit"},
    {"scanner", "information-gathering", 2, "scans networks for open services"},
    {"social-engineering", "information-gathering", 3, "gathers information by deceit"},
    {"spam", "abusive-content", 2, "sends or is advertised by spam"},
    {"system-compromise", "intrusions", 4, "taken over by an attacker"},
    {"test", "test", 0, "for trying things out; carries no judgement"},
    {"tor", "other", 1, "Tor relay or exit"},
    {"undetermined", "other", 2, "reason not known yet"},
    {"vulnerable-system", "vulnerable", 1, "runs software with a known vulnerability"},
});
static_assert(std::is_sorted(kCategories.begin(), kCategories.end(),
                             [](const Category& a, const Category& b) { return a.name < b.name; }));

// Levenshtein; both names are short.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) {
    row[j] = j;
  }
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::span<const Category> categories() {
  return kCategories;
}

const Category* find_category(std::string_view name) {
  const auto found = std::find_if(kCategories.begin(), kCategories.end(),
                                  [&](const Category& category) { return category.name == name; });
  return found == kCategories.end() ? nullptr : &*found;
}

std::string_view nearest_category(std::string_view name) {
  if (name.empty() || name.size() > kNameSizeMax) {
    return "";
  }
  std::string_view nearest;
  size_t nearest_distance = SIZE_MAX;
  for (const Category& category : kCategories) {
    // "c2" and "scan" are far by letters, but their meaning is plain.
    const size_t distance =
        category.name.starts_with(name) ? 1 : edit_distance(name, category.name);
    if (distance < nearest_distance) {
      nearest = category.name;
      nearest_distance = distance;
    }
  }
  return nearest_distance <= std::max<size_t>(2, name.size() / 3) ? nearest : "";
}

Status check_category(std::string_view name) {
  if (find_category(name) != nullptr) {
    return {};
  }
  const std::string_view nearest = nearest_category(name);
  if (!nearest.empty()) {
    return fail(ErrorCode::invalid_argument, "unknown category \"{}\"; did you mean \"{}\"?",
                printable(name, kNameSizeMax), nearest);
  }
  std::string names;
  for (const Category& category : kCategories) {
    names += names.empty() ? "" : ", ";
    names += category.name;
  }
  return fail(ErrorCode::invalid_argument, "unknown category \"{}\"; known: {}",
              printable(name, kNameSizeMax), names);
}

}  // namespace merlon::feeds

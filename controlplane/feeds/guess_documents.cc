// SPDX-License-Identifier: Apache-2.0
// JSON and XML: known dialects by their marks, other JSON by what is at its paths.
#include <algorithm>
#include <array>
#include <map>

#include "controlplane/feeds/guess.h"
#include "controlplane/feeds/json_path.h"
#include "controlplane/feeds/lines.h"
#include "controlplane/feeds/token.h"
#include "zones/name/name.h"

namespace merlon::feeds {
namespace {

constexpr size_t kHeadSize = 64 << 10;
constexpr size_t kPathsMax = 1000;
constexpr size_t kPathsTaken = 8;
constexpr size_t kRowsMax = 500;

std::string lower_head(std::string_view text) {
  std::string head(text.substr(0, kHeadSize));
  for (char& c : head) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  }
  return head;
}

struct Tally {
  uint64_t addresses = 0;
  uint64_t names = 0;
  uint64_t urls = 0;
  uint64_t defanged = 0;
  uint64_t total = 0;
  bool readable() const { return total > 0 && (addresses + names + urls) * 10 >= total * 7; }
};

void add(Tally& tally, std::string_view value) {
  ++tally.total;
  const Read<Value> read = read_value(trim(value));
  if (read) {
    ++(read->kind == Value::Kind::address ? tally.addresses : tally.names);
  } else if (read.error() == RejectReason::url) {
    ++tally.urls;
  } else if (read.error() == RejectReason::defanged) {
    ++tally.defanged;
    ++tally.names;
  } else if (read.error() == RejectReason::too_wide || read.error() == RejectReason::leading_zero) {
    ++tally.addresses;
  }
}

// Keys whose values describe or cite and list nothing.
bool is_description(std::string_view path) {
  static constexpr std::array<std::string_view, 18> kWords = {
      "reference", "source",  "description", "license",   "licence", "terms",
      "title",     "comment", "author",      "homepage",  "docs",    "reverse",
      "asn",       "rir",     "copyright",   "generator", "tags",    "name_server"};
  const std::string_view last = path.substr(path.rfind('.') + 1);
  const std::string folded = lower_head(last);
  return std::any_of(kWords.begin(), kWords.end(),
                     [&](std::string_view word) { return folded.find(word) != folded.npos; });
}

// Keys that no path of ours can spell.
bool is_spellable(std::string_view path) {
  return path.find_first_of(",;\"= \n") == path.npos && parse_json_path(path).has_value();
}

std::optional<Declaration> choose_paths(const std::map<std::string, Tally>& tallies,
                                        Format format) {
  Declaration declaration;
  declaration.format = format;
  uint64_t addresses = 0;
  for (const auto& [path, tally] : tallies) {
    addresses += tally.readable() && !is_description(path) ? tally.addresses : 0;
  }
  for (const auto& [path, tally] : tallies) {
    // Beside addresses, names are mostly owners and countries' registries, not indicators.
    const bool wanted = tally.readable() && !is_description(path) && is_spellable(path) &&
                        (addresses == 0 || tally.addresses > 0 || tally.urls == 0) &&
                        (addresses == 0 || tally.addresses * 2 >= tally.total);
    if (wanted && declaration.paths.size() < kPathsTaken) {
      declaration.paths.push_back(path);
      declaration.urls =
          tally.urls > 0 && tally.addresses + tally.names == 0 ? Urls::host : declaration.urls;
      declaration.defanged = tally.defanged > 0 ? Switch::yes : declaration.defanged;
    }
  }
  return declaration.paths.empty() ? std::nullopt : std::optional(declaration);
}

JsonUse tally_into(std::map<std::string, Tally>& tallies) {
  return [&](std::string_view value, JsonLeaf leaf, const std::string& path) {
    const auto found = tallies.find(path);
    if (leaf == JsonLeaf::text && (found != tallies.end() || tallies.size() < kPathsMax)) {
      add(found != tallies.end() ? found->second : tallies[path], value);
    }
  };
}

Declaration of(Format format) {
  Declaration declaration;
  declaration.format = format;
  return declaration;
}

// More than one line that is a whole object.
bool is_json_lines(std::string_view text) {
  LineReader lines(text);
  std::string_view line;
  size_t objects = 0;
  while (objects < 2 && lines.next(line)) {
    if (line.empty()) {
      continue;
    }
    if (!line.starts_with('{') || !line.ends_with('}')) {
      return false;
    }
    ++objects;
  }
  return objects == 2;
}

Result<Declaration> guess_json_lines(std::string_view text) {
  std::map<std::string, Tally> tallies;
  LineReader lines(text);
  std::string_view line;
  for (size_t rows = 0; rows < kRowsMax && lines.next(line);) {
    if (!line.empty()) {
      static_cast<void>(walk_json(line, tally_into(tallies)));
      ++rows;
    }
  }
  if (auto declaration = choose_paths(tallies, Format::ndjson)) {
    return *declaration;
  }
  return fail(ErrorCode::unsupported,
              "the content is JSON lines without addresses or host names at a place of their own; "
              "such lists (AS numbers, for one) cannot be used");
}

bool has(std::string_view head, std::string_view mark) {
  return head.find(mark) != head.npos;
}

}  // namespace

Result<Declaration> guess_json(std::string_view text) {
  const std::string head = lower_head(text);
  const std::string_view line = trim(text.substr(0, text.find('\n')));
  const bool whole = line.starts_with('{') && line.ends_with('}') && line.size() <= kLineSizeMax;
  if (whole && (has(line, "\"cidr\"") || (has(line, "\"metadata\"") && has(line, "\"type\"")))) {
    return of(Format::spamhaus_drop_json);
  }
  if (has(head, "\"stix_header\"")) {
    return of(Format::stix1);
  }
  if (has(head, "\"bundle--") || has(head, "\"indicator--") ||
      (has(head, "\"spec_version\"") && has(head, "\"objects\""))) {
    return of(Format::stix2);
  }
  if ((has(head, "\"event\"") || has(head, "\"attribute\"")) &&
      (has(head, "\"attribute\"") || has(head, "\"orgc") || has(head, "\"response\""))) {
    Declaration declaration = of(Format::misp);
    const bool detects = text.find("\"to_ids\": true") != text.npos ||
                         text.find("\"to_ids\":true") != text.npos ||
                         text.find("\"to_ids\"") == text.npos;
    declaration.any_to_ids = detects ? Switch::no : Switch::yes;
    return declaration;
  }
  if (is_json_lines(text)) {
    return guess_json_lines(text);
  }
  std::map<std::string, Tally> tallies;
  const Status walked = walk_json(text, tally_into(tallies));
  if (!walked) {
    return fail(ErrorCode::unsupported, "the content is JSON, but {}", walked.error().message);
  }
  if (auto declaration = choose_paths(tallies, Format::json)) {
    return *declaration;
  }
  return fail(ErrorCode::unsupported,
              "the content is JSON without addresses or host names at a place of their own; name "
              "the place as in \"json; path=objects[*].ip\"");
}

Result<Declaration> guess_xml(std::string_view text) {
  const std::string head = lower_head(text);
  if (has(head, "stix_package") || has(head, "cybox:observables")) {
    return of(Format::stix1);
  }
  if (has(head, "<ioc ") || has(head, "openioc")) {
    return of(Format::openioc);
  }
  if (has(head, "<rss") || has(head, "<feed") || has(head, "<rdf:rdf")) {
    return of(Format::rss);
  }
  return fail(ErrorCode::unsupported,
              "the content is XML of a kind that is not read; STIX 1, OpenIOC, RSS and Atom are");
}

}  // namespace merlon::feeds

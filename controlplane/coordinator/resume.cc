// SPDX-License-Identifier: Apache-2.0
// What the builder remembers over a restart.
#include <spdlog/spdlog.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "controlplane/coordinator/builder.h"
#include "controlplane/coordinator/catalogue.h"
#include "controlplane/policy/lists.h"

namespace merlon::coordinator {
namespace {

using Json = nlohmann::json;
using snapshot::ManifestSegment;
using snapshot::SegmentKind;

constexpr std::string_view kStateKey = "state";  // no apex is called so: they end in a dot

struct Remembered {
  uint32_t account = 0;
  uint64_t name_count = 0;
  std::vector<std::string> segments;  // hashes
  std::vector<api::ListInfo> lists;
  std::string memory;
};

// JSON, a zero byte, and what the compiler remembers.
std::string encode(const Remembered& zone) {
  Json lists = Json::array();
  for (const api::ListInfo& list : zone.lists) {
    lists.push_back(list_to_json(list));
  }
  std::string text = Json{
      {"account", zone.account},
      {"names", zone.name_count},
      {"segments", zone.segments},
      {"lists",
       std::move(lists)}}.dump();
  text.push_back('\0');
  return text + zone.memory;
}

std::optional<Remembered> decode(std::string_view text) {
  const size_t end = text.find('\0');
  if (end == std::string_view::npos) {
    return std::nullopt;
  }
  try {
    const Json json = Json::parse(text.substr(0, end));
    Remembered zone;
    zone.account = json.at("account");
    zone.name_count = json.at("names");
    zone.segments = json.at("segments").get<std::vector<std::string>>();
    for (const Json& list : json.at("lists")) {
      zone.lists.push_back(list_from_json(list));
    }
    zone.memory = text.substr(end + 1);
    return zone;
  } catch (const Json::exception&) {
    return std::nullopt;  // of another version
  }
}

}  // namespace

// What was compiled under other settings is not what would be compiled now.
std::string Builder::settings_text() const {
  const compile::Settings& settings = options_.compile;
  return fmt::format("{} {} {} {} {} {} {} {:x} {:x}{:016x} {}", settings.suffix.to_text(),
                     settings.ttl_s, settings.negative_ttl_s, settings.addresses4_per_name,
                     settings.addresses6_per_name, settings.expand4_from_length,
                     settings.expand6_from_length, settings.test_address4,
                     static_cast<uint64_t>(settings.test_address6 >> 64),
                     static_cast<uint64_t>(settings.test_address6),
                     options_.signer == nullptr ? "plain" : "signer");
}

// Serial and hash are in the generation itself, so that unchanged content keeps them even when the
// log is lost.
void Builder::seed_from(const snapshot::Manifest& in_force, const snapshot::Snapshot& served) {
  std::unordered_map<snapshot::ContentHash, const ManifestSegment*, snapshot::ContentHashHasher>
      listed;
  std::map<name::Name, const ManifestSegment*> zones;
  for (const ManifestSegment& segment : in_force.segments) {
    listed[segment.hash] = &segment;
    if (segment.kind == SegmentKind::zone) {
      zones[segment.apex] = &segment;
    } else if (segment.kind == SegmentKind::access) {
      access_ = segment;
      has_access_ = true;
    }
  }
  for (const auto& loaded : served.zones()) {
    const auto apex = name::Name::from_wire(loaded->view().apex());
    const auto own = apex ? zones.find(*apex) : zones.end();
    const uint32_t account = loaded->view().info().account;
    const bool ours = own != zones.end() && (account != 0 || *apex == options_.compile.suffix);
    if (!ours) {
      continue;
    }
    Zone& zone = zones_[*apex];
    zone.account = account;
    zone.kind = kind_of(*apex, account);
    const uint32_t serial = loaded->view().info().serial;
    const std::string hash = own->second->hash.to_text();
    if (zone.kind != Kind::lists) {
      zone.rpz = {.serial = serial, .digest = {}, .hash = hash};
    } else {
      zone.memory.serial = serial;
      zone.memory.hash = hash;
    }
    zone.name_count = loaded->view().nodes().size();
    for (const snapshot::ContentHash& bodies : loaded->view().dependencies()) {
      zone.segments.push_back(*listed.at(bodies));
    }
    zone.segments.push_back(*own->second);
    if (account != 0) {
      touched_.insert(account);
      apexes_of_[account].insert(*apex);
    }
    newest_serial_ = std::max(newest_serial_, serial);
  }
}

// <policy>.rpz.<account>.<suffix>, <device>.catalog.<account>.<suffix>
Builder::Kind Builder::kind_of(const name::Name& apex, uint32_t account) const {
  if (account == 0 || apex.label_count() != options_.compile.suffix.label_count() + 3) {
    return Kind::lists;
  }
  const name::Name parent = apex.parent();
  const auto catalog = parent.parent().child(policy::kCatalogLabel);
  return catalog && parent == *catalog ? Kind::catalog : Kind::rpz;
}

void Builder::resume(const snapshot::Manifest& in_force, const snapshot::Snapshot& served) {
  seed_from(in_force, served);
  const auto records = log_.load();
  if (!records) {
    spdlog::warn("{}: all is compiled anew", records.error().message);
    return;
  }
  size_t known = 0;
  for (auto& [apex, zone] : zones_) {
    const auto record = records->find(apex.folded().to_text());
    auto remembered = record == records->end() ? std::nullopt : decode(record->second);
    if (remembered && zone.kind != Kind::lists && remembered->account == zone.account) {
      auto rpz = compile::RpzMemory::decode(remembered->memory);
      if (rpz && rpz->hash == zone.rpz.hash) {
        zone.rpz = std::move(*rpz);
        ++known;
      }
      continue;
    }
    auto memory = remembered ? compile::ZoneMemory::decode(remembered->memory)
                             : Result<compile::ZoneMemory>(compile::ZoneMemory{});
    if (!remembered || !memory || remembered->account != zone.account) {
      continue;
    }
    const bool in_step = memory->hash == zone.memory.hash;
    newest_serial_ = std::max(newest_serial_, memory->serial);
    // Of another generation (a rollback, a crash before it was written): the chunks still help.
    if (!in_step) {
      memory->serial = zone.memory.serial;
      memory->hash = zone.memory.hash;
      memory->content.clear();
    }
    zone.memory = std::move(*memory);
    zone.lists = std::move(remembered->lists);
    known += in_step ? 1u : 0u;
  }
  const auto state = records->find(std::string(kStateKey));
  const std::string wanted = fmt::format(" {} {}", in_force.generation, settings_text());
  if (state != records->end() && known == zones_.size() && state->second.ends_with(wanted)) {
    uint64_t revision = 0;
    const char* first = state->second.data();
    const auto [end, error] =
        std::from_chars(first, first + state->second.size() - wanted.size(), revision);
    if (error == std::errc{}) {
      kept_revision_ = revision;
    }
  }
}

void Builder::keep(uint64_t generation) {
  made_.clear();
  if (options_.signer != nullptr) {
    if (auto noted = options_.signer->published(); !noted) {
      spdlog::error("{}", noted.error().message);
    }
  }
  std::vector<ZoneLog::Record> records;
  const auto encode_zone = [](const Zone& zone) {
    Remembered remembered{
        .account = zone.account,
        .name_count = zone.name_count,
        .segments = {},
        .lists = zone.lists,
        .memory = zone.kind != Kind::lists ? zone.rpz.encode() : zone.memory.encode()};
    for (const ManifestSegment& segment : zone.segments) {
      remembered.segments.push_back(segment.hash.to_text());
    }
    return encode(remembered);
  };
  for (const name::Name& apex : unsaved_) {
    const auto zone = zones_.find(apex);
    records.emplace_back(apex.folded().to_text(),
                         zone == zones_.end() ? std::string() : encode_zone(zone->second));
  }
  const std::string state = fmt::format("{} {} {}", revision_, generation, settings_text());
  records.emplace_back(kStateKey, state);
  Status done = log_.append(records);
  if (done && log_.is_due_for_rewrite()) {
    std::map<std::string, std::string> content{{std::string(kStateKey), state}};
    for (const auto& [apex, zone] : zones_) {
      content[apex.folded().to_text()] = encode_zone(zone);
    }
    done = log_.rewrite(content);
  }
  if (done) {
    unsaved_.clear();
  } else {
    spdlog::warn("{}: after a restart some zones are compiled anew", done.error().message);
  }
}

}  // namespace merlon::coordinator

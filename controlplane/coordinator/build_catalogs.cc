// SPDX-License-Identifier: Apache-2.0
// Catalog zones (RFC 9432): for each device that transfers zones, which ones there are.
#include <algorithm>

#include "controlplane/coordinator/builder.h"
#include "controlplane/policy/lists.h"

namespace merlon::coordinator {

Status Builder::compile_catalogs(int64_t now, Build& build) {
  while (!pending_.catalogs.empty()) {
    const uint32_t number = *pending_.catalogs.begin();
    std::set<name::Name> wanted;
    compile::CatalogInput input{.apex = {}, .account = number, .members = {}};
    if (const auto apexes = apexes_of_.find(number); apexes != apexes_of_.end()) {
      for (const name::Name& apex : apexes->second) {
        if (const Kind kind = zones_.at(apex).kind; kind != Kind::catalog) {
          input.members.push_back({.apex = apex, .group = kind == Kind::rpz ? "rpz" : "lists"});
        }
      }
    }
    const auto inputs = inputs_.accounts().find(number);
    if (inputs != inputs_.accounts().end()) {
      for (const std::string& device : inputs->second.secondaries) {
        auto apex = options_.compile.suffix.child(inputs->second.account.name);
        for (const std::string_view label : {policy::kCatalogLabel, std::string_view(device)}) {
          apex = apex ? apex->child(label) : apex;
        }
        if (!apex) {
          problems_[number] = fmt::format("device {}: {}", device, apex.error().message);
          continue;
        }
        input.apex = *apex;
        wanted.insert(*apex);
        if (auto done = compile_catalog(input, now, build); !done) {
          return done;
        }
      }
    }
    drop_others(number, wanted, Drop::catalogs);
    pending_.catalogs.erase(number);
  }
  return {};
}

Status Builder::compile_catalog(const compile::CatalogInput& input, int64_t now, Build& build) {
  static const compile::RpzMemory kNothing;
  const compile::RpzSettings settings = rpz_.settings();
  const auto before = zones_.find(input.apex);
  auto compiled =
      compile::compile_catalog(input, {.settings = settings, .next_serial = next_serial(now)},
                               before == zones_.end() ? kNothing : before->second.rpz);
  if (!compiled) {
    return std::unexpected(compiled.error());
  }
  if (auto stored =
          publisher_.store({{.listed = compiled->listed, .bytes = compiled->bytes}}, build.stored);
      !stored) {
    return stored;
  }
  Zone& zone = zones_[input.apex];
  zone.account = input.account;
  zone.kind = Kind::catalog;
  zone.rpz = std::move(compiled->memory);
  zone.segments = {compiled->listed};
  zone.name_count = input.members.size();
  newest_serial_ = std::max(newest_serial_, zone.rpz.serial);
  touched_.insert(input.account);
  apexes_of_[input.account].insert(input.apex);
  unsaved_.insert(input.apex);
  ++build.zones_compiled;
  return {};
}

}  // namespace merlon::coordinator

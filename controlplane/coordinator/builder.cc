// SPDX-License-Identifier: Apache-2.0
// A build: which zones, in which batches. What a zone is made of is in plan.cc, what is remembered
// in resume.cc.
#include "controlplane/coordinator/builder.h"

#include <spdlog/spdlog.h>

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <unordered_set>

#include "controlplane/policy/lists.h"

namespace merlon::coordinator {
namespace {

// One batch of zones: their contents and segments are in memory at once.
constexpr uint64_t kBatchWeightMax = 24'000'000;  // addresses
constexpr size_t kBatchZonesMax = 1024;
constexpr size_t kManyZones = 100;

// The fewest prefixes that cover the set: an IPv6 address count says nothing to anybody.
uint64_t prefix_count(const address::IpSet& set) {
  uint64_t count = 0;
  const auto one_more = [&count](auto) { ++count; };
  set.v4.for_each_prefix(one_more);
  set.v6.for_each_prefix(one_more);
  return count;
}

// What an account can have brought about by what it asked for; keys and disks are nobody's.
bool is_own_fault(ErrorCode code) {
  return code == ErrorCode::invalid_argument || code == ErrorCode::conflict;
}

}  // namespace

Builder::Builder(const store::Store& store, publish::Publisher& publisher, BuilderOptions options)
    : store_(store),
      publisher_(publisher),
      options_(std::move(options)),
      inputs_(store, {.length4 = options_.compile.expand4_from_length,
                      .length6 = options_.compile.expand6_from_length}),
      rpz_(store, options_.compile.suffix),
      log_(options_.log_path) {}

void Builder::set_net(std::shared_ptr<const safety::Net> net) {
  inputs_.set_net(std::move(net));
  rpz_.forget_all();
  pending_.shared = true;
  pending_.all_accounts = true;
}

void Builder::set_geo(std::shared_ptr<const enrich::Geo> geo) {
  inputs_.set_geo(std::move(geo));
  pending_.all_accounts = true;
}

Status Builder::take_over_changes() {
  const uint64_t revision = store_.revision();
  std::optional<std::vector<store::Change>> changes;
  if (!inputs_valid_) {
    auto all = inputs_.update(std::nullopt);
    if (!all) {
      return std::unexpected(all.error());
    }
    changes = kept_revision_ ? store_.changes_since(*kept_revision_) : std::nullopt;
    if (!changes) {
      all->shared = all->shared || pending_.shared;
      all->all_accounts = all->all_accounts || pending_.all_accounts;
      pending_ = std::move(*all);
    }
    inputs_valid_ = true;
  } else {
    changes = store_.changes_since(revision_);
    if (!changes) {
      inputs_valid_ = false;
      kept_revision_.reset();
      return take_over_changes();
    }
  }
  for (const store::Change& change : changes.value_or(std::vector<store::Change>{})) {
    rpz_.forget(change.feed);
  }
  if (!changes) {
    rpz_.forget_all();
  } else {
    inputs_valid_ = false;
    auto concerned = inputs_.update(changes);
    if (!concerned) {
      return std::unexpected(concerned.error());
    }
    inputs_valid_ = true;
    pending_.shared = pending_.shared || concerned->shared;
    pending_.access = pending_.access || concerned->access;
    pending_.all_accounts = pending_.all_accounts || concerned->all_accounts;
    pending_.accounts.merge(concerned->accounts);
    pending_.catalogs.merge(concerned->catalogs);
  }
  kept_revision_.reset();
  revision_ = revision;
  return {};
}

// What somebody found damaged on disk is compiled again, and then written again.
// So is what was signed and is to be signed again.
void Builder::find_due_zones(int64_t now) {
  for (const auto& [apex, zone] : zones_) {
    bool whole = std::ranges::all_of(
        zone.segments, [this](const auto& segment) { return publisher_.holds(segment.hash); });
    whole = whole && (!is_signed(apex, zone) || options_.signer->due_at(apex) > now);
    if (!whole && zone.account == 0) {
      pending_.shared = true;
    } else if (!whole && zone.kind == Kind::catalog) {
      pending_.catalogs.insert(zone.account);
    } else if (!whole) {
      pending_.accounts.insert(zone.account);
    }
  }
  pending_.access = pending_.access || !has_access_ || !publisher_.holds(access_.hash);
  pending_.shared = pending_.shared || !zones_.contains(options_.compile.suffix);
  for (const auto& [number, problem] : problems_) {
    pending_.accounts.insert(number);  // it may be over
  }
}

Result<Builder::Build> Builder::build(int64_t now) {
  Build build;
  made_.clear();  // of a build that did not come into force
  if (auto taken = take_over_changes(); !taken) {
    return std::unexpected(taken.error());
  }
  find_due_zones(now);
  build.revision = revision_;
  if (pending_.all_accounts) {
    for (const auto& [number, inputs] : inputs_.accounts()) {
      pending_.accounts.insert(number);
    }
    for (const auto& [number, apexes] : apexes_of_) {
      pending_.accounts.insert(number);
    }
    pending_.all_accounts = false;
  }
  if (pending_.shared || !pending_.accounts.empty()) {
    if (auto loaded = inputs_.load_sets(); !loaded) {
      return std::unexpected(loaded.error());
    }
  }
  if (pending_.shared) {
    auto planned = plan_shared(now);
    if (!planned) {
      return std::unexpected(planned.error());
    }
    if (auto done = compile_batch({&*planned, 1}, now, build); !done) {
      return std::unexpected(done.error());
    }
    pending_.shared = false;
  }
  pending_.catalogs.insert(pending_.accounts.begin(), pending_.accounts.end());
  if (auto done = compile_accounts(now, build); !done) {
    return std::unexpected(done.error());
  }
  if (auto done = compile_catalogs(now, build); !done) {
    return std::unexpected(done.error());
  }
  if (pending_.access) {
    if (auto done = compile_access(build); !done) {
      return std::unexpected(done.error());
    }
    pending_.access = false;
  }
  finish(build);
  if (build.zones_compiled >= kManyZones) {
    ::malloc_trim(0);  // what compiling took is given back before the generation is loaded
  }
  return build;
}

// Zones whose lists take the same stand beside each other, so that equal contents are composed
// once.
Status Builder::compile_accounts(int64_t now, Build& build) {
  std::vector<PlannedZone> planned;
  const std::set<uint32_t> numbers = pending_.accounts;
  for (const uint32_t number : numbers) {
    const auto inputs = inputs_.accounts().find(number);
    if (inputs == inputs_.accounts().end()) {
      problems_.erase(number);
      drop_others(number, {}, Drop::contents);
      pending_.accounts.erase(number);
      continue;
    }
    auto zone = plan_account(inputs->second, now);
    if (!zone) {
      problems_[number] = zone.error().message;
      pending_.accounts.erase(number);
      continue;
    }
    problems_.erase(number);
    std::set<name::Name> wanted;
    if (auto done = compile_rpz_zones(inputs->second, now, wanted, build); !done) {
      return done;
    }
    if (!zone->lists.empty()) {
      wanted.insert(zone->apex);
    }
    if (!problems_.contains(number)) {
      drop_others(number, wanted, Drop::contents);
    }
    if (zone->lists.empty()) {
      pending_.accounts.erase(number);
      continue;
    }
    planned.push_back(std::move(*zone));
  }
  std::ranges::stable_sort(planned, [](const PlannedZone& a, const PlannedZone& b) {
    const auto by_feed = [](const policy::Selection::Chosen& x,
                            const policy::Selection::Chosen& y) {
      return std::pair(x.feed, x.score) < std::pair(y.feed, y.score);
    };
    return std::ranges::lexicographical_compare(a.lists.front().selection.feeds,
                                                b.lists.front().selection.feeds, by_feed);
  });
  for (size_t first = 0; first < planned.size();) {
    uint64_t weight = 0;
    size_t end = first;
    while (end < planned.size() && end - first < kBatchZonesMax &&
           (end == first || weight + planned[end].weight <= kBatchWeightMax)) {
      weight += planned[end++].weight;
    }
    const std::span batch(planned.data() + first, end - first);
    if (auto done = compile_batch(batch, now, build); !done) {
      return done;
    }
    for (PlannedZone& zone : batch) {
      pending_.accounts.erase(zone.account);
      zone = {};  // its contents go
    }
    first = end;
  }
  return {};
}

void Builder::compose(std::span<PlannedZone> zones) const {
  std::vector<policy::Selection> selections;
  for (PlannedZone& zone : zones) {
    for (PlannedList& list : zone.lists) {
      selections.push_back(std::move(list.selection));
    }
  }
  const auto composed = policy::compose_all(
      inputs_.universe(), selections,
      {.never = inputs_.net().never(), .allowed = inputs_.allowed(), .threads = options_.threads});
  size_t next = 0;
  for (PlannedZone& zone : zones) {
    for (PlannedList& list : zone.lists) {
      const policy::Composed& made = composed[next++];
      list.input.content = made.content;
      list.info.protected_prefix_count = prefix_count(made.content->taken_out_protected);
      list.info.fallen_off_count = made.fallen_off.addresses;
    }
  }
}

std::vector<Result<compile::CompiledZone>> Builder::compile(std::span<const PlannedZone> zones,
                                                            int64_t now, Build& build) {
  static const compile::ZoneMemory kNothing;
  std::vector<Result<compile::CompiledZone>> results(zones.size());
  std::atomic<size_t> next{0};
  const uint32_t serial = next_serial(now);
  const size_t side_by_side = std::min<size_t>(options_.threads, zones.size());
  std::mutex mutex;  // of made_, build and the next one
  std::unordered_set<snapshot::ContentHash, snapshot::ContentHashHasher> taken;
  const auto store = [&](const compile::CompiledSegment& segment) -> Status {
    publish::Written written;
    {
      const std::lock_guard lock(mutex);
      if (!taken.insert(segment.listed.hash).second) {  // another list's are the same
        ++build.stored.segments_reused;
        return {};
      }
    }
    const Status stored =
        publisher_.store({{.listed = segment.listed, .bytes = segment.content()}}, written);
    const std::lock_guard lock(mutex);
    build.stored.segments_written += written.segments_written;
    build.stored.segments_reused += written.segments_reused;
    if (written.segments_written != 0) {
      made_.emplace(segment.listed.hash, segment.bodies);
    }
    return stored;
  };
  const auto work = [&] {
    for (size_t i = next++; i < zones.size(); i = next++) {
      compile::ZoneInput input{.apex = zones[i].apex, .account = zones[i].account, .lists = {}};
      for (const PlannedList& list : zones[i].lists) {
        input.lists.push_back(list.input);
      }
      const auto before = zones_.find(zones[i].apex);
      results[i] = compile::compile_zone(input,
                                         {.settings = options_.compile,
                                          .next_serial = serial,
                                          .signer = options_.signer,
                                          .threads = side_by_side > 1 ? 1 : options_.threads,
                                          .store = store},
                                         before == zones_.end() ? kNothing : before->second.memory);
    }
  };
  std::vector<std::jthread> others;
  for (size_t i = 1; i < side_by_side; ++i) {
    others.emplace_back(work);
  }
  work();
  others.clear();
  return results;
}

Status Builder::compile_batch(std::span<PlannedZone> zones, int64_t now, Build& build) {
  compose(zones);
  auto results = compile(zones, now, build);
  for (size_t i = 0; i < zones.size(); ++i) {
    const PlannedZone& zone = zones[i];
    if (results[i]) {
      if (auto accepted = accept(zone, std::move(*results[i]), build); !accepted) {
        return accepted;
      }
      continue;
    }
    // A list that does not fit its names is its account's affair; keys and the like are not.
    if (zone.account == 0 || !is_own_fault(results[i].error().code)) {
      return in(fmt::format("zone {}", zone.apex.to_text()), results[i].error());
    }
    problems_[zone.account] = results[i].error().message;
  }
  return {};
}

Status Builder::accept(const PlannedZone& planned, compile::CompiledZone compiled, Build& build) {
  std::vector<publish::SegmentFile> files;
  for (const compile::CompiledSegment& segment : compiled.segments) {
    if (segment.bodies == nullptr) {  // those are stored already
      files.push_back({.listed = segment.listed, .bytes = segment.bytes});
    }
  }
  if (auto stored = publisher_.store(files, build.stored); !stored) {
    return stored;
  }
  Zone& zone = zones_[planned.apex];
  zone.account = planned.account;
  zone.memory = std::move(compiled.memory);
  zone.name_count = compiled.name_count;
  zone.segments.clear();
  for (const compile::CompiledSegment& segment : compiled.segments) {
    zone.segments.push_back(segment.listed);
  }
  zone.lists.clear();
  for (size_t i = 0; i < planned.lists.size(); ++i) {
    api::ListInfo info = planned.lists[i].info;
    const compile::CompiledList& made = compiled.lists[i];
    info.address4_count = made.address4_count;
    info.address6_count = made.address6_count;
    info.prefix_only_count = made.prefix_only_count;
    info.names = made.names;
    zone.lists.push_back(std::move(info));
  }
  if (planned.account != 0) {
    touched_.insert(planned.account);
    apexes_of_[planned.account].insert(planned.apex);
  }
  newest_serial_ = std::max(newest_serial_, zone.memory.serial);
  unsaved_.insert(planned.apex);
  ++build.zones_compiled;
  return {};
}

Status Builder::compile_rpz_zones(const AccountInputs& inputs, int64_t now,
                                  std::set<name::Name>& wanted, Build& build) {
  const uint32_t number = inputs.account.number;
  const compile::RpzSettings settings = rpz_.settings();
  for (const store::Policy& policy : inputs.policies) {
    if (policy.kind != store::PolicyKind::dns) {
      continue;
    }
    const auto input = rpz_.plan(inputs, policy, inputs_, now);
    auto compiled = input ? compile::compile_rpz(*input,
                                                 {.settings = settings,
                                                  .next_serial = next_serial(now),
                                                  .signer = options_.signer},
                                                 zones_[input->apex].rpz)
                          : Result<compile::CompiledRpz>(std::unexpected(input.error()));
    if (!compiled) {
      if (input && zones_[input->apex].segments.empty()) {
        zones_.erase(input->apex);
      }
      if (!is_own_fault(compiled.error().code)) {
        return in(fmt::format("policy {} of account {}", policy.name, inputs.account.name),
                  compiled.error());
      }
      problems_[number] = fmt::format("policy {}: {}", policy.name, compiled.error().message);
      continue;
    }
    Zone& zone = zones_[input->apex];
    if (auto stored = publisher_.store({{.listed = compiled->listed, .bytes = compiled->bytes}},
                                       build.stored);
        !stored) {
      if (zone.segments.empty()) {
        zones_.erase(input->apex);
      }
      return stored;
    }
    zone.account = number;
    zone.kind = Kind::rpz;
    zone.rpz = std::move(compiled->memory);
    zone.segments = {compiled->listed};
    zone.name_count = compiled->counts.names;
    newest_serial_ = std::max(newest_serial_, zone.rpz.serial);
    touched_.insert(number);
    apexes_of_[number].insert(input->apex);
    unsaved_.insert(input->apex);
    wanted.insert(input->apex);
    ++build.zones_compiled;
  }
  return {};
}

// The zones that the account has no more.
void Builder::drop_others(uint32_t account, const std::set<name::Name>& wanted, Drop drop) {
  const auto apexes = apexes_of_.find(account);
  if (apexes == apexes_of_.end()) {
    return;
  }
  touched_.insert(account);
  std::erase_if(apexes->second, [&](const name::Name& apex) {
    const auto zone = zones_.find(apex);
    const bool is_catalog = zone->second.kind == Kind::catalog;
    if (wanted.contains(apex) || is_catalog != (drop == Drop::catalogs)) {
      return false;
    }
    zones_.erase(zone);
    unsaved_.insert(apex);
    return true;
  });
  if (apexes->second.empty()) {
    apexes_of_.erase(apexes);
  }
}

Status Builder::compile_access(Build& build) {
  const auto devices = store_.devices();
  if (!devices) {
    return std::unexpected(devices.error());
  }
  const auto compiled = compile::compile_access(*devices);
  if (!compiled) {
    return in("devices", compiled.error());
  }
  if (auto stored =
          publisher_.store({{.listed = compiled->listed, .bytes = compiled->bytes}}, build.stored);
      !stored) {
    return stored;
  }
  access_ = compiled->listed;
  has_access_ = true;
  return {};
}

// In the manifest's order, which is that of content hashes for bodies and the canonical one for
// zones: nobody has to sort ten thousand of them.
std::vector<snapshot::ManifestSegment> Builder::segments() const {
  std::vector<const snapshot::ManifestSegment*> bodies;
  std::vector<snapshot::ManifestSegment> all;
  size_t zone_count = 0;
  for (const auto& [apex, zone] : zones_) {
    for (const snapshot::ManifestSegment& segment : zone.segments) {
      if (segment.kind == snapshot::SegmentKind::bodies) {
        bodies.push_back(&segment);
      } else {
        ++zone_count;
      }
    }
  }
  std::ranges::sort(bodies, std::less<>(), [](const auto* segment) { return segment->hash; });
  const auto repeated =
      std::ranges::unique(bodies, std::equal_to<>(), [](const auto* one) { return one->hash; });
  bodies.erase(repeated.begin(), repeated.end());
  all.reserve(bodies.size() + zone_count + 1);
  for (const snapshot::ManifestSegment* segment : bodies) {
    all.push_back(*segment);
  }
  for (const auto& [apex, zone] : zones_) {
    std::ranges::copy_if(zone.segments, std::back_inserter(all), [](const auto& segment) {
      return segment.kind != snapshot::SegmentKind::bodies;
    });
  }
  if (has_access_) {
    all.push_back(access_);
  }
  return all;
}

void Builder::finish(Build& build) const {
  for (snapshot::ManifestSegment& segment : segments()) {
    build.segments.push_back({.listed = std::move(segment), .bytes = {}});
  }
  for (const auto& [apex, zone] : zones_) {
    build.list_count += zone.lists.size();
    build.name_count += zone.name_count;
  }
}

uint32_t Builder::next_serial(int64_t now) const {
  return std::max(static_cast<uint32_t>(now), newest_serial_ + 1);
}

std::vector<std::string> Builder::problems() const {
  std::vector<std::string> problems;
  for (const auto& [number, problem] : problems_) {
    const auto inputs = inputs_.accounts().find(number);
    problems.push_back(fmt::format(
        "account {}: {}; its lists stay as they were",
        inputs == inputs_.accounts().end() ? std::to_string(number) : inputs->second.account.name,
        problem));
  }
  return problems;
}

std::map<uint32_t, api::Published> Builder::take_publications() {
  std::map<uint32_t, api::Published> taken;
  for (const uint32_t account : touched_) {
    api::Published& published = taken[account];
    const auto apexes = apexes_of_.find(account);
    for (const name::Name& apex :
         apexes == apexes_of_.end() ? std::set<name::Name>() : apexes->second) {
      const Zone& zone = zones_.at(apex);
      if (zone.kind != Kind::lists) {
        auto& into = zone.kind == Kind::rpz ? published.policy_zones : published.catalogs;
        into.push_back(
            {.apex = apex.to_text(), .serial = zone.rpz.serial, .name_count = zone.name_count});
      } else {
        published.lists.insert(published.lists.end(), zone.lists.begin(), zone.lists.end());
      }
    }
  }
  touched_.clear();
  return taken;
}

bool Builder::is_signing_due(int64_t now) const {
  return std::ranges::any_of(zones_, [&](const auto& zone) {
    return is_signed(zone.first, zone.second) && options_.signer->due_at(zone.first) <= now;
  });
}

bool Builder::is_signed(const name::Name& apex, const Zone& zone) const {
  return options_.signer != nullptr && zone.kind != Kind::catalog && options_.signer->signs(apex);
}

const std::vector<api::ListInfo>& Builder::shared_lists() const {
  static const std::vector<api::ListInfo> kNone;
  const auto shared = zones_.find(options_.compile.suffix);
  return shared == zones_.end() ? kNone : shared->second.lists;
}

Status Builder::warm_up() {
  if (auto taken = take_over_changes(); !taken) {
    return taken;
  }
  return inputs_.load_sets();
}

}  // namespace merlon::coordinator

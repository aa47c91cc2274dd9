// SPDX-License-Identifier: Apache-2.0
#include "controlplane/compile/compile.h"

#include <algorithm>
#include <atomic>
#include <ctime>
#include <optional>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "controlplane/compile/list_bodies.h"
#include "controlplane/compile/zonemd.h"
#include "zones/snapshot/zone_builder.h"
#include "zones/wire/wire.h"

namespace merlon::compile {
namespace {

using snapshot::BodiesBuilder;
using snapshot::ContentHash;
using snapshot::SegmentKind;
using snapshot::ZoneBuilder;

constexpr uint32_t kAllTiers = 0xF;
constexpr uint32_t kRefreshS = 3600;
constexpr uint32_t kRetryS = 600;
constexpr uint32_t kExpireS = 604800;
constexpr uint64_t kZonemdAddressesMax = 100'000;
constexpr size_t kTxtStringMax = 255;
// Validators put the RRset in canonical form into one buffer of 65,535 bytes: what is signed of the
// RRSIG (its fixed fields and the signer's name), then each record with its owner in full.
constexpr size_t kCanonicalSizeMax = 65535;
constexpr size_t kRrsigFixedSize = 18;
constexpr size_t kRecordFixedSize = 10;  // type, class, TTL, data length
// Numbers of up to so many digits are expected behind a label; a list that needs more gets fewer
// addresses under each name.
constexpr size_t kDigitsUsual = 3;
constexpr size_t kDigitsMost = 8;

CompiledSegment make_segment(SegmentKind kind, std::vector<uint8_t> bytes,
                             const name::Name& apex = {}) {
  CompiledSegment segment;
  segment.listed = {.kind = kind,
                    .hash = ContentHash::of(bytes),
                    .size_bytes = bytes.size(),
                    .apex = kind == SegmentKind::zone ? apex : name::Name()};
  segment.bytes = std::move(bytes);
  return segment;
}

// A name's wire form as record data.
std::vector<uint8_t> wire_of(const name::Name& name) {
  return {name.wire().begin(), name.wire().end()};
}

std::vector<uint8_t> soa_data(const Settings& settings, uint32_t serial) {
  std::vector<uint8_t> data(2 * name::kWireSizeMax + 20);
  wire::Writer writer(data);
  const auto primary = settings.suffix.child(policy::kNameServerLabel);
  const auto mailbox = settings.suffix.child(policy::kMailboxLabel);
  writer.name(primary ? *primary : settings.suffix);
  writer.name(mailbox ? *mailbox : settings.suffix);
  for (const uint32_t field : {serial, kRefreshS, kRetryS, kExpireS, settings.negative_ttl_s}) {
    writer.u32(field);
  }
  data.resize(writer.size());
  return data;
}

std::vector<uint8_t> txt_data(const std::vector<std::string>& strings) {
  std::vector<uint8_t> data;
  for (const std::string& text : strings) {
    const size_t size = std::min(text.size(), kTxtStringMax);
    data.push_back(static_cast<uint8_t>(size));
    data.insert(data.end(), text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size));
  }
  return data;
}

std::string time_text(int64_t unix_s) {
  const std::time_t when = unix_s;
  std::tm utc{};
  gmtime_r(&when, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

// How many records of a size a validator can put into canonical form.
size_t canonical_limit(const name::Name& apex, size_t owner_size, size_t data_size) {
  const size_t used = kRrsigFixedSize + apex.size();
  return (kCanonicalSizeMax - used) / (owner_size + kRecordFixedSize + data_size);
}

// The list's bodies with the names that carry them.
struct PreparedList {
  const ListInput* input = nullptr;
  std::optional<ListBodies> bodies;
  ZoneMemory::List memory;
  std::vector<CompiledSegment> segments;
  std::vector<ContentHash> hashes;  // of its segments
  std::vector<name::Name> names;    // by number
  size_t used_count = 0;
};

// Compiles the lists of a zone; what they share is kept once.
class ListCompiler {
 public:
  ListCompiler(const ZoneInput& input, const ZoneContext& context, const ZoneMemory& before)
      : input_(input),
        context_(context),
        settings_(context.settings),
        signed_(context.signer != nullptr && context.signer->signs(input.apex)),
        before_(before) {}

  Status compile() {
    lists_.resize(input_.lists.size());
    for (size_t i = 0; i < input_.lists.size(); ++i) {
      lists_[i].input = &input_.lists[i];
    }
    auto done = for_each(lists_.size(), [this](size_t i) {
      const Status cut = cut_into_names(lists_[i]);
      return cut ? cut : in(fmt::format("list {}", lists_[i].input->label), cut.error());
    });
    if (!done) {
      return done;
    }
    for (PreparedList& list : lists_) {  // the labels of one may be taken by another
      if (done = name_chunks(list); !done) {
        return in(fmt::format("list {}", list.input->label), done.error());
      }
    }
    if (done = make_segments(); !done) {
      return done;
    }
    for (PreparedList& list : lists_) {
      finish(list);
    }
    return {};
  }

  const std::vector<PreparedList>& lists() const { return lists_; }
  const std::vector<CompiledSegment>& segments() const { return segments_; }
  std::vector<CompiledSegment> take_segments() { return std::move(segments_); }
  std::map<std::string, ZoneMemory::List>& memory() { return memory_; }
  bool is_signed() const { return signed_; }

 private:
  // Calls work(0) .. work(count - 1), each by one of the threads, until one fails. Returns the
  // failure that comes first in order.
  template <class Work>
  Status for_each(size_t count, Work&& work) const {
    std::vector<Status> results(count);
    std::atomic<size_t> next{0};
    std::atomic<bool> failed{false};
    const auto run = [&] {
      for (size_t i = next++; i < count && !failed; i = next++) {
        results[i] = work(i);
        failed = failed || !results[i];
      }
    };
    {
      std::vector<std::jthread> others;
      for (size_t i = 1; i < std::min<size_t>(context_.threads, count); ++i) {
        others.emplace_back(run);
      }
      run();
    }
    const auto fault = std::ranges::find(results, false, &Status::has_value);
    return fault == results.end() ? Status{} : *fault;
  }

  Status cut_into_names(PreparedList& list) const {
    const ListInput& input = *list.input;
    const auto remembered = before_.lists.find(input.label);
    if (remembered != before_.lists.end()) {
      list.memory = remembered->second;
    }
    const NameLimits limits = limits_of(input, list.memory);
    if (limits.addresses4 < 2 || limits.addresses6 < 2) {
      return fail(ErrorCode::invalid_argument,
                  "{} IPv4 and {} IPv6 addresses per name leave no room beside the test address; "
                  "raise the limit of the profile or the settings",
                  limits.addresses4, limits.addresses6);
    }
    list.bodies.emplace(*input.content, limits, settings_, list.memory);
    list.segments.resize(list.bodies->segment_count());
    return {};
  }

  Status make_segments() {
    struct Job {
      PreparedList* list;
      size_t segment;
    };
    std::vector<Job> jobs;
    for (PreparedList& list : lists_) {
      for (size_t i = 0; i < list.segments.size(); ++i) {
        jobs.push_back({&list, i});
      }
    }
    return for_each(jobs.size(), [&](size_t i) -> Status {
      const auto& [list, number] = jobs[i];
      auto made = list->bodies->make_segment(number);
      if (!made) {
        return in(fmt::format("list {}", list->input->label), made.error());
      }
      CompiledSegment& segment = list->segments[number];
      const Bytes bytes = (*made)->segment.bytes();
      segment.listed = {.kind = SegmentKind::bodies,
                        .hash = ContentHash::of(bytes),
                        .size_bytes = bytes.size(),
                        .apex = {}};
      segment.bodies = std::move(*made);
      return context_.store ? context_.store(segment) : Status{};
    });
  }

  void finish(PreparedList& list) {
    list.bodies->finish();
    for (CompiledSegment& segment : list.segments) {
      list.hashes.push_back(segment.listed.hash);
      if (known_.insert(segment.listed.hash).second) {
        segments_.push_back(std::move(segment));
      }
    }
    list.segments.clear();
    for (const ListBodies::NameBodies& name : list.bodies->names) {
      list.used_count += name.in_use ? 1u : 0u;
    }
    memory_.emplace(list.input->label, std::move(list.memory));
  }

  NameLimits limits_of(const ListInput& input, const ZoneMemory::List& memory) const {
    const NameLimits given = {
        .addresses4 = std::min(input.addresses4_per_name, settings_.addresses4_per_name),
        .addresses6 = std::min(input.addresses6_per_name, settings_.addresses6_per_name)};
    if (!signed_) {
      return given;
    }
    const NameLimits usual = signed_limits(input, given, kDigitsUsual);
    const NameLimits least = signed_limits(input, given, kDigitsMost);
    // A list that was cut for longer numbers stays so: the limit must not go back and forth.
    const bool was_long = memory.v4.capacity + 1 == least.addresses4 && least != usual;
    return !was_long && fits_usual_digits(*input.content, memory, usual) ? usual : least;
  }

  NameLimits signed_limits(const ListInput& input, const NameLimits& given, size_t digits) const {
    const size_t owner = input_.apex.size() + 1 + input.label.size() + digits;
    const size_t v4 = canonical_limit(input_.apex, owner, sizeof(address::Bits4));
    const size_t v6 = canonical_limit(input_.apex, owner, sizeof(address::Bits6));
    return {.addresses4 = static_cast<uint32_t>(std::min<size_t>(given.addresses4, v4)),
            .addresses6 = static_cast<uint32_t>(std::min<size_t>(given.addresses6, v6))};
  }

  // Whether the names stay well below a thousand.
  static bool fits_usual_digits(const policy::ListContent& content, const ZoneMemory::List& memory,
                                const NameLimits& limits) {
    constexpr uint32_t kNames = 1000;
    constexpr size_t kNamesExpected = 700;
    const auto used = std::max({memory.v4.number_end, memory.v6.number_end, memory.apl4.number_end,
                                memory.apl6.number_end});
    return used < kNames &&
           content.narrow.v4.address_count() / kNamesExpected < limits.addresses4 &&
           content.narrow.v6.address_count() / kNamesExpected < limits.addresses6 &&
           content.addresses.v4.ranges().size() < kNamesExpected * 2000 &&
           content.addresses.v6.ranges().size() < kNamesExpected * 500;
  }

  Status name_chunks(PreparedList& list) {
    for (size_t i = 0; i < list.bodies->names.size(); ++i) {
      const std::string label =
          i == 0 ? list.input->label : fmt::format("{}{}", list.input->label, i);
      auto name = input_.apex.child(label);
      if (!name) {
        return std::unexpected(name.error());
      }
      if (input_.apex == settings_.suffix &&
          (label == policy::kNameServerLabel || label == policy::kMailboxLabel)) {
        return fail(ErrorCode::invalid_argument,
                    "{} is the name of the zone's server or mailbox; call the list otherwise",
                    name->to_text());
      }
      const auto [other, is_new] = labels_.emplace(label, list.input->label);
      if (!is_new) {
        return fail(ErrorCode::conflict, "{} is a name of list {} already; rename one of them",
                    name->to_text(), other->second);
      }
      list.names.push_back(*name);
    }
    return {};
  }

  const ZoneInput& input_;
  const ZoneContext& context_;
  const Settings& settings_;
  bool signed_;
  const ZoneMemory& before_;
  std::vector<PreparedList> lists_;
  std::vector<CompiledSegment> segments_;
  std::unordered_set<ContentHash, snapshot::ContentHashHasher> known_;
  std::unordered_map<std::string, std::string> labels_;  // and whose they are
  std::map<std::string, ZoneMemory::List> memory_;
};

// The bodies of a zone's lists as a signer reads them.
class BodiesOf {
 public:
  explicit BodiesOf(const std::vector<CompiledSegment>& segments) {
    for (const CompiledSegment& segment : segments) {
      views_.emplace(segment.listed.hash, &segment.bodies->view);
    }
  }
  const snapshot::BodiesView* find(const ContentHash& hash) const { return views_.at(hash); }

 private:
  std::unordered_map<ContentHash, const snapshot::BodiesView*, snapshot::ContentHashHasher> views_;
};

class ZoneWriter {
 public:
  struct Options {
    uint32_t serial = 0;
    size_t canonical_size_max = kCanonicalSizeMax;  // of an RRset
    bool has_zonemd = false;
  };
  ZoneWriter(const ZoneInput& input, const Settings& settings, const Options& options)
      : input_(input),
        settings_(settings),
        serial_(options.serial),
        canonical_size_max_(options.canonical_size_max),
        has_zonemd_(options.has_zonemd),
        builder_({.apex = input.apex,
                  .serial = options.serial,
                  .account = input.account,
                  .tier_mask = kAllTiers}) {}

  Status add_apex() {
    const std::vector<uint8_t> soa = soa_data(settings_, serial_);
    if (auto done = add_own(input_.apex, wire::type::soa, settings_.ttl_s, {soa}); !done) {
      return done;
    }
    const auto server = settings_.suffix.child(policy::kNameServerLabel);
    if (!server) {
      return std::unexpected(server.error());
    }
    if (auto done = add_own(input_.apex, wire::type::ns, settings_.ttl_s, {wire_of(*server)});
        !done) {
      return done;
    }
    // RFC 2308 section 3: the SOA of a negative answer has the smaller of its TTL and minimum.
    builder_.own().begin();
    builder_.own().add({.section = BodiesBuilder::Section::authority,
                        .owner = BodiesBuilder::Owner::apex,
                        .type = wire::type::soa,
                        .ttl = std::min(settings_.ttl_s, settings_.negative_ttl_s),
                        .data = soa});
    const auto negative = builder_.own().end();
    if (!negative) {
      return std::unexpected(negative.error());
    }
    builder_.set_negative_body(*negative);
    return {};
  }

  Status add_list(const PreparedList& list, const BodiesOf& opened) {
    std::vector<uint16_t> dependencies;
    for (const ContentHash& hash : list.hashes) {
      dependencies.push_back(builder_.depend_on(hash, opened.find(hash)));
    }
    for (size_t i = 0; i < list.names.size(); ++i) {
      const name::Name& name = list.names[i];
      if (auto done = builder_.add_node(name, list.input->tier_mask); !done) {
        return done;
      }
      const ListBodies::NameBodies& bodies = list.bodies->names[i];
      for (const auto& [type, body] :
           {std::pair(wire::type::a, bodies.a), std::pair(wire::type::aaaa, bodies.aaaa),
            std::pair(wire::type::apl, bodies.apl)}) {
        if (body == ListBodies::kNone) {
          continue;
        }
        if (auto done = builder_.add_rrset(name, type, dependencies[i / kNamesPerSegment], body);
            !done) {
          return done;
        }
      }
    }
    if (auto done = add_index(list); !done) {
      return done;
    }
    return add_own(list.names.front(), wire::type::txt, settings_.ttl_s, {summary(list)});
  }

  // Signs what was added, when there is a signer, and makes the bytes.
  Result<std::vector<uint8_t>> finish(ZoneSigner* signer) {
    if (auto done = builder_.arrange(); !done) {
      return std::unexpected(done.error());
    }
    if (has_zonemd_) {
      announce_zonemd(builder_);
    }
    if (signer == nullptr && has_zonemd_) {
      if (auto done = settle_zonemd(builder_); !done) {
        return std::unexpected(done.error());
      }
    }
    if (signer != nullptr) {
      if (auto done = signer->sign(builder_); !done) {
        return in("sign", signing_failed(done.error()));
      }
    }
    return builder_.finish();
  }

 private:
  Status add_own(const name::Name& name, uint16_t type, uint32_t ttl,
                 const std::vector<std::vector<uint8_t>>& records) {
    builder_.own().begin();
    for (const std::vector<uint8_t>& data : records) {
      builder_.own().add({.type = type, .ttl = ttl, .data = data});
    }
    const auto body = builder_.own().end();
    if (!body) {
      return in(name.to_text(), body.error());
    }
    return builder_.add_rrset(name, type, 0, *body);
  }

  // PTR records that name every chunk in use. What does not fit one message, or what a validator
  // can put into canonical form, is left to TXT names=.
  Status add_index(const PreparedList& list) {
    std::vector<std::vector<uint8_t>> records;
    const name::Name& owner = list.names.front();
    size_t size = 0;
    size_t canonical = kRrsigFixedSize + input_.apex.size();
    for (size_t i = 0; i < list.names.size(); ++i) {
      if (!list.bodies->names[i].in_use) {
        continue;
      }
      size += 2 + kRecordFixedSize + list.names[i].size();
      canonical += owner.size() + kRecordFixedSize + list.names[i].size();
      if (size > snapshot::kBodySizeMax || canonical > canonical_size_max_) {
        break;
      }
      records.push_back(wire_of(list.names[i]));
    }
    return add_own(owner, wire::type::ptr, settings_.ttl_s, records);
  }

  static std::string digest_of(const PreparedList& list) {
    if (list.hashes.size() == 1) {
      return list.hashes.front().to_text().substr(0, 32);
    }
    std::vector<uint8_t> all;
    for (const ContentHash& hash : list.hashes) {
      all.insert(all.end(), hash.bytes.begin(), hash.bytes.end());
    }
    return ContentHash::of(all).to_text().substr(0, 32);
  }

  std::vector<uint8_t> summary(const PreparedList& list) const {
    return txt_data({"merlon=1", fmt::format("serial={}", serial_),
                     fmt::format("names={}", list.used_count),
                     fmt::format("ipv4={}", list.bodies->address4_count),
                     fmt::format("ipv6={}", list.bodies->address6_count),
                     fmt::format("prefixes-only-in-apl={}", list.bodies->prefix_only_count),
                     fmt::format("changed={}", time_text(list.input->changed)),
                     fmt::format("digest={}", digest_of(list))});
  }

  const ZoneInput& input_;
  const Settings& settings_;
  uint32_t serial_;
  size_t canonical_size_max_;
  bool has_zonemd_;
  ZoneBuilder builder_;
};

// The zone segment of lists that are compiled.
class ZoneMaker {
 public:
  ZoneMaker(const ZoneInput& input, const ZoneContext& context, const ListCompiler& lists)
      : input_(input), context_(context), lists_(lists), opened_(lists.segments()) {}

  Result<std::vector<uint8_t>> make(uint32_t serial, ZoneSigner* signer) const {
    ZoneWriter writer(input_, context_.settings,
                      {.serial = serial,
                       .canonical_size_max = lists_.is_signed() ? kCanonicalSizeMax : SIZE_MAX,
                       .has_zonemd = has_zonemd() && serial != 0});
    if (auto done = writer.add_apex(); !done) {
      return std::unexpected(done.error());
    }
    for (const PreparedList& list : lists_.lists()) {
      if (auto done = writer.add_list(list, opened_); !done) {
        return in(fmt::format("list {}", list.input->label), done.error());
      }
    }
    return writer.finish(signer);
  }

  // Makes the zone with the serial in force when that gives the zone in force, else with the next
  // one; `memory` holds what was remembered and gets what is to be.
  Result<std::vector<uint8_t>> make_with_serial(ZoneMemory& memory) const {
    // Before anything is signed or digested for nothing: has what the zone says changed?
    const auto unsigned_zone = make(0, nullptr);
    if (!unsigned_zone) {
      return unsigned_zone;
    }
    const std::string content = ContentHash::of(*unsigned_zone).to_text();
    const bool may_be_same =
        memory.serial != 0 && (memory.content.empty() || memory.content == content);
    memory.content = content;
    ZoneSigner* signer = lists_.is_signed() ? context_.signer : nullptr;
    if (may_be_same) {
      auto zone = make(memory.serial, signer);
      if (!zone || ContentHash::of(*zone).to_text() == memory.hash) {
        return zone;
      }
    }
    // RFC 1982: a secondary takes no serial that is not ahead.
    const bool ahead =
        memory.serial == 0 || static_cast<int32_t>(context_.next_serial - memory.serial) > 0;
    memory.serial = ahead ? context_.next_serial : memory.serial + 1;
    return make(memory.serial, signer);
  }

 private:
  // Nobody has all of the shared zone; digesting long lists would cost more than the rest does.
  bool has_zonemd() const {
    uint64_t count = 0;
    for (const PreparedList& list : lists_.lists()) {
      count += list.bodies->address4_count + list.bodies->address6_count;
    }
    return input_.account != 0 && count <= kZonemdAddressesMax;
  }

  const ZoneInput& input_;
  const ZoneContext& context_;
  const ListCompiler& lists_;
  BodiesOf opened_;
};

CompiledList compiled_list(const PreparedList& list) {
  CompiledList made{.label = list.input->label,
                    .names = {},
                    .address4_count = list.bodies->address4_count,
                    .address6_count = list.bodies->address6_count,
                    .prefix_only_count = list.bodies->prefix_only_count};
  for (size_t i = 0; i < list.names.size(); ++i) {
    if (list.bodies->names[i].in_use) {
      made.names.push_back(list.names[i].to_text());
    }
  }
  return made;
}

Result<CompiledZone> compile_checked(const ZoneInput& input, const ZoneContext& context,
                                     const ZoneMemory& before) {
  ListCompiler lists(input, context, before);
  if (auto done = lists.compile(); !done) {
    return std::unexpected(done.error());
  }
  CompiledZone compiled;
  compiled.memory = {
      .serial = before.serial, .hash = before.hash, .content = before.content, .lists = {}};
  ZoneMaker maker(input, context, lists);
  auto zone = maker.make_with_serial(compiled.memory);
  if (!zone) {
    return std::unexpected(zone.error());
  }
  for (const PreparedList& list : lists.lists()) {
    compiled.lists.push_back(compiled_list(list));
    compiled.name_count += list.used_count;
  }
  compiled.segments = lists.take_segments();
  compiled.segments.push_back(
      make_segment(SegmentKind::zone, std::move(*zone), input.apex.folded()));
  compiled.memory.hash = compiled.segments.back().listed.hash.to_text();
  compiled.memory.lists = std::move(lists.memory());
  return compiled;
}

}  // namespace

Result<CompiledZone> compile_zone(const ZoneInput& input, const ZoneContext& context,
                                  const ZoneMemory& before) {
  auto compiled = compile_checked(input, context, before);
  if (!compiled) {
    return in(fmt::format("zone {}", input.apex.to_text()), compiled.error());
  }
  return compiled;
}

}  // namespace merlon::compile

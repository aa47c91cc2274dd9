// SPDX-License-Identifier: Apache-2.0
#include "controlplane/compile/catalog.h"

#include <algorithm>

#include "controlplane/compile/zonemd.h"
#include "zones/base/assert.h"
#include "zones/snapshot/hash.h"
#include "zones/snapshot/zone_builder.h"
#include "zones/wire/wire.h"

namespace merlon::compile {
namespace {

using snapshot::BodiesBuilder;
using snapshot::ContentHash;

constexpr uint32_t kAllTiers = 0xF;
constexpr size_t kMemberLabelSize = 32;
constexpr std::string_view kVersion = "2";

name::Name literal(std::string_view text) {
  const auto name = name::Name::from_text(text);
  MERLON_ASSERT(name.has_value());
  return *name;
}

std::vector<uint8_t> soa_data(const RpzSettings& settings, uint32_t serial) {
  std::vector<uint8_t> data(2 * name::kWireSizeMax + 20);
  wire::Writer writer(data);
  writer.name(settings.primary.is_root() ? literal("invalid") : settings.primary);
  writer.name(settings.mailbox.is_root() ? literal("invalid") : settings.mailbox);
  for (const uint32_t field :
       {serial, settings.refresh_s, settings.retry_s, settings.expire_s, settings.negative_ttl_s}) {
    writer.u32(field);
  }
  data.resize(writer.size());
  return data;
}

std::vector<uint8_t> text_data(std::string_view text) {
  std::vector<uint8_t> data = {static_cast<uint8_t>(text.size())};
  data.insert(data.end(), text.begin(), text.end());
  return data;
}

class CatalogWriter {
 public:
  CatalogWriter(const CatalogInput& input, const RpzSettings& settings, uint32_t serial)
      : input_(input),
        settings_(settings),
        builder_({.apex = input.apex,
                  .serial = serial,
                  .account = input.account,
                  .tier_mask = kAllTiers}) {}

  Status add_apex() {
    const std::vector<uint8_t> soa = soa_data(settings_, builder_.settings().serial);
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
    const auto version = input_.apex.child("version");
    Status done = add(input_.apex, wire::type::soa, soa);
    if (done) {  // RFC 9432 section 4.1: nobody follows it, and this is what is recommended
      done = add(input_.apex, wire::type::ns, literal("invalid").wire());
    }
    if (!version) {
      return std::unexpected(version.error());
    }
    return done ? add(*version, wire::type::txt, text_data(kVersion)) : done;
  }

  Status add_member(const CatalogMember& member) {
    const name::Name apex = member.apex.folded();
    const std::string label = ContentHash::of(apex.wire()).to_text().substr(0, kMemberLabelSize);
    auto owner = input_.apex.child("zones");
    owner = owner ? owner->child(label) : owner;
    const auto group = owner ? owner->child("group") : owner;
    if (!group) {
      return std::unexpected(group.error());
    }
    Status done = add(*owner, wire::type::ptr, apex.wire());
    if (done && !member.group.empty()) {
      done = add(*group, wire::type::txt, text_data(member.group));
    }
    return done;
  }

  Result<std::vector<uint8_t>> finish() {
    Status done = builder_.arrange();
    if (done) {
      announce_zonemd(builder_);
      done = settle_zonemd(builder_);
    }
    return done ? builder_.finish() : std::unexpected(done.error());
  }

 private:
  Status add(const name::Name& owner, uint16_t type, Bytes data) {
    builder_.own().begin();
    builder_.own().add({.type = type, .ttl = settings_.ttl_s, .data = data});
    const auto body = builder_.own().end();
    return body ? builder_.add_rrset(owner, type, 0, *body) : std::unexpected(body.error());
  }

  const CatalogInput& input_;
  const RpzSettings& settings_;
  snapshot::ZoneBuilder builder_;
};

Result<CompiledCatalog> build(const CatalogInput& input, const RpzSettings& settings,
                              uint32_t serial) {
  CatalogWriter writer(input, settings, serial);
  if (auto done = writer.add_apex(); !done) {
    return std::unexpected(done.error());
  }
  for (const CatalogMember& member : input.members) {
    if (auto done = writer.add_member(member); !done) {
      return std::unexpected(done.error());
    }
  }
  auto bytes = writer.finish();
  if (!bytes) {
    return std::unexpected(bytes.error());
  }
  CompiledCatalog made;
  made.listed = {.kind = snapshot::SegmentKind::zone,
                 .hash = ContentHash::of(*bytes),
                 .size_bytes = bytes->size(),
                 .apex = input.apex.folded()};
  made.bytes = std::move(*bytes);
  made.memory.serial = serial;
  made.memory.hash = made.listed.hash.to_text();
  return made;
}

}  // namespace

Result<CompiledCatalog> compile_catalog(const CatalogInput& input, const RpzContext& context,
                                        const RpzMemory& before) {
  // What it says, apart from the serial, is the zone of serial 0.
  const auto content = build(input, context.settings, 0);
  if (!content) {
    return in(fmt::format("catalog zone {}", input.apex.to_text()), content.error());
  }
  const bool may_be_same =
      before.serial != 0 && (before.digest.empty() || before.digest == content->memory.hash);
  auto made = build(input, context.settings, may_be_same ? before.serial : context.next_serial);
  if (made && may_be_same && made->memory.hash != before.hash) {
    made = build(input, context.settings, context.next_serial);
  }
  if (made) {
    made->memory.digest = content->memory.hash;
  }
  return made;
}

}  // namespace merlon::compile

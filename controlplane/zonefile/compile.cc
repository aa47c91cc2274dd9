// SPDX-License-Identifier: Apache-2.0
#include "controlplane/zonefile/compile.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <unordered_map>

#include <xxhash.h>

#include "controlplane/zonefile/rdata.h"
#include "zones/wire/wire.h"

namespace merlon::zonefile {
namespace {

using snapshot::BodiesBuilder;
using snapshot::Denial;
using snapshot::ZoneBuilder;

constexpr size_t kHashLabelSize = 32;  // base32hex of 20 bytes

std::string text_of(Bytes owner) {
  const auto name = name::Name::from_wire(owner);
  return name ? name->to_text() : to_hex(owner);
}

std::unexpected<Error> fault(const ZoneData& zone, const ZoneData::Rrset& rrset,
                             std::string_view text) {
  return fail(ErrorCode::invalid_argument, "{}: {} {}: {}", zone.place_text(rrset.place),
              text_of(zone.owner_of(rrset)), type_text(rrset.type), text);
}

// RFC 4648 section 7, without padding. False when the label is no hash.
bool read_hash(Bytes owner, std::array<uint8_t, snapshot::kNsec3HashSize>& hash) {
  if (owner[0] != kHashLabelSize) {
    return false;
  }
  uint64_t bits = 0;
  size_t out = 0;
  for (size_t i = 0; i < kHashLabelSize; ++i) {
    const uint8_t c = owner[1 + i];
    const int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'v' ? c - 'a' + 10 : -1;
    if (value < 0) {
      return false;
    }
    bits = bits << 5 | static_cast<uint64_t>(value);
    if (i % 8 == 7) {
      for (int shift = 32; shift >= 0; shift -= 8) {
        hash[out++] = static_cast<uint8_t>(bits >> shift);
      }
      bits = 0;
    }
  }
  return true;
}

class Filler {
 public:
  Filler(const ZoneData& zone, ZoneBuilder& builder) : zone_(zone), builder_(builder) {}

  Status run();

 private:
  using Rrset = ZoneData::Rrset;

  void find_denial();
  // The own body with the RRset's records; an equal one is used again.
  Result<uint32_t> body_of(const Rrset& rrset);
  Status add_negative_body();
  Status add_nsec3(size_t i);
  bool is_same_chain(const Rrset& nsec3, size_t record) const;

  const ZoneData& zone_;
  ZoneBuilder& builder_;
  Denial denial_ = Denial::none;
  Bytes nsec3_parameters_;  // algorithm, flags, iterations, salt
  std::vector<uint8_t> scratch_;
  std::unordered_map<uint64_t, uint32_t> bodies_;  // by a hash of their bytes
};

// Signed is a zone whose SOA record is. Without NSEC or NSEC3 records it answers with signatures
// but proves no absence.
void Filler::find_denial() {
  const auto& rrsets = zone_.rrsets();
  const bool has_signature = std::ranges::any_of(rrsets, [&](const Rrset& rrset) {
    return rrset.covers == wire::type::soa && rrset.owner_size == zone_.apex().size();
  });
  const Rrset* parameters = zone_.at_apex(wire::type::nsec3param);
  const bool has_nsec3 = std::ranges::find(rrsets, wire::type::nsec3, &Rrset::type) != rrsets.end();
  if (!has_signature) {
    return;
  }
  denial_ = Denial::nsec;
  if (parameters != nullptr && has_nsec3 && zone_.at_apex(wire::type::nsec) == nullptr) {
    denial_ = Denial::nsec3;
    nsec3_parameters_ = zone_.data_of(*parameters, 0);
  }
}

Result<uint32_t> Filler::body_of(const Rrset& rrset) {
  scratch_.clear();
  for (size_t i = 0; i < rrset.count; ++i) {
    const Bytes data = zone_.data_of(rrset, i);
    const size_t at = scratch_.size();
    scratch_.resize(at + 12);
    store_be16(scratch_.data() + at, wire::kOwnerIsQname);
    store_be16(scratch_.data() + at + 2, rrset.type);
    store_be16(scratch_.data() + at + 4, wire::kClassIn);
    store_be32(scratch_.data() + at + 6, rrset.ttl);
    store_be16(scratch_.data() + at + 10, static_cast<uint16_t>(data.size()));
    scratch_.insert(scratch_.end(), data.begin(), data.end());
    if (scratch_.size() > snapshot::kBodySizeMax) {
      return fault(zone_, rrset,
                   fmt::format("{} records are more than the {} bytes that a message "
                               "holds",
                               rrset.count, snapshot::kBodySizeMax));
    }
  }
  BodiesBuilder& own = builder_.own();
  const auto [at, added] =
      bodies_.try_emplace(XXH3_64bits(scratch_.data(), scratch_.size()), uint32_t{0});
  if (!added && std::ranges::equal(own.bytes_of(at->second), scratch_)) {
    return at->second;
  }
  own.begin();
  for (size_t i = 0; i < rrset.count; ++i) {
    own.add({.type = rrset.type, .ttl = rrset.ttl, .data = zone_.data_of(rrset, i)});
  }
  const auto body = own.end();
  if (!body) {
    return fault(zone_, rrset, body.error().message);
  }
  at->second = *body;
  return *body;
}

// RFC 2308 section 3: the SOA record lives as long as the answer may be believed.
Status Filler::add_negative_body() {
  const Rrset& soa = *zone_.at_apex(wire::type::soa);
  const Bytes data = zone_.data_of(soa, 0);
  const uint32_t minimum = load_be32(data.data() + data.size() - 4);
  builder_.own().begin();
  builder_.own().add({.section = BodiesBuilder::Section::authority,
                      .owner = BodiesBuilder::Owner::apex,
                      .type = wire::type::soa,
                      .ttl = std::min(soa.ttl, minimum),
                      .data = data});
  const auto body = builder_.own().end();
  if (!body) {
    return fault(zone_, soa, body.error().message);
  }
  builder_.set_negative_body(*body);
  return {};
}

// Algorithm, iterations and salt as in the apex' NSEC3PARAM; flags differ.
bool Filler::is_same_chain(const Rrset& nsec3, size_t record) const {
  const Bytes data = zone_.data_of(nsec3, record);
  const size_t size = nsec3_parameters_.size();
  return data.size() >= size && size >= 5 && data[0] == nsec3_parameters_[0] &&
         std::ranges::equal(data.subspan(2, size - 2), nsec3_parameters_.subspan(2));
}

// rrsets()[i] is of type NSEC3; its signatures, of a lower type, stand before it.
Status Filler::add_nsec3(size_t i) {
  const auto& rrsets = zone_.rrsets();
  const Rrset& rrset = rrsets[i];
  const Bytes owner = zone_.owner_of(rrset);
  snapshot::Nsec3Entry entry{};
  if (owner.size() != zone_.apex().size() + kHashLabelSize + 1 || !read_hash(owner, entry.hash)) {
    return fault(zone_, rrset, "the owner is no hash below the apex");
  }
  if (rrset.count != 1) {
    return fault(zone_, rrset, "more than one record");
  }
  if (!is_same_chain(rrset, 0)) {
    return {};  // another chain, on its way in or out
  }
  const Rrset* signature = nullptr;
  for (size_t k = i; k-- > 0 && std::ranges::equal(zone_.owner_of(rrsets[k]), owner);) {
    signature = rrsets[k].covers == wire::type::nsec3 ? &rrsets[k] : signature;
  }
  if (signature == nullptr) {
    return fault(zone_, rrset, "not signed");
  }
  const auto body = body_of(rrset);
  const auto signed_by = body ? body_of(*signature) : body;
  if (!body || !signed_by) {
    return std::unexpected(!body ? body.error() : signed_by.error());
  }
  entry.body = *body;
  entry.signature = *signed_by;
  builder_.add_nsec3(entry);
  return {};
}

Status Filler::run() {
  find_denial();
  const auto& rrsets = zone_.rrsets();
  for (size_t i = 0; i < rrsets.size(); ++i) {
    const Rrset& rrset = rrsets[i];
    if (rrset.type == wire::type::nsec3 && denial_ == Denial::nsec3) {
      if (auto added = add_nsec3(i); !added) {
        return added;
      }
      continue;
    }
    const bool unused = rrset.type == wire::type::nsec3 ||
                        (rrset.type == wire::type::rrsig &&
                         (denial_ == Denial::none || rrset.covers == wire::type::nsec3));
    if (unused) {
      continue;
    }
    const auto name = name::Name::from_wire(zone_.owner_of(rrset));
    const auto body = body_of(rrset);
    if (!name || !body) {
      return std::unexpected(!name ? name.error() : body.error());
    }
    auto added = rrset.type == wire::type::rrsig
                     ? builder_.add_signature(*name, rrset.covers, *body)
                     : builder_.add_rrset(*name, rrset.type, 0, *body);
    if (!added) {
      return fault(zone_, rrset, added.error().message);
    }
  }
  builder_.set_denial(denial_);
  if (auto added = add_negative_body(); !added) {
    return added;
  }
  if (auto arranged = builder_.arrange(); !arranged) {
    return in(fmt::format("zone {}", zone_.apex().to_text()), arranged.error());
  }
  return {};
}

}  // namespace

Status fill(const ZoneData& zone, ZoneBuilder& builder) {
  return Filler(zone, builder).run();
}

Result<std::vector<uint8_t>> compile(const ZoneData& zone, const CompileOptions& options) {
  ZoneBuilder builder({.apex = zone.apex(),
                       .serial = zone.serial(),
                       .account = options.account,
                       .tier_mask = options.tier_mask});
  if (auto filled = fill(zone, builder); !filled) {
    return std::unexpected(filled.error());
  }
  const bool is_signed = std::ranges::any_of(
      zone.rrsets(), [](const ZoneData::Rrset& rrset) { return rrset.covers == wire::type::soa; });
  if (options.signer != nullptr && !is_signed && options.signer->signs(zone.apex())) {
    if (auto done = options.signer->sign(builder); !done) {
      return in(fmt::format("sign zone {}", zone.apex().to_text()), done.error());
    }
  }
  return builder.finish();
}

}  // namespace merlon::zonefile

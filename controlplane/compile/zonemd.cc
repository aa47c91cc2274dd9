// SPDX-License-Identifier: Apache-2.0
#include "controlplane/compile/zonemd.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "controlplane/compile/records.h"
#include "zones/base/assert.h"
#include "zones/wire/wire.h"

namespace merlon::compile {
namespace {

using snapshot::ZoneBuilder;
namespace type = wire::type;

constexpr size_t kApex = 0;
constexpr size_t kDigestSize = 48;
constexpr size_t kHeadSize = 10;  // type, class, TTL, data length
constexpr size_t kPointerSize = 2;
constexpr size_t kBufferSize = size_t{64} << 10;
constexpr uint8_t kSchemeSimple = 1;
constexpr uint8_t kHashSha384 = 1;

// Records in canonical order go in, their digest comes out.
class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    good_ = context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha384(), nullptr) == 1;
    buffer_.reserve(kBufferSize);
  }

  // `record` is as in a body: type, class, TTL, length and data.
  void add(Bytes owner, Bytes record) {
    if (buffer_.size() + owner.size() + record.size() > kBufferSize) {
      flush();
    }
    buffer_.insert(buffer_.end(), owner.begin(), owner.end());
    buffer_.insert(buffer_.end(), record.begin(), record.end());
  }

  Result<std::array<uint8_t, kDigestSize>> finish() {
    flush();
    std::array<uint8_t, kDigestSize> digest{};
    unsigned size = 0;
    good_ = good_ && EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1;
    if (!good_ || size != kDigestSize) {
      return fail(ErrorCode::internal, "OpenSSL cannot compute SHA-384");
    }
    return digest;
  }

 private:
  void flush() {
    good_ = good_ && EVP_DigestUpdate(context_.get(), buffer_.data(), buffer_.size()) == 1;
    buffer_.clear();
  }

  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
  std::vector<uint8_t> buffer_;
  bool good_ = false;
};

// The records of one owner, brought into order and into the digest.
class OwnerRecords {
 public:
  explicit OwnerRecords(FoldNames fold) : fold_(fold) {}

  void clear() {
    records_.clear();
    folded_.clear();
  }

  void add_body(Bytes body) {
    while (!body.empty()) {
      const size_t size = kHeadSize + load_be16(body.data() + kPointerSize + 8);
      records_.push_back(body.subspan(kPointerSize, size));
      if (fold_ != nullptr) {
        fold_last();
      }
      body = body.subspan(kPointerSize + size);
    }
  }

  // RFC 8976 section 3.3.1: each record once, by type and then by data.
  void add_to(Digest& digest, Bytes owner) {
    const auto before = [](Bytes a, Bytes b) {
      const uint16_t left = load_be16(a.data());
      const uint16_t right = load_be16(b.data());
      return left != right
                 ? left < right
                 : std::ranges::lexicographical_compare(a.subspan(kHeadSize), b.subspan(kHeadSize));
    };
    if (!std::ranges::is_sorted(records_, before)) {
      std::ranges::stable_sort(records_, before);
    }
    for (size_t i = 0; i < records_.size(); ++i) {
      if (i == 0 || before(records_[i - 1], records_[i])) {
        digest.add(owner, records_[i]);
      }
    }
  }

 private:
  void fold_last() {
    const Bytes record = records_.back();
    const uint16_t rrtype = load_be16(record.data());
    if (rrtype == type::a || rrtype == type::aaaa || rrtype == type::txt) {
      return;  // most there are, and without names
    }
    std::vector<uint8_t> copy(record.begin(), record.end());
    if (fold_(rrtype, MutableBytes(copy).subspan(kHeadSize))) {
      records_.back() = folded_.emplace_back(std::move(copy));
    }
  }

  FoldNames fold_;
  std::vector<Bytes> records_;
  std::deque<std::vector<uint8_t>> folded_;
};

Bytes own_body(const ZoneBuilder& zone, uint32_t body) {
  return zone.own().bytes_of(body);
}

void add_node(const ZoneBuilder& zone, size_t node, OwnerRecords& records, Digest& digest) {
  records.clear();
  for (const ZoneBuilder::Rrset& rrset : zone.rrsets_of(node)) {
    if (node == kApex && rrset.type == type::zonemd) {
      continue;
    }
    records.add_body(zone.body_of(rrset));
    if (rrset.signature != snapshot::kNoBody) {
      records.add_body(own_body(zone, rrset.signature));
    }
  }
  records.add_to(digest, zone.name_of(node));
}

Result<std::array<uint8_t, kDigestSize>> digest_of(const ZoneBuilder& zone, FoldNames fold) {
  std::vector<snapshot::Nsec3Entry> nsec3(zone.nsec3().begin(), zone.nsec3().end());
  std::ranges::sort(nsec3, {}, &snapshot::Nsec3Entry::hash);
  Digest digest;
  OwnerRecords records(fold);
  size_t next = 0;
  // Owners of NSEC3 records are among the others by their names.
  const auto add_nsec3_before = [&](Bytes name) {
    for (; next < nsec3.size(); ++next) {
      const std::vector<uint8_t> owner =
          nsec3_owner(nsec3[next], zone.settings().apex.folded().wire());
      if (!name.empty() && name::compare_canonical(owner, name) > 0) {
        return;
      }
      records.clear();
      records.add_body(own_body(zone, nsec3[next].body));
      records.add_body(own_body(zone, nsec3[next].signature));
      records.add_to(digest, owner);
    }
  };
  for (size_t node = 0; node < zone.node_count(); ++node) {
    add_nsec3_before(zone.name_of(node));
    add_node(zone, node, records, digest);
  }
  add_nsec3_before({});
  return digest.finish();
}

}  // namespace

void announce_zonemd(ZoneBuilder& zone) {
  zone.add_rrset_at(kApex, type::zonemd, snapshot::kNoBody);
}

bool is_zonemd_announced(const ZoneBuilder& zone) {
  const ZoneBuilder::Rrset* rrset = zone.find(kApex, type::zonemd);
  return rrset != nullptr && rrset->dependency == 0 && rrset->body == snapshot::kNoBody;
}

Status settle_zonemd(ZoneBuilder& zone, FoldNames fold) {
  MERLON_ASSERT(is_zonemd_announced(zone));
  const ZoneBuilder::Rrset* soa = zone.find(kApex, type::soa);
  if (soa == nullptr) {
    return fail(ErrorCode::invalid_argument, "the apex has no SOA record");
  }
  const auto digest = digest_of(zone, fold);
  if (!digest) {
    return std::unexpected(digest.error());
  }
  std::vector<uint8_t> data(6 + kDigestSize);
  store_be32(data.data(), zone.settings().serial);
  data[4] = kSchemeSimple;
  data[5] = kHashSha384;
  std::ranges::copy(*digest, data.begin() + 6);
  const uint32_t ttl = load_be32(zone.body_of(*soa).data() + kPointerSize + 4);
  zone.own().begin();
  zone.own().add({.type = type::zonemd, .ttl = ttl, .data = data});
  const auto body = zone.own().end();
  if (!body) {
    return in("ZONEMD", body.error());
  }
  zone.set_body(kApex, type::zonemd, *body);
  return {};
}

}  // namespace merlon::compile

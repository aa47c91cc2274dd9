// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dnssec/canonical.h"

#include <algorithm>

#include "zones/name/name.h"
#include "zones/wire/wire.h"

namespace merlon::dnssec {
namespace {

constexpr size_t kFixedSize = 12;  // of a record in a body: owner 0xC00C, type, class, TTL, size

// Types whose data holds names: bytes before them, and how many there are.
struct NamesInData {
  uint16_t type;
  uint8_t prefix;
  uint8_t count;
};
constexpr NamesInData kNamesInData[] = {
    {2, 0, 1},    // NS
    {3, 0, 1},    // MD
    {4, 0, 1},    // MF
    {5, 0, 1},    // CNAME
    {6, 0, 2},    // SOA
    {7, 0, 1},    // MB
    {8, 0, 1},    // MG
    {9, 0, 1},    // MR
    {12, 0, 1},   // PTR
    {14, 0, 2},   // MINFO
    {15, 2, 1},   // MX
    {17, 0, 2},   // RP
    {18, 2, 1},   // AFSDB
    {21, 2, 1},   // RT
    {24, 18, 1},  // SIG
    {26, 2, 2},   // PX
    {30, 0, 1},   // NXT
    {33, 6, 1},   // SRV
    {36, 2, 1},   // KX
    {39, 0, 1},   // DNAME
};
constexpr uint16_t kNaptr = 35;
constexpr uint16_t kA6 = 38;

// Folds the uncompressed name at `at` and moves behind it.
bool fold_name(MutableBytes data, size_t& at) {
  const size_t first = at;
  while (at < data.size()) {
    const size_t size = data[at];
    if (size > name::kLabelSizeMax || at - first + size >= name::kWireSizeMax ||
        size >= data.size() - at) {
      return false;
    }
    for (size_t i = at + 1; i <= at + size; ++i) {
      data[i] = data[i] >= 'A' && data[i] <= 'Z' ? static_cast<uint8_t>(data[i] | 0x20) : data[i];
    }
    at += size + 1;
    if (size == 0) {
      return true;
    }
  }
  return false;
}

bool skip(MutableBytes data, size_t& at, size_t count) {
  if (count > data.size() - at) {
    return false;
  }
  at += count;
  return true;
}

bool fold_naptr(MutableBytes data) {
  size_t at = 0;
  if (!skip(data, at, 4)) {
    return false;
  }
  for (int text = 0; text < 3; ++text) {
    if (at >= data.size() || !skip(data, at, size_t{data[at]} + 1)) {
      return false;
    }
  }
  return fold_name(data, at) && at == data.size();
}

bool fold_a6(MutableBytes data) {
  if (data.empty() || data[0] > 128) {
    return false;
  }
  size_t at = 1;
  if (!skip(data, at, (128u - data[0] + 7) / 8)) {
    return false;
  }
  return (data[0] == 0 || fold_name(data, at)) && at == data.size();
}

struct Record {
  uint32_t at;  // of its data, within the buffer of all data
  uint16_t size;
};

std::string owner_text(Bytes owner) {
  const auto name = name::Name::from_wire(owner);
  return name ? name->to_text() : to_hex(owner);
}

uint8_t rrsig_labels(Bytes owner) {
  uint8_t count = 0;
  for (size_t at = 0; at < owner.size() && owner[at] != 0; at += owner[at] + 1u) {
    ++count;
  }
  const bool wildcard = owner.size() > 2 && owner[0] == 1 && owner[1] == '*';
  return static_cast<uint8_t>(count - (wildcard ? 1 : 0));
}

// Where the data of each record is. An empty vector: these are not records of that type.
std::vector<Record> find_records(const RrsetSource& source, uint32_t& ttl) {
  std::vector<Record> records;
  const Bytes body = source.body;
  size_t at = 0;
  while (at < body.size()) {
    if (body.size() - at < kFixedSize || load_be16(body.data() + at) != wire::kOwnerIsQname ||
        load_be16(body.data() + at + 2) != source.type) {
      return {};
    }
    ttl = records.empty() ? load_be32(body.data() + at + 6) : ttl;
    const uint16_t size = load_be16(body.data() + at + 10);
    at += kFixedSize;
    if (size > body.size() - at) {
      return {};
    }
    records.push_back({static_cast<uint32_t>(at), size});
    at += size;
  }
  return records;
}

}  // namespace

bool fold_names_in_data(uint16_t type, MutableBytes data) {
  if (type == kNaptr) {
    return fold_naptr(data);
  }
  if (type == kA6) {
    return fold_a6(data);
  }
  const auto at = std::ranges::lower_bound(kNamesInData, type, {}, &NamesInData::type);
  if (at == std::end(kNamesInData) || at->type != type) {
    return true;
  }
  size_t offset = 0;
  if (!skip(data, offset, at->prefix)) {
    return false;
  }
  for (int i = 0; i < at->count; ++i) {
    if (!fold_name(data, offset)) {
      return false;
    }
  }
  return true;
}

Result<CanonicalRrset> canonical_rrset(const RrsetSource& source) {
  CanonicalRrset out;
  out.type = source.type;
  out.labels = rrsig_labels(source.owner);
  std::vector<Record> records = find_records(source, out.ttl);
  if (records.empty()) {
    return fail(ErrorCode::corruption, "{} {}: its body holds no records of that type",
                owner_text(source.owner), wire::type_to_text(source.type));
  }
  std::vector<uint8_t> data(source.body.begin(), source.body.end());
  for (const Record& record : records) {
    if (!fold_names_in_data(source.type, MutableBytes(data).subspan(record.at, record.size))) {
      return fail(ErrorCode::corruption, "{} {}: record data that is not of this type",
                  owner_text(source.owner), wire::type_to_text(source.type));
    }
  }
  const auto data_of = [&](const Record& record) {
    return Bytes(data).subspan(record.at, record.size);
  };
  const auto before = [&](const Record& a, const Record& b) {
    return std::ranges::lexicographical_compare(data_of(a), data_of(b));
  };
  if (!std::ranges::is_sorted(records, before)) {
    std::ranges::sort(records, before);
  }
  const auto alike = std::ranges::unique(records, [&](const Record& a, const Record& b) {
    return std::ranges::equal(data_of(a), data_of(b));
  });
  records.erase(alike.begin(), alike.end());

  size_t size = 0;
  for (const Record& record : records) {
    size += source.owner.size() + 10 + record.size;
  }
  if (const size_t head = kRrsigFixedSize + source.apex.size(); size + head > kSignedSizeMax) {
    return fail(
        ErrorCode::unsupported,
        "{} {}: a signature over {} records covers {} bytes, and validators refuse more than {}; "
        "put at most {} records under this name, or leave the zone unsigned",
        owner_text(source.owner), wire::type_to_text(source.type), records.size(), size + head,
        kSignedSizeMax,
        signed_records_max(source.owner.size(), source.apex.size(), records[0].size));
  }
  out.bytes.resize(size);
  uint8_t* to = out.bytes.data();
  for (const Record& record : records) {
    to = std::ranges::copy(source.owner, to).out;
    store_be16(to, source.type);
    store_be16(to + 2, wire::kClassIn);
    store_be32(to + 4, out.ttl);
    store_be16(to + 8, record.size);
    to = std::ranges::copy(data_of(record), to + 10).out;
  }
  out.digest = sha256({out.bytes});
  return out;
}

}  // namespace merlon::dnssec

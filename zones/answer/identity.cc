// SPDX-License-Identifier: Apache-2.0
#include "zones/answer/identity.h"

#include <cstring>

#include "zones/base/assert.h"
#include "zones/wire/wire.h"

namespace merlon::answer {
namespace {

using std::string_view_literals::operator""sv;

bool is_one_of(Bytes name, std::string_view a, std::string_view b) {
  return as_text(name) == a || as_text(name) == b;
}

}  // namespace

Identity::Identity(std::string_view identity, std::string_view version)
    : name_(make_record(identity)), version_(make_record(version)) {}

Identity::Record Identity::make_record(std::string_view text) {
  MERLON_ASSERT(text.size() <= kTextSizeMax);
  Record record;
  if (text.empty()) {
    return record;
  }
  record.text_size = static_cast<uint8_t>(text.size());
  uint8_t* at = record.bytes.data();
  store_be16(at, wire::kOwnerIsQname);
  store_be16(at + 2, wire::type::txt);
  store_be16(at + 4, wire::kClassChaos);
  store_be32(at + 6, 0);  // TTL: never from a cache
  store_be16(at + 10, static_cast<uint16_t>(text.size() + 1));
  at[kTextAt - 1] = record.text_size;
  std::memcpy(at + kTextAt, text.data(), text.size());
  record.checksum = wire::checksum_partial(Bytes(record.bytes).first(kTextAt + text.size()));
  return record;
}

snapshot::Body Identity::chaos(const Query& query) const {
  if (query.qtype != wire::type::txt && query.qtype != wire::type::any) {
    return {};
  }
  const Record* record = nullptr;
  if (is_one_of(query.folded_qname(), "\2id\6server\0"sv, "\10hostname\4bind\0"sv)) {
    record = &name_;
  } else if (is_one_of(query.folded_qname(), "\7version\6server\0"sv, "\7version\4bind\0"sv)) {
    record = &version_;
  }
  if (record == nullptr || record->text_size == 0) {
    return {};
  }
  return {.data = record->bytes.data(),
          .size = static_cast<uint32_t>(kTextAt + record->text_size),
          .answer_count = 1,
          .checksum = record->checksum};
}

}  // namespace merlon::answer

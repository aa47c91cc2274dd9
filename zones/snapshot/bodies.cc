// SPDX-License-Identifier: Apache-2.0
#include "zones/snapshot/bodies.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "zones/base/assert.h"
#include "zones/wire/wire.h"

namespace merlon::snapshot {
namespace {

constexpr size_t kRecordFixedSize = 10;  // type, class, TTL, data length

// One walk over the records of a body; the pointers are consumed in order as owners.
class RecordWalk {
 public:
  RecordWalk(Bytes body, std::span<const uint16_t> pointers) : body_(body), pointers_(pointers) {}

  // Reads one record. Returns "" or what is wrong with it at offset().
  std::string_view next() {
    start_ = at_;
    if (at_ >= body_.size()) {
      return "fewer records than counted";
    }
    if (const auto fault = owner(); !fault.empty()) {
      return fault;
    }
    if (body_.size() - at_ < kRecordFixedSize) {
      return "record runs past the body";
    }
    type_ = load_be16(body_.data() + at_);
    const uint16_t record_class = load_be16(body_.data() + at_ + 2);
    const size_t data_size = load_be16(body_.data() + at_ + 8);
    at_ += kRecordFixedSize;
    if (body_.size() - at_ < data_size) {
      return "record data runs past the body";
    }
    if (record_class != wire::kClassIn) {
      return "class is not IN";
    }
    if ((type_ == wire::type::a && data_size != 4) ||
        (type_ == wire::type::aaaa && data_size != 16)) {
      return "address record of a wrong size";
    }
    at_ += data_size;
    return "";
  }

  size_t offset() const { return start_; }
  size_t end() const { return at_; }
  size_t pointers_used() const { return pointer_at_; }
  uint16_t type() const { return type_; }
  bool owner_is_qname() const { return owner_is_qname_; }

 private:
  std::string_view owner() {
    owner_is_qname_ = false;
    if (pointer_at_ < pointers_.size() && pointers_[pointer_at_] == at_) {
      if (body_.size() - at_ < 2 || load_be16(body_.data() + at_) != 0) {
        return "patched pointer is not zero";
      }
      ++pointer_at_;
      at_ += 2;
      return "";
    }
    if (body_.size() - at_ >= 2 && load_be16(body_.data() + at_) == wire::kOwnerIsQname) {
      owner_is_qname_ = true;
      at_ += 2;
      return "";
    }
    const size_t first = at_;
    while (at_ < body_.size() && body_[at_] != 0) {
      const size_t label_size = body_[at_];
      at_ += label_size + 1;
      if (label_size > name::kLabelSizeMax || at_ - first >= name::kWireSizeMax) {
        return "owner is not a name";
      }
    }
    if (at_ >= body_.size()) {
      return "owner runs past the body";
    }
    ++at_;
    return "";
  }

  Bytes body_;
  std::span<const uint16_t> pointers_;
  size_t start_ = 0;
  size_t at_ = 0;
  size_t pointer_at_ = 0;
  uint16_t type_ = 0;
  bool owner_is_qname_ = false;
};

}  // namespace

Result<BodiesView> BodiesView::open(const Segment& segment) {
  const auto index = segment.table<BodyEntry>(SectionKind::body_index);
  const auto pointers = segment.table<uint16_t>(SectionKind::body_pointers);
  const auto data = segment.table<uint8_t>(SectionKind::body_data);
  if (!index || !pointers || !data) {
    return std::unexpected(!index ? index.error() : !pointers ? pointers.error() : data.error());
  }
  BodiesView view;
  view.index_ = *index;
  view.pointers_ = *pointers;
  view.data_ = *data;
  view.answer_types_.reserve(index->size());
  uint64_t data_end = 0;
  uint64_t pointer_end = 0;
  for (size_t i = 0; i < index->size(); ++i) {
    const BodyEntry& entry = (*index)[i];
    const uint64_t at = i * sizeof(BodyEntry);
    if (entry.offset != data_end || entry.size > data->size() - data_end || entry.reserved != 0) {
      return damaged(segment, SectionKind::body_index, at, "body {} is out of place", i);
    }
    if (entry.pointer_first != pointer_end ||
        entry.pointer_count > pointers->size() - pointer_end) {
      return damaged(segment, SectionKind::body_index, at, "pointers of body {} are out of place",
                     i);
    }
    if (entry.size > kBodySizeMax) {
      return damaged(segment, SectionKind::body_index, at, "body {} of {} bytes, at most {}", i,
                     entry.size, kBodySizeMax);
    }
    const auto type = view.check_body(segment, i);
    if (!type) {
      return std::unexpected(type.error());
    }
    view.answer_types_.push_back(*type);
    if (*type == wire::type::a || *type == wire::type::aaaa) {
      view.address_count_ += entry.answer_count;
    }
    data_end += entry.size;
    pointer_end += entry.pointer_count;
  }
  if (data_end != data->size()) {
    return damaged(segment, SectionKind::body_data, data_end, "bytes that no body owns");
  }
  if (pointer_end != pointers->size()) {
    return damaged(segment, SectionKind::body_pointers, pointer_end * 2,
                   "pointers that no body owns");
  }
  return view;
}

Result<uint16_t> BodiesView::check_body(const Segment& segment, size_t i) const {
  const BodyEntry& entry = index_[i];
  const Bytes body = data_.subspan(entry.offset, entry.size);
  RecordWalk walk(body, pointers_.subspan(entry.pointer_first, entry.pointer_count));
  const unsigned records =
      unsigned{entry.answer_count} + entry.authority_count + entry.additional_count;
  bool one_rrset = entry.answer_count != 0 && records == entry.answer_count;
  uint16_t type = 0;
  for (unsigned k = 0; k < records; ++k) {  // at most as many steps as the body has bytes
    if (const auto fault = walk.next(); !fault.empty()) {
      return damaged(segment, SectionKind::body_data, entry.offset + walk.offset(),
                     "body {} record {}: {}", i, k, fault);
    }
    one_rrset = one_rrset && walk.owner_is_qname() && (k == 0 || walk.type() == type);
    type = walk.type();
  }
  if (walk.end() != body.size() || walk.pointers_used() != entry.pointer_count) {
    return damaged(segment, SectionKind::body_data, entry.offset + walk.end(),
                   "body {} has bytes or pointers behind its last record", i);
  }
  if (wire::checksum_partial(body) != entry.checksum) {
    return damaged(segment, SectionKind::body_index, i * sizeof(BodyEntry),
                   "checksum of body {} differs", i);
  }
  return one_rrset ? type : uint16_t{0};
}

void BodiesBuilder::begin() {
  open_ = BodyEntry{};
  open_.offset = static_cast<uint32_t>(data_.size());
  open_.pointer_first = static_cast<uint32_t>(pointers_.size());
}

void BodiesBuilder::add(const Record& record) {
  MERLON_ASSERT(record.data.size() <= 65535);
  switch (record.section) {
    case Section::answer:
      MERLON_ASSERT(open_.authority_count == 0 && open_.additional_count == 0);
      ++open_.answer_count;
      break;
    case Section::authority:
      MERLON_ASSERT(open_.additional_count == 0);
      ++open_.authority_count;
      break;
    case Section::additional:
      ++open_.additional_count;
      break;
  }
  const size_t start = data_.size();
  data_.resize(start + 2 + kRecordFixedSize + record.data.size());
  uint8_t* at = data_.data() + start;
  if (record.owner == Owner::apex) {
    pointers_.push_back(static_cast<uint16_t>(start - open_.offset));
    ++open_.pointer_count;
    store_be16(at, 0);
  } else {
    store_be16(at, wire::kOwnerIsQname);
  }
  store_be16(at + 2, record.type);
  store_be16(at + 4, wire::kClassIn);
  store_be32(at + 6, record.ttl);
  store_be16(at + 10, static_cast<uint16_t>(record.data.size()));
  if (!record.data.empty()) {
    std::memcpy(at + 12, record.data.data(), record.data.size());
  }
}

Result<uint32_t> BodiesBuilder::end() {
  const size_t size = data_.size() - open_.offset;
  if (size > kBodySizeMax || data_.size() > UINT32_MAX) {
    data_.resize(open_.offset);
    pointers_.resize(open_.pointer_first);
    return fail(ErrorCode::invalid_argument, "body of {} bytes, a message holds {}", size,
                kBodySizeMax);
  }
  open_.size = static_cast<uint32_t>(size);
  open_.checksum = wire::checksum_partial(Bytes(data_).subspan(open_.offset));
  index_.push_back(open_);
  return static_cast<uint32_t>(index_.size() - 1);
}

uint8_t* BodiesBuilder::add_answers(uint16_t type, uint32_t ttl, uint16_t data_size,
                                    uint16_t count) {
  MERLON_ASSERT(open_.authority_count == 0 && open_.additional_count == 0);
  open_.answer_count = static_cast<uint16_t>(open_.answer_count + count);
  std::array<uint8_t, kAnswerRoom> fixed;
  store_be16(fixed.data(), wire::kOwnerIsQname);
  store_be16(fixed.data() + 2, type);
  store_be16(fixed.data() + 4, wire::kClassIn);
  store_be32(fixed.data() + 6, ttl);
  store_be16(fixed.data() + 10, data_size);
  const size_t start = data_.size();
  const size_t step = kAnswerRoom + data_size;
  data_.resize(start + step * count);
  uint8_t* at = data_.data() + start;
  for (size_t i = 0; i < count; ++i) {
    std::memcpy(at + i * step, fixed.data(), fixed.size());
  }
  return at + kAnswerRoom;
}

void BodiesBuilder::write_sections(SegmentBuilder& builder) const {
  const auto bytes_of_table = [](const auto& rows) {
    return Bytes(reinterpret_cast<const uint8_t*>(rows.data()), rows.size() * sizeof(rows[0]));
  };
  builder.add_view(SectionKind::body_index, bytes_of_table(index_));
  builder.add_view(SectionKind::body_pointers, bytes_of_table(pointers_));
  builder.add_view(SectionKind::body_data, data_);
}

Result<Segment> BodiesBuilder::build() const {
  SegmentBuilder builder(SegmentKind::bodies);
  write_sections(builder);
  return builder.build();
}

void BodiesBuilder::clear() {
  index_.clear();
  pointers_.clear();
  data_.clear();
  open_ = {};
}

std::vector<uint8_t> BodiesBuilder::finish() const {
  SegmentBuilder builder(SegmentKind::bodies);
  write_sections(builder);
  return builder.finish();
}

}  // namespace merlon::snapshot

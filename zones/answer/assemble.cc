// SPDX-License-Identifier: Apache-2.0
#include "zones/answer/assemble.h"

#include <algorithm>
#include <cstring>

#include "zones/base/assert.h"
#include "zones/wire/wire.h"

namespace merlon::answer {
namespace {

constexpr size_t kPointerTargetEnd = 0x4000;  // RFC 1035 section 4.1.4: 14 bits
constexpr size_t kOwnerPointerSize = 2;
constexpr size_t kFixedSize = 10;  // type, class, TTL, data size

// REQUIRES: a valid name. Returns the number of labels.
size_t find_labels(Bytes name, std::array<uint8_t, name::kLabelCountMax + 1>& offsets) {
  size_t count = 0;
  size_t at = 0;
  while (name[at] != 0) {  // at most 127 labels fit a name
    offsets[count++] = static_cast<uint8_t>(at);
    at += size_t{name[at]} + 1;
  }
  offsets[count] = static_cast<uint8_t>(at);
  return count;
}

Bytes label_at(const LabelledName& name, size_t i) {
  const size_t at = name.label_offsets[i];
  return name.name.subspan(at, size_t{name.name[at]} + 1);
}

}  // namespace

bool LabelledCopy::assign(Bytes wire) {
  size_t at = 0;
  count_ = 0;
  while (at < wire.size() && at < name::kWireSizeMax) {
    const size_t label_size = wire[at];
    offsets_[count_] = static_cast<uint8_t>(at);
    at += label_size + 1;
    if (label_size == 0) {
      size_ = at;
      name::fold_bytes(wire.data(), size_, bytes_.data());
      return true;
    }
    if (label_size > name::kLabelSizeMax) {
      return false;
    }
    ++count_;
  }
  return false;
}

bool LabelledCopy::assign(const LabelledName& name, size_t depth, const LabelledCopy& suffix) {
  const size_t kept = name.name.size() - name.suffix(depth).size();
  if (kept + suffix.size_ > name::kWireSizeMax) {
    return false;
  }
  std::memcpy(bytes_.data(), name.name.data(), kept);
  std::memcpy(bytes_.data() + kept, suffix.bytes_.data(), suffix.size_);
  size_ = kept + suffix.size_;
  count_ = find_labels(bytes(), offsets_);
  return true;
}

void Assembler::lean_on(const LabelledName& name, size_t at) {
  leaned_on_ = name;
  leaned_on_at_ = at;
}

Owner Assembler::owner(const LabelledName& name) const {
  const LabelledName& base = leaned_on_;
  size_t i = name.label_count;
  size_t k = base.label_count;
  while (i > 0 && k > 0 && std::ranges::equal(label_at(name, i - 1), label_at(base, k - 1))) {
    --i;
    --k;
  }
  Owner owner;
  const size_t target = leaned_on_at_ + base.label_offsets[k];
  if (k == base.label_count || target >= kPointerTargetEnd) {
    owner.size = name.name.size();
    std::memcpy(owner.bytes.data(), name.name.data(), owner.size);
    return owner;
  }
  const size_t kept = name.label_offsets[i];
  std::memcpy(owner.bytes.data(), name.name.data(), kept);
  store_be16(owner.bytes.data() + kept, static_cast<uint16_t>(0xC000u | target));
  owner.size = kept + kOwnerPointerSize;
  return owner;
}

Owner Assembler::owner(Bytes name) const {
  std::array<uint8_t, name::kLabelCountMax + 1> offsets;
  const size_t count = find_labels(name, offsets);
  return owner(LabelledName{name, offsets.data(), count});
}

Owner Assembler::owner_at(size_t at, Bytes name) {
  Owner owner;
  if (at < kPointerTargetEnd) {
    store_be16(owner.bytes.data(), static_cast<uint16_t>(0xC000u | at));
    owner.size = kOwnerPointerSize;
  } else {
    std::memcpy(owner.bytes.data(), name.data(), name.size());
    owner.size = name.size();
  }
  return owner;
}

bool Assembler::take(size_t size) {
  ok_ = ok_ && size <= room_.size() - used_;
  return ok_;
}

void Assembler::put(Bytes bytes) {
  std::memcpy(room_.data() + used_, bytes.data(), bytes.size());
  used_ += bytes.size();
}

void Assembler::add(Section section, Owner& owner, const snapshot::Body& body,
                    std::optional<uint32_t> ttl) {
  if (owner.size == kOwnerPointerSize && load_be16(owner.bytes.data()) == wire::kOwnerIsQname &&
      !ttl) {
    if (take(body.size)) {
      put(body.bytes());
    }
  } else {
    Bytes rest = body.bytes();
    for (unsigned i = 0; i < body.answer_count; ++i) {
      const size_t data_size = load_be16(rest.data() + kOwnerPointerSize + kFixedSize - 2);
      const Bytes record = rest.subspan(kOwnerPointerSize, kFixedSize + data_size);
      rest = rest.subspan(kOwnerPointerSize + record.size());
      if (!take(owner.size + record.size())) {
        break;
      }
      const size_t owner_at = at();
      put(Bytes(owner.bytes).first(owner.size));
      put(record);
      if (ttl) {
        store_be32(room_.data() + used_ - record.size() + 4, *ttl);
      }
      if (owner.size > kOwnerPointerSize && owner_at < kPointerTargetEnd) {
        store_be16(owner.bytes.data(), static_cast<uint16_t>(0xC000u | owner_at));
        owner.size = kOwnerPointerSize;
      }
    }
  }
  uint16_t& count = counts_[static_cast<size_t>(section)];
  count = static_cast<uint16_t>(count + body.answer_count);
}

void Assembler::add_record(Section section, const Owner& owner, uint16_t type, uint32_t ttl,
                           Bytes data) {
  if (!take(owner.size + kFixedSize + data.size())) {
    return;
  }
  put(Bytes(owner.bytes).first(owner.size));
  uint8_t* fixed = room_.data() + used_;
  store_be16(fixed, type);
  store_be16(fixed + 2, wire::kClassIn);
  store_be32(fixed + 4, ttl);
  store_be16(fixed + 8, static_cast<uint16_t>(data.size()));
  used_ += kFixedSize;
  put(data);
  ++counts_[static_cast<size_t>(section)];
}

void Assembler::return_to(const Mark& mark) {
  used_ = mark.used;
  counts_ = mark.counts;
  ok_ = true;
}

snapshot::Body Assembler::body() const {
  MERLON_DASSERT(ok_);
  return {.data = room_.data(),
          .size = static_cast<uint32_t>(used_),
          .answer_count = counts_[0],
          .authority_count = counts_[1],
          .additional_count = counts_[2],
          .checksum = wire::checksum_partial(Bytes(room_).first(used_))};
}

}  // namespace merlon::answer

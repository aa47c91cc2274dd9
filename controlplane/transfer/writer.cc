// SPDX-License-Identifier: Apache-2.0
#include "controlplane/transfer/writer.h"

#include <algorithm>
#include <cstring>

#include "zones/base/assert.h"

namespace merlon::transfer {
namespace {

constexpr size_t kPointerReach = 0x4000;
constexpr size_t kPrefixSize = 2;
constexpr size_t kCountMax = 65535;

}  // namespace

void MessageWriter::find_labels(Bytes name, Written& out) {
  std::memcpy(out.wire.data(), name.data(), name.size());
  out.size = name.size();
  out.label_count = 0;
  for (size_t at = 0; name[at] != 0; at += size_t{name[at]} + 1) {
    out.label[out.label_count++] = static_cast<uint8_t>(at);
  }
}

void MessageWriter::begin(std::vector<uint8_t>& out) {
  out_ = &out;
  start_ = out.size() + kPrefixSize;
  count_ = 0;
  std::array<uint8_t, kPrefixSize + wire::kHeaderSize> head{};
  store_be16(&head[kPrefixSize], options_.id);
  store_be16(&head[kPrefixSize + 2], options_.flags);
  store_be16(&head[kPrefixSize + 4], 1);
  append(head);
  append(options_.question);
  Written& qname = names_[last_];
  find_labels(Bytes(options_.question).first(options_.question.size() - 4), qname);
  for (size_t i = 0; i < qname.label_count; ++i) {
    qname.place[i] = static_cast<uint16_t>(wire::kHeaderSize + qname.label[i]);
  }
}

size_t MessageWriter::room() const {
  const size_t used =
      at() + (first_ ? options_.opt.size() : 0) + (options_.signer ? options_.signer->size() : 0);
  const size_t limit =
      empty() ? options_.size_max : std::min(options_.size_wanted, options_.size_max);
  return limit - std::min(limit, used);
}

// The labels from the end of the name that the last one has, too, become a pointer to these.
void MessageWriter::write_owner(Bytes owner) {
  const Written& last = names_[last_];
  Written& now = names_[1 - last_];
  find_labels(owner, now);
  size_t i = now.label_count;
  size_t k = last.label_count;
  while (i > 0 && k > 0 && last.place[k - 1] != 0) {
    const uint8_t* a = now.wire.data() + now.label[i - 1];
    const uint8_t* b = last.wire.data() + last.label[k - 1];
    if (*a != *b || std::memcmp(a, b, size_t{*a} + 1) != 0) {
      break;
    }
    --i;
    --k;
  }
  const size_t literal = i == now.label_count ? now.size - 1 : size_t{now.label[i]};
  for (size_t label = 0; label < i; ++label) {
    const size_t place = at() + now.label[label];
    now.place[label] = place < kPointerReach ? static_cast<uint16_t>(place) : uint16_t{0};
  }
  append(owner.first(literal));
  if (i == now.label_count) {
    out_->push_back(0);
  } else {
    const uint16_t pointer = static_cast<uint16_t>(0xC000 | last.place[k]);
    out_->push_back(static_cast<uint8_t>(pointer >> 8));
    out_->push_back(static_cast<uint8_t>(pointer));
    std::copy_n(last.place.begin() + static_cast<std::ptrdiff_t>(k), now.label_count - i,
                now.place.begin() + static_cast<std::ptrdiff_t>(i));
  }
  last_ = 1 - last_;
}

bool MessageWriter::add(const Record& record) {
  const size_t before = out_->size();
  // Mostly it fits without a closer look; else it is tried, and taken back.
  const size_t left = room();
  if (count_ == kCountMax || left < 2 + record.rest.size()) {
    return false;
  }
  const size_t last = last_;
  write_owner(record.owner);
  if (out_->size() - before + record.rest.size() > left) {
    out_->resize(before);
    last_ = last;
    return false;
  }
  append(record.rest);
  ++count_;
  return true;
}

void MessageWriter::finish(int64_t now) {
  uint8_t* header = out_->data() + start_;
  store_be16(header + 2, static_cast<uint16_t>(options_.flags | rcode_));
  store_be16(header + 6, static_cast<uint16_t>(count_));
  if (first_ && !options_.opt.empty()) {
    store_be16(header + 10, 1);
    append(options_.opt);
  }
  first_ = false;
  if (options_.signer) {
    options_.signer->sign(*out_, start_, now);
  }
  MERLON_ASSERT(at() <= wire::kMessageSizeMax);
  store_be16(out_->data() + start_ - kPrefixSize, static_cast<uint16_t>(at()));
}

}  // namespace merlon::transfer

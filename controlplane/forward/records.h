// SPDX-License-Identifier: Apache-2.0
// Records in one block of memory, names uncompressed: what is kept of an upstream's answer. All are
// of class IN.
#pragma once

#include <cstdint>
#include <vector>

#include "zones/base/assert.h"
#include "zones/base/bytes.h"

namespace merlon::forward {

enum class Section : uint8_t { answer, authority, additional };

struct Record {
  Section section = Section::answer;
  Bytes owner;
  uint16_t type = 0;
  uint32_t ttl = 0;
  Bytes data;  // names in it uncompressed
};

class Records {
 public:
  // REQUIRES: owner is a wire name; data has at most 65,535 bytes.
  void add(const Record& record) {
    uint8_t head[kHeadSize];
    head[0] = static_cast<uint8_t>(record.section);
    head[1] = static_cast<uint8_t>(record.owner.size());
    store_be16(head + 2, record.type);
    store_be32(head + 4, record.ttl);
    store_be16(head + 8, static_cast<uint16_t>(record.data.size()));
    bytes_.insert(bytes_.end(), head, head + kHeadSize);
    bytes_.insert(bytes_.end(), record.owner.begin(), record.owner.end());
    bytes_.insert(bytes_.end(), record.data.begin(), record.data.end());
  }
  // `use` returns false to stop.
  template <class Use>
  void for_each(Use&& use) const {
    size_t at = 0;
    while (at < bytes_.size()) {
      const uint8_t* head = bytes_.data() + at;
      const size_t owner_size = head[1];
      const size_t data_size = load_be16(head + 8);
      const Record record{.section = Section{head[0]},
                          .owner = {head + kHeadSize, owner_size},
                          .type = load_be16(head + 2),
                          .ttl = load_be32(head + 4),
                          .data = {head + kHeadSize + owner_size, data_size}};
      at += kHeadSize + owner_size + data_size;
      if (!use(record)) {
        return;
      }
    }
  }
  bool empty() const { return bytes_.empty(); }
  size_t size_bytes() const { return bytes_.size(); }
  void shrink() { bytes_.shrink_to_fit(); }

 private:
  static constexpr size_t kHeadSize = 10;
  std::vector<uint8_t> bytes_;
};

}  // namespace merlon::forward

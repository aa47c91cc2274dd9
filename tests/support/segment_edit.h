// SPDX-License-Identifier: Apache-2.0
// Segments that are wrong in one chosen place and right in every checksum.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <vector>

#include "zones/snapshot/segment.h"

namespace merlon::tests {

// A segment taken apart; finish() puts it together again with good checksums.
class SegmentEdit {
 public:
  // REQUIRES: a good segment.
  explicit SegmentEdit(Bytes segment);

  std::vector<uint8_t>& section(snapshot::SectionKind kind) { return sections_[kind]; }
  void remove(snapshot::SectionKind kind) { sections_.erase(kind); }
  // Row `row` of a table of T. `edit(T&)` changes it.
  template <class T, class Edit>
  void change(snapshot::SectionKind kind, size_t row, Edit&& edit) {
    T value;
    std::vector<uint8_t>& bytes = sections_.at(kind);
    std::memcpy(&value, &bytes.at(row * sizeof value), sizeof value);
    edit(value);
    std::memcpy(&bytes.at(row * sizeof value), &value, sizeof value);
  }
  std::vector<uint8_t> finish() const;

 private:
  snapshot::SegmentKind kind_;
  std::map<snapshot::SectionKind, std::vector<uint8_t>> sections_;
};

// Recomputes every checksum that lies inside the file, whatever else is wrong with it.
void fix_checksums(std::vector<uint8_t>& segment);

}  // namespace merlon::tests

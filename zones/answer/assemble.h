// SPDX-License-Identifier: Apache-2.0
// Puts the records of several bodies into one, section after section, with owners that are good
// where the message will have them: the result is a Body like any other, to be composed behind the
// question. An owner is a pointer into a name that the message already has, or the labels in front
// of one; record data is copied as it is.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "zones/answer/query.h"
#include "zones/base/bytes.h"
#include "zones/name/name.h"
#include "zones/snapshot/bodies.h"
#include "zones/snapshot/loaded_zone.h"

namespace merlon::answer {

using snapshot::LabelledName;

// A folded copy of a wire name, with its labels.
class LabelledCopy {
 public:
  // False when the bytes do not begin with an uncompressed name.
  bool assign(Bytes wire);
  // The first labels of `name`, without its last `depth` ones, in front of `suffix`. False when
  // that would be too long.
  bool assign(const LabelledName& name, size_t depth, const LabelledCopy& suffix);

  LabelledName name() const { return {{bytes_.data(), size_}, offsets_.data(), count_}; }
  Bytes bytes() const { return {bytes_.data(), size_}; }

 private:
  std::array<uint8_t, name::kWireSizeMax> bytes_;
  std::array<uint8_t, name::kLabelCountMax + 1> offsets_;
  size_t size_ = 0;
  size_t count_ = 0;
};

// An owner as the message will have it.
struct Owner {
  std::array<uint8_t, name::kWireSizeMax + 1> bytes;  // only `size` are set
  size_t size = 0;
};

class Assembler {
 public:
  enum class Section : uint8_t { answer, authority, additional };

  // What was written so far, to return to.
  struct Mark {
    size_t used = 0;
    std::array<uint16_t, 3> counts{};
  };

  // Owners lean on `name`, which stands uncompressed at `at` in the message; the body begins at
  // `body_at`. `name` must stay until the next lean_on().
  Assembler(MutableBytes room, size_t body_at, const LabelledName& name, size_t at)
      : room_(room), body_at_(body_at), leaned_on_(name), leaned_on_at_(at) {}
  void lean_on(const LabelledName& name, size_t at);

  // REQUIRES: a folded name.
  Owner owner(const LabelledName& name) const;
  Owner owner(Bytes name) const;
  // Of a name that stands at `at` in the message with these bytes.
  static Owner owner_at(size_t at, Bytes name);

  // The records of a body whose owners are all 0xC00C get this owner, and this TTL if there is one.
  // After the first record `owner` may be a shorter form. REQUIRES: sections in message order.
  void add(Section section, Owner& owner, const snapshot::Body& body,
           std::optional<uint32_t> ttl = std::nullopt);
  void add_record(Section section, const Owner& owner, uint16_t type, uint32_t ttl, Bytes data);

  // Where the message's next byte will be.
  size_t at() const { return body_at_ + used_; }
  // What was written behind a place that at() has said. REQUIRES: ok().
  Bytes written_since(size_t at) const {
    return Bytes(room_).subspan(0, used_).subspan(at - body_at_);
  }
  bool ok() const { return ok_; }  // all of it had room
  Mark mark() const { return {used_, counts_}; }
  void return_to(const Mark& mark);
  snapshot::Body body() const;  // REQUIRES: ok()

 private:
  bool take(size_t size);
  void put(Bytes bytes);

  MutableBytes room_;
  size_t body_at_;
  LabelledName leaned_on_;
  size_t leaned_on_at_;
  size_t used_ = 0;
  std::array<uint16_t, 3> counts_{};
  bool ok_ = true;
};

}  // namespace merlon::answer

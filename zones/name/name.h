// SPDX-License-Identifier: Apache-2.0
// Domain names (RFC 9499) in uncompressed wire form: labels of 1..63 bytes, the root label last,
// at most 255 bytes in all. Comparison and hashing use the folded form (ASCII A-Z to a-z, RFC
// 4343); a Name keeps the bytes it was made from. Value type without heap memory.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "zones/base/bytes.h"
#include "zones/base/error.h"
#include "zones/name/fold.h"

namespace merlon::name {

inline constexpr size_t kWireSizeMax = 255;
inline constexpr size_t kLabelSizeMax = 63;
inline constexpr size_t kLabelCountMax = 127;

class Name {
 public:
  Name() = default;  // the root

  // Presentation form, relative names are taken as absolute: "a.example" == "a.example.".
  // Understands \DDD and \c. Errors: invalid_argument with the reason.
  static Result<Name> from_text(std::string_view text);
  // An uncompressed name that fills `wire` exactly. Errors: invalid_argument.
  static Result<Name> from_wire(Bytes wire);

  Bytes wire() const { return {wire_.data(), size_}; }
  size_t size() const { return size_; }
  size_t label_count() const;  // without the root label
  bool is_root() const { return size_ == 1; }
  std::string to_text() const;  // with the final dot, RFC 4343 escapes

  Name folded() const;
  // True when this name equals `ancestor` or lies below it; case-insensitive.
  bool is_at_or_below(const Name& ancestor) const;
  // This name without its first label. REQUIRES: !is_root().
  Name parent() const;
  // `label` in front of this name. Errors: invalid_argument (label or name too long, empty label).
  Result<Name> child(std::string_view label) const;

  // Case-insensitive equality.
  bool operator==(const Name& other) const;
  // Canonical order of RFC 4034 section 6.1.
  std::strong_ordering operator<=>(const Name& other) const;

 private:
  std::array<uint8_t, kWireSizeMax> wire_{};
  uint8_t size_ = 1;
};

// Canonical order on wire names, both uncompressed and valid.
std::strong_ordering compare_canonical(Bytes a, Bytes b);

// The rules for a host name that may come out of a feed: at least two labels, LDH or underscore
// characters, no label that starts or ends with a hyphen, a last label that is not all digits.
// Returns "" when good, else a reason.
std::string_view host_name_fault(std::string_view text);

}  // namespace merlon::name

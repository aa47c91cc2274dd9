// SPDX-License-Identifier: Apache-2.0
#include "zones/name/name.h"

#include <algorithm>
#include <cstring>

#include "zones/base/assert.h"

namespace merlon::name {
namespace {

// Offsets of the labels of a valid wire name, root excluded. Returns their number.
size_t label_offsets(Bytes wire, std::array<uint8_t, kLabelCountMax + 1>& offsets) {
  size_t count = 0;
  size_t at = 0;
  while (at < wire.size() && wire[at] != 0 && count < kLabelCountMax) {
    offsets[count++] = static_cast<uint8_t>(at);
    at += size_t{wire[at]} + 1;
  }
  return count;
}

bool is_plain(uint8_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '*' || c == '/' || c == '+';
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Reads one possibly escaped character at text[at]; moves at behind it.
Result<uint8_t> read_character(std::string_view text, size_t& at) {
  if (text[at] != '\\') {
    return static_cast<uint8_t>(text[at++]);
  }
  ++at;
  if (at >= text.size()) {
    return fail(ErrorCode::invalid_argument, "name ends inside an escape");
  }
  if (!is_digit(text[at])) {
    return static_cast<uint8_t>(text[at++]);
  }
  if (text.size() - at < 3 || !is_digit(text[at + 1]) || !is_digit(text[at + 2])) {
    return fail(ErrorCode::invalid_argument, "escape \\DDD needs three digits");
  }
  const int value = (text[at] - '0') * 100 + (text[at + 1] - '0') * 10 + (text[at + 2] - '0');
  if (value > 255) {
    return fail(ErrorCode::invalid_argument, "escape \\{} is above 255", value);
  }
  at += 3;
  return static_cast<uint8_t>(value);
}

}  // namespace

Result<Name> Name::from_text(std::string_view text) {
  Name name;
  if (text.empty()) {
    return fail(ErrorCode::invalid_argument, "empty name");
  }
  if (text == ".") {
    return name;
  }
  size_t size = 0;      // bytes written
  size_t label_at = 0;  // where the current label's length byte is
  size_t label_size = 0;
  size_t at = 0;
  ++size;
  while (at < text.size()) {
    if (text[at] == '.') {
      if (label_size == 0) {
        return fail(ErrorCode::invalid_argument, "empty label");
      }
      name.wire_[label_at] = static_cast<uint8_t>(label_size);
      ++at;
      label_at = size;
      label_size = 0;
      if (size >= kWireSizeMax) {
        return fail(ErrorCode::invalid_argument, "name longer than 255 bytes");
      }
      ++size;
      continue;
    }
    const auto character = read_character(text, at);
    if (!character) {
      return std::unexpected(character.error());
    }
    if (label_size == kLabelSizeMax) {
      return fail(ErrorCode::invalid_argument, "label longer than 63 bytes");
    }
    // One byte stays free for the root label.
    if (size >= kWireSizeMax - 1) {
      return fail(ErrorCode::invalid_argument, "name longer than 255 bytes");
    }
    name.wire_[size++] = *character;
    ++label_size;
  }
  if (label_size > 0) {
    name.wire_[label_at] = static_cast<uint8_t>(label_size);
    name.wire_[size++] = 0;
  } else {
    name.wire_[label_at] = 0;  // the text ended with a dot
  }
  name.size_ = static_cast<uint8_t>(size);
  return name;
}

Result<Name> Name::from_wire(Bytes wire) {
  if (wire.empty() || wire.size() > kWireSizeMax) {
    return fail(ErrorCode::invalid_argument, "wire name of {} bytes", wire.size());
  }
  size_t at = 0;
  while (wire[at] != 0) {
    const size_t label_size = wire[at];
    if (label_size > kLabelSizeMax) {
      return fail(ErrorCode::invalid_argument, "label length {} at byte {}", label_size, at);
    }
    if (wire.size() - at <= label_size + 1) {
      return fail(ErrorCode::invalid_argument, "name runs past its end at byte {}", at);
    }
    at += label_size + 1;
  }
  if (at + 1 != wire.size()) {
    return fail(ErrorCode::invalid_argument, "{} bytes after the root label", wire.size() - at - 1);
  }
  Name name;
  std::memcpy(name.wire_.data(), wire.data(), wire.size());
  name.size_ = static_cast<uint8_t>(wire.size());
  return name;
}

size_t Name::label_count() const {
  std::array<uint8_t, kLabelCountMax + 1> offsets;
  return label_offsets(wire(), offsets);
}

std::string Name::to_text() const {
  if (is_root()) {
    return ".";
  }
  std::string text;
  size_t at = 0;
  while (wire_[at] != 0) {
    const size_t label_size = wire_[at++];
    for (size_t i = 0; i < label_size; ++i) {
      const uint8_t c = wire_[at + i];
      if (is_plain(c)) {
        text.push_back(static_cast<char>(c));
      } else if (c > 32 && c < 127) {
        text.push_back('\\');
        text.push_back(static_cast<char>(c));
      } else {
        text += fmt::format("\\{:03}", c);
      }
    }
    text.push_back('.');
    at += label_size;
  }
  return text;
}

Name Name::folded() const {
  Name name = *this;
  // Length bytes are at most 63, below 'A', so folding every byte is right.
  for (size_t i = 0; i < size_; ++i) {
    name.wire_[i] = fold(wire_[i]);
  }
  return name;
}

bool Name::is_at_or_below(const Name& ancestor) const {
  if (ancestor.size_ > size_) {
    return false;
  }
  const size_t skip = size_t{size_} - ancestor.size_;
  size_t at = 0;
  while (at < skip) {
    at += size_t{wire_[at]} + 1;
  }
  return at == skip && std::equal(wire_.begin() + static_cast<std::ptrdiff_t>(skip),
                                  wire_.begin() + size_, ancestor.wire_.begin(),
                                  [](uint8_t a, uint8_t b) { return fold(a) == fold(b); });
}

Name Name::parent() const {
  MERLON_ASSERT(!is_root());
  const size_t skip = size_t{wire_[0]} + 1;
  Name name;
  std::memcpy(name.wire_.data(), wire_.data() + skip, size_ - skip);
  name.size_ = static_cast<uint8_t>(size_ - skip);
  return name;
}

Result<Name> Name::child(std::string_view label) const {
  if (label.empty() || label.size() > kLabelSizeMax) {
    return fail(ErrorCode::invalid_argument, "label of {} bytes", label.size());
  }
  if (size_ + label.size() + 1 > kWireSizeMax) {
    return fail(ErrorCode::invalid_argument, "name longer than 255 bytes");
  }
  Name name;
  name.wire_[0] = static_cast<uint8_t>(label.size());
  std::memcpy(name.wire_.data() + 1, label.data(), label.size());
  std::memcpy(name.wire_.data() + 1 + label.size(), wire_.data(), size_);
  name.size_ = static_cast<uint8_t>(size_ + label.size() + 1);
  return name;
}

bool Name::operator==(const Name& other) const {
  return size_ == other.size_ &&
         std::equal(wire_.begin(), wire_.begin() + size_, other.wire_.begin(),
                    [](uint8_t a, uint8_t b) { return fold(a) == fold(b); });
}

std::strong_ordering Name::operator<=>(const Name& other) const {
  return compare_canonical(wire(), other.wire());
}

std::strong_ordering compare_canonical(Bytes a, Bytes b) {
  std::array<uint8_t, kLabelCountMax + 1> offsets_a;
  std::array<uint8_t, kLabelCountMax + 1> offsets_b;
  size_t left_a = label_offsets(a, offsets_a);
  size_t left_b = label_offsets(b, offsets_b);
  while (left_a > 0 && left_b > 0) {
    const size_t at_a = offsets_a[--left_a];
    const size_t at_b = offsets_b[--left_b];
    const size_t size_a = a[at_a];
    const size_t size_b = b[at_b];
    // Names of one zone have most labels in common, and zones hold them folded.
    if (size_a == size_b && same_bytes(&a[at_a], &b[at_b], size_a + 1)) {
      continue;
    }
    for (size_t i = 1; i <= std::min(size_a, size_b); ++i) {
      const uint8_t byte_a = fold(a[at_a + i]);
      const uint8_t byte_b = fold(b[at_b + i]);
      if (byte_a != byte_b) {
        return byte_a <=> byte_b;
      }
    }
    if (size_a != size_b) {
      return size_a <=> size_b;
    }
  }
  return left_a <=> left_b;
}

std::string_view host_name_fault(std::string_view text) {
  if (!text.empty() && text.back() == '.') {
    text.remove_suffix(1);
  }
  if (text.empty()) {
    return "empty name";
  }
  if (text.size() > kWireSizeMax - 2) {
    return "name longer than 253 characters";
  }
  size_t labels = 0;
  bool digits_only = true;
  size_t label_at = 0;
  for (size_t at = 0; at <= text.size(); ++at) {
    if (at < text.size() && text[at] != '.') {
      const char c = text[at];
      const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      if (!letter && !is_digit(c) && c != '-' && c != '_') {
        return "character that no host name has";
      }
      digits_only = (at == label_at || digits_only) && is_digit(c);
      continue;
    }
    const size_t label_size = at - label_at;
    if (label_size == 0) {
      return "empty label";
    }
    if (label_size > kLabelSizeMax) {
      return "label longer than 63 characters";
    }
    if (text[label_at] == '-' || text[at - 1] == '-') {
      return "label that starts or ends with a hyphen";
    }
    ++labels;
    label_at = at + 1;
  }
  if (labels < 2) {
    return "single label";
  }
  if (digits_only) {
    return "top label of digits only";
  }
  return "";
}

}  // namespace merlon::name

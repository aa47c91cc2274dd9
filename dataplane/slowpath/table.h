// SPDX-License-Identifier: Apache-2.0
// The relayed queries that wait for their answer. Fixed size; one thread.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "dataplane/io/packet_io.h"
#include "zones/base/bytes.h"
#include "zones/name/name.h"
#include "zones/wire/wire.h"

namespace merlon::slowpath {

struct Entry {
  // Header and question: what is needed for a SERVFAIL.
  static constexpr size_t kHeadSizeMax = wire::kHeaderSize + name::kWireSizeMax + 4;

  uint64_t number = 0;  // 0: free
  uint64_t since_ms = 0;
  uint32_t worker = 0;
  uint16_t share = 0;
  uint16_t head_size = 0;
  io::Path path;
  std::array<uint8_t, kHeadSizeMax> head;
};

// Place and number of an entry, as they travel.
class Token {
 public:
  static constexpr size_t kSize = 10;

  Token(uint16_t place, uint64_t number) {
    store_be16(bytes_.data(), place);
    store_be32(bytes_.data() + 2, static_cast<uint32_t>(number >> 32));
    store_be32(bytes_.data() + 6, static_cast<uint32_t>(number));
  }
  static uint16_t place_of(Bytes token) { return load_be16(token.data()); }
  static uint64_t number_of(Bytes token) {
    return uint64_t{load_be32(token.data() + 2)} << 32 | load_be32(token.data() + 6);
  }
  Bytes bytes() const { return bytes_; }

 private:
  std::array<uint8_t, kSize> bytes_;
};

class Table {
 public:
  // REQUIRES: size <= 65536.
  explicit Table(size_t size) : entries_(size) {
    for (size_t i = size; i > 0; --i) {
      free_.push_back(static_cast<uint16_t>(i - 1));
    }
  }

  size_t size() const { return entries_.size(); }
  size_t used() const { return entries_.size() - free_.size(); }
  bool full() const { return free_.empty(); }
  Entry& at(size_t place) { return entries_[place]; }

  // REQUIRES: !full().
  uint16_t take() {
    const uint16_t place = free_.back();
    free_.pop_back();
    entries_[place].number = ++last_number_;
    return place;
  }
  void give_back(uint16_t place) {
    entries_[place].number = 0;
    free_.push_back(place);
  }
  // The entry that a token was made for; nullptr when it is over or never was.
  Entry* find(Bytes token) {
    if (token.size() != Token::kSize || Token::place_of(token) >= entries_.size()) {
      return nullptr;
    }
    Entry& entry = entries_[Token::place_of(token)];
    return entry.number != 0 && entry.number == Token::number_of(token) ? &entry : nullptr;
  }

 private:
  std::vector<Entry> entries_;
  std::vector<uint16_t> free_;
  uint64_t last_number_ = 0;
};

// Header and question of a query (the header alone when the question cannot be told) become the
// head of a SERVFAIL to it. Returns its size. REQUIRES: query.size() >= wire::kHeaderSize.
uint16_t make_servfail(Bytes query, std::span<uint8_t, Entry::kHeadSizeMax> out);

}  // namespace merlon::slowpath

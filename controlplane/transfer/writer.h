// SPDX-License-Identifier: Apache-2.0
// Packs records into messages. Owners are compressed against the owner before and the question's
// name, which stand closest in a zone's order; data is sent as it is. A message ends at about 16
// KiB, up to where compression pointers reach; a record that is larger by itself has a message of
// its own, so an RRset of any size is split, and there is always room for TSIG.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "controlplane/transfer/tsig.h"
#include "zones/base/bytes.h"
#include "zones/wire/wire.h"

namespace merlon::transfer {

struct Record {
  Bytes owner;  // wire form, uncompressed
  Bytes rest;   // type, class, TTL, size of data, data
};

struct WriterOptions {
  uint16_t id = 0;
  uint16_t flags = 0;
  std::vector<uint8_t> question{};  // name, type, class
  std::vector<uint8_t> opt{};       // a whole record, for the first message; empty: none
  std::optional<Signer> signer{};
  size_t size_max = wire::kMessageSizeMax;
  size_t size_wanted = size_t{16} << 10;
};

class MessageWriter {
 public:
  // REQUIRES: question.size() >= 5.
  explicit MessageWriter(WriterOptions options) : options_(std::move(options)) {}

  // Appends to `out`: the message's two bytes of length, header and question.
  void begin(std::vector<uint8_t>& out);
  // False, and nothing was written, when the message has no room for it. Of a message without
  // records that means that no message has.
  bool add(const Record& record);
  bool empty() const { return count_ == 0; }
  void set_rcode(uint16_t rcode) { rcode_ = rcode; }
  // OPT, TSIG, counts and length.
  void finish(int64_t now);

 private:
  // A name in this message: its labels' places in the name and in the message.
  struct Written {
    std::array<uint8_t, 255> wire;
    std::array<uint8_t, 128> label{};
    std::array<uint16_t, 128> place{};  // 0: out of reach
    size_t size = 0;
    size_t label_count = 0;
  };
  static void find_labels(Bytes name, Written& out);
  size_t at() const { return out_->size() - start_; }
  size_t room() const;
  void write_owner(Bytes owner);
  void append(Bytes bytes) { out_->insert(out_->end(), bytes.begin(), bytes.end()); }

  WriterOptions options_;
  std::vector<uint8_t>* out_ = nullptr;
  size_t start_ = 0;  // of the message's header in *out_
  size_t count_ = 0;
  uint16_t rcode_ = 0;
  bool first_ = true;
  std::array<Written, 2> names_;
  size_t last_ = 0;  // which of them was written last
};

}  // namespace merlon::transfer

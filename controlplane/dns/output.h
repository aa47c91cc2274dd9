// SPDX-License-Identifier: Apache-2.0
// The answers of one connection that the socket has not taken yet: length prefixes, heads, OPT
// records and small bodies lie in one block of fixed size, large bodies are sent from where the
// snapshot keeps them. What is queued holds the snapshot, so its segments outlive the sending.
// Queues are lent by the worker's pool while something waits; a quiet connection has none.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "zones/answer/answer.h"
#include "zones/base/bytes.h"

namespace merlon::dns {

class OutputQueue {
 public:
  static constexpr size_t kBlockSize = 32 * 1024;
  static constexpr size_t kPrefixSize = 2;  // RFC 1035 section 4.2.2: the message's length
  // What compose_gathered() needs of a query: header and question.
  static constexpr size_t kQuestionEndMax = 12 + 259;
  static constexpr size_t kPatchedMax = 2048;
  // Bodies up to this size are copied, so that many small answers leave as one piece.
  static constexpr size_t kCopyMax = 2048;
  static constexpr size_t kAnswerRoom =
      kPrefixSize + kQuestionEndMax + kPatchedMax + answer::kOptSizeMax;

  bool empty() const { return piece_at_ == pieces_.size(); }
  size_t answer_count() const { return answer_count_; }
  size_t unsent_bytes() const { return unsent_bytes_; }
  bool has_room() const { return kBlockSize - used_ >= kAnswerRoom; }

  // Lays out the beginning of an answer: room for the prefix, then header and question copied from
  // the query. REQUIRES: has_room(), message.size() >= 12.
  MutableBytes begin(Bytes message);
  // Queues what compose_gathered() made of begin()'s bytes. `keep` holds the body's memory.
  void commit(const answer::Gathered& gathered, Bytes tail, std::shared_ptr<const void> keep);
  // Queues a whole message with its prefix that lies in memory of its own.
  void commit_whole(std::shared_ptr<const std::vector<uint8_t>> framed);

  // The next pieces to write, at most `room.size()` of them.
  size_t gather(std::span<iovec> room) const;
  // The socket took so many bytes. REQUIRES: count <= unsent_bytes().
  void consume(size_t count);
  void clear();

 private:
  struct Piece {
    const uint8_t* data = nullptr;
    size_t size = 0;
    std::shared_ptr<const void> keep;  // empty: in block_
  };
  void add_block_bytes(size_t at, size_t size);

  std::array<uint8_t, kBlockSize> block_;
  size_t used_ = 0;
  std::vector<Piece> pieces_;
  size_t piece_at_ = 0;
  size_t answer_count_ = 0;  // since the queue was empty
  size_t unsent_bytes_ = 0;
};

// Lends queues and keeps a few for the next. One worker's; not thread-safe.
class OutputPool {
 public:
  std::unique_ptr<OutputQueue> take();
  void give_back(std::unique_ptr<OutputQueue> queue);

 private:
  static constexpr size_t kSpareMax = 64;
  std::vector<std::unique_ptr<OutputQueue>> spare_;
};

}  // namespace merlon::dns

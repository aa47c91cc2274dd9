// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dns/output.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "zones/base/assert.h"

namespace merlon::dns {

MutableBytes OutputQueue::begin(Bytes message) {
  MERLON_DASSERT(has_room());
  uint8_t* at = block_.data() + used_ + kPrefixSize;
  std::memcpy(at, message.data(), std::min(message.size(), kQuestionEndMax));
  return {at, kQuestionEndMax + kPatchedMax};
}

void OutputQueue::add_block_bytes(size_t at, size_t size) {
  if (size == 0) {
    return;
  }
  if (!empty()) {
    Piece& last = pieces_.back();
    if (last.keep == nullptr && last.data + last.size == block_.data() + at) {
      last.size += size;
      return;
    }
  }
  pieces_.push_back({block_.data() + at, size, nullptr});
}

void OutputQueue::commit(const answer::Gathered& gathered, Bytes tail,
                         std::shared_ptr<const void> keep) {
  const size_t size = gathered.head_size + gathered.body.size() + gathered.tail_size;
  uint8_t* prefix = block_.data() + used_;
  store_be16(prefix, static_cast<uint16_t>(size));
  size_t head_size = kPrefixSize + gathered.head_size;
  const bool copied = gathered.body.size() <= kCopyMax;
  if (copied && !gathered.body.empty()) {
    std::memcpy(prefix + head_size, gathered.body.data(), gathered.body.size());
    head_size += gathered.body.size();
  }
  add_block_bytes(used_, head_size);
  used_ += head_size;
  if (!copied) {
    pieces_.push_back({gathered.body.data(), gathered.body.size(), std::move(keep)});
  }
  std::copy_n(tail.begin(), gathered.tail_size, block_.begin() + static_cast<ptrdiff_t>(used_));
  add_block_bytes(used_, gathered.tail_size);
  used_ += gathered.tail_size;
  unsent_bytes_ += kPrefixSize + size;
  ++answer_count_;
}

void OutputQueue::commit_whole(std::shared_ptr<const std::vector<uint8_t>> framed) {
  unsent_bytes_ += framed->size();
  ++answer_count_;
  const std::vector<uint8_t>& bytes = *framed;
  pieces_.push_back({bytes.data(), bytes.size(), std::move(framed)});
}

size_t OutputQueue::gather(std::span<iovec> room) const {
  const size_t count = std::min(room.size(), pieces_.size() - piece_at_);
  for (size_t i = 0; i < count; ++i) {
    const Piece& piece = pieces_[piece_at_ + i];
    room[i] = {const_cast<uint8_t*>(piece.data), piece.size};  // sendmsg only reads
  }
  return count;
}

void OutputQueue::consume(size_t count) {
  MERLON_DASSERT(count <= unsent_bytes_);
  unsent_bytes_ -= count;
  while (count != 0) {
    Piece& piece = pieces_[piece_at_];
    if (count < piece.size) {
      piece.data += count;
      piece.size -= count;
      return;
    }
    count -= piece.size;
    piece.keep.reset();
    ++piece_at_;
  }
  if (empty()) {
    clear();
  }
}

void OutputQueue::clear() {
  pieces_.clear();
  piece_at_ = 0;
  used_ = 0;
  answer_count_ = 0;
  unsent_bytes_ = 0;
}

std::unique_ptr<OutputQueue> OutputPool::take() {
  if (spare_.empty()) {
    return std::make_unique<OutputQueue>();
  }
  auto queue = std::move(spare_.back());
  spare_.pop_back();
  return queue;
}

void OutputPool::give_back(std::unique_ptr<OutputQueue> queue) {
  queue->clear();
  if (spare_.size() < kSpareMax) {
    spare_.push_back(std::move(queue));
  }
}

}  // namespace merlon::dns

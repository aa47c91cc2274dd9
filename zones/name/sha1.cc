// SPDX-License-Identifier: Apache-2.0
#include "zones/name/sha1.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace merlon::name {
namespace {

constexpr size_t kBlockSize = 64;
constexpr size_t kLengthSize = 8;
using State = std::array<uint32_t, 5>;

void add_block(const uint8_t* block, State& state) {
  std::array<uint32_t, 80> words;
  for (size_t i = 0; i < 16; ++i) {
    words[i] = load_be32(block + 4 * i);
  }
  for (size_t i = 16; i < words.size(); ++i) {
    words[i] = std::rotl(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
  }
  auto [a, b, c, d, e] = state;
  const auto round = [&](uint32_t mixed, uint32_t constant, uint32_t word) {
    const uint32_t next = std::rotl(a, 5) + mixed + e + constant + word;
    e = d;
    d = c;
    c = std::rotl(b, 30);
    b = a;
    a = next;
  };
  for (size_t i = 0; i < 20; ++i) {
    round((b & c) | (~b & d), 0x5A827999, words[i]);
  }
  for (size_t i = 20; i < 40; ++i) {
    round(b ^ c ^ d, 0x6ED9EBA1, words[i]);
  }
  for (size_t i = 40; i < 60; ++i) {
    round((b & c) | (b & d) | (c & d), 0x8F1BBCDC, words[i]);
  }
  for (size_t i = 60; i < 80; ++i) {
    round(b ^ c ^ d, 0xCA62C1D6, words[i]);
  }
  state = {state[0] + a, state[1] + b, state[2] + c, state[3] + d, state[4] + e};
}

// Collects bytes into blocks.
class Hasher {
 public:
  void add(Bytes data) {
    size_ += data.size();
    while (!data.empty()) {
      const size_t count = std::min(kBlockSize - used_, data.size());
      std::memcpy(block_.data() + used_, data.data(), count);
      data = data.subspan(count);
      used_ += count;
      if (used_ == kBlockSize) {
        add_block(block_.data(), state_);
        used_ = 0;
      }
    }
  }

  Sha1Digest finish() {
    const uint64_t bits = uint64_t{size_} * 8;
    block_[used_++] = 0x80;
    if (used_ > kBlockSize - kLengthSize) {
      std::memset(block_.data() + used_, 0, kBlockSize - used_);
      add_block(block_.data(), state_);
      used_ = 0;
    }
    std::memset(block_.data() + used_, 0, kBlockSize - kLengthSize - used_);
    store_be32(block_.data() + kBlockSize - 8, static_cast<uint32_t>(bits >> 32));
    store_be32(block_.data() + kBlockSize - 4, static_cast<uint32_t>(bits));
    add_block(block_.data(), state_);
    Sha1Digest digest;
    for (size_t i = 0; i < state_.size(); ++i) {
      store_be32(digest.data() + 4 * i, state_[i]);
    }
    return digest;
  }

 private:
  State state_ = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  std::array<uint8_t, kBlockSize> block_;
  size_t used_ = 0;
  size_t size_ = 0;
};

}  // namespace

Sha1Digest sha1(Bytes data) {
  return sha1(data, {});
}

Sha1Digest sha1(Bytes data, Bytes suffix) {
  Hasher hasher;
  hasher.add(data);
  hasher.add(suffix);
  return hasher.finish();
}

}  // namespace merlon::name

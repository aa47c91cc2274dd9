// SPDX-License-Identifier: Apache-2.0
// ZoneMemory as bytes: magic, fields (little-endian, strings with their size before them), and the
// first bytes of the BLAKE2b of all that, so that a damaged one is found and not believed.
#include <algorithm>
#include <cstring>
#include <type_traits>

#include "controlplane/compile/compile.h"
#include "zones/snapshot/hash.h"

namespace merlon::compile {
namespace {

constexpr std::string_view kMagic = "MZM\x01";  // Merlon zone memory, version 1
constexpr size_t kChecksumSize = 8;

std::string checksum_of(std::string_view bytes) {
  const auto hash = snapshot::ContentHash::of(as_bytes(bytes));
  return {reinterpret_cast<const char*>(hash.bytes.data()), kChecksumSize};
}

class Encoder {
 public:
  template <class Number>
  void number(Number value) {
    for (size_t i = 0; i < sizeof(Number); ++i) {
      out_.push_back(static_cast<char>(static_cast<uint8_t>(value >> (8 * i))));
    }
  }
  void text(std::string_view value) {
    number(static_cast<uint32_t>(value.size()));
    out_ += value;
  }
  template <class Bits>
  void plan(const ChunkPlan<Bits>& plan) {
    number(plan.capacity);
    number(plan.number_end);
    number(static_cast<uint32_t>(plan.chunks.size()));
    for (const Chunk<Bits>& chunk : plan.chunks) {
      number(chunk.first);
      number(chunk.number);
      number(chunk.count);
    }
  }
  std::string& out() { return out_; }

 private:
  std::string out_{kMagic};
};

// After the first fault everything reads as zero.
class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : bytes_(bytes) {}

  template <class Number>
  Number number() {
    Number value = 0;
    if (bytes_.size() < sizeof(Number)) {
      fail();
      return value;
    }
    for (size_t i = 0; i < sizeof(Number); ++i) {
      value |= static_cast<Number>(static_cast<Number>(static_cast<uint8_t>(bytes_[i])) << (8 * i));
    }
    bytes_.remove_prefix(sizeof(Number));
    return value;
  }
  std::string text() {
    const auto size = number<uint32_t>();
    if (size > bytes_.size()) {
      fail();
      return {};
    }
    std::string value(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
    return value;
  }
  template <class Bits>
  ChunkPlan<Bits> plan() {
    ChunkPlan<Bits> plan;
    plan.capacity = number<uint32_t>();
    plan.number_end = number<uint32_t>();
    const auto count = number<uint32_t>();
    if (count > bytes_.size() / (sizeof(Bits) + 8)) {
      fail();
      return {};
    }
    plan.chunks.reserve(count);
    for (uint32_t i = 0; i < count; ++i) {
      const auto first = number<Bits>();
      const auto named = number<uint32_t>();
      plan.chunks.push_back({first, named, number<uint32_t>()});
    }
    if (!is_sound(plan)) {
      fail();
    }
    return plan;
  }
  bool good_to_end() const { return good_ && bytes_.empty(); }
  bool good() const { return good_; }

 private:
  // More names than ten million addresses need, 32 each, are damage and would fill the memory.
  static constexpr uint32_t kNumberEndMax = 1 << 20;

  template <class Bits>
  static bool is_sound(const ChunkPlan<Bits>& plan) {
    if (plan.number_end > kNumberEndMax || plan.chunks.size() > plan.number_end) {
      return false;
    }
    std::vector<bool> used(plan.number_end, false);
    for (size_t i = 0; i < plan.chunks.size(); ++i) {
      const Chunk<Bits>& chunk = plan.chunks[i];
      const bool in_order = i == 0 ? chunk.first == 0 : plan.chunks[i - 1].first < chunk.first;
      if (!in_order || chunk.number >= plan.number_end || used[chunk.number] ||
          chunk.count > plan.capacity) {
        return false;
      }
      used[chunk.number] = true;
    }
    return true;
  }
  void fail() {
    good_ = false;
    bytes_ = {};
  }

  std::string_view bytes_;
  bool good_ = true;
};

}  // namespace

std::string ZoneMemory::encode() const {
  Encoder encoder;
  encoder.number(serial);
  encoder.text(hash);
  encoder.text(content);
  encoder.number(static_cast<uint32_t>(lists.size()));
  for (const auto& [label, list] : lists) {
    encoder.text(label);
    encoder.plan(list.v4);
    encoder.plan(list.v6);
    encoder.plan(list.apl4);
    encoder.plan(list.apl6);
  }
  return encoder.out() + checksum_of(encoder.out());
}

Result<ZoneMemory> ZoneMemory::decode(std::string_view bytes) {
  if (!bytes.starts_with(kMagic) || bytes.size() < kMagic.size() + kChecksumSize) {
    return merlon::fail(ErrorCode::corruption, "zone memory: not one of this version ({} bytes)",
                        bytes.size());
  }
  const std::string_view covered = bytes.substr(0, bytes.size() - kChecksumSize);
  if (checksum_of(covered) != bytes.substr(covered.size())) {
    return merlon::fail(ErrorCode::corruption, "zone memory: checksum differs");
  }
  Decoder decoder(covered.substr(kMagic.size()));
  ZoneMemory memory;
  memory.serial = decoder.number<uint32_t>();
  memory.hash = decoder.text();
  memory.content = decoder.text();
  const auto count = decoder.number<uint32_t>();
  for (uint32_t i = 0; i < count && decoder.good(); ++i) {
    std::string label = decoder.text();
    List list;
    list.v4 = decoder.plan<address::Bits4>();
    list.v6 = decoder.plan<address::Bits6>();
    list.apl4 = decoder.plan<address::Bits4>();
    list.apl6 = decoder.plan<address::Bits6>();
    if (decoder.good() && !memory.lists.emplace(std::move(label), std::move(list)).second) {
      return merlon::fail(ErrorCode::corruption, "zone memory: a list twice");
    }
  }
  if (!decoder.good_to_end()) {
    return merlon::fail(ErrorCode::corruption, "zone memory: its {} lists do not read", count);
  }
  return memory;
}

}  // namespace merlon::compile

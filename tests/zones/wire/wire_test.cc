// SPDX-License-Identifier: Apache-2.0
#include "zones/wire/wire.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace merlon::wire {
namespace {

using Buffer = std::vector<uint8_t>;

TEST(WireReader, ReadsBigEndianInOrder) {
  const Buffer bytes{0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09};
  Reader reader(bytes);
  EXPECT_EQ(reader.u8(), 0x01);
  EXPECT_EQ(reader.u16(), 0x0203);
  EXPECT_EQ(reader.u32(), 0x04050607u);
  EXPECT_EQ(reader.bytes(1)[0], 0x08);
  EXPECT_EQ(reader.remaining(), 1u);
  reader.skip(1);
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.offset(), bytes.size());
}

TEST(WireReader, ReadPastEndGivesZeroFailsAndMovesNothing) {
  const Buffer bytes{0xff, 0xff, 0xff};
  for (const auto read : {+[](Reader& reader) { return uint64_t{reader.u32()}; },
                          +[](Reader& reader) { return uint64_t{reader.bytes(4).size()}; },
                          +[](Reader& reader) {
                            reader.skip(SIZE_MAX);
                            return uint64_t{0};
                          }}) {
    Reader reader(bytes);
    EXPECT_EQ(read(reader), 0u);
    EXPECT_FALSE(reader.ok());
    EXPECT_EQ(reader.offset(), 0u);
    EXPECT_EQ(reader.u8(), 0) << "failure is sticky";
    EXPECT_EQ(reader.offset(), 0u);
  }
}

TEST(WireReader, EmptyBufferHasNothing) {
  Reader reader(Bytes{});
  EXPECT_TRUE(reader.bytes(0).empty());
  EXPECT_TRUE(reader.ok());
  EXPECT_TRUE(reader.name().is_root());
  EXPECT_FALSE(reader.ok());
}

struct NameRow {
  const char* description;
  Buffer bytes;
  size_t start;
  const char* name;  // nullptr: must fail
  size_t end;
};

Buffer repeat_label(size_t count, size_t size, Buffer tail) {
  Buffer bytes;
  for (size_t i = 0; i < count; ++i) {
    bytes.push_back(static_cast<uint8_t>(size));
    bytes.insert(bytes.end(), size, 'x');
  }
  bytes.insert(bytes.end(), tail.begin(), tail.end());
  return bytes;
}

std::string repeat_text(size_t count, size_t size, std::string tail) {
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    text += std::string(size, 'x') + ".";
  }
  return text + tail;
}

// A chain of `hops` pointers, each to the one before it, the first to the root at offset 0.
Buffer pointer_chain(size_t hops) {
  Buffer bytes{0};
  size_t target = 0;
  for (size_t i = 0; i < hops; ++i) {
    const size_t at = bytes.size();
    bytes.push_back(0xC0);
    bytes.push_back(static_cast<uint8_t>(target));
    target = at;
  }
  return bytes;
}

std::vector<NameRow> name_rows() {
  static const std::string longest = repeat_text(3, 63, std::string(61, 'y') + ".");
  static const std::string label63 = repeat_text(1, 63, "");
  static const std::string labels127 = repeat_text(127, 1, "");
  Buffer longest_tail{61};
  longest_tail.insert(longest_tail.end(), 61, 'y');
  longest_tail.push_back(0);
  Buffer too_long_tail{62};
  too_long_tail.insert(too_long_tail.end(), 62, 'y');
  too_long_tail.push_back(0);
  Buffer pointer_adds_one = repeat_label(3, 63, longest_tail);  // 255 bytes
  pointer_adds_one.insert(pointer_adds_one.end(), {1, 'z', 0xC0, 0});
  return {
      {"root_is_last_byte", {0}, 0, ".", 1},
      {"label_ends_on_last_byte_so_root_is_missing", {1, 'a'}, 0, nullptr, 0},
      {"label_runs_one_past_the_end", {2, 'a'}, 0, nullptr, 0},
      {"length_byte_is_last_byte", {1}, 0, nullptr, 0},
      {"plain", {1, 'a', 1, 'B', 0, 9}, 0, "a.B.", 5},
      {"label_of_63", repeat_label(1, 63, {0}), 0, label63.c_str(), 65},
      {"label_of_64_is_a_reserved_type", repeat_label(1, 64, {0}), 0, nullptr, 0},
      {"reserved_label_type_0x80", {0x80, 0}, 0, nullptr, 0},
      {"name_of_255_bytes", repeat_label(3, 63, longest_tail), 0, longest.c_str(), 255},
      {"name_of_256_bytes", repeat_label(3, 63, too_long_tail), 0, nullptr, 0},
      {"127_labels", repeat_label(127, 1, {0}), 0, labels127.c_str(), 255},
      {"128_labels", repeat_label(128, 1, {0}), 0, nullptr, 0},
      {"pointer_to_earlier_name", {1, 'a', 0, 1, 'b', 0xC0, 0}, 3, "b.a.", 7},
      {"pointer_alone", {1, 'a', 0, 0xC0, 0}, 3, "a.", 5},
      {"pointer_into_the_middle_of_a_name", {1, 'a', 1, 'b', 0, 0xC0, 2}, 5, "b.", 7},
      {"second_pointer_byte_is_missing", {1, 'a', 0, 0xC0}, 3, nullptr, 0},
      {"pointer_to_itself", {0xC0, 0}, 0, nullptr, 0},
      {"pointer_to_its_own_name", {1, 'a', 0xC0, 0}, 0, nullptr, 0},
      {"pointer_forwards", {0xC0, 2, 0}, 0, nullptr, 0},
      {"two_pointers_in_a_loop", {0xC0, 2, 0xC0, 0}, 2, nullptr, 0},
      {"pointer_past_the_end", {0, 0xFF, 0xFF}, 1, nullptr, 0},
      {"sixteen_hops", pointer_chain(16), 31, ".", 33},
      {"seventeen_hops", pointer_chain(17), 33, nullptr, 0},
      {"name_grows_past_255_through_a_pointer", pointer_adds_one, 255, nullptr, 0},
  };
}

TEST(WireReader, NamesByPosition) {
  for (const NameRow& row : name_rows()) {
    SCOPED_TRACE(row.description);
    Reader reader(row.bytes);
    reader.skip(row.start);
    const name::Name name = reader.name();
    if (row.name == nullptr) {
      EXPECT_FALSE(reader.ok());
      EXPECT_TRUE(name.is_root());
      EXPECT_EQ(reader.offset(), row.start) << "a failed read moves nothing";
    } else {
      EXPECT_TRUE(reader.ok());
      EXPECT_EQ(name.to_text(), row.name);
      EXPECT_EQ(reader.offset(), row.end);
    }
  }
}

TEST(WireReader, NameAfterFailureIsTheRoot) {
  const Buffer bytes{1, 'a', 0};
  Reader reader(bytes);
  reader.fail();
  EXPECT_TRUE(reader.name().is_root());
  EXPECT_EQ(reader.offset(), 0u);
}

TEST(WireWriter, WritesUntilTheRoomEndsAndThenNothing) {
  Buffer room(7, 0xEE);
  Writer writer(MutableBytes(room).first(5));
  writer.u16(0x0102);
  writer.u8(3);
  writer.u32(0x04050607);  // one byte too many
  EXPECT_FALSE(writer.ok());
  EXPECT_EQ(writer.size(), 3u);
  writer.u8(9);  // would fit, but failure is sticky
  EXPECT_EQ(room, (Buffer{1, 2, 3, 0xEE, 0xEE, 0xEE, 0xEE}));
}

TEST(WireWriter, PatchesWhatWasWritten) {
  Buffer room(4);
  Writer writer(room);
  writer.u32(0);
  writer.patch_u16(2, 0xBEEF);
  EXPECT_TRUE(writer.ok());
  EXPECT_EQ(room, (Buffer{0, 0, 0xBE, 0xEF}));
}

TEST(WireWriterDeathTest, PatchingBehindTheEndIsABug) {
  Buffer room(8);
  Writer writer(room);
  writer.u16(0);
  EXPECT_DEATH(writer.patch_u16(1, 0), "assertion failed");
  EXPECT_DEATH(writer.patch_u16(SIZE_MAX, 0), "assertion failed");
}

// RFC 1071 section 4.1, word by word.
uint16_t checksum_by_the_book(Bytes bytes) {
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    const uint32_t low = i + 1 < bytes.size() ? bytes[i + 1] : 0u;
    sum += (uint32_t{bytes[i]} << 8) | low;
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(sum);
}

TEST(Checksum, Rfc1071Example) {
  EXPECT_EQ(checksum_partial(Buffer{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}), 0xddf2);
  EXPECT_EQ(checksum_partial({}), 0);
  EXPECT_EQ(checksum_partial(Buffer{0xab}), 0xab00);
}

TEST(Checksum, EqualsTheSumWordByWord) {
  std::mt19937 random(7);
  for (size_t size = 0; size < 300; ++size) {
    Buffer bytes(size);
    std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<uint8_t>(random()); });
    EXPECT_EQ(checksum_partial(bytes), checksum_by_the_book(bytes)) << size;
    std::fill(bytes.begin(), bytes.end(), uint8_t{0xff});
    EXPECT_EQ(checksum_partial(bytes), checksum_by_the_book(bytes)) << size;
  }
}

TEST(Types, NamesAndNumbers) {
  EXPECT_EQ(type_to_text(type::aaaa), "AAAA");
  EXPECT_EQ(type_to_text(65280), "TYPE65280");
  for (const uint16_t meta : std::initializer_list<uint16_t>{0, 41, 128, 249, 250, 252, 255}) {
    EXPECT_FALSE(is_data_type(meta)) << meta;
  }
  for (const uint16_t data : std::initializer_list<uint16_t>{1, 2, 40, 42, 127, 256, 65535}) {
    EXPECT_TRUE(is_data_type(data)) << data;
  }
}

}  // namespace
}  // namespace merlon::wire

// SPDX-License-Identifier: Apache-2.0
#include "zones/proxy/proxy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace merlon::proxy {
namespace {

using Buffer = std::vector<uint8_t>;

address::Address at(std::string_view text) {
  return *address::parse_address(text);
}

constexpr std::array<uint8_t, 4> kId = {1, 2, 3, 4};

Header example4() {
  return {.source = at("192.0.2.10"),
          .destination = at("198.51.100.53"),
          .source_port = 40000,
          .destination_port = 53,
          .unique_id = kId};
}
Header example6() {
  return {.source = at("2001:db8::10"),
          .destination = at("2001:db8::53"),
          .source_port = 40000,
          .destination_port = 53,
          .unique_id = kId};
}

Buffer written(const Header& header, std::string_view message = "query") {
  Buffer out(kHeaderSizeMax + message.size());
  const size_t size = write(header, out);
  EXPECT_NE(size, 0u);
  std::ranges::copy(message, out.begin() + static_cast<std::ptrdiff_t>(size));
  out.resize(size + message.size());
  return out;
}

Fault fault_of(const Buffer& datagram) {
  Header header;
  Bytes message;
  return parse(datagram, header, message);
}

// The bytes as haproxy's proxy-protocol.txt describes them.
TEST(Proxy, HeaderIsTheProtocols) {
  EXPECT_EQ(to_hex(written(example4(), "")),
            "0d0a0d0a000d0a515549540a"  // signature
            "21"                        // version 2, PROXY
            "12"                        // IPv4, datagram
            "0013"                      // 12 + 7 bytes follow
            "c000020a"
            "c6336435"
            "9c40"
            "0035"
            "05"  // PP2_TYPE_UNIQUE_ID
            "0004"
            "01020304");
  EXPECT_EQ(to_hex(written(example6(), "")),
            "0d0a0d0a000d0a515549540a"
            "2122"
            "002b"
            "20010db8000000000000000000000010"
            "20010db8000000000000000000000053"
            "9c400035"
            "05000401020304");
}

TEST(Proxy, WhatIsWrittenIsRead) {
  for (Header header : {example4(), example6()}) {
    for (const size_t id_size : {size_t{0}, size_t{1}, size_t{10}, kUniqueIdSizeMax}) {
      const Buffer id(id_size, 7);
      header.unique_id = id;
      const Buffer datagram = written(header);
      Header read;
      Bytes message;
      ASSERT_EQ(parse(datagram, read, message), Fault::none);
      EXPECT_EQ(read.source, header.source);
      EXPECT_EQ(read.destination, header.destination);
      EXPECT_EQ(read.source_port, header.source_port);
      EXPECT_EQ(read.destination_port, header.destination_port);
      EXPECT_TRUE(std::ranges::equal(read.unique_id, id));
      EXPECT_EQ(as_text(message), "query");
    }
  }
}

TEST(Proxy, UnknownDestinationIsUnspecifiedInTheSourcesFamily) {
  Header header = example6();
  header.destination = {};
  Header read;
  Bytes message;
  ASSERT_EQ(parse(written(header), read, message), Fault::none);
  EXPECT_EQ(address::to_text(read.destination), "::");
}

TEST(Proxy, MappedAddressesAreTheIpv4AddressesTheyStandFor) {
  Buffer datagram = written(example6());
  const Buffer mapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 10};
  std::ranges::copy(mapped, datagram.begin() + 16);
  Header read;
  Bytes message;
  ASSERT_EQ(parse(datagram, read, message), Fault::none);
  EXPECT_EQ(address::to_text(read.source), "192.0.2.10");
}

TEST(Proxy, OtherRecordsArePassedOver) {
  Buffer datagram = written(example4());
  const Buffer records = {0x04, 0, 3, 9, 9, 9, 0x02, 0, 1, 'x', 0xee, 0, 0};
  datagram.insert(datagram.begin() + 28, records.begin(), records.end());
  datagram[15] = static_cast<uint8_t>(datagram[15] + records.size());
  Header read;
  Bytes message;
  ASSERT_EQ(parse(datagram, read, message), Fault::none);
  EXPECT_TRUE(std::ranges::equal(read.unique_id, kId));
  EXPECT_EQ(as_text(message), "query");
}

TEST(Proxy, EachFaultHasItsName) {
  struct Row {
    Fault fault;
    std::function<void(Buffer&)> damage;
  };
  const Row rows[] = {
      {Fault::too_short, [](Buffer& d) { d.resize(15); }},
      {Fault::too_short, [](Buffer& d) { d.clear(); }},
      {Fault::signature, [](Buffer& d) { d[11] = 0; }},
      {Fault::version, [](Buffer& d) { d[12] = 0x11; }},
      {Fault::command, [](Buffer& d) { d[12] = 0x20; }},  // LOCAL
      {Fault::command, [](Buffer& d) { d[12] = 0x22; }},
      {Fault::family, [](Buffer& d) { d[13] = 0x02; }},     // unspecified
      {Fault::family, [](Buffer& d) { d[13] = 0x32; }},     // Unix
      {Fault::transport, [](Buffer& d) { d[13] = 0x11; }},  // stream
      {Fault::transport, [](Buffer& d) { d[13] = 0x10; }},
      {Fault::length, [](Buffer& d) { d[15] = 11; }},  // below its addresses
      {Fault::length, [](Buffer& d) { d[14] = 0xff; }},
      {Fault::length, [](Buffer& d) { d.resize(34); }},  // the last byte of the header is missing
      {Fault::length, [](Buffer& d) { d[13] = 0x22; }},  // IPv6 with IPv4's length
      {Fault::record, [](Buffer& d) { d[30] = 5; }},
      {Fault::record, [](Buffer& d) { d[15] = 14; }},  // two bytes of a record's head
      {Fault::unique_id, [](Buffer& d) { d[30] = 0, d[31] = 5, d[32] = 0, d[33] = 0, d[15] = 15; }},
      {Fault::unique_id,
       [](Buffer& d) {
         const Buffer again(d.begin() + 28, d.begin() + 35);
         d.insert(d.begin() + 35, again.begin(), again.end());
         d[15] = 26;
       }},
  };
  for (const Row& row : rows) {
    Buffer datagram = written(example4());
    row.damage(datagram);
    EXPECT_EQ(to_string(fault_of(datagram)), to_string(row.fault)) << to_hex(datagram);
    EXPECT_FALSE(explain(row.fault).empty());
  }
}

TEST(Proxy, EveryShorterDatagramIsRefused) {
  for (const Header& header : {example4(), example6()}) {
    const Buffer whole = written(header, "");
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_NE(fault_of({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}),
                Fault::none);
    }
    EXPECT_EQ(fault_of(whole), Fault::none);
  }
}

TEST(Proxy, WhatDoesNotFitIsNotWritten) {
  Buffer room(kHeaderSizeMax);
  const size_t size = write(example6(), room);
  for (size_t less = 0; less < size; ++less) {
    EXPECT_EQ(write(example6(), MutableBytes(room).first(less)), 0u);
  }
  EXPECT_EQ(write(example6(), MutableBytes(room).first(size)), size);
  const Buffer id(kUniqueIdSizeMax + 1);
  Header header = example4();
  header.unique_id = id;
  room.resize(1000);
  EXPECT_EQ(write(header, room), 0u);
}

}  // namespace
}  // namespace merlon::proxy

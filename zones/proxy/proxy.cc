// SPDX-License-Identifier: Apache-2.0
#include "zones/proxy/proxy.h"

#include <algorithm>
#include <array>

namespace merlon::proxy {
namespace {

constexpr std::array<uint8_t, 12> kSignature = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D,
                                                0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};
constexpr size_t kFixedSize = 16;
constexpr size_t kAddressesSize4 = 2 * 4 + 2 * 2;
constexpr size_t kAddressesSize6 = 2 * 16 + 2 * 2;
constexpr uint8_t kVersion = 0x20;
constexpr uint8_t kCommandProxy = 0x01;
constexpr uint8_t kFamily4 = 0x10;
constexpr uint8_t kFamily6 = 0x20;
constexpr uint8_t kDatagram = 0x02;
constexpr uint8_t kUniqueId = 0x05;
constexpr size_t kRecordHeadSize = 3;

struct Text {
  std::string_view name;
  std::string_view text;
};
constexpr Text kFaults[] = {{"none", "is in order"},
#define MERLON_X(name, text) {#name, text},
                            MERLON_PROXY_FAULTS(MERLON_X)
#undef MERLON_X
};

address::Address read_address6(const uint8_t* at) {
  const address::Bits6 bits = address::load_network_v6(at);
  return (bits >> 32) == 0xffff ? address::Address::v4(static_cast<address::Bits4>(bits))
                                : address::Address::v6(bits);
}

void read_addresses(const uint8_t* at, uint8_t family, Header& header) {
  const bool v4 = family == kFamily4;
  const size_t size = v4 ? 4 : 16;
  header.source = v4 ? address::Address::v4(address::load_network_v4(at)) : read_address6(at);
  header.destination =
      v4 ? address::Address::v4(address::load_network_v4(at + size)) : read_address6(at + size);
  header.source_port = load_be16(at + 2 * size);
  header.destination_port = load_be16(at + 2 * size + 2);
}

// Unknown records are passed over, as the protocol wants it.
Fault read_records(Bytes records, Header& header) {
  header.unique_id = {};
  size_t at = 0;
  while (at < records.size()) {  // each takes at least three bytes
    if (records.size() - at < kRecordHeadSize) {
      return Fault::record;
    }
    const size_t size = load_be16(records.data() + at + 1);
    if (size > records.size() - at - kRecordHeadSize) {
      return Fault::record;
    }
    if (records[at] == kUniqueId) {
      if (!header.unique_id.empty() || size == 0 || size > kUniqueIdSizeMax) {
        return Fault::unique_id;
      }
      header.unique_id = records.subspan(at + kRecordHeadSize, size);
    }
    at += kRecordHeadSize + size;
  }
  return Fault::none;
}

void write_address(const address::Address& address, bool v4, uint8_t* out) {
  if (v4) {
    const bool same = address.family == address::Family::v4;
    address::store_network(same ? static_cast<address::Bits4>(address.bits) : 0u, out);
  } else {
    const bool same = address.family == address::Family::v6;
    address::store_network(same ? address.bits : address::Bits6{0}, out);
  }
}

}  // namespace

std::string_view to_string(Fault fault) {
  return kFaults[static_cast<size_t>(fault)].name;
}
std::string_view explain(Fault fault) {
  return kFaults[static_cast<size_t>(fault)].text;
}

Fault parse(Bytes datagram, Header& header, Bytes& message) {
  if (datagram.size() < kFixedSize) {
    return Fault::too_short;
  }
  if (!std::ranges::equal(datagram.first(kSignature.size()), kSignature)) {
    return Fault::signature;
  }
  const uint8_t version_and_command = datagram[12];
  if ((version_and_command & 0xf0) != kVersion) {
    return Fault::version;
  }
  if ((version_and_command & 0x0f) != kCommandProxy) {
    return Fault::command;
  }
  const uint8_t family = datagram[13] & 0xf0;
  if (family != kFamily4 && family != kFamily6) {
    return Fault::family;
  }
  if ((datagram[13] & 0x0f) != kDatagram) {
    return Fault::transport;
  }
  const size_t length = load_be16(datagram.data() + 14);
  const size_t addresses_size = family == kFamily4 ? kAddressesSize4 : kAddressesSize6;
  if (length < addresses_size || length > datagram.size() - kFixedSize) {
    return Fault::length;
  }
  read_addresses(datagram.data() + kFixedSize, family, header);
  const Fault fault =
      read_records(datagram.subspan(kFixedSize + addresses_size, length - addresses_size), header);
  if (fault != Fault::none) {
    return fault;
  }
  message = datagram.subspan(kFixedSize + length);
  return Fault::none;
}

size_t write(const Header& header, MutableBytes out) {
  const bool v4 = header.source.family == address::Family::v4;
  const size_t address_size = v4 ? 4 : 16;
  const size_t addresses_size = v4 ? kAddressesSize4 : kAddressesSize6;
  const size_t record_size =
      header.unique_id.empty() ? 0 : kRecordHeadSize + header.unique_id.size();
  const size_t size = kFixedSize + addresses_size + record_size;
  if (header.unique_id.size() > kUniqueIdSizeMax || size > out.size()) {
    return 0;
  }
  std::copy(kSignature.begin(), kSignature.end(), out.begin());
  out[12] = kVersion | kCommandProxy;
  out[13] = static_cast<uint8_t>((v4 ? kFamily4 : kFamily6) | kDatagram);
  store_be16(out.data() + 14, static_cast<uint16_t>(size - kFixedSize));
  uint8_t* at = out.data() + kFixedSize;
  write_address(header.source, v4, at);
  write_address(header.destination, v4, at + address_size);
  store_be16(at + 2 * address_size, header.source_port);
  store_be16(at + 2 * address_size + 2, header.destination_port);
  if (record_size != 0) {
    at += addresses_size;
    at[0] = kUniqueId;
    store_be16(at + 1, static_cast<uint16_t>(header.unique_id.size()));
    std::ranges::copy(header.unique_id, at + kRecordHeadSize);
  }
  return size;
}

}  // namespace merlon::proxy

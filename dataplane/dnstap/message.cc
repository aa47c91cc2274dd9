// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dnstap/message.h"

#include <array>

#include "zones/base/bytes.h"

namespace merlon::dnstap {
namespace {

using address::Address;
using address::Family;

// Field numbers of dnstap.proto.
namespace field {
constexpr unsigned kIdentity = 1;
constexpr unsigned kVersion = 2;
constexpr unsigned kMessage = 14;
constexpr unsigned kDnstapType = 15;

constexpr unsigned kMessageType = 1;
constexpr unsigned kSocketFamily = 2;
constexpr unsigned kSocketProtocol = 3;
constexpr unsigned kQueryAddress = 4;
constexpr unsigned kResponseAddress = 5;
constexpr unsigned kQueryPort = 6;
constexpr unsigned kResponsePort = 7;
constexpr unsigned kQueryTimeSec = 8;
constexpr unsigned kQueryTimeNsec = 9;
constexpr unsigned kQueryMessage = 10;
constexpr unsigned kResponseTimeSec = 12;
constexpr unsigned kResponseTimeNsec = 13;
constexpr unsigned kResponseMessage = 14;
}  // namespace field

constexpr uint64_t kTypeMessage = 1;
constexpr uint64_t kFamilyInet = 1;
constexpr uint64_t kFamilyInet6 = 2;
constexpr uint64_t kProtocolUdp = 1;
constexpr uint64_t kNsPerSecond = 1'000'000'000;

enum class WireType : uint8_t { varint = 0, bytes = 2, fixed32 = 5 };

class Writer {
 public:
  explicit Writer(std::vector<uint8_t>& out) : out_(out) {}

  void number(unsigned number, uint64_t value) {
    tag(number, WireType::varint);
    varint(value);
  }
  void fixed32(unsigned number, uint32_t value) {
    tag(number, WireType::fixed32);
    for (int shift = 0; shift < 32; shift += 8) {
      out_.push_back(static_cast<uint8_t>(value >> shift));
    }
  }
  void bytes(unsigned number, Bytes value) {
    tag(number, WireType::bytes);
    varint(value.size());
    out_.insert(out_.end(), value.begin(), value.end());
  }
  void text(unsigned number, std::string_view value) {
    if (!value.empty()) {
      bytes(number, {reinterpret_cast<const uint8_t*>(value.data()), value.size()});
    }
  }
  void address(unsigned number, const Address& address) {
    std::array<uint8_t, 16> wire;
    if (address.family == Family::v4) {
      address::store_network(static_cast<address::Bits4>(address.bits), wire.data());
      bytes(number, Bytes(wire).first(4));
    } else {
      address::store_network(address.bits, wire.data());
      bytes(number, wire);
    }
  }

 private:
  void tag(unsigned number, WireType type) { varint(number << 3 | static_cast<unsigned>(type)); }
  void varint(uint64_t value) {
    while (value >= 0x80) {
      out_.push_back(static_cast<uint8_t>(value | 0x80));
      value >>= 7;
    }
    out_.push_back(static_cast<uint8_t>(value));
  }

  std::vector<uint8_t>& out_;
};

void write_message(const Sample& sample, Kind kind, Writer writer) {
  writer.number(field::kMessageType, static_cast<uint64_t>(kind));
  writer.number(field::kSocketFamily,
                sample.source.family == Family::v4 ? kFamilyInet : kFamilyInet6);
  writer.number(field::kSocketProtocol, kProtocolUdp);
  writer.address(field::kQueryAddress, sample.source);
  if (sample.has_destination) {
    writer.address(field::kResponseAddress, sample.destination);
  }
  if (sample.source_port != 0) {
    writer.number(field::kQueryPort, sample.source_port);
  }
  if (sample.destination_port != 0) {
    writer.number(field::kResponsePort, sample.destination_port);
  }
  writer.number(field::kQueryTimeSec, sample.query_time_ns / kNsPerSecond);
  writer.fixed32(field::kQueryTimeNsec, static_cast<uint32_t>(sample.query_time_ns % kNsPerSecond));
  if (kind == Kind::auth_query) {
    writer.bytes(field::kQueryMessage, {sample.query.data(), sample.query_size});
    return;
  }
  writer.number(field::kResponseTimeSec, sample.reply_time_ns / kNsPerSecond);
  writer.fixed32(field::kResponseTimeNsec,
                 static_cast<uint32_t>(sample.reply_time_ns % kNsPerSecond));
  writer.bytes(field::kResponseMessage, {sample.reply.data(), sample.reply_size});
}

}  // namespace

void append_frame(const Sample& sample, Kind kind, const Origin& origin,
                  std::vector<uint8_t>& out) {
  std::vector<uint8_t> message;
  message.reserve(sizeof(Sample) / 2);
  write_message(sample, kind, Writer(message));
  const size_t start = out.size();
  out.resize(start + 4);
  Writer writer(out);
  writer.text(field::kIdentity, origin.identity);
  writer.text(field::kVersion, origin.version);
  writer.bytes(field::kMessage, message);
  writer.number(field::kDnstapType, kTypeMessage);
  store_be32(out.data() + start, static_cast<uint32_t>(out.size() - start - 4));
}

}  // namespace merlon::dnstap

// SPDX-License-Identifier: Apache-2.0
#include "controlplane/transfer/message.h"

#include "zones/wire/wire.h"

namespace merlon::transfer {
namespace {

constexpr size_t kArcountAt = 10;

struct Record {
  name::Name owner;
  uint16_t type = 0;
  uint16_t rclass = 0;
  uint32_t ttl = 0;
  uint16_t data_size = 0;
};

Record read_head(wire::Reader& reader) {
  Record record;
  record.owner = reader.name();
  record.type = reader.u16();
  record.rclass = reader.u16();
  record.ttl = reader.u32();
  record.data_size = reader.u16();
  return record;
}

// The reader is behind the record afterwards, or failed.
TsigRecord read_tsig(wire::Reader& reader, const Record& record) {
  TsigRecord tsig;
  tsig.key = record.owner;
  const size_t end = reader.offset() + record.data_size;
  tsig.algorithm = reader.name();
  tsig.time = uint64_t{reader.u16()} << 32;
  tsig.time |= reader.u32();
  tsig.fudge = reader.u16();
  tsig.mac = reader.bytes(reader.u16());
  tsig.original_id = reader.u16();
  tsig.error = reader.u16();
  tsig.other = reader.bytes(reader.u16());
  if (record.rclass != kClassAny || record.ttl != 0 || reader.offset() != end) {
    reader.fail();
  }
  return tsig;
}

void read_question(wire::Reader& reader, unsigned count, Message& out) {
  out.qname = reader.name();
  out.qtype = reader.u16();
  out.qclass = reader.u16();
  const size_t end = wire::kHeaderSize + out.qname.size() + 4;
  if (count == 1 && reader.ok() && reader.offset() == end) {
    out.question_end = end;
  }
}

void read_authority(wire::Reader& reader, Message& out) {
  const Record record = read_head(reader);
  if (record.type != wire::type::soa || record.owner != out.qname || record.data_size == 0) {
    reader.skip(record.data_size);
    return;
  }
  const size_t end = reader.offset() + record.data_size;
  reader.name();
  reader.name();
  out.client_serial = reader.u32();
  reader.skip(16);
  if (reader.offset() != end) {
    reader.fail();
  }
}

void read_additional(wire::Reader& reader, bool last, Message& out) {
  const size_t offset = reader.offset();
  const Record record = read_head(reader);
  if (record.type == wire::type::tsig) {
    out.tsig = read_tsig(reader, record);
    out.tsig->offset = offset;
    if (!last) {
      reader.fail();
    }
    return;
  }
  if (record.type == wire::type::opt) {
    if (out.has_edns || !record.owner.is_root()) {
      reader.fail();
    }
    out.has_edns = true;
    out.edns_payload_size = record.rclass;
    out.edns_version = static_cast<uint8_t>(record.ttl >> 16);
    out.dnssec_ok = (record.ttl & 0x8000) != 0;
  }
  reader.skip(record.data_size);
}

}  // namespace

bool read_message(Bytes message, Message& out) {
  wire::Reader reader(message);
  out.id = reader.u16();
  out.flags = reader.u16();
  const unsigned question_count = reader.u16();
  const unsigned answer_count = reader.u16();
  out.authority_count = reader.u16();
  const unsigned additional_count = reader.u16();
  for (unsigned i = 0; i < question_count && reader.ok(); ++i) {
    read_question(reader, question_count, out);
  }
  for (unsigned i = 0; i < answer_count && reader.ok(); ++i) {
    reader.skip(read_head(reader).data_size);
  }
  for (unsigned i = 0; i < out.authority_count && reader.ok(); ++i) {
    read_authority(reader, out);
  }
  for (unsigned i = 0; i < additional_count && reader.ok(); ++i) {
    read_additional(reader, i + 1 == additional_count, out);
  }
  return reader.ok() && reader.remaining() == 0;
}

std::vector<uint8_t> without_tsig(Bytes message, const Message& read) {
  const Bytes kept = message.first(read.tsig->offset);
  std::vector<uint8_t> out(kept.begin(), kept.end());
  store_be16(out.data() + kArcountAt, static_cast<uint16_t>(load_be16(&out[kArcountAt]) - 1));
  return out;
}

}  // namespace merlon::transfer

// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dns/special.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "zones/answer/opt.h"
#include "zones/base/assert.h"
#include "zones/name/name.h"
#include "zones/wire/wire.h"

namespace merlon::dns {
namespace {

using answer::Outcome;

constexpr unsigned kOpcodeShift = 11;
constexpr unsigned kOpcodeQuery = 0;
constexpr unsigned kOpcodeNotify = 4;
constexpr unsigned kOpcodeUpdate = 5;
constexpr uint16_t kMetaTypeFirst = 249;  // TKEY, TSIG, IXFR, AXFR, MAILB, MAILA
constexpr uint16_t kMetaTypeLast = 254;
constexpr uint16_t kTypeIxfr = 251;
constexpr uint16_t kClassAny = 255;
constexpr uint16_t kTsigErrorBadKey = 17;
constexpr size_t kTsigTimeSize = 6;

struct Tsig {
  name::Name key;
  name::Name algorithm;
  std::array<uint8_t, kTsigTimeSize> time{};
  uint16_t fudge = 0;
};

// A message of any opcode, as far as the replies here need it.
struct Message {
  uint16_t flags = 0;
  uint16_t question_count = 0;
  size_t question_end = 0;  // 0: not one whole, uncompressed question
  name::Name qname;
  uint16_t qtype = 0;
  uint16_t qclass = 0;
  uint16_t authority_count = 0;
  std::optional<uint32_t> client_serial;  // of an SOA of qname in the authority section
  bool has_edns = false;
  uint8_t edns_version = 0;
  uint16_t edns_payload_size = 0;
  bool dnssec_ok = false;
  std::optional<Tsig> tsig;

  unsigned opcode() const { return (flags & wire::flag::opcode_mask) >> kOpcodeShift; }
};

struct Record {
  name::Name owner;
  uint16_t type = 0;
  uint16_t rclass = 0;
  uint32_t ttl = 0;
  uint16_t data_size = 0;
};

Record read_record_head(wire::Reader& reader) {
  Record record;
  record.owner = reader.name();
  record.type = reader.u16();
  record.rclass = reader.u16();
  record.ttl = reader.u32();
  record.data_size = reader.u16();
  return record;
}

// The data of a TSIG record (RFC 8945 section 4.2). The reader is behind it afterwards, or failed.
Tsig read_tsig(wire::Reader& reader, const Record& record) {
  Tsig tsig;
  tsig.key = record.owner;
  const size_t end = reader.offset() + record.data_size;
  tsig.algorithm = reader.name();
  const Bytes time = reader.bytes(kTsigTimeSize);
  std::ranges::copy(time, tsig.time.begin());
  tsig.fudge = reader.u16();
  reader.skip(reader.u16());  // MAC
  reader.skip(4);             // original id, error
  reader.skip(reader.u16());  // other data
  if (record.rclass != kClassAny || record.ttl != 0 || reader.offset() != end) {
    reader.fail();
  }
  return tsig;
}

void read_question(wire::Reader& reader, Message& out) {
  out.qname = reader.name();
  out.qtype = reader.u16();
  out.qclass = reader.u16();
  const size_t end = wire::kHeaderSize + out.qname.size() + 4;
  if (out.question_count == 1 && reader.ok() && reader.offset() == end) {
    out.question_end = end;
  }
}

void read_authority(wire::Reader& reader, Message& out) {
  const Record record = read_record_head(reader);
  if (record.type == wire::type::soa && record.owner == out.qname && record.data_size != 0) {
    const size_t end = reader.offset() + record.data_size;
    reader.name();
    reader.name();
    out.client_serial = reader.u32();
    reader.skip(16);
    if (reader.offset() != end) {
      reader.fail();
    }
    return;
  }
  reader.skip(record.data_size);
}

void read_additional(wire::Reader& reader, bool last, Message& out) {
  const Record record = read_record_head(reader);
  if (record.type == wire::type::tsig) {
    out.tsig = read_tsig(reader, record);
    if (!last) {
      reader.fail();  // RFC 8945 section 5.1: it is the last record, and there is one
    }
    return;
  }
  if (record.type == wire::type::opt) {
    if (out.has_edns || !record.owner.is_root()) {
      reader.fail();
      return;
    }
    out.has_edns = true;
    out.edns_payload_size = record.rclass;
    out.edns_version = static_cast<uint8_t>(record.ttl >> 16);
    out.dnssec_ok = (record.ttl & 0x8000) != 0;
  }
  reader.skip(record.data_size);
}

// False when the message is malformed; `out` has what was read before.
bool read_message(Bytes message, Message& out) {
  wire::Reader reader(message);
  reader.skip(2);
  out.flags = reader.u16();
  out.question_count = reader.u16();
  const uint16_t answer_count = reader.u16();
  out.authority_count = reader.u16();
  const uint16_t additional_count = reader.u16();
  for (unsigned i = 0; i < out.question_count && reader.ok(); ++i) {
    read_question(reader, out);
  }
  for (unsigned i = 0; i < answer_count && reader.ok(); ++i) {
    const Record record = read_record_head(reader);
    reader.skip(record.data_size);
  }
  for (unsigned i = 0; i < out.authority_count && reader.ok(); ++i) {
    read_authority(reader, out);
  }
  for (unsigned i = 0; i < additional_count && reader.ok(); ++i) {
    read_additional(reader, i + 1u == additional_count, out);
  }
  return reader.ok() && reader.remaining() == 0;
}

size_t size_max(const Message& asked, const answer::Limits& limits) {
  if (limits.transport == answer::Transport::tcp) {
    return kSpecialReplySizeMax;
  }
  const size_t wanted = asked.has_edns ? size_t{asked.edns_payload_size} : 0;
  return std::clamp<size_t>(wanted, wire::kUdpSizeWithoutEdns,
                            std::max<size_t>(limits.udp_size_max, wire::kUdpSizeWithoutEdns));
}

// Header, question and OPT, then what the kind of reply adds.
class ReplyWriter {
 public:
  // `parsed` may be null: then the OPT record, if there is one, has no options.
  struct Asked {
    Bytes message;
    const Message& read;
    const answer::Query* parsed = nullptr;
  };

  ReplyWriter(const Asked& asked, const answer::Limits& limits, Outcome outcome, MutableBytes out)
      : writer_(out) {
    const unsigned kept =
        asked.read.flags & (wire::flag::opcode_mask | wire::flag::rd | wire::flag::cd);
    const size_t question_end = asked.read.question_end;
    const unsigned available = asked.parsed == nullptr ? 0 : asked.parsed->subject_flags;
    writer_.bytes(asked.message.first(2));
    writer_.u16(static_cast<uint16_t>(wire::flag::qr | kept | available |
                                      (answer::rcode_of(outcome) & wire::flag::rcode_mask)));
    writer_.u16(question_end == 0 ? 0 : 1);
    writer_.u16(0);
    writer_.u16(0);
    writer_.u16(asked.read.has_edns ? 1 : 0);
    if (question_end != 0) {
      writer_.bytes(asked.message.subspan(wire::kHeaderSize, question_end - wire::kHeaderSize));
    }
    if (asked.read.has_edns) {
      add_opt(asked, limits, outcome);
    }
  }

  // REQUIRES: rcode < 16.
  void set_rcode(uint16_t rcode) {
    writer_.patch_u16(
        2, static_cast<uint16_t>(
               (load_be16(writer_.written().data() + 2) & ~wire::flag::rcode_mask) | rcode));
  }

  void add_bad_key(Bytes message, const Message& asked) {
    const Tsig& tsig = *asked.tsig;
    writer_.name(tsig.key);
    writer_.u16(wire::type::tsig);
    writer_.u16(kClassAny);
    writer_.u32(0);
    // Algorithm, time, fudge, MAC size, original id, error, size of other data.
    writer_.u16(static_cast<uint16_t>(tsig.algorithm.size() + kTsigTimeSize + 2 + 2 + 2 + 2 + 2));
    writer_.name(tsig.algorithm);
    writer_.bytes(tsig.time);
    writer_.u16(tsig.fudge);
    writer_.u16(0);
    writer_.bytes(message.first(2));
    writer_.u16(kTsigErrorBadKey);
    writer_.u16(0);
    writer_.patch_u16(10, asked.has_edns ? 2 : 1);
  }

  size_t size() const {
    MERLON_ASSERT(writer_.ok());  // kSpecialReplySizeMax holds every reply of this file
    return writer_.size();
  }

 private:
  void add_opt(const Asked& asked, const answer::Limits& limits, Outcome outcome) {
    answer::Query plain;  // of other opcodes than QUERY parse_query() does not read the OPT
    plain.has_edns = true;
    plain.dnssec_ok = asked.read.dnssec_ok;
    const bool known = asked.parsed != nullptr && asked.parsed->has_edns;
    const answer::Query& query = known ? *asked.parsed : plain;
    std::array<uint8_t, answer::kOptSizeMax> opt;
    const size_t size = answer::opt_size(query, outcome, limits);
    answer::write_opt(query, outcome, limits, size, opt.data());
    writer_.bytes(Bytes(opt).first(size));
  }

  wire::Writer writer_;
};

// The answer to a question for the zone's SOA, asked by the same source. Outcomes: answered,
// truncated, or refused_not_ours and nothing written when there is no such zone for it.
SpecialReply ask_for_soa(const SpecialQuery& query, const Message& asked, MutableBytes out) {
  constexpr SpecialReply kNone{Outcome::refused_not_ours, 0};
  const size_t end = asked.question_end;
  wire::Writer soa(out);
  soa.bytes(query.message.first(end));
  soa.patch_u16(6, 0);
  soa.patch_u16(8, 0);
  soa.patch_u16(10, asked.has_edns ? 1 : 0);
  soa.patch_u16(end - 4, wire::type::soa);
  if (asked.has_edns) {
    soa.u8(0);  // the root
    soa.u16(wire::type::opt);
    soa.u16(asked.edns_payload_size);
    soa.u32(0);  // without DO: the reply is the SOA and nothing else
    soa.u16(0);
  }
  answer::Query parsed;
  // Where an alias is followed to an SOA: enough to see that it is an alias.
  std::array<uint8_t, wire::kUdpSizeWithoutEdns> scratch;
  answer::Reply reply =
      answer::answer(query.snapshot, soa.written(), query.subject, query.limits, parsed, scratch);
  parsed.wants_nsid = query.parsed.wants_nsid;
  parsed.wants_keepalive = query.parsed.wants_keepalive;
  parsed.cookie = query.parsed.cookie;
  parsed.server_cookie = query.parsed.server_cookie;
  const bool too_large =
      reply.outcome == Outcome::truncated && query.limits.transport == answer::Transport::udp;
  if (reply.outcome != Outcome::answered && !too_large) {
    return kNone;
  }
  const size_t size = answer::compose(parsed, reply, query.limits, out, soa.size());
  if (reply.outcome == Outcome::answered) {
    wire::Reader answered(out.first(size));
    answered.skip(end);
    if (read_record_head(answered).type != wire::type::soa) {
      return kNone;  // an alias is answered, too, but is no zone
    }
  }
  return {reply.outcome, size};
}

uint32_t serial_of(Bytes reply, size_t question_end) {
  wire::Reader reader(reply);
  reader.skip(question_end);
  read_record_head(reader);
  reader.name();
  reader.name();
  return reader.u32();
}

SpecialReply bare(const SpecialQuery& query, const Message& asked, Outcome outcome,
                  MutableBytes out) {
  const ReplyWriter writer({query.message, asked, &query.parsed}, query.limits, outcome, out);
  return {outcome, writer.size()};
}

SpecialReply answer_ixfr(const SpecialQuery& query, const Message& asked, MutableBytes out) {
  // RFC 1995 section 3: the client's version is one SOA in the authority section.
  if (asked.question_end == 0 || asked.authority_count != 1 || !asked.client_serial) {
    return bare(query, asked, Outcome::formerr_record_count, out);
  }
  if (asked.qclass != wire::kClassIn) {
    return bare(query, asked, Outcome::refused_class, out);
  }
  const SpecialReply reply = ask_for_soa(query, asked, out);
  if (reply.size == 0) {
    return bare(query, asked, Outcome::refused_not_ours, out);
  }
  if (query.limits.transport == answer::Transport::tcp) {
    const uint32_t serial = serial_of(out.first(reply.size), asked.question_end);
    if (static_cast<int32_t>(*asked.client_serial - serial) < 0) {  // behind ours (RFC 1982)
      return bare(query, asked, Outcome::notimp_type, out);
    }
  }
  store_be16(out.data() + asked.question_end - 4, kTypeIxfr);
  return reply;
}

SpecialReply answer_bad_key(const SpecialQuery& query, const Message& asked, MutableBytes out) {
  ReplyWriter writer({query.message, asked, &query.parsed}, query.limits, Outcome::notauth_tsig,
                     out);
  const size_t size_without = writer.size();
  writer.add_bad_key(query.message, asked);
  const size_t size = writer.size();
  if (size <= size_max(asked, query.limits)) {
    return {Outcome::notauth_tsig, size};
  }
  // Names of this length do not fit UDP: come over TCP.
  store_be16(out.data() + 2,
             static_cast<uint16_t>((load_be16(out.data() + 2) & ~wire::flag::rcode_mask) |
                                   wire::flag::tc));
  store_be16(out.data() + 10, asked.has_edns ? 1 : 0);
  return {Outcome::truncated, size_without};
}

}  // namespace

SpecialReply answer_special(const SpecialQuery& query, MutableBytes out) {
  MERLON_ASSERT(query.message.size() >= wire::kHeaderSize && out.size() >= kSpecialReplySizeMax);
  Message asked;
  if (!read_message(query.message, asked)) {
    asked.has_edns = false;
    const unsigned opcode = asked.opcode();  // other opcodes may have another form (RFC 8490)
    const bool known = opcode == kOpcodeQuery || opcode == kOpcodeNotify || opcode == kOpcodeUpdate;
    return bare(query, asked, known ? Outcome::formerr_record : Outcome::notimp_opcode, out);
  }
  if (asked.has_edns && asked.edns_version != 0) {
    return bare(query, asked, Outcome::badvers, out);
  }
  if (asked.tsig) {
    return answer_bad_key(query, asked, out);
  }
  if (asked.opcode() == kOpcodeNotify) {
    if (asked.question_count != 1 || asked.qtype != wire::type::soa) {
      return bare(query, asked, Outcome::formerr_question_count, out);
    }
    // Counted by its kind. TSIG's outcome has the rcode, and no extended error of its own.
    const ReplyWriter writer({query.message, asked, &query.parsed}, query.limits,
                             Outcome::notauth_tsig, out);
    return {Outcome::notimp_opcode, writer.size()};
  }
  if (asked.opcode() != kOpcodeQuery) {
    return bare(query, asked, Outcome::notimp_opcode, out);
  }
  if (asked.qtype == kTypeIxfr) {
    return answer_ixfr(query, asked, out);
  }
  const bool is_meta = asked.qtype >= kMetaTypeFirst && asked.qtype <= kMetaTypeLast;
  return bare(query, asked, is_meta ? Outcome::notimp_type : Outcome::forwarded, out);
}

size_t write_bare_reply(Bytes message, uint16_t rcode, MutableBytes out) {
  Message asked;
  read_message(message, asked);
  asked.has_edns = false;
  ReplyWriter writer({message, asked, nullptr}, {}, Outcome::answered, out);
  writer.set_rcode(rcode);
  return writer.size();
}

}  // namespace merlon::dns

// SPDX-License-Identifier: Apache-2.0
#include "tests/support/reference_query.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "zones/wire/wire.h"

namespace merlon::tests {
namespace {

using answer::Outcome;

struct Opt {
  uint16_t payload = 0;
  uint8_t version = 0;
  bool dnssec_ok = false;
  bool wants_nsid = false;
  std::optional<Bytes> cookie;  // the first one
};

struct Reference {
  Outcome outcome = Outcome::answered;  // "look it up"
  uint16_t flags = 0;
  std::optional<name::Name> qname;  // set when the question may be repeated
  uint16_t qtype = 0;
  uint16_t qclass = 0;
  size_t question_end = 0;
  std::optional<Opt> opt;  // set when the reply gets one
};

struct Record {
  bool root_owner = false;
  uint16_t type = 0;
  uint16_t rclass = 0;
  uint32_t ttl = 0;
  Bytes data;
};

// An owner ends at its first pointer, which is not followed: nothing depends on where it leads.
bool skip_owner(wire::Reader& reader, Record& record) {
  size_t size = 0;
  while (reader.ok()) {
    const uint8_t length = reader.u8();
    if (length >= 0xC0) {
      reader.u8();
      return reader.ok();
    }
    size += length + 1u;
    if (length > name::kLabelSizeMax || size > name::kWireSizeMax) {
      return false;
    }
    reader.skip(length);
    if (length == 0) {
      record.root_owner = size == 1;
      return reader.ok();
    }
  }
  return false;
}

bool read_record(wire::Reader& reader, Record& record) {
  record = {};
  if (!skip_owner(reader, record)) {
    return false;
  }
  record.type = reader.u16();
  record.rclass = reader.u16();
  record.ttl = reader.u32();
  record.data = reader.bytes(reader.u16());
  return reader.ok();
}

// False when an option is cut off.
bool read_options(Bytes data, Opt& opt) {
  wire::Reader reader(data);
  while (reader.ok() && reader.remaining() != 0) {
    const uint16_t code = reader.u16();
    const Bytes value = reader.bytes(reader.u16());
    opt.wants_nsid = opt.wants_nsid || code == wire::kOptionNsid;
    if (code == wire::kOptionCookie && !opt.cookie) {
      opt.cookie = value;
    }
  }
  return reader.ok();
}

bool cookie_has_a_good_size(Bytes cookie) {
  return cookie.size() == 8 || (16 <= cookie.size() && cookie.size() <= 40);
}

// What the records behind the question make of it.
Outcome judge_records(wire::Reader& reader, unsigned others, unsigned additional,
                      Reference& reference) {
  Record record;
  for (unsigned i = 0; i < others; ++i) {
    if (!read_record(reader, record)) {
      return Outcome::formerr_record;
    }
  }
  std::optional<Opt> opt;
  bool signed_query = false;
  for (unsigned i = 0; i < additional; ++i) {
    if (!read_record(reader, record)) {
      return Outcome::formerr_record;
    }
    signed_query = signed_query || record.type == wire::type::tsig;
    if (record.type != wire::type::opt) {
      continue;
    }
    Opt read{.payload = record.rclass,
             .version = static_cast<uint8_t>(record.ttl >> 16),
             .dnssec_ok = (record.ttl & 0x8000) != 0,
             .cookie = {}};
    if (opt || !record.root_owner || (read.version == 0 && !read_options(record.data, read))) {
      return Outcome::formerr_opt;
    }
    opt = read;
  }
  reference.opt = opt;
  if (reader.remaining() != 0) {
    return Outcome::formerr_trailing;
  }
  if (reference.qtype == wire::type::opt) {
    return Outcome::formerr_opt;
  }
  if (opt && opt->version != 0) {
    return Outcome::badvers;
  }
  if (opt && opt->cookie && !cookie_has_a_good_size(*opt->cookie)) {
    return Outcome::formerr_cookie;
  }
  if (reference.qtype >= 249 && reference.qtype <= 254) {
    return Outcome::notimp_type;
  }
  if (signed_query) {
    return Outcome::notauth_tsig;
  }
  return reference.qclass == wire::kClassIn ? Outcome::answered : Outcome::refused_class;
}

Outcome judge(Bytes message, Reference& reference) {
  wire::Reader reader(message);
  reader.u16();
  const uint16_t flags = reader.u16();
  const unsigned questions = reader.u16();
  const unsigned answers = reader.u16();
  const unsigned authorities = reader.u16();
  const unsigned additional = reader.u16();
  if (!reader.ok()) {
    return Outcome::drop_too_short;
  }
  reference.flags = flags;
  if ((flags & wire::flag::qr) != 0) {
    return Outcome::drop_not_a_query;
  }
  if ((flags & wire::flag::opcode_mask) != 0) {
    return Outcome::notimp_opcode;
  }
  if (questions != 1) {
    return Outcome::formerr_question_count;
  }
  const name::Name qname = reader.name();
  // A name that was compressed takes other room in the message than in itself.
  if (!reader.ok() || reader.offset() != wire::kHeaderSize + qname.size()) {
    return Outcome::formerr_name;
  }
  reference.qtype = reader.u16();
  reference.qclass = reader.u16();
  if (!reader.ok()) {
    return Outcome::formerr_question_short;
  }
  reference.qname = qname;
  reference.question_end = reader.offset();
  const bool meta = reference.qtype >= 249 && reference.qtype <= 254;
  if (answers + authorities != 0 && !meta) {
    return Outcome::formerr_record_count;
  }
  return judge_records(reader, answers + authorities, additional, reference);
}

}  // namespace

std::string difference_from_reference(Bytes message, answer::Parse parse, answer::Outcome outcome,
                                      const answer::Query& query) {
  Reference reference;
  reference.outcome = judge(message, reference);
  if (reference.outcome != outcome ||
      (parse == answer::Parse::good) != (reference.outcome == Outcome::answered)) {
    return fmt::format("outcome {}, reference {}", answer::to_string(outcome),
                       answer::to_string(reference.outcome));
  }
  if (query.flags != reference.flags) {
    return "flags";
  }
  if (query.question_end != reference.question_end) {
    return fmt::format("question ends at {}, reference {}", query.question_end,
                       reference.question_end);
  }
  if (query.has_edns != reference.opt.has_value()) {
    return "presence of OPT";
  }
  if (query.server_cookie != nullptr || query.cookie_valid) {
    return "a cookie that nobody checked";
  }
  if (query.wants_nsid != (reference.opt && reference.opt->wants_nsid)) {
    return "NSID";
  }
  Bytes cookie;  // that is of use
  if (reference.opt && reference.opt->cookie && cookie_has_a_good_size(*reference.opt->cookie)) {
    cookie = *reference.opt->cookie;
  }
  const Bytes kept = cookie.first(std::min(cookie.size(), query.cookie.size()));
  if (query.cookie_size != cookie.size() ||
      !std::ranges::equal(Bytes(query.cookie).first(kept.size()), kept)) {
    return "COOKIE";
  }
  if (reference.opt && (query.edns_payload_size != reference.opt->payload ||
                        query.dnssec_ok != reference.opt->dnssec_ok)) {
    return "content of OPT";
  }
  if (!reference.qname) {
    return "";
  }
  if (query.qtype != reference.qtype || query.qclass != reference.qclass ||
      !std::ranges::equal(query.folded_qname(), reference.qname->folded().wire()) ||
      query.label_count != reference.qname->label_count()) {
    return "question";
  }
  size_t at = 0;
  for (size_t label = 0; label < query.label_count; ++label) {
    if (query.label_offsets[label] != at) {
      return "place of a label";
    }
    at += size_t{query.qname[at]} + 1;
  }
  return "";
}

}  // namespace merlon::tests

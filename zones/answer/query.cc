// SPDX-License-Identifier: Apache-2.0
#include "zones/answer/query.h"

#include "zones/wire/wire.h"

namespace merlon::answer {
namespace {

constexpr uint16_t kMetaTypeFirst = 249;  // TKEY, TSIG, IXFR, AXFR, MAILB, MAILA
constexpr uint16_t kMetaTypeLast = 254;
constexpr size_t kRecordFixedSize = 10;

struct Failure {
  bool failed = false;
  Outcome outcome = Outcome::formerr_name;
};

// The question's name, folded into query.qname. Returns the offset behind it, 0 when malformed.
size_t parse_qname(Bytes message, Query& query) {
  size_t at = wire::kHeaderSize;
  size_t size = 0;
  size_t labels = 0;
  while (at < message.size()) {
    const size_t label_size = message[at];
    // A compression pointer in the first name has nothing to point at.
    if (label_size > name::kLabelSizeMax) {
      return 0;
    }
    if (label_size + 1 > message.size() - at || label_size + 1 > name::kWireSizeMax - size) {
      return 0;
    }
    query.label_offsets[labels] = static_cast<uint8_t>(size);
    size += label_size + 1;
    at += label_size + 1;
    if (label_size == 0) {
      // Length bytes are below 'A', so folding every byte is right.
      name::fold_bytes(message.data() + wire::kHeaderSize, size, query.qname.data());
      query.qname_size = static_cast<uint8_t>(size);
      query.label_count = static_cast<uint8_t>(labels);
      return at;
    }
    ++labels;  // at most 127: every label takes two bytes of 255
  }
  return 0;
}

bool options_are_well_formed(Bytes options) {
  size_t at = 0;
  while (at < options.size()) {  // bounded by the record's size
    if (options.size() - at < 4) {
      return false;
    }
    const size_t size = load_be16(options.data() + at + 2);
    if (size > options.size() - at - 4) {
      return false;
    }
    at += 4 + size;
  }
  return true;
}

// The offset behind an owner name that may end in a compression pointer; 0 when malformed.
size_t skip_owner(Bytes message, size_t at) {
  const size_t first = at;
  while (at < message.size()) {
    const size_t label_size = message[at];
    if ((label_size & 0xC0) == 0xC0) {
      return message.size() - at >= 2 ? at + 2 : 0;
    }
    at += label_size + 1;
    if (label_size > name::kLabelSizeMax || at - first > name::kWireSizeMax) {
      return 0;
    }
    if (label_size == 0) {
      return at;
    }
  }
  return 0;
}

struct AdditionalState {
  bool tsig = false;
  bool bad_version = false;
};

struct Record {
  const uint8_t* fixed = nullptr;  // type, class, TTL, data length; nullptr: malformed
  Bytes data;
};

// The record at `at`, which moves behind it.
Record parse_record(Bytes message, size_t& at) {
  const size_t behind_owner = skip_owner(message, at);
  if (behind_owner == 0 || message.size() - behind_owner < kRecordFixedSize) {
    return {};
  }
  const uint8_t* fixed = message.data() + behind_owner;
  const size_t data_size = load_be16(fixed + 8);
  const size_t data_at = behind_owner + kRecordFixedSize;
  if (data_size > message.size() - data_at) {
    return {};
  }
  at = data_at + data_size;
  return {fixed, message.subspan(data_at, data_size)};
}

// One additional record at `at`. Moves `at` behind it; on failure says why.
Failure parse_additional(Bytes message, size_t& at, Query& query, AdditionalState& state) {
  const bool root_owner = at < message.size() && message[at] == 0;
  const Record record = parse_record(message, at);
  if (record.fixed == nullptr) {
    return {true, Outcome::formerr_record};
  }
  const uint8_t* fixed = record.fixed;
  const uint16_t type = load_be16(fixed);
  if (type == wire::type::opt) {
    if (query.has_edns || !root_owner) {
      return {true, Outcome::formerr_opt};
    }
    query.has_edns = true;
    query.edns_payload_size = load_be16(fixed + 2);
    query.dnssec_ok = (fixed[6] & 0x80) != 0;
    // Another version's options may have another form: the version is answered first.
    state.bad_version = fixed[5] != 0;
    if (!state.bad_version && !options_are_well_formed(record.data)) {
      return {true, Outcome::formerr_opt};
    }
  }
  state.tsig = state.tsig || type == wire::type::tsig;
  return {};
}

void clear(Query& query) {
  query.flags = 0;
  query.qtype = 0;
  query.qclass = 0;
  query.question_end = 0;
  query.qname_size = 0;
  query.label_count = 0;
  query.has_edns = false;
  query.dnssec_ok = false;
  query.edns_payload_size = 0;
}

// Everything behind the question. Parse::good: nothing that decides the reply.
Parse parse_records(Bytes message, size_t at, Query& query, Outcome& outcome) {
  const auto decide = [&outcome](Outcome what) {
    outcome = what;
    return Parse::decided;
  };
  const unsigned others = load_be16(message.data() + 6) + unsigned{load_be16(message.data() + 8)};
  const bool meta_type = query.qtype >= kMetaTypeFirst && query.qtype <= kMetaTypeLast;
  if (others != 0 && !meta_type) {
    return decide(Outcome::formerr_record_count);
  }
  // IXFR carries an SOA in its authority section; the OPT that the reply must have is behind it.
  for (unsigned i = 0; i < others; ++i) {  // each takes at least 11 bytes of the message
    if (parse_record(message, at).fixed == nullptr) {
      return decide(Outcome::formerr_record);
    }
  }
  AdditionalState state;
  const unsigned additional = load_be16(message.data() + 10);
  for (unsigned i = 0; i < additional; ++i) {  // likewise
    const Failure failure = parse_additional(message, at, query, state);
    if (failure.failed) {
      query.has_edns = false;
      return decide(failure.outcome);
    }
  }
  if (at != message.size()) {
    return decide(Outcome::formerr_trailing);
  }
  if (query.qtype == wire::type::opt) {
    return decide(Outcome::formerr_opt);
  }
  if (state.bad_version) {
    return decide(Outcome::badvers);
  }
  if (meta_type) {
    return decide(Outcome::notimp_type);
  }
  if (state.tsig) {
    return decide(Outcome::notauth_tsig);
  }
  return Parse::good;
}

}  // namespace

Parse parse_query(Bytes message, Query& query, Outcome& outcome) {
  clear(query);
  const auto decide = [&outcome](Outcome what) {
    outcome = what;
    return Parse::decided;
  };
  if (message.size() < wire::kHeaderSize) {
    return decide(Outcome::drop_too_short);
  }
  query.flags = load_be16(message.data() + 2);
  if ((query.flags & wire::flag::qr) != 0) {
    return decide(Outcome::drop_not_a_query);
  }
  if ((query.flags & wire::flag::opcode_mask) != 0) {
    return decide(Outcome::notimp_opcode);
  }
  if (load_be16(message.data() + 4) != 1) {
    return decide(Outcome::formerr_question_count);
  }
  size_t at = parse_qname(message, query);
  if (at == 0) {
    return decide(Outcome::formerr_name);
  }
  if (message.size() - at < 4) {
    return decide(Outcome::formerr_question_short);
  }
  query.qtype = load_be16(message.data() + at);
  query.qclass = load_be16(message.data() + at + 2);
  at += 4;
  query.question_end = static_cast<uint16_t>(at);
  if (parse_records(message, at, query, outcome) == Parse::decided) {
    return Parse::decided;
  }
  if (query.qclass != wire::kClassIn) {
    return decide(Outcome::refused_class);
  }
  return Parse::good;
}

}  // namespace merlon::answer

// SPDX-License-Identifier: Apache-2.0
#include "zones/answer/query.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "zones/wire/wire.h"

namespace merlon::answer {
namespace {

constexpr uint16_t kMetaTypeFirst = 249;  // TKEY, TSIG, IXFR, AXFR, MAILB, MAILA
constexpr uint16_t kMetaTypeLast = 254;
constexpr size_t kRecordFixedSize = 10;
constexpr size_t kOptFixedSize = 1 + kRecordFixedSize;  // owner: the root

// A cookie's size: the client's alone, or with a server's (RFC 7873 section 5.2.2).
constexpr bool is_cookie_size(size_t size) {
  return size == kClientCookieSize || (size >= 16 && size <= 40);
}

// The question's name, folded into query.qname. Returns the offset behind it, 0 when malformed.
size_t parse_qname(Bytes message, Query& query) {
  const uint8_t* const labelled = message.data() + wire::kHeaderSize;
  const size_t room = std::min(message.size() - wire::kHeaderSize, name::kWireSizeMax);
  size_t size = 0;
  size_t labels = 0;
  while (size < room) {
    const size_t label_size = labelled[size];
    // At most 127 labels before the root: each takes two bytes of 255.
    query.label_offsets[labels] = static_cast<uint8_t>(size);
    size += label_size + 1;
    if (label_size == 0) {
      // Length bytes are below 'A', so folding every byte is right.
      name::fold_bytes(labelled, size, query.qname.data());
      query.qname_size = static_cast<uint8_t>(size);
      query.label_count = static_cast<uint8_t>(labels);
      return wire::kHeaderSize + size;
    }
    // A compression pointer in the first name has nothing to point at.
    if (label_size > name::kLabelSizeMax) {
      return 0;
    }
    ++labels;
  }
  return 0;
}

// What the additional records say besides what is in the query.
struct Additional {
  bool tsig = false;
  bool bad_version = false;
  bool bad_cookie = false;
};

// REQUIRES: the first cookie of the query.
void take_cookie(Bytes data, Query& query, Additional& additional) {
  if (!is_cookie_size(data.size())) {
    additional.bad_cookie = true;
    return;
  }
  query.cookie_size = static_cast<uint8_t>(data.size());
  if (data.size() == kClientCookieSize) {
    std::memcpy(query.cookie.data(), data.data(), kClientCookieSize);
  } else if (data.size() >= query.cookie.size()) {
    std::memcpy(query.cookie.data(), data.data(), query.cookie.size());
  } else {
    std::memcpy(query.cookie.data(), data.data(), data.size());
  }
}

// False when the options are malformed. Unknown ones are passed over; of cookies the first counts.
bool parse_options(Bytes options, Query& query, Additional& additional) {
  size_t at = 0;
  while (at < options.size()) {  // bounded by the record's size
    if (options.size() - at < 4) {
      return false;
    }
    const uint16_t code = load_be16(options.data() + at);
    const size_t size = load_be16(options.data() + at + 2);
    at += 4;
    if (size > options.size() - at) {
      return false;
    }
    if (code == wire::kOptionCookie && query.cookie_size == 0 && !additional.bad_cookie) {
      take_cookie(options.subspan(at, size), query, additional);
    }
    query.wants_nsid = query.wants_nsid || code == wire::kOptionNsid;
    query.wants_keepalive = query.wants_keepalive || (code == wire::kOptionKeepalive && size == 0);
    at += size;
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

// An OPT record whose owner is the root. False when it is malformed.
bool parse_opt(const uint8_t* fixed, Bytes data, Query& query, Additional& additional) {
  query.has_edns = true;
  query.edns_payload_size = load_be16(fixed + 2);
  query.dnssec_ok = (fixed[6] & 0x80) != 0;
  // Another version's options may have another form: the version is answered first.
  additional.bad_version = fixed[5] != 0;
  return additional.bad_version || data.empty() || parse_options(data, query, additional);
}

void forget_opt(Query& query) {
  query.has_edns = false;
  query.wants_nsid = false;
  query.wants_keepalive = false;
  query.cookie_size = 0;
}

// Everything behind the question, whatever its shape, record by record. Parse::good: well-formed.
Parse parse_records(Bytes message, size_t at, Query& query, Additional& additional,
                    Outcome& outcome) {
  const auto decide = [&](Outcome what) {
    forget_opt(query);
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
  const unsigned count = load_be16(message.data() + 10);
  for (unsigned i = 0; i < count; ++i) {  // likewise
    const bool root_owner = at < message.size() && message[at] == 0;
    const Record record = parse_record(message, at);
    if (record.fixed == nullptr) {
      return decide(Outcome::formerr_record);
    }
    const uint16_t type = load_be16(record.fixed);
    if (type == wire::type::opt && (query.has_edns || !root_owner ||
                                    !parse_opt(record.fixed, record.data, query, additional))) {
      return decide(Outcome::formerr_opt);
    }
    additional.tsig = additional.tsig || type == wire::type::tsig;
  }
  if (at != message.size()) {
    outcome = Outcome::formerr_trailing;
    return Parse::decided;
  }
  return Parse::good;
}

// What nearly every query has behind its question: nothing, or one OPT record and nothing behind
// it. False when the query is of another shape.
bool parse_common_records(Bytes message, size_t at, Query& query, Additional& additional) {
  uint64_t counts;
  std::memcpy(&counts, message.data() + 4, sizeof counts);
  constexpr uint64_t kOneQuestion = 0x0000'0000'0000'0100;  // as the machine reads it
  constexpr uint64_t kAndOneAdditional = 0x0100'0000'0000'0000 | kOneQuestion;
  static_assert(std::endian::native == std::endian::little);
  if (counts == kOneQuestion) {
    return at == message.size();
  }
  const size_t left = message.size() - at;
  const uint8_t* const record = message.data() + at;
  if (counts != kAndOneAdditional || left < kOptFixedSize || record[0] != 0 ||
      load_be16(record + 1) != wire::type::opt ||
      left - kOptFixedSize != load_be16(record + kOptFixedSize - 2)) {
    return false;
  }
  if (!parse_opt(record + 1, message.subspan(at + kOptFixedSize), query, additional)) {
    forget_opt(query);
    return false;
  }
  return true;
}

// What decides a well-formed query before any lookup.
Parse judge(const Query& query, const Additional& additional, Outcome& outcome) {
  const auto decide = [&outcome](Outcome what) {
    outcome = what;
    return Parse::decided;
  };
  if (query.qtype == wire::type::opt) {
    return decide(Outcome::formerr_opt);
  }
  if (additional.bad_version) {
    return decide(Outcome::badvers);
  }
  if (additional.bad_cookie) {
    return decide(Outcome::formerr_cookie);
  }
  if (query.qtype >= kMetaTypeFirst && query.qtype <= kMetaTypeLast) {
    return decide(Outcome::notimp_type);
  }
  if (additional.tsig) {
    return decide(Outcome::notauth_tsig);
  }
  if (query.qclass != wire::kClassIn) {
    return decide(Outcome::refused_class);
  }
  return Parse::good;
}

void clear(Query& query) {
  query.flags = 0;
  query.qtype = 0;
  query.qclass = 0;
  query.question_end = 0;
  query.edns_payload_size = 0;
  query.qname_size = 0;
  query.label_count = 0;
  query.has_edns = false;
  query.dnssec_ok = false;
  query.wants_nsid = false;
  query.subject_flags = 0;
  query.wants_keepalive = false;
  query.cookie_size = 0;
  query.cookie_valid = false;
  query.server_cookie = nullptr;
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
  if ((query.flags & (wire::flag::qr | wire::flag::opcode_mask)) != 0) {
    return decide((query.flags & wire::flag::qr) != 0 ? Outcome::drop_not_a_query
                                                      : Outcome::notimp_opcode);
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
  Additional additional;
  if (!parse_common_records(message, at, query, additional)) {
    additional = {};
    if (parse_records(message, at, query, additional, outcome) == Parse::decided) {
      return Parse::decided;
    }
  }
  return judge(query, additional, outcome);
}

}  // namespace merlon::answer

// SPDX-License-Identifier: Apache-2.0
#include "zones/answer/answer.h"

#include <algorithm>
#include <cstring>

#include "zones/wire/wire.h"

namespace merlon::answer {
namespace {

using snapshot::Body;
using snapshot::Rrset;
using snapshot::Subject;
using snapshot::Verb;

constexpr size_t kEdeOptionSize = 6;

size_t opt_size(const Query& query, const Reply& reply) {
  if (!query.has_edns) {
    return 0;
  }
  return reply.ede == Ede::none ? 11 : 11 + kEdeOptionSize;
}

size_t message_size_max(const Query& query, const Limits& limits) {
  if (limits.transport == Transport::tcp) {
    return wire::kMessageSizeMax;
  }
  if (!query.has_edns) {
    return wire::kUdpSizeWithoutEdns;
  }
  // RFC 6891 section 6.2.3: values below 512 are treated as 512.
  const size_t wanted = std::max<size_t>(query.edns_payload_size, wire::kUdpSizeWithoutEdns);
  return std::min<size_t>(wanted, limits.udp_size_max);
}

const Rrset* find_rrset(std::span<const Rrset> rrsets, uint16_t qtype) {
  const Rrset* found = nullptr;
  for (const Rrset& rrset : rrsets) {
    if (rrset.type == qtype) {
      return &rrset;
    }
    // RFC 8482: ANY gets one RRset; the smallest, which is the least useful to an amplifier.
    if (qtype == wire::type::any && (found == nullptr || rrset.body.size < found->body.size)) {
      found = &rrset;
    }
    if (rrset.type == wire::type::cname) {
      found = &rrset;
    }
  }
  return found;
}

uint32_t mask_of(const snapshot::LoadedZone& zone, const snapshot::Node* node) {
  const uint32_t own = node == nullptr ? 0 : node->tier_mask;
  return own != 0 ? own : zone.view().info().tier_mask;
}

// Passes over the zones of other accounts. Bounded by the number of labels.
Lookup as_seen_by(const Query& query, Lookup lookup, const Subject& subject) {
  while (lookup.zone != nullptr) {
    const uint32_t account = lookup.zone->view().info().account;
    if (account == 0 || account == subject.account) {
      break;
    }
    lookup.zone = lookup.snapshot->find_zone_above(*lookup.zone, query.folded_qname(),
                                                   query.label_offsets.data(), query.label_count);
    lookup.node = nullptr;
    find_node(query, lookup);
  }
  return lookup;
}

// REQUIRES: a lookup as_seen_by() the subject.
bool may_see(const Query& query, const Lookup& lookup, const Subject& subject) {
  if (lookup.zone == nullptr) {
    return false;
  }
  if (lookup.zone->view().info().account != 0) {
    return true;
  }
  if ((mask_of(*lookup.zone, lookup.node) & subject.tier_mask) == 0) {
    return false;
  }
  if (lookup.node != nullptr || !lookup.snapshot->is_over_accounts(*lookup.zone)) {
    return true;
  }
  // The name is missing, so it is below the apex and has a first label.
  const Bytes parent = query.folded_qname().subspan(size_t{query.qname[0]} + 1);
  return lookup.zone->find(lookup.snapshot->key().hash(parent), parent) != nullptr;
}

uint16_t reply_flags(const Query& query, const Reply& reply) {
  uint16_t flags = static_cast<uint16_t>(
      wire::flag::qr | (query.flags & (wire::flag::opcode_mask | wire::flag::rd | wire::flag::cd)) |
      (rcode_of(reply.outcome) & wire::flag::rcode_mask));
  if (reply.authoritative) {
    flags = static_cast<uint16_t>(flags | wire::flag::aa);
  }
  if (reply.outcome == Outcome::truncated) {
    flags = static_cast<uint16_t>(flags | wire::flag::tc);
  }
  return flags;
}

void write_header(const Query& query, const Reply& reply, uint8_t* message) {
  store_be16(message + 2, reply_flags(query, reply));
  store_be16(message + 4, query.question_end == 0 ? 0 : 1);
  store_be16(message + 6, reply.body.answer_count);
  store_be16(message + 8, reply.body.authority_count);
  const unsigned additional = reply.body.additional_count + (query.has_edns ? 1u : 0u);
  store_be16(message + 10, static_cast<uint16_t>(additional));
}

// Returns the bytes written, opt_size().
size_t write_opt(const Query& query, const Reply& reply, const Limits& limits, uint8_t* out) {
  if (!query.has_edns) {
    return 0;
  }
  out[0] = 0;  // the root
  store_be16(out + 1, wire::type::opt);
  store_be16(out + 3, limits.udp_size_max);
  out[5] = static_cast<uint8_t>(rcode_of(reply.outcome) >> 4);
  out[6] = 0;                           // version
  out[7] = query.dnssec_ok ? 0x80 : 0;  // RFC 3225: DO is copied
  out[8] = 0;
  if (reply.ede == Ede::none) {
    store_be16(out + 9, 0);
    return 11;
  }
  store_be16(out + 9, kEdeOptionSize);
  store_be16(out + 11, wire::kOptionEde);
  store_be16(out + 13, 2);
  store_be16(out + 15,
             reply.ede == Ede::prohibited ? wire::kEdeProhibited : wire::kEdeNotAuthoritative);
  return 11 + kEdeOptionSize;
}

void copy_body(const Reply& reply, uint8_t* out) {
  std::memcpy(out, reply.body.data, reply.body.size);
  for (unsigned i = 0; i < reply.body.pointer_count; ++i) {
    store_be16(out + reply.body.pointers[i], reply.pointer);
  }
}

size_t question_size(const Query& query) {
  return query.question_end == 0 ? wire::kHeaderSize : size_t{query.question_end};
}

}  // namespace

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
#define MERLON_X(name, rcode, text) \
  case Outcome::name:               \
    return #name;
    MERLON_ANSWER_OUTCOMES(MERLON_X)
#undef MERLON_X
#define MERLON_X(name, text) \
  case Outcome::name:        \
    return #name;
    MERLON_DROP_REASONS(MERLON_X)
#undef MERLON_X
    case Outcome::count_:
      break;
  }
  return "unknown";
}

std::string_view explain(Outcome outcome) {
  switch (outcome) {
#define MERLON_X(name, rcode, text) \
  case Outcome::name:               \
    return text;
    MERLON_ANSWER_OUTCOMES(MERLON_X)
#undef MERLON_X
#define MERLON_X(name, text) \
  case Outcome::name:        \
    return text;
    MERLON_DROP_REASONS(MERLON_X)
#undef MERLON_X
    case Outcome::count_:
      break;
  }
  return "";
}

void find_zone(const snapshot::Snapshot& snapshot, const Query& query, Lookup& lookup) {
  lookup.snapshot = &snapshot;
  lookup.node = nullptr;
  lookup.hash = snapshot.key().hash(query.folded_qname());
  lookup.zone =
      snapshot.find_zone(query.folded_qname(), query.label_offsets.data(), query.label_count);
  if (lookup.zone != nullptr) {
    lookup.zone->prefetch(lookup.hash);
  }
}

const snapshot::Node* find_candidate(const Lookup& lookup) {
  return lookup.zone == nullptr ? nullptr : lookup.zone->candidate(lookup.hash);
}

void find_node(const Query& query, Lookup& lookup, const snapshot::Node* candidate) {
  if (lookup.zone == nullptr) {
    return;
  }
  const Bytes name = query.folded_qname();
  lookup.node = candidate != nullptr && snapshot::LoadedZone::has_name(*candidate, name)
                    ? candidate
                    : lookup.zone->find(lookup.hash, name);
}

Reply reply_without_lookup(Outcome outcome) {
  Reply reply;
  reply.outcome = outcome;
  return reply;
}

bool settled_by_access(const Subject* subject, Reply& reply) {
  if (subject == nullptr) {
    reply = reply_without_lookup(Outcome::refused_unregistered);
    reply.ede = Ede::prohibited;
    return true;
  }
  if (subject->verb == Verb::refuse) {
    reply = reply_without_lookup(Outcome::refused_by_verb);
    reply.ede = Ede::prohibited;
    return true;
  }
  if (subject->verb == Verb::ignore) {
    reply = reply_without_lookup(Outcome::drop_ignored_source);
    return true;
  }
  return false;
}

Reply decide(const Query& query, const Lookup& found, const Subject* subject,
             const Limits& limits) {
  Reply reply;
  if (settled_by_access(subject, reply)) {
    return reply;
  }
  const Lookup lookup = as_seen_by(query, found, *subject);
  if (!may_see(query, lookup, *subject)) {
    reply = reply_without_lookup(Outcome::refused_not_ours);
    reply.ede = Ede::not_authoritative;
    return reply;
  }
  reply.authoritative = true;
  // The apex stands at the end of the question's name.
  reply.pointer = static_cast<uint16_t>(
      0xC000u | (wire::kHeaderSize + query.qname_size - lookup.zone->apex_size()));
  reply.outcome = Outcome::nxdomain;
  reply.body = lookup.zone->negative();
  if (subject->verb == Verb::empty) {
    reply.outcome = Outcome::nodata;
  } else if (lookup.node != nullptr) {
    const Rrset* rrset = find_rrset(lookup.zone->rrsets_of(*lookup.node), query.qtype);
    reply.outcome = rrset == nullptr ? Outcome::nodata : Outcome::answered;
    reply.body = rrset == nullptr ? reply.body : rrset->body;
  }
  const size_t size = question_size(query) + reply.body.size + opt_size(query, reply);
  if (size > message_size_max(query, limits)) {
    reply.outcome = Outcome::truncated;
    reply.body = Body{};
  }
  return reply;
}

size_t compose(const Query& query, Reply& reply, const Limits& limits, MutableBytes buffer,
               size_t message_size) {
  if (is_drop(reply.outcome)) {
    return 0;
  }
  const size_t body_at = question_size(query);
  const size_t size = body_at + reply.body.size + opt_size(query, reply);
  if (size > buffer.size() || message_size < body_at) {
    reply.outcome = Outcome::drop_no_room;
    return 0;
  }
  write_header(query, reply, buffer.data());
  if (reply.body.size != 0) {
    copy_body(reply, buffer.data() + body_at);
  }
  write_opt(query, reply, limits, buffer.data() + body_at + reply.body.size);
  return size;
}

Gathered compose_gathered(const Query& query, Reply& reply, const Limits& limits, MutableBytes head,
                          std::span<uint8_t, kOptSizeMax> tail) {
  Gathered gathered;
  if (is_drop(reply.outcome)) {
    return gathered;
  }
  gathered.head_size = question_size(query);
  if (reply.body.pointer_count != 0) {
    if (reply.body.size > head.size() - gathered.head_size) {
      reply.outcome = Outcome::drop_no_room;
      return {};
    }
    copy_body(reply, head.data() + gathered.head_size);
    gathered.head_size += reply.body.size;
  } else {
    gathered.body = reply.body.bytes();
  }
  write_header(query, reply, head.data());
  gathered.tail_size = write_opt(query, reply, limits, tail.data());
  return gathered;
}

Reply answer(const snapshot::Snapshot& snapshot, Bytes message, const Subject* subject,
             const Limits& limits, Query& query) {
  Outcome outcome = Outcome::drop_too_short;
  const Parse parse = parse_query(message, query, outcome);
  Reply reply;
  if (is_drop(outcome) && parse == Parse::decided) {
    return reply_without_lookup(outcome);
  }
  if (settled_by_access(subject, reply)) {
    return reply;
  }
  if (parse == Parse::decided) {
    return reply_without_lookup(outcome);
  }
  Lookup lookup;
  find_zone(snapshot, query, lookup);
  find_node(query, lookup);
  return decide(query, lookup, subject, limits);
}

}  // namespace merlon::answer

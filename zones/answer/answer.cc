// SPDX-License-Identifier: Apache-2.0
#include "zones/answer/answer.h"

#include <algorithm>

#include "zones/answer/opt.h"
#include "zones/answer/resolve.h"
#include "zones/answer/visible.h"
#include "zones/wire/wire.h"

namespace merlon::answer {
namespace {

using snapshot::Body;
using snapshot::Rrset;
using snapshot::Verb;

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

// Types that an ordinary name answers otherwise than by its RRset: DS, of which the parent's zone
// knows at an apex, and RRSIG. (Two that it does lie between them, and are rare.)
bool is_uncommon(uint16_t qtype) {
  return static_cast<unsigned>(qtype - wire::type::ds) <= wire::type::rrsig - wire::type::ds;
}

// Whether one body of the zone answers as it is: nothing is to be followed, synthesized or proved.
bool is_plain(const Query& query, const Lookup& lookup) {
  constexpr unsigned kSpecial =
      snapshot::node_flag::cut | snapshot::node_flag::occluded | snapshot::node_flag::cname;
  if (is_uncommon(query.qtype) || (query.dnssec_ok && lookup.zone->is_signed())) {
    return false;
  }
  return lookup.node != nullptr ? (lookup.node->flags & kSpecial) == 0
                                : lookup.zone->has_plain_misses();
}

}  // namespace

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

Reply reply_without_lookup(const Query& query, Outcome outcome, const Limits& limits) {
  Reply reply = reply_without_lookup(outcome);
  if (outcome == Outcome::refused_class && query.qclass == wire::kClassChaos &&
      limits.identity != nullptr) {
    reply.body = limits.identity->chaos(query);
    if (reply.body.size != 0) {
      reply.outcome = Outcome::answered_chaos;
      reply.authoritative = true;
    }
  }
  return reply;
}

bool settled_by_access(const Subject* subject, Reply& reply) {
  if (subject == nullptr) {
    reply = reply_without_lookup(Outcome::refused_unregistered);
    return true;
  }
  if (subject->verb == Verb::refuse) {
    reply = reply_without_lookup(Outcome::refused_by_verb);
    return true;
  }
  if (subject->verb == Verb::ignore) {
    reply = reply_without_lookup(Outcome::drop_ignored_source);
    return true;
  }
  return false;
}

namespace {

// Kept apart, so that the plain case stays short.
[[gnu::noinline, gnu::cold]] void resolve_for(const Query& query, const Lookup& lookup,
                                              const Subject& subject, const Limits& limits,
                                              MutableBytes scratch, Reply& reply) {
  // What is answered has no extended error, so its OPT record has the size of any other's.
  const size_t around = query.question_end + opt_size(query, Outcome::answered, limits);
  const size_t most = message_size_max(query, limits);
  resolve(query, lookup, subject, most > around ? most - around : 0, scratch, reply);
}

Outcome outcome_of_hidden(const Query& query, const Lookup& lookup) {
  const bool is_ours = lookup.zone != nullptr;
  const bool may_recurse =
      (query.subject_flags & wire::flag::ra) != 0 && (query.flags & wire::flag::rd) != 0;
  return !is_ours && may_recurse ? Outcome::forwarded : Outcome::refused_not_ours;
}

// REQUIRES: a lookup as_seen_by() the subject, which is answered (pass or empty).
void decide_for(const Query& query, const Lookup& lookup, const Subject& subject,
                const Limits& limits, MutableBytes scratch, Reply& reply) {
  if (!may_see(labelled(query), lookup, subject)) {
    reply = reply_without_lookup(outcome_of_hidden(query, lookup));
    return;
  }
  const Body* body = &lookup.zone->negative();
  Outcome outcome = Outcome::nxdomain;
  if (subject.verb == Verb::empty) {
    outcome = Outcome::nodata;  // with no proof: it would be a lie
  } else if (!is_plain(query, lookup)) {
    resolve_for(query, lookup, subject, limits, scratch, reply);
    return;
  } else if (lookup.node != nullptr) {
    const Rrset* rrset = find_rrset(lookup.zone->rrsets_of(*lookup.node), query.qtype);
    outcome = rrset == nullptr ? Outcome::nodata : Outcome::answered;
    body = rrset == nullptr ? body : &rrset->body;
  }
  const size_t size = query.question_end + body->size + opt_size(query, outcome, limits);
  const bool fits = size <= message_size_max(query, limits);
  reply.outcome = fits ? outcome : Outcome::truncated;
  // The apex stands at the end of the question's name.
  reply.pointer = static_cast<uint16_t>(
      0xC000u | (wire::kHeaderSize + query.qname_size - lookup.zone->apex_size()));
  reply.authoritative = true;
  reply.in_scratch = false;
  if (fits) [[likely]] {
    reply.body = *body;
  } else {
    reply.body = Body{};
  }
}

}  // namespace

void decide(const Query& query, const Lookup& lookup, const Subject* subject, const Limits& limits,
            MutableBytes scratch, Reply& reply) {
  if (settled_by_access(subject, reply)) [[unlikely]] {
    return;
  }
  if (is_anothers(lookup, *subject)) [[unlikely]] {
    decide_for(query, as_seen_by(labelled(query), lookup, *subject), *subject, limits, scratch,
               reply);
  } else {
    decide_for(query, lookup, *subject, limits, scratch, reply);
  }
}

Reply answer(const snapshot::Snapshot& snapshot, Bytes message, const Subject* subject,
             const Limits& limits, Query& query, MutableBytes scratch) {
  Outcome outcome = Outcome::drop_too_short;
  const Parse parse = parse_query(message, query, outcome);
  Reply reply;
  if (is_drop(outcome) && parse == Parse::decided) {
    return reply_without_lookup(outcome);
  }
  query.subject_flags = recursion_available(subject);
  if (settled_by_access(subject, reply)) {
    return reply;
  }
  if (parse == Parse::decided) {
    return reply_without_lookup(query, outcome, limits);
  }
  Lookup lookup;
  find_zone(snapshot, query, lookup);
  find_node(query, lookup);
  decide(query, lookup, subject, limits, scratch, reply);
  return reply;
}

}  // namespace merlon::answer

// SPDX-License-Identifier: Apache-2.0
#include "zones/answer/answer.h"

#include <algorithm>

#include "zones/answer/opt.h"
#include "zones/wire/wire.h"

namespace merlon::answer {
namespace {

using snapshot::Body;
using snapshot::Rrset;
using snapshot::Subject;
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

bool is_anothers(const Lookup& lookup, const Subject& subject) {
  if (lookup.zone == nullptr) {
    return false;
  }
  const uint32_t account = lookup.zone->view().info().account;
  return account != 0 && account != subject.account;
}

// Passes over the zones of other accounts. Bounded by the number of labels.
Lookup as_seen_by(const Query& query, Lookup lookup, const Subject& subject) {
  while (is_anothers(lookup, subject)) {
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

// REQUIRES: a lookup as_seen_by() the subject, which is answered (pass or empty).
void decide_for(const Query& query, const Lookup& lookup, const Subject& subject,
                const Limits& limits, Reply& reply) {
  if (!may_see(query, lookup, subject)) {
    reply = reply_without_lookup(Outcome::refused_not_ours);
    return;
  }
  const Body* body = &lookup.zone->negative();
  Outcome outcome = Outcome::nxdomain;
  if (subject.verb == Verb::empty) {
    outcome = Outcome::nodata;
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
  if (fits) [[likely]] {
    reply.body = *body;
  } else {
    reply.body = Body{};
  }
}

}  // namespace

void decide(const Query& query, const Lookup& lookup, const Subject* subject, const Limits& limits,
            Reply& reply) {
  if (settled_by_access(subject, reply)) [[unlikely]] {
    return;
  }
  if (is_anothers(lookup, *subject)) [[unlikely]] {
    decide_for(query, as_seen_by(query, lookup, *subject), *subject, limits, reply);
  } else {
    decide_for(query, lookup, *subject, limits, reply);
  }
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
    return reply_without_lookup(query, outcome, limits);
  }
  Lookup lookup;
  find_zone(snapshot, query, lookup);
  find_node(query, lookup);
  decide(query, lookup, subject, limits, reply);
  return reply;
}

}  // namespace merlon::answer

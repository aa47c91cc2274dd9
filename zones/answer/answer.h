// SPDX-License-Identifier: Apache-2.0
// Query in, answer out: the one answer logic, for UDP in the data plane and TCP in the control
// plane. It runs in stages so that the data plane can run each stage over a burst of packets and
// prefetch for the next one:
//
//   parse_query   message -> Query                     (query.h)
//   find_zone     apex by suffix, prefetches the name's slot
//   find_node     the name's entry, prefetches its RRsets
//   (cookies      the caller checks query.cookie and sets query.server_cookie: zones/cookie)
//   decide        who asks what, how large may it be -> Reply; what a single body does not answer
//                 is put together in the caller's scratch memory (resolve.h)
//   compose       Reply -> message, in place
//
// Answers are precompiled bodies: composing keeps the header's id and the question's bytes (so the
// case of the name survives), appends the body and an OPT record, and sets counts and flags. Most
// answers are a body as it was compiled: an RRset of an ordinary name, or a negative answer.
// Aliases, wildcards, delegations, and all that a client wants signed are assembled from several.
// Tenant safety: to everybody else an account's zone is as if it did not exist, so the question
// goes to the zone above it. In a shared zone that has accounts' zones below it, a missing name is
// NXDOMAIN only when its parent exists (a list that is gone); deeper names may be an account's, and
// are REFUSED whether that account exists or not: NXDOMAIN would deny what may well exist.
// Recursion: what no zone holds that the source may see, asked with RD by a subject for which names
// of others are looked up, has the outcome `forwarded`: who has a forwarder asks that, others say
// SERVFAIL. What a zone of ours holds, or would if it existed, is never asked of others.
// Amplification: a source that belongs to no device gets at most kStrangerGain bytes more than it
// sent, whatever it asks. A registered one gets at most 512 bytes without EDNS and udp_size_max
// with it; a query has at least 17 and 28 bytes. What goes beyond the rate limit is dropped or
// answered with an empty TC or BADCOOKIE unless the query carries a cookie of ours, which proves
// its source.
// Nothing here allocates, locks or reads a clock. All functions are pure and thread-safe.
#pragma once

#include <cstdint>
#include <span>

#include "zones/answer/identity.h"
#include "zones/answer/outcome.h"
#include "zones/answer/query.h"
#include "zones/snapshot/snapshot.h"
#include "zones/wire/wire.h"

namespace merlon::answer {

enum class Transport : uint8_t { udp, tcp };

// How this server answers, whoever asks.
struct Limits {
  Transport transport = Transport::udp;
  // The largest UDP answer that we send whatever the client allows (DNS flag day 2020), and what
  // our own OPT record announces.
  uint16_t udp_size_max = 1232;
  const Identity* identity = nullptr;  // outlives all use; nullptr: says nothing of itself
  // How long a quiet connection is kept, in 100 ms: told over TCP to who asks (RFC 7828). 0: not.
  uint16_t keepalive = 0;
};

struct Lookup {
  const snapshot::Snapshot* snapshot = nullptr;
  const snapshot::LoadedZone* zone = nullptr;
  const snapshot::Node* node = nullptr;
  uint64_t hash = 0;
};

struct Reply {
  Outcome outcome = Outcome::drop_too_short;
  uint16_t pointer = 0;  // compression pointer to the apex, for the body's patched places
  bool authoritative = false;
  bool in_scratch = false;  // the body's bytes are decide()'s scratch, not the snapshot's
  snapshot::Body body;      // size 0: none
};

// OPT with NSID, COOKIE, TCP-KEEPALIVE and EDE.
inline constexpr size_t kOptSizeMax =
    11 + (4 + Identity::kTextSizeMax) + (4 + 8 + 16) + (4 + 2) + (4 + 2);

// EDE, and the server cookie behind a client's cookie.
inline constexpr size_t kStrangerGain = (4 + 2) + 16;

void find_zone(const snapshot::Snapshot& snapshot, const Query& query, Lookup& lookup);
// Between the two, over a burst: the record that the name most likely has is fetched. nullptr when
// there is none.
const snapshot::Node* find_candidate(const Lookup& lookup);
// `candidate`: what find_candidate said for this lookup, or nullptr.
void find_node(const Query& query, Lookup& lookup, const snapshot::Node* candidate = nullptr);
// `subject` is nullptr for a source that belongs to no device. The reply is filled where it will be
// used: a copy made at once would wait for the stores before it. `scratch` must stay as it is until
// the reply is composed; an assembled body that has no room there is truncated like one that is too
// large for the client, so it should have udp_size_max bytes for UDP and 65,535 for TCP.
void decide(const Query& query, const Lookup& lookup, const snapshot::Subject* subject,
            const Limits& limits, MutableBytes scratch, Reply& reply);
// A reply without a lookup.
Reply reply_without_lookup(Outcome outcome);
// The same for what parse_query decided: CHAOS questions about this server get their answer.
Reply reply_without_lookup(const Query& query, Outcome outcome, const Limits& limits);

// RA, if names of others are looked up for this subject: Query::subject_flags.
inline uint16_t recursion_available(const snapshot::Subject* subject) {
  return subject != nullptr && subject->verb == snapshot::Verb::pass &&
                 (subject->flags & snapshot::subject_flag::recursion) != 0
             ? wire::flag::ra
             : uint16_t{0};
}

// Whether the access entry alone settles it (unregistered, refuse, ignore), before any lookup.
bool settled_by_access(const snapshot::Subject* subject, Reply& reply);

// Turns the query in buffer[0..message_size) into the answer, in place. Returns its size, or 0 when
// nothing is to be sent (a drop, or no room, which changes reply.outcome).
size_t compose(const Query& query, Reply& reply, const Limits& limits, MutableBytes buffer,
               size_t message_size);

// The same for gathered writing: `head` receives header and question, `tail` the OPT record; the
// body is sent from where it lies in the snapshot when it needs no patching, else it is copied to
// `head`. REQUIRES: head holds the query and has room for 12 + 259 bytes and for bodies that are
// copied (is_copied()); one that has none there is dropped.
inline bool is_copied(const Reply& reply) {
  return reply.body.pointer_count != 0 || reply.in_scratch;
}
struct Gathered {
  size_t head_size = 0;
  Bytes body;
  size_t tail_size = 0;
};
Gathered compose_gathered(const Query& query, Reply& reply, const Limits& limits, MutableBytes head,
                          std::span<uint8_t, kOptSizeMax> tail);

// The ones' complement sum of what compose() made of this query and reply, as if it began at an
// even address, folded (the words as wire::checksum_partial has them). A large body is not walked:
// its sum is known since it was compiled.
uint16_t sum_of_reply(const Query& query, const Reply& reply, Bytes message);

// All stages for one query: the control plane's way, and the reference for the burst pipeline.
// `scratch` as for decide().
Reply answer(const snapshot::Snapshot& snapshot, Bytes message, const snapshot::Subject* subject,
             const Limits& limits, Query& query, MutableBytes scratch = {});

}  // namespace merlon::answer

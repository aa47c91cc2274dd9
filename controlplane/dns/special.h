// SPDX-License-Identifier: Apache-2.0
// The messages that the answer logic turns away by their kind: signed ones, opcodes other than
// QUERY, transfers and other meta types. Over UDP they come from the data plane (udp_proxy.h), over
// TCP from clients. What each gets:
//
//   TSIG         no key is known: NOTAUTH with a TSIG record of its own, error BADKEY, empty MAC,
//                unsigned (RFC 8945 sections 5.2.1 and 5.3.2); key name, algorithm, time and fudge
//                are the request's, the original id is the message's
//   NOTIFY       NOTAUTH: of what we serve we are the primary. The same whether the zone exists,
//                so that nobody learns of another account's (as Knot does; BIND says NOERROR)
//   IXFR         the single SOA in force (RFC 1995 section 2) for a zone that the source may see:
//                over UDP always, "come over TCP" to who is behind; over TCP to who is up to date.
//                REFUSED for any other zone, whether it exists or not
//   AXFR         NOTIMP; over UDP it is not defined (RFC 5936 section 4.2)
//   a name of others, for a source that may have it looked up: SERVFAIL, as nobody does it
//   UPDATE, other opcodes and meta types   NOTIMP (RFC 2136 section 2.2)
//
// A malformed one gets FORMERR, one with an unknown EDNS version BADVERS.
#pragma once

#include <cstddef>

#include "zones/answer/answer.h"
#include "zones/base/bytes.h"
#include "zones/snapshot/snapshot.h"

namespace merlon::dns {

// For what answer::is_for_slow_path() names.
struct SpecialQuery {
  const snapshot::Snapshot& snapshot;
  Bytes message;  // at least a header, QR not set
  // The message as answer::parse_query() left it, cookie checked: what its OPT asks for.
  const answer::Query& parsed;
  // Who asks; the access entry has been asked and lets it pass.
  const snapshot::Subject* subject = nullptr;
  answer::Limits limits;
};

struct SpecialReply {
  answer::Outcome outcome;
  size_t size = 0;
};

inline constexpr size_t kSpecialReplySizeMax = 2048;

// REQUIRES: out.size() >= kSpecialReplySizeMax.
SpecialReply answer_special(const SpecialQuery& query, MutableBytes out);

// Header and question (when it is one, and whole) of a reply to any message, with this rcode.
// Returns its size. REQUIRES: message holds a header; out.size() >= kSpecialReplySizeMax.
size_t write_bare_reply(Bytes message, uint16_t rcode, MutableBytes out);

}  // namespace merlon::dns

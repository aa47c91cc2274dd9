// SPDX-License-Identifier: Apache-2.0
// The whole algorithm of RFC 1034 section 4.3.2 for what a single body does not answer: wildcards
// and empty non-terminals (RFC 4592), CNAME chains, DNAME (RFC 6672), delegations, DS at the cut
// (RFC 4035 section 3.1.4.1), and in signed zones signatures and proofs (RFC 4035, 5155).
//
// Answers are minimal: no NS with positive answers, and nothing additional but the addresses of a
// delegation's servers. A chain goes on in every zone that the subject may see, and ends as if it
// left the server where a direct question would be refused; its rcode is that of its end (RFC
// 6604). It ends before a name that it has been at, and after kChainMax aliases.
#pragma once

#include "zones/answer/answer.h"

namespace merlon::answer {

inline constexpr size_t kChainMax = 64;

// Decides for a lookup that the subject may see: outcome, body, pointer, authoritative. The body
// has at most `room` bytes; it lies in `scratch` or in the zone, and reply.in_scratch says which.
void resolve(const Query& query, const Lookup& lookup, const snapshot::Subject& subject,
             size_t room, MutableBytes scratch, Reply& reply);

}  // namespace merlon::answer

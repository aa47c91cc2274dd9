// SPDX-License-Identifier: Apache-2.0
// What can become of a query, as one list: enum, name, rcode, explanation, counter, test coverage.
// Every packet that reaches the answer logic ends in exactly one outcome.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "zones/wire/wire.h"

namespace merlon::answer {

// name, rcode, what it means
#define MERLON_ANSWER_OUTCOMES(X)                                                          \
  X(answered, 0, "records of the asked type")                                              \
  X(answered_chaos, 0, "what this server is called, or its version, in class CHAOS")       \
  X(nodata, 0, "the name exists without the asked type")                                   \
  X(nxdomain, 3, "the name does not exist in a zone that the source may see")              \
  X(referral, 0, "the name belongs to a zone that is delegated to other servers")          \
  X(yxdomain, 6, "a DNAME leads to a name longer than names may be")                       \
  X(truncated, 0, "the answer is too large for UDP: TC set, come over TCP")                \
  X(limited_slip, 0, "over the rate limit: TC set, so a real client comes over TCP")       \
  X(badcookie, 23, "over the rate limit with a cookie that is not ours: ask with the new") \
  X(refused_unregistered, 5, "the source belongs to no device")                            \
  X(refused_by_verb, 5, "the device's access entry says refuse")                           \
  X(refused_not_ours, 5, "no zone that the source may see holds the name")                 \
  X(refused_class, 5, "class other than IN")                                               \
  X(formerr_question_count, 1, "other than one question")                                  \
  X(formerr_record_count, 1, "answer or authority records in a query")                     \
  X(formerr_name, 1, "the question's name is not an uncompressed name inside the message") \
  X(formerr_question_short, 1, "the message ends inside the question")                     \
  X(formerr_record, 1, "an additional record is malformed or runs past the message")       \
  X(formerr_trailing, 1, "bytes behind the last record")                                   \
  X(formerr_opt, 1, "OPT with a name, twice, as question type, or with malformed options") \
  X(formerr_cookie, 1, "a cookie of a size that no cookie has")                            \
  X(notimp_opcode, 4, "opcode other than QUERY")                                           \
  X(notimp_type, 4, "transfer or other meta type")                                         \
  X(notauth_tsig, 9, "signed with TSIG, and no key is known")                              \
  X(forwarded, 2, "a name of others, for a source that may have it looked up")             \
  X(badvers, 16, "EDNS version above 0")

// Somebody else answers these.
#define MERLON_RELAY_OUTCOMES(X) X(relayed, "handed to the slow path, which answers it")

// Nothing is sent for these.
#define MERLON_DROP_REASONS(X)                                            \
  X(drop_too_short, "shorter than a DNS header")                          \
  X(drop_not_a_query, "QR set: a response, answering could start a loop") \
  X(drop_ignored_source, "the device's access entry says ignore")         \
  X(drop_rate_limited, "over the rate limit")                             \
  X(drop_no_room, "the reply does not fit its buffer: a bug or a tiny MTU")

enum class Outcome : uint8_t {
#define MERLON_X(name, rcode, text) name,
  MERLON_ANSWER_OUTCOMES(MERLON_X)
#undef MERLON_X
#define MERLON_X(name, text) name,
      MERLON_RELAY_OUTCOMES(MERLON_X) MERLON_DROP_REASONS(MERLON_X)
#undef MERLON_X
          count_
};
inline constexpr size_t kOutcomeCount = static_cast<size_t>(Outcome::count_);

std::string_view to_string(Outcome outcome);
std::string_view explain(Outcome outcome);

// A reply is composed for it.
constexpr bool is_reply(Outcome outcome) {
  return outcome < Outcome::relayed;
}
constexpr bool is_drop(Outcome outcome) {
  return outcome >= Outcome::drop_too_short;
}

// What is answered with an error only because the packet path does not do it: a slow path may.
constexpr bool is_for_slow_path(Outcome outcome) {
  return outcome == Outcome::notimp_opcode || outcome == Outcome::notimp_type ||
         outcome == Outcome::notauth_tsig || outcome == Outcome::forwarded;
}

constexpr uint16_t rcode_of(Outcome outcome) {
  constexpr uint8_t kRcodes[] = {
#define MERLON_X(name, rcode, text) rcode,
      MERLON_ANSWER_OUTCOMES(MERLON_X)
#undef MERLON_X
  };
  return is_reply(outcome) ? uint16_t{kRcodes[static_cast<size_t>(outcome)]} : uint16_t{0};
}

// The extended error (RFC 8914) that says more than the rcode does; kNoEde: there is none.
inline constexpr uint16_t kNoEde = UINT16_MAX;
constexpr uint16_t ede_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::refused_unregistered:
    case Outcome::refused_by_verb:
      return wire::kEdeProhibited;
    case Outcome::refused_not_ours:
      return wire::kEdeNotAuthoritative;
    case Outcome::refused_class:
    case Outcome::notimp_opcode:
    case Outcome::notimp_type:
      return wire::kEdeNotSupported;
    default:
      return kNoEde;
  }
}

}  // namespace merlon::answer

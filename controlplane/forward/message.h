// SPDX-License-Identifier: Apache-2.0
// Queries to upstreams and what is believed of their answers. An upstream may be wrong, broken or
// somebody else: an answer counts only when it repeats the question as it was sent, letter by
// letter (0x20: the case is random), and of its records only those are kept that belong to the
// question: the chain of aliases that begins at its name and what it ends in; for a negative answer
// the SOA of a zone above; for who wants DNSSEC the signatures and denials beside these. The
// additional section is not read but for OPT.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "controlplane/forward/random.h"
#include "controlplane/forward/records.h"
#include "zones/base/bytes.h"
#include "zones/name/name.h"
#include "zones/wire/wire.h"

namespace merlon::forward {

inline constexpr uint16_t kEdeStaleAnswer = 3;
inline constexpr uint16_t kEdeBlocked = 15;
inline constexpr uint16_t kEdeFiltered = 17;
inline constexpr uint16_t kEdeStaleNxdomain = 19;
inline constexpr uint16_t kEdeNetworkError = 23;
inline constexpr uint16_t kEdeNone = UINT16_MAX;

struct Question {
  name::Name name{};
  uint16_t type = wire::type::a;
  bool dnssec_ok = false;
  bool checking_disabled = false;

  // What equal questions have in common.
  std::string key() const;
};

struct Answer {
  uint16_t rcode = wire::rcode::noerror;
  bool authenticated = false;
  uint32_t ttl_s = 0;  // how long it holds; 0: it is not kept
  uint16_t ede = kEdeNone;
  Records records{};
};
using AnswerPointer = std::shared_ptr<const Answer>;

struct Caps {
  uint32_t ttl_max_s = 86'400;
  uint32_t negative_ttl_max_s = 3'600;
};

enum class Verdict : uint8_t {
  good,
  truncated,   // ask over TCP
  other_case,  // the question came back in other letters: ask over TCP
  not_ours,    // the answer to something else, or no answer at all
  malformed,   // from the upstream, but not a message that can be believed
  failed,      // an error of the upstream's; the answer has rcode and EDE
};

struct Read {
  Verdict verdict = Verdict::not_ours;
  Answer answer{};
};

// Each letter in a random case.
name::Name mix_case(const name::Name& name, Random& random);

enum class Padding : uint8_t { none, blocks };  // RFC 8467: over TLS, 128 bytes

// The id is zero; whoever sends it sets that.
std::vector<uint8_t> write_query(const Question& question, const name::Name& sent_name,
                                 Padding padding);
// `sent_name` is the question's name as it was sent. The id has been checked.
Read read_answer(Bytes message, const Question& question, const name::Name& sent_name,
                 const Caps& caps);

}  // namespace merlon::forward

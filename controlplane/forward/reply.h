// SPDX-License-Identifier: Apache-2.0
// The client's side: what is remembered of its query, and the reply to it. It gets its own id and
// the bytes of its own question, so its 0x20 case survives; OPT is ours (payload size, NSID,
// cookie, EDE); what does not fit UDP is TC with nothing else.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "controlplane/dns/service.h"
#include "controlplane/forward/message.h"
#include "controlplane/forward/records.h"
#include "zones/answer/answer.h"

namespace merlon::forward {

// A query whose message is gone.
class Asked {
 public:
  // REQUIRES: a request whose parsed query has a question.
  explicit Asked(const dns::Request& request);
  Asked(const Asked&) = delete;
  Asked& operator=(const Asked&) = delete;

  const answer::Query& parsed() const { return parsed_; }
  const answer::Limits& limits() const { return limits_; }
  Bytes head() const { return head_; }  // header and question, as they came
  const Question& question() const { return question_; }
  bool is_udp() const { return limits_.transport == answer::Transport::udp; }

 private:
  answer::Query parsed_;
  answer::Limits limits_;
  std::vector<uint8_t> head_;
  std::array<uint8_t, answer::kServerCookieSize> server_cookie_{};
  Question question_;
};

struct ReplyParts {
  uint16_t rcode = wire::rcode::noerror;
  uint16_t ede = kEdeNone;
  bool truncated = false;  // TC whatever the size
  bool authenticated = false;
  const Records* records = nullptr;  // nullptr: none
  uint32_t age_s = 0;                // what their TTLs have lost
  uint32_t ttl_max_s = UINT32_MAX;
  const Records* more = nullptr;  // behind them, with TTLs as they are
};

std::vector<uint8_t> write_reply(const Asked& asked, const ReplyParts& parts);
// For a request that was not even taken.
std::vector<uint8_t> write_error(const dns::Request& request, uint16_t rcode, uint16_t ede);

}  // namespace merlon::forward

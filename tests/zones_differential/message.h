// SPDX-License-Identifier: Apache-2.0
// Answers taken apart so that two servers' can be compared: sections are sets of records, names are
// folded and written out.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "tests/zones_differential/generate.h"
#include "zones/base/bytes.h"
#include "zones/base/error.h"

namespace merlon::differential {

std::vector<uint8_t> make_query(const Question& question, uint16_t id);

struct Answer {
  unsigned rcode = 0;
  bool authoritative = false;
  bool truncated = false;
  // "owner ttl type data", without OPT.
  std::multiset<std::string> answer;
  std::multiset<std::string> authority;
  std::multiset<std::string> additional;
  std::vector<name::Name> targets;  // of the CNAME records in answer

  bool is_referral() const;
  std::string to_text() const;
};

// Errors: invalid_argument when it is malformed or does not repeat the question.
Result<Answer> read_answer(Bytes message, const Question& question);

}  // namespace merlon::differential

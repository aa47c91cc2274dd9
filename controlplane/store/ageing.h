// SPDX-License-Identifier: Apache-2.0
// When an entry of a feed stops counting, as one line of text in the feed's definition:
//   sudden_death      with the first content that does not name it any more
//   last_seen+7d      seven days after the source named it last
//   first_seen+30d    thirty days after the source began to name it, even if it goes on doing so
//   expires=COLUMN    at the time that this column of its CSV row says, or with the first content
//                     that does not name it; a row without a time has no end
// Spans are a number with s, m, h, d or w. What has aged out is back in force when the source names
// it again after a content without it, or gives it a later expiry. Pure functions, thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "controlplane/store/model.h"
#include "zones/address/address.h"
#include "zones/base/error.h"

namespace merlon::store {

struct Ageing {
  enum class Kind : uint8_t { sudden_death, last_seen, first_seen, expires };

  Kind kind = Kind::sudden_death;
  uint32_t span_s = 0;      // last_seen, first_seen
  std::string column = {};  // expires
  bool operator==(const Ageing&) const = default;
};

// When an entry ends, as its source says.
struct Expiry {
  address::AnyPrefix prefix = {};
  std::string domain = {};  // "": `prefix` is meant
  int64_t time = 0;
};

// Errors: invalid_argument, with what is known.
Result<Ageing> parse_ageing(std::string_view text);
std::string to_text(const Ageing& ageing);

// The text is known, and the definition's format can give what it needs: only CSV that the
// definition describes has columns. Errors: invalid_argument.
Status check_ageing(const FeedDefinition& definition);

// The feed's declaration with what the parser needs for its ageing: "csv; column=1" becomes "csv;
// column=1; expires=COLUMN". REQUIRES: check_ageing() is good.
std::string format_with_ageing(const FeedDefinition& definition);

}  // namespace merlon::store

// SPDX-License-Identifier: Apache-2.0
// Indicators in text that people wrote: reports, Markdown, AsciiDoc, pages, entries of RSS. What a
// declaration takes (take=): what is written in a defanged form, addresses in any form, or names as
// well when their last label is a top-level domain and they do not look like files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controlplane/feeds/collector.h"
#include "controlplane/feeds/token.h"

namespace merlon::feeds {

// Adds what one line (or text without line ends) names and says what became of the line.
class ProseReader {
 public:
  ProseReader(const Declaration& declaration, Collector& collector);
  void read(uint64_t number, std::string_view line);

 private:
  void read_word(std::string_view word);

  Declaration declaration_;
  TokenReader reader_;
  Collector& collector_;
  std::string plain_;
  bool added_ = false;
  std::optional<RejectReason> reason_;
};

struct ProseCount {
  uint64_t marked = 0;     // words in a defanged form
  uint64_t addresses = 0;  // addresses as they are
};
ProseCount count_prose(std::string_view text);

// The text of a page, line by line as in the source: without tags, scripts and styles; the common
// character references resolved.
std::string text_of_html(std::string_view html);
// Not a page of indicators but one that says why there is none: errors, logins, bot checks.
bool is_error_page(std::string_view html);

}  // namespace merlon::feeds

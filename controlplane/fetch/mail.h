// SPDX-License-Identifier: Apache-2.0
// What a mail holds, by GMime. For the source of mailboxes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "zones/base/bytes.h"
#include "zones/base/error.h"

namespace merlon::fetch {

inline constexpr size_t kMailHeadMax = 64 << 10;

struct MailHead {
  std::string from;     // the address alone
  std::string subject;  // UTF-8
  std::string date;     // as it stands
};

// Of a mail, or of the first kMailHeadMax bytes of one.
MailHead read_mail_head(Bytes mail);

struct MailFilter {
  std::string from;     // an address, or @domain; "": anybody's
  std::string subject;  // a part of it; "": any
};
bool matches(const MailHead& head, const MailFilter& filter);

struct MailPart {
  std::string name;
  std::vector<uint8_t> bytes;
};
// The attachments, unpacked from base64 and quoted-printable, in their own character set; if there
// are none, the text, else the HTML. Sounds, pictures and signatures are no attachments. Errors:
// invalid_argument (nothing of these; more parts than anybody means).
Result<std::vector<MailPart>> read_mail_parts(Bytes mail);

// Where the mails of an mbox file begin and end, from its bytes as they come.
class MboxIndex {
 public:
  struct Span {
    uint64_t begin = 0;  // behind the From_ line
    uint64_t end = 0;
  };
  void feed(std::string_view bytes);
  // At the end of the file.
  const std::vector<Span>& finish();

 private:
  void end_line();

  std::vector<Span> mails_;
  uint64_t offset_ = 0;
  uint64_t line_begin_ = 0;
  char head_[5] = {};
  size_t head_size_ = 0;
  bool line_blank_ = true;   // nothing but a CR so far
  bool after_blank_ = true;  // the line before it was, or there was none
};

}  // namespace merlon::fetch

// SPDX-License-Identifier: Apache-2.0
// Replies of one message, signed when the request was.
#pragma once

#include <optional>

#include "controlplane/dns/service.h"
#include "controlplane/transfer/message.h"
#include "controlplane/transfer/writer.h"

namespace merlon::transfer {

// The size of a message that this client takes.
size_t size_max(const dns::Request& request, const Message& read);

// For a transfer: id, flags, question, OPT when it asked with one.
WriterOptions writer_options(const dns::Request& request, const Message& read,
                             const std::optional<Signer>& signer);

// Header, question and OPT.
struct Bare {
  answer::Outcome outcome = answer::Outcome::refused_not_ours;
  int64_t now = 0;
};
dns::Response bare_answer(const dns::Request& request, const Message& read,
                          const std::optional<Signer>& signer, const Bare& bare);

// What the message gets unsigned, from the answer logic or answer_special(); signed. REQUIRES: it
// is signed with TSIG, and `signer` is its key's.
dns::Response signed_answer(const dns::Request& request, const Message& read, Signer signer,
                            int64_t now);

// Over UDP, what is too large for the client becomes TC without TSIG: it comes over TCP.
void cut_to_fit(dns::Response& response, const dns::Request& request, const Message& read);

}  // namespace merlon::transfer

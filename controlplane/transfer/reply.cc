// SPDX-License-Identifier: Apache-2.0
#include "controlplane/transfer/reply.h"

#include <algorithm>

#include "controlplane/dns/special.h"
#include "zones/answer/opt.h"
#include "zones/wire/wire.h"

namespace merlon::transfer {
namespace {

using answer::Outcome;

// Of other messages than plain queries the answer logic does not read the OPT record.
answer::Query edns_of(const dns::Request& request, const Message& read) {
  if (request.parsed.has_edns || !read.has_edns) {
    return request.parsed;
  }
  answer::Query plain;
  plain.has_edns = true;
  plain.dnssec_ok = read.dnssec_ok;
  return plain;
}

std::vector<uint8_t> opt_of(const dns::Request& request, const Message& read, Outcome outcome) {
  if (!read.has_edns) {
    return {};
  }
  const answer::Query query = edns_of(request, read);
  std::vector<uint8_t> opt(answer::opt_size(query, outcome, request.limits));
  answer::write_opt(query, outcome, request.limits, opt.size(), opt.data());
  return opt;
}

uint16_t kept_flags(const Message& read) {
  return static_cast<uint16_t>(
      wire::flag::qr | (read.flags & (wire::flag::opcode_mask | wire::flag::rd | wire::flag::cd)));
}

Bytes question_of(const dns::Request& request, const Message& read) {
  return read.question_end == 0
             ? Bytes()
             : request.message.subspan(wire::kHeaderSize, read.question_end - wire::kHeaderSize);
}

}  // namespace

size_t size_max(const dns::Request& request, const Message& read) {
  if (request.limits.transport == answer::Transport::tcp) {
    return wire::kMessageSizeMax;
  }
  const size_t wanted = read.has_edns ? size_t{read.edns_payload_size} : 0;
  return std::clamp<size_t>(
      wanted, wire::kUdpSizeWithoutEdns,
      std::max<size_t>(request.limits.udp_size_max, wire::kUdpSizeWithoutEdns));
}

WriterOptions writer_options(const dns::Request& request, const Message& read,
                             const std::optional<Signer>& signer) {
  const Bytes question = question_of(request, read);
  return {.id = read.id,
          .flags = static_cast<uint16_t>(kept_flags(read) | wire::flag::aa),
          .question = {question.begin(), question.end()},
          .opt = opt_of(request, read, Outcome::answered),
          .signer = signer,
          .size_max = size_max(request, read)};
}

dns::Response bare_answer(const dns::Request& request, const Message& read,
                          const std::optional<Signer>& signer, const Bare& bare) {
  dns::Response response{.outcome = bare.outcome};
  std::vector<uint8_t>& message = response.message;
  const Bytes question = question_of(request, read);
  const std::vector<uint8_t> opt = opt_of(request, read, bare.outcome);
  message.resize(wire::kHeaderSize);
  store_be16(message.data(), read.id);
  store_be16(message.data() + 2,
             static_cast<uint16_t>(kept_flags(read) |
                                   (answer::rcode_of(bare.outcome) & wire::flag::rcode_mask)));
  store_be16(message.data() + 4, question.empty() ? 0 : 1);
  store_be16(message.data() + 10, opt.empty() ? 0 : 1);
  message.insert(message.end(), question.begin(), question.end());
  message.insert(message.end(), opt.begin(), opt.end());
  if (signer) {
    Signer copy = *signer;
    copy.sign(message, 0, bare.now);
  }
  cut_to_fit(response, request, read);
  return response;
}

dns::Response signed_answer(const dns::Request& request, const Message& read, Signer signer,
                            int64_t now) {
  const std::vector<uint8_t> stripped = without_tsig(request.message, read);
  std::vector<uint8_t> scratch(wire::kMessageSizeMax);
  answer::Query query;
  answer::Reply reply =
      answer::answer(*request.snapshot, stripped, &request.subject, request.limits, query, scratch);
  query.server_cookie = request.parsed.server_cookie;
  if (reply.outcome == Outcome::forwarded) {
    reply = answer::reply_without_lookup(Outcome::refused_not_ours);
  }
  dns::Response response;
  std::vector<uint8_t>& message = response.message;
  if (answer::is_for_slow_path(reply.outcome)) {
    message.resize(dns::kSpecialReplySizeMax);
    const dns::SpecialReply special = dns::answer_special({.snapshot = *request.snapshot,
                                                           .message = stripped,
                                                           .parsed = query,
                                                           .subject = &request.subject,
                                                           .limits = request.limits},
                                                          message);
    response.outcome = special.outcome;
    message.resize(special.size);
  } else {
    const auto compose = [&] {
      message.assign(wire::kMessageSizeMax, 0);
      std::ranges::copy(stripped, message.begin());
      message.resize(answer::compose(query, reply, request.limits, message, stripped.size()));
    };
    compose();
    if (message.size() + signer.size() > size_max(request, read)) {
      reply = answer::reply_without_lookup(Outcome::truncated);  // RFC 8945 section 5.3
      compose();
    }
    response.outcome = reply.outcome;
  }
  if (!message.empty()) {
    signer.sign(message, 0, now);
    cut_to_fit(response, request, read);
  }
  return response;
}

void cut_to_fit(dns::Response& response, const dns::Request& request, const Message& read) {
  if (response.message.size() <= size_max(request, read)) {
    return;
  }
  response.outcome = Outcome::truncated;
  response.message.resize(dns::kSpecialReplySizeMax);
  response.message.resize(
      dns::write_bare_reply(request.message, wire::rcode::noerror, response.message));
  store_be16(response.message.data() + 2,
             static_cast<uint16_t>(load_be16(response.message.data() + 2) | wire::flag::tc));
}

}  // namespace merlon::transfer

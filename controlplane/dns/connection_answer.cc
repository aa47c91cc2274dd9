// SPDX-License-Identifier: Apache-2.0
// Queries to answers: what Connection does with a whole message.
#include <algorithm>
#include <cstring>
#include <ctime>
#include <utility>

#include "controlplane/dns/connection.h"
#include "controlplane/dns/special.h"
#include "zones/base/assert.h"
#include "zones/wire/wire.h"

namespace merlon::dns {
namespace {

CloseReason reason_of_drop(answer::Outcome outcome) {
  switch (outcome) {
    case answer::Outcome::drop_not_a_query:
      return CloseReason::not_a_query;
    case answer::Outcome::drop_ignored_source:
      return CloseReason::ignored_source;
    case answer::Outcome::drop_too_short:
      return CloseReason::frame_too_short;
    default:
      return CloseReason::no_room;
  }
}

std::shared_ptr<const std::vector<uint8_t>> with_prefix(Bytes message) {
  auto framed = std::make_shared<std::vector<uint8_t>>(OutputQueue::kPrefixSize + message.size());
  store_be16(framed->data(), static_cast<uint16_t>(message.size()));
  std::ranges::copy(message, framed->begin() + OutputQueue::kPrefixSize);
  return framed;
}

}  // namespace

const snapshot::Subject* find_subject(const snapshot::Snapshot& snapshot,
                                      const address::Address& source) {
  const uint32_t index = snapshot.access()->view.find(source);
  return index == snapshot::kNoSubject ? nullptr : &snapshot.subject(index);
}

void check_cookie(const std::optional<cookie::Secrets>& secrets, const address::Address& source,
                  cookie::Check& check, answer::Query& query) {
  if (query.cookie_size == 0 || !secrets) {
    return;
  }
  std::copy_n(query.cookie.begin(), cookie::kClientSize, check.client.begin());
  std::copy_n(query.cookie.begin() + cookie::kClientSize, cookie::kServerSize,
              check.server.begin());
  check.server_size = static_cast<uint8_t>(query.cookie_size - cookie::kClientSize);
  check.source = source;
  const auto now = static_cast<uint32_t>(std::time(nullptr));
  cookie::check_burst(*secrets, now, {&check, 1});
  query.cookie_valid = check.state == cookie::State::valid;
  query.server_cookie = check.answer.data();
}

void Connection::answer_frames(WorkerContext& context, Input& input) {
  while (input.has_frame() && !finishing_ && !full(context)) {
    const size_t size = load_be16(input.room.data() + input.at);
    const Bytes message = input.rest().subspan(OutputQueue::kPrefixSize, size);
    input.at += OutputQueue::kPrefixSize + size;
    if (size < wire::kHeaderSize) {
      finish(size == 0 ? CloseReason::frame_empty : CloseReason::frame_too_short);
    } else {
      answer_message(context, message);
    }
  }
}

void Connection::answer_message(WorkerContext& context, Bytes message) {
  const SnapshotPointer& snapshot = context.snapshots.snapshot();
  context.counters.add(Counter::queries);
  active_ms_ = context.now_ms;
  if (snapshot == nullptr) {
    finish(CloseReason::no_snapshot);
    return;
  }
  if (output_ == nullptr) {
    output_ = context.outputs.take();
  }
  const snapshot::Subject* const who = subject(context);
  answer::Reply reply =
      answer::answer(*snapshot, message, who, context.limits, context.query, context.assembly);
  // The handshake has proved the source: whatever the cookie, the client gets one that is good.
  // There is room for it behind every body, so that it may come after deciding.
  check_cookie(context.options.cookie_secrets, peer_.address, context.cookie, context.query);
  // Services are for whom the access entry lets pass; others get the outcome's own rcode.
  const bool is_plain = !answer::is_for_slow_path(reply.outcome) || who == nullptr ||
                        who->verb != snapshot::Verb::pass;
  const bool is_answered = is_plain ? answer_plainly(context, message, reply)
                                    : answer_by_service(context, message, *who, reply);
  context.counters.add(reply.outcome);
  if (who != nullptr) {
    context.subjects.add(*who, {.query = context.query,
                                .reply = reply,
                                .source = peer_.address,
                                .now = std::time(nullptr),
                                .has_name = is_plain});
  } else if (reply.outcome == answer::Outcome::refused_unregistered) {
    context.subjects.add_unknown(peer_.address, std::time(nullptr));
  }
  if (is_drop(reply.outcome)) {
    finish(reason_of_drop(reply.outcome));
  } else if (is_answered) {
    context.counters.add(Counter::answers);
  }
  if (output_->empty()) {
    context.outputs.give_back(std::move(output_));
  }
}

bool Connection::answer_plainly(WorkerContext& context, Bytes message, answer::Reply& reply) {
  if (answer::is_copied(reply) && reply.body.size > OutputQueue::kPatchedMax) {
    answer_in_own_memory(context, message, reply);
    return true;
  }
  std::array<uint8_t, answer::kOptSizeMax> tail;
  const MutableBytes head = output_->begin(message);
  const answer::Gathered gathered =
      answer::compose_gathered(context.query, reply, context.limits, head, tail);
  if (!is_drop(reply.outcome)) {
    output_->commit(gathered, tail, context.snapshots.snapshot());
  }
  return true;
}

// A large body that was assembled or has places to patch: it cannot be shared, so this answer has
// memory of its own.
void Connection::answer_in_own_memory(WorkerContext& context, Bytes message, answer::Reply& reply) {
  const size_t copied = std::min(message.size(), OutputQueue::kQuestionEndMax);
  const auto framed = std::make_shared<std::vector<uint8_t>>(OutputQueue::kPrefixSize + copied +
                                                             reply.body.size + answer::kOptSizeMax);
  const MutableBytes room = MutableBytes(*framed).subspan(OutputQueue::kPrefixSize);
  std::memcpy(room.data(), message.data(), copied);
  const size_t size = answer::compose(context.query, reply, context.limits, room, copied);
  if (is_drop(reply.outcome)) {
    return;
  }
  store_be16(framed->data(), static_cast<uint16_t>(size));
  framed->resize(OutputQueue::kPrefixSize + size);
  output_->commit_whole(framed);
}

bool Connection::answer_by_service(WorkerContext& context, Bytes message,
                                   const snapshot::Subject& subject, answer::Reply& reply) {
  const Services& services = context.options.services;
  const Request request{
      .snapshot = context.snapshots.snapshot(),
      .message = message,
      .parsed = context.query,
      .subject = subject,
      .limits = context.limits,
      .client = {.source = peer_.address,
                 .source_port = peer_.port,
                 .transport = answer::Transport::tcp,
                 .tls = tls_ != nullptr ? tls_->version() : Tls::none,
                 .certificate = tls_ != nullptr ? std::string_view(tls_->certificate()) : ""}};
  if (reply.outcome != answer::Outcome::forwarded) {
    auto response = services.special != nullptr ? services.special->answer(request) : std::nullopt;
    if (!response) {
      answer_special_message(context, message, subject, reply);
      return true;
    }
    reply.outcome = response->outcome;
    if (reply.outcome != answer::Outcome::forwarded || !response->message.empty()) {
      take_response(context, std::move(*response), reply);
      return true;
    }
  }
  if (services.forwarder == nullptr) {
    reply = answer::reply_without_lookup(answer::Outcome::forwarded);  // SERVFAIL
    return answer_plainly(context, message, reply);
  }
  ++forwards_;
  services.forwarder->forward(
      request, [inbox = context.inbox, fd = fd_.get(), number = number_](
                   std::vector<uint8_t> answer) { inbox->put({fd, number, std::move(answer)}); });
  return false;
}

void Connection::take_response(WorkerContext& context, Response response, answer::Reply& reply) {
  if (response.stream != nullptr) {
    stream_ = std::move(response.stream);
    context.counters.add(Counter::streams);
  } else if (!response.message.empty() && response.message.size() <= wire::kMessageSizeMax) {
    output_->commit_whole(with_prefix(response.message));
  } else if (!is_drop(reply.outcome)) {
    reply.outcome = answer::Outcome::drop_no_room;
  }
}

void Connection::take_late(WorkerContext& context, const LateAnswer& late) {
  MERLON_ASSERT(late.number == number_ && forwards_ != 0);
  --forwards_;
  if (late.message.empty() || late.message.size() > wire::kMessageSizeMax) {
    return;
  }
  if (output_ == nullptr) {
    output_ = context.outputs.take();
    active_ms_ = context.now_ms;
  }
  output_->commit_whole(with_prefix(late.message));
  context.counters.add(Counter::answers);
}

// Rare and small: memory of its own, as above.
void Connection::answer_special_message(WorkerContext& context, Bytes message,
                                        const snapshot::Subject& subject, answer::Reply& reply) {
  const auto framed =
      std::make_shared<std::vector<uint8_t>>(OutputQueue::kPrefixSize + kSpecialReplySizeMax);
  const SpecialReply special =
      answer_special({.snapshot = *context.snapshots.snapshot(),
                      .message = message,
                      .parsed = context.query,
                      .subject = &subject,
                      .limits = context.limits},
                     MutableBytes(*framed).subspan(OutputQueue::kPrefixSize));
  reply.outcome = special.outcome;
  store_be16(framed->data(), static_cast<uint16_t>(special.size));
  framed->resize(OutputQueue::kPrefixSize + special.size);
  output_->commit_whole(framed);
}

const snapshot::Subject* Connection::subject(WorkerContext& context) {
  if (subject_version_ != context.snapshots.version()) {
    subject_version_ = context.snapshots.version();
    subject_ = find_subject(*context.snapshots.snapshot(), peer_.address);
  }
  if (tls_ == nullptr || subject_ == nullptr ||
      context.shared.certificates.allows(*subject_, tls_->certificate())) {
    return subject_;
  }
  context.counters.add(Counter::tls_other_certificate);
  return nullptr;
}

}  // namespace merlon::dns

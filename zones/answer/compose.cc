// SPDX-License-Identifier: Apache-2.0
// Reply -> message: header, question as it stands, body, OPT.
#include <cstring>

#include "zones/answer/answer.h"
#include "zones/answer/opt.h"
#include "zones/wire/wire.h"

namespace merlon::answer {
namespace {

[[gnu::always_inline]] inline uint16_t reply_flags(const Query& query, const Reply& reply) {
  // RFC 6840 section 5.8: AD is ours to set and stays clear, as does the reserved bit; RA is for
  // those whom names of others are looked up for.
  unsigned flags = wire::flag::qr |
                   (query.flags & (wire::flag::opcode_mask | wire::flag::rd | wire::flag::cd)) |
                   query.subject_flags | (rcode_of(reply.outcome) & wire::flag::rcode_mask);
  if (reply.authoritative) {
    flags |= wire::flag::aa;
  }
  if (reply.outcome == Outcome::truncated || reply.outcome == Outcome::limited_slip) {
    flags |= wire::flag::tc;
  }
  return static_cast<uint16_t>(flags);
}

[[gnu::always_inline]] inline void write_header(const Query& query, const Reply& reply,
                                                uint8_t* message) {
  const unsigned additional = reply.body.additional_count + (query.has_edns ? 1u : 0u);
  store_be16(message + 2, reply_flags(query, reply));
  store_be32(message + 4, ((query.question_end == 0 ? 0u : 1u) << 16) | reply.body.answer_count);
  store_be32(message + 8, (unsigned{reply.body.authority_count} << 16) | additional);
}

// Most bodies are a record or a few: copied by loads and stores that overlap, without a call.
[[gnu::always_inline]] inline void copy_bytes(uint8_t* out, const uint8_t* in, size_t size) {
  constexpr size_t kStep = 16;
  if (size < kStep || size > 4 * kStep) {
    std::memcpy(out, in, size);
    return;
  }
  std::memcpy(out, in, kStep);
  if (size > 2 * kStep) {
    std::memcpy(out + kStep, in + kStep, kStep);
    std::memcpy(out + size - 2 * kStep, in + size - 2 * kStep, kStep);
  }
  std::memcpy(out + size - kStep, in + size - kStep, kStep);
}

[[gnu::always_inline]] inline void copy_body(const Reply& reply, uint8_t* out) {
  copy_bytes(out, reply.body.data, reply.body.size);
  for (unsigned i = 0; i < reply.body.pointer_count; ++i) {
    store_be16(out + reply.body.pointers[i], reply.pointer);
  }
}

size_t question_size(const Query& query) {
  return query.question_end == 0 ? wire::kHeaderSize : size_t{query.question_end};
}

// The sum of bytes that begin at `at`, from their sum as if they began at an even place.
uint16_t sum_placed_at(size_t at, uint16_t sum) {
  return at % 2 == 0 ? sum : __builtin_bswap16(sum);
}

}  // namespace

size_t compose(const Query& query, Reply& reply, const Limits& limits, MutableBytes buffer,
               size_t message_size) {
  if (!is_reply(reply.outcome)) {
    return 0;
  }
  const size_t body_at = question_size(query);
  const size_t opt_at = body_at + reply.body.size;
  const size_t opt = opt_size(query, reply.outcome, limits);
  if (opt_at + opt > buffer.size() || message_size < body_at) {
    reply.outcome = Outcome::drop_no_room;
    return 0;
  }
  write_header(query, reply, buffer.data());
  if (reply.body.size != 0) {
    copy_body(reply, buffer.data() + body_at);
  }
  write_opt(query, reply.outcome, limits, opt, buffer.data() + opt_at);
  return opt_at + opt;
}

Gathered compose_gathered(const Query& query, Reply& reply, const Limits& limits, MutableBytes head,
                          std::span<uint8_t, kOptSizeMax> tail) {
  Gathered gathered;
  if (!is_reply(reply.outcome)) {
    return gathered;
  }
  gathered.head_size = question_size(query);
  if (is_copied(reply)) {
    if (reply.body.size > head.size() - gathered.head_size) {
      reply.outcome = Outcome::drop_no_room;
      return {};
    }
    copy_body(reply, head.data() + gathered.head_size);
    gathered.head_size += reply.body.size;
  } else {
    gathered.body = reply.body.bytes();
  }
  write_header(query, reply, head.data());
  gathered.tail_size = opt_size(query, reply.outcome, limits);
  write_opt(query, reply.outcome, limits, gathered.tail_size, tail.data());
  return gathered;
}

uint16_t sum_of_reply(const Query& query, const Reply& reply, Bytes message) {
  // A small body lies in the cache, just written: walking over it is the shorter way.
  constexpr size_t kWalkMax = 128;
  const size_t body_at = question_size(query);
  if (reply.body.size <= kWalkMax || message.size() < body_at + reply.body.size) {
    return wire::checksum_partial(message);
  }
  const size_t tail_at = body_at + reply.body.size;
  uint32_t sum = wire::checksum_partial(message.first(body_at));
  sum += sum_placed_at(body_at, reply.body.checksum);  // its patched places count as zero
  for (unsigned i = 0; i < reply.body.pointer_count; ++i) {
    sum += sum_placed_at(body_at + reply.body.pointers[i], reply.pointer);
    sum = (sum & 0xffff) + (sum >> 16);
  }
  sum += sum_placed_at(tail_at, wire::checksum_partial(message.subspan(tail_at)));
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

}  // namespace merlon::answer

// SPDX-License-Identifier: Apache-2.0
#include "tests/controlplane/transfer/lab.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <set>

namespace merlon::tests {
namespace {

void append_u48(SpecialMessage& out, uint64_t value) {
  append_u16(out, static_cast<unsigned>(value >> 32));
  append_u32(out, static_cast<uint32_t>(value));
}

void append_bytes(SpecialMessage& out, Bytes bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace

TsigClient::TsigClient(std::string_view key, std::string_view secret, std::string_view algorithm)
    : key_(name::Name::from_text(key)->folded()),
      algorithm_(name::Name::from_text(algorithm)->folded()) {
  EXPECT_TRUE(transfer::from_base64(secret, secret_));
}

std::vector<uint8_t> TsigClient::mac(Bytes message, Bytes tail) const {
  std::vector<uint8_t> all(message.begin(), message.end());
  append_bytes(all, tail);
  std::vector<uint8_t> out(EVP_MAX_MD_SIZE);
  unsigned size = 0;
  const bool is_256 = algorithm_ == *name::Name::from_text("hmac-sha256.");
  ::HMAC(is_256 ? EVP_sha256() : EVP_sha512(), secret_.data(), static_cast<int>(secret_.size()),
         all.data(), all.size(), out.data(), &size);
  out.resize(size);
  return out;
}

SpecialMessage TsigClient::sign(SpecialMessage message, int64_t time, uint16_t fudge,
                                size_t mac_size) {
  SpecialMessage tail;
  append_bytes(tail, key_.wire());
  append_u16(tail, 255);
  append_u32(tail, 0);
  append_bytes(tail, algorithm_.wire());
  append_u48(tail, static_cast<uint64_t>(time));
  append_u16(tail, fudge);
  append_u32(tail, 0);  // error, size of other data
  last_ = mac(message, tail);
  last_.resize(std::min(last_.size(), mac_size));
  first_ = true;
  SpecialMessage data;
  append_bytes(data, algorithm_.wire());
  append_u48(data, static_cast<uint64_t>(time));
  append_u16(data, fudge);
  append_u16(data, static_cast<unsigned>(last_.size()));
  append_bytes(data, last_);
  append_u16(data, load_be16(message.data()));
  append_u32(data, 0);
  append_record(message, key_.to_text(), wire::type::tsig, 255, data);
  store_be16(message.data() + 10, static_cast<uint16_t>(load_be16(message.data() + 10) + 1));
  return message;
}

int TsigClient::check(Bytes reply) {
  transfer::Message read;
  if (!transfer::read_message(reply, read) || !read.tsig) {
    return -1;
  }
  const transfer::TsigRecord& tsig = *read.tsig;
  time_ = tsig.time;
  other_.assign(tsig.other.begin(), tsig.other.end());
  mac_size_ = tsig.mac.size();
  if (tsig.mac.empty()) {
    return tsig.error;
  }
  SpecialMessage all;
  append_u16(all, static_cast<unsigned>(last_.size()));
  append_bytes(all, last_);
  append_bytes(all, transfer::without_tsig(reply, read));
  SpecialMessage tail;
  if (first_) {
    append_bytes(tail, tsig.key.folded().wire());
    append_u16(tail, 255);
    append_u32(tail, 0);
    append_bytes(tail, tsig.algorithm.folded().wire());
  }
  append_u48(tail, tsig.time);
  append_u16(tail, tsig.fudge);
  if (first_) {
    append_u16(tail, tsig.error);
    append_u16(tail, static_cast<unsigned>(tsig.other.size()));
    append_bytes(tail, tsig.other);
  }
  const std::vector<uint8_t> expected = mac(all, tail);
  if (!std::ranges::equal(expected, tsig.mac)) {
    return -2;
  }
  last_ = expected;
  first_ = false;
  return tsig.error;
}

std::vector<std::string> Taken::records() const {
  std::vector<std::string> all;
  for (const auto& message : messages) {
    for (const ZoneRecord& record : parse_message(message).answer) {
      all.push_back(to_text(record));
    }
  }
  return all;
}

Taken take(transfer::Service& service, const TextSnapshot& zones, const SpecialMessage& message,
           const Ask& ask) {
  answer::Query parsed;
  answer::Outcome outcome = answer::Outcome::answered;
  answer::parse_query(message, parsed, outcome);
  const dns::Request request{.snapshot = zones.snapshot,
                             .message = message,
                             .parsed = parsed,
                             .subject = *zones.subject(ask.source),
                             .limits = {.transport = ask.transport},
                             .client = {.source = *address::parse_address(ask.source),
                                        .transport = ask.transport,
                                        .tls = ask.tls}};
  Taken taken{service.answer(request), {}};
  if (!taken.response) {
    return taken;
  }
  if (!taken.response->message.empty()) {
    taken.messages.push_back(taken.response->message);
  }
  while (taken.response->stream != nullptr) {
    const auto part = taken.response->stream->next();
    if (part == nullptr) {
      break;
    }
    for (size_t at = 0; at < part->size();) {
      const size_t size = load_be16(part->data() + at);
      const Bytes one = Bytes(*part).subspan(at + 2, size);
      taken.messages.emplace_back(one.begin(), one.end());
      at += 2 + size;
    }
  }
  taken.response->stream.reset();
  return taken;
}

std::multiset<std::string> zone_as_text(const std::vector<ZoneRecord>& zone) {
  std::multiset<std::string> all;
  for (const ZoneRecord& record : zone) {
    all.insert(to_text(record));
    if (record.type == wire::type::soa) {
      all.insert(to_text(record));
    }
  }
  return all;
}

}  // namespace merlon::tests

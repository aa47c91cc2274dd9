// SPDX-License-Identifier: Apache-2.0
// The first byte chooses who asks and how, the rest is the message. Both parsers must agree, and
// whatever is replied keeps id and question, has QR set, respects the client's limit and parses;
// its sum is right, and a stranger gains no more than is documented.
#include <algorithm>
#include <array>
#include <cstring>

#include "tests/support/reference_query.h"
#include "tests/support/snapshot_fixture.h"
#include "zones/answer/answer.h"
#include "zones/base/assert.h"
#include "zones/wire/wire.h"

using namespace merlon;          // NOLINT(google-build-using-namespace): one short file
using namespace merlon::answer;  // NOLINT(google-build-using-namespace)

namespace {

constexpr const char* kSources[] = {"192.0.2.10",  "198.51.100.1", "203.0.113.1", "203.0.113.2",
                                    "203.0.113.3", "203.0.113.4",  "10.0.0.1",    "8.8.8.8"};
constexpr std::array<uint8_t, kServerCookieSize> kServerCookie = {1, 2, 3, 4, 5, 6, 7, 8};
constexpr uint16_t kUdpSizes[] = {512, 1232, 4096, 65535};

size_t size_limit(const Query& query, const Limits& limits) {
  if (limits.transport == Transport::tcp) {
    return wire::kMessageSizeMax;
  }
  const size_t allowed = query.has_edns ? std::max<size_t>(query.edns_payload_size, 512) : 512;
  return std::min<size_t>(allowed, std::max<size_t>(limits.udp_size_max, 512));
}

void check_records(Bytes reply) {
  wire::Reader reader(reply);
  reader.skip(4);
  const unsigned questions = reader.u16();
  const unsigned records = reader.u16() + unsigned{reader.u16()} + reader.u16();
  for (unsigned i = 0; i < questions; ++i) {
    reader.name();
    reader.skip(4);
  }
  for (unsigned i = 0; i < records; ++i) {
    reader.name();
    reader.skip(8);
    reader.skip(reader.u16());
  }
  MERLON_ASSERT(reader.ok() && reader.remaining() == 0);
}

void check_reply(Bytes message, Bytes reply, const Query& query, const Reply& decided,
                 const Limits& limits) {
  MERLON_ASSERT(is_drop(decided.outcome) == reply.empty());
  if (reply.empty()) {
    return;
  }
  MERLON_ASSERT(reply.size() <= size_limit(query, limits));
  MERLON_ASSERT(std::ranges::equal(reply.first(2), message.first(2)));
  MERLON_ASSERT((load_be16(reply.data() + 2) & wire::flag::qr) != 0);
  MERLON_ASSERT((load_be16(reply.data() + 2) & 15) == (rcode_of(decided.outcome) & 15));
  if (query.question_end != 0) {
    const auto question = [&](Bytes all) { return all.subspan(12, query.question_end - 12u); };
    MERLON_ASSERT(std::ranges::equal(question(reply), question(message)));
  }
  check_records(reply);
  MERLON_ASSERT(sum_of_reply(query, decided, reply) == wire::checksum_partial(reply));
  if (decided.outcome == Outcome::refused_unregistered) {
    MERLON_ASSERT(reply.size() <= message.size() + kStrangerGain);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const tests::Fixture fixture = tests::make_fixture();
  static std::array<uint8_t, 65535> buffer;
  static std::array<uint8_t, 65535> head;
  static std::array<uint8_t, 65535> scratch;
  if (size == 0 || size > 65535) {
    return 0;
  }
  const unsigned choice = data[0];
  const Bytes message(data + 1, size - 1);
  static const Identity identity("fuzzed", "1");
  const Limits limits{.transport = (choice & 8) != 0 ? Transport::tcp : Transport::udp,
                      .udp_size_max = kUdpSizes[(choice >> 4) & 3],
                      .identity = (choice & 64) != 0 ? &identity : nullptr};
  const snapshot::Subject* subject = fixture.subject(kSources[choice & 7]);
  Query query;
  Outcome outcome = Outcome::answered;
  const Parse parse = parse_query(message, query, outcome);
  outcome = parse == Parse::good ? Outcome::answered : outcome;
  const std::string difference = tests::difference_from_reference(message, parse, outcome, query);
  MERLON_ASSERT(difference.empty());

  Reply reply = answer::answer(*fixture.snapshot, message, subject, limits, query, scratch);
  // Over TCP, where a cookie cannot make a body too large; over UDP deciding comes after it.
  if ((choice & 128) != 0 && query.cookie_size != 0 && limits.transport == Transport::tcp) {
    query.server_cookie = kServerCookie.data();
  }
  Reply gathered_reply = reply;
  std::ranges::copy(message, buffer.begin());
  std::ranges::copy(message, head.begin());
  const size_t replied = compose(query, reply, limits, buffer, message.size());
  check_reply(message, Bytes(buffer).first(replied), query, reply, limits);

  std::array<uint8_t, kOptSizeMax> tail;
  const Gathered parts = compose_gathered(query, gathered_reply, limits, head, tail);
  MERLON_ASSERT(parts.head_size + parts.body.size() + parts.tail_size == replied);
  std::ranges::copy(parts.body, head.begin() + static_cast<std::ptrdiff_t>(parts.head_size));
  std::copy_n(tail.begin(), parts.tail_size,
              head.begin() + static_cast<std::ptrdiff_t>(parts.head_size + parts.body.size()));
  MERLON_ASSERT(std::equal(head.begin(), head.begin() + static_cast<std::ptrdiff_t>(replied),
                           buffer.begin()));
  return 0;
}

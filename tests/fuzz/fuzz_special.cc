// SPDX-License-Identifier: Apache-2.0
// Whatever comes in as a signed query, another opcode or a transfer gets a reply of the right form:
// same id and opcode, QR set, one question or none, every record inside the message.
#include <algorithm>
#include <array>

#include "controlplane/dns/special.h"
#include "tests/support/snapshot_fixture.h"
#include "zones/base/assert.h"
#include "zones/wire/wire.h"

using namespace merlon;  // NOLINT(google-build-using-namespace): one short file

namespace {

void check_reply(Bytes query, Bytes reply) {
  MERLON_ASSERT(reply.size() >= wire::kHeaderSize && reply.size() <= dns::kSpecialReplySizeMax);
  MERLON_ASSERT(std::ranges::equal(reply.first(2), query.first(2)));
  constexpr uint16_t kKept = wire::flag::opcode_mask;
  const uint16_t flags = load_be16(reply.data() + 2);
  MERLON_ASSERT((flags & wire::flag::qr) != 0);
  MERLON_ASSERT((flags & kKept) == (load_be16(query.data() + 2) & kKept));
  MERLON_ASSERT(load_be16(reply.data() + 4) <= 1);
  wire::Reader reader(reply);
  reader.skip(wire::kHeaderSize);
  for (unsigned i = 0; i < load_be16(reply.data() + 4); ++i) {
    reader.name();
    reader.skip(4);
  }
  for (const unsigned at : {6u, 8u, 10u}) {
    for (unsigned i = 0; i < load_be16(reply.data() + at); ++i) {
      reader.name();
      reader.skip(8);
      reader.skip(reader.u16());
    }
  }
  MERLON_ASSERT(reader.ok() && reader.remaining() == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const tests::Fixture fixture = tests::make_fixture();
  if (size < wire::kHeaderSize || size > 4096 || (data[2] & 0x80) != 0) {
    return 0;
  }
  std::array<uint8_t, dns::kSpecialReplySizeMax> out;
  answer::Query parsed;
  answer::Outcome outcome;
  answer::parse_query({data, size}, parsed, outcome);
  for (const auto transport : {answer::Transport::udp, answer::Transport::tcp}) {
    const dns::SpecialReply reply = dns::answer_special({.snapshot = *fixture.snapshot,
                                                         .message = {data, size},
                                                         .parsed = parsed,
                                                         .subject = fixture.subject("192.0.2.10"),
                                                         .limits = {.transport = transport}},
                                                        out);
    check_reply({data, size}, Bytes(out).first(reply.size));
    MERLON_ASSERT(transport == answer::Transport::tcp || reply.size <= 1232);
  }
  return 0;
}

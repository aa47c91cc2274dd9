// SPDX-License-Identifier: Apache-2.0
// A question to zones that have every shape, unsigned and signed in both ways: the first byte
// chooses the zone, the transport and DO, the second the type, the rest are labels, each a byte
// that chooses among the zone's. Every reply parses, fits and has the right sum.
#include <algorithm>
#include <array>
#include <string>

#include "tests/support/text_zone.h"
#include "zones/answer/answer.h"
#include "zones/base/assert.h"
#include "zones/wire/wire.h"

using namespace merlon;          // NOLINT(google-build-using-namespace): one short file
using namespace merlon::answer;  // NOLINT(google-build-using-namespace)

namespace {

constexpr const char* kZone =
    "@ SOA a h 1 3600 600 86400 60\n@ NS a\na A 192.0.2.1\nb CNAME c.b\n*.b TXT t\nc.c A "
    "192.0.2.2\n"
    "a.c CNAME c\n*.d CNAME d.e\ne DNAME @\nf DNAME f.f\ng NS a.g\na.g A 192.0.2.3\nh NS g\n"
    "h DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000001\n"
    "a.a.a.a A 192.0.2.4\n";
constexpr std::string_view kLabels[] = {"a", "b", "c", "d", "e", "f", "g", "h", "*", "i"};
constexpr uint16_t kTypes[] = {1, 2, 5, 6, 16, 28, 39, 43, 46, 47, 48, 50, 51, 255};
constexpr std::string_view kApexes[] = {"u.", "s.", "t.", "o."};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const tests::TextSnapshot zones = tests::make_text_snapshot(
      {{.apex = "u.", .text = kZone},
       {.apex = "s.", .text = kZone, .signing = tests::Signing::nsec},
       {.apex = "t.", .text = kZone, .signing = tests::Signing::nsec3},
       {.apex = "o.", .text = kZone, .signing = tests::Signing::nsec3_opt_out}});
  static std::array<uint8_t, 65535> buffer;
  static std::array<uint8_t, 65535> scratch;
  if (size < 2 || size > 100) {
    return 0;
  }
  std::string name;
  for (const uint8_t label : Bytes(data, size).subspan(2)) {
    name += std::string(kLabels[label % std::size(kLabels)]) + ".";
  }
  name += kApexes[data[0] & 3];
  const auto message = tests::make_query({.name = name,
                                          .type = kTypes[data[1] % std::size(kTypes)],
                                          .edns = (data[0] & 4) != 0,
                                          .dnssec_ok = (data[0] & 8) != 0});
  const Limits limits{.transport = (data[0] & 16) != 0 ? Transport::tcp : Transport::udp};
  Query query;
  Reply reply =
      answer::answer(*zones.snapshot, message, zones.subject("10.0.0.1"), limits, query, scratch);
  std::ranges::copy(message, buffer.begin());
  const size_t replied = compose(query, reply, limits, buffer, message.size());
  const size_t most = limits.transport == Transport::tcp ? 65535 : query.has_edns ? 1232 : 512;
  MERLON_ASSERT(replied != 0 && replied <= most);
  const auto parsed = tests::parse_message(Bytes(buffer).first(replied));
  MERLON_ASSERT(parsed.rcode() == rcode_of(reply.outcome));
  MERLON_ASSERT(sum_of_reply(query, reply, Bytes(buffer).first(replied)) ==
                wire::checksum_partial(Bytes(buffer).first(replied)));
  return 0;
}

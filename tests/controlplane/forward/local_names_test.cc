// SPDX-License-Identifier: Apache-2.0
#include "controlplane/forward/local_names.h"

#include <gtest/gtest.h>

#include "controlplane/forward/options.h"
#include "tests/controlplane/forward/rig.h"

namespace merlon::forward {
namespace {

struct Row {
  const char* name;
  uint16_t type;
  int rcode;  // -1: looked up
  size_t records;
};

constexpr Row kRows[] = {
    {"localhost.", 1, 0, 1},
    {"a.LOCALHOST.", 28, 0, 1},
    {"localhost.", 15, 0, 0},
    {"1.0.0.127.in-addr.arpa.", 12, 0, 1},
    {"2.0.0.127.in-addr.arpa.", 12, 3, 0},
    {"0.127.in-addr.arpa.", 12, 0, 0},
    {"4.3.16.172.in-addr.arpa.", 12, 3, 0},
    {"4.3.32.172.in-addr.arpa.", 12, -1, 0},
    {"1.0.64.100.in-addr.arpa.", 12, 3, 0},
    {"1.0.128.100.in-addr.arpa.", 12, -1, 0},
    {"1.1.1.10.in-addr.arpa.", 12, 3, 0},
    {"a.b.e.f.ip6.arpa.", 12, 3, 0},
    {"facebookcorewwwi.onion.", 1, 3, 0},
    {"a.invalid.", 1, 3, 0},
    {"router.home.arpa.", 1, 3, 0},
    {"nas.local.", 1, 3, 0},
    {"www.example.com.", 1, -1, 0},
    {"local.example.", 1, -1, 0},
    {".", 2, -1, 0},
    {"arpa.", 2, -1, 0},
    {"7.10.in-addr.arpa.", 12, -1, 0},  // an exception
};

TEST(LocalNames, AreAnsweredHere) {
  const LocalNames names({make_name("7.10.in-addr.arpa.")});
  for (const Row& row : kRows) {
    const AnswerPointer answer = names.answer({.name = make_name(row.name), .type = row.type});
    ASSERT_EQ(answer == nullptr, row.rcode < 0) << row.name;
    if (answer == nullptr) {
      continue;
    }
    EXPECT_EQ(answer->rcode, row.rcode) << row.name;
    size_t records = 0;
    answer->records.for_each([&](const Record& record) {
      records += record.section == Section::answer ? 1u : 0u;
      return true;
    });
    EXPECT_EQ(records, row.records) << row.name;
  }
}

TEST(Upstream, IsReadFromText) {
  EXPECT_EQ(parse_upstream("192.0.2.1")->to_text(), "udp://192.0.2.1:53");
  EXPECT_EQ(parse_upstream("192.0.2.1:5353")->to_text(), "udp://192.0.2.1:5353");
  EXPECT_EQ(parse_upstream("udp://[2001:db8::1]:53")->to_text(), "udp://[2001:db8::1]:53");
  EXPECT_EQ(parse_upstream("tcp://192.0.2.1")->to_text(), "tcp://192.0.2.1:53");
  EXPECT_EQ(parse_upstream("tls://9.9.9.9#dns.quad9.net")->to_text(),
            "tls://9.9.9.9:853#dns.quad9.net");
  for (const char* wrong : {"", "example.com", "udp://", "tls://#a", "tcp://192.0.2.1#name",
                            "tls://192.0.2.1#", "http://192.0.2.1", "192.0.2.1:0"}) {
    EXPECT_FALSE(parse_upstream(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace merlon::forward

// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "dataplane/io/socket.h"

namespace merlon::io {
namespace {

TEST(Endpoint, ReadsAndWritesBothFamilies) {
  for (const std::string text :
       {"192.0.2.1:53", "0.0.0.0:5300", "[::1]:53", "[2001:db8::1]:65535", "[::]:0"}) {
    const auto endpoint = Endpoint::parse(text);
    ASSERT_TRUE(endpoint.has_value()) << text;
    EXPECT_EQ(endpoint->to_text(), text);
    EXPECT_EQ(endpoint->is_wildcard(), text.starts_with("0.0.0.0") || text.starts_with("[::]"));
  }
}

TEST(Endpoint, RefusesWhatIsNoAddressAndPort) {
  for (const std::string text :
       {"", "192.0.2.1", ":53", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:5x", "192.0.2.1:-1",
        "localhost:53", "::1:53", "[::1]", "[192.0.2.1]:53", "[::1:53", "192.0.2.01:53", "[]:53"}) {
    const auto endpoint = Endpoint::parse(text);
    ASSERT_FALSE(endpoint.has_value()) << text;
    EXPECT_EQ(endpoint.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(endpoint.error().message, testing::HasSubstr("\"" + text + "\""));
  }
}

TEST(UdpSocket, SaysWhereItCouldNotListen) {
  const auto socket = UdpSocket::bind(*Endpoint::parse("192.0.2.1:5300"));  // RFC 5737: not ours
  ASSERT_FALSE(socket.has_value());
  EXPECT_THAT(socket.error().message, testing::HasSubstr("listen on UDP 192.0.2.1:5300"));
}

TEST(UdpSocket, WorkersShareAPort) {
  const auto first = UdpSocket::bind(*Endpoint::parse("127.0.0.1:0"));
  ASSERT_TRUE(first.has_value());
  const auto second = UdpSocket::bind(first->local());
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->local().to_text(), first->local().to_text());
}

// With SO_REUSEPORT set before, 600 of 28,000 ports meet with near certainty (birthdays).
TEST(UdpSocket, APortThatTheKernelChoosesIsNobodyElses) {
  std::vector<UdpSocket> sockets;
  std::set<std::string> seen;
  for (int i = 0; i < 600; ++i) {
    auto socket = UdpSocket::bind(*Endpoint::parse("[::1]:0"));
    ASSERT_TRUE(socket.has_value()) << socket.error().message;
    EXPECT_TRUE(seen.insert(socket->local().to_text()).second) << socket->local().to_text();
    sockets.push_back(std::move(*socket));
  }
}

}  // namespace
}  // namespace merlon::io

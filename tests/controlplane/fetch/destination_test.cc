// SPDX-License-Identifier: Apache-2.0
#include "controlplane/fetch/destination.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstring>

namespace merlon::fetch {
namespace {

sockaddr_storage socket_address(const char* text) {
  sockaddr_storage storage{};
  sockaddr_in in{};
  sockaddr_in6 in6{};
  if (::inet_pton(AF_INET, text, &in.sin_addr) == 1) {
    in.sin_family = AF_INET;
    std::memcpy(&storage, &in, sizeof in);
  } else {
    EXPECT_EQ(::inet_pton(AF_INET6, text, &in6.sin6_addr), 1) << text;
    in6.sin6_family = AF_INET6;
    std::memcpy(&storage, &in6, sizeof in6);
  }
  return storage;
}

bool is_public_text(const char* text) {
  const sockaddr_storage storage = socket_address(text);
  return is_public(reinterpret_cast<const sockaddr&>(storage));
}

TEST(Destination, WhatOnlyWeCanReachIsNotPublic) {
  for (const char* text : {"127.0.0.1",
                           "127.8.8.8",
                           "0.0.0.0",
                           "10.1.2.3",
                           "172.16.0.1",
                           "172.31.255.255",
                           "192.168.0.1",
                           "169.254.169.254",
                           "100.64.0.1",
                           "100.100.100.200",
                           "168.63.129.16",
                           "192.0.0.192",
                           "192.0.2.1",
                           "198.18.0.1",
                           "198.51.100.1",
                           "203.0.113.1",
                           "224.0.0.1",
                           "255.255.255.255",
                           "::",
                           "::1",
                           "fe80::1",
                           "fc00::1",
                           "fd00:ec2::254",
                           "ff02::1",
                           "2001:db8::1",
                           "::ffff:127.0.0.1",
                           "::ffff:169.254.169.254",
                           "64:ff9b::7f00:1",
                           "64:ff9b::a9fe:a9fe",
                           "2002:7f00:1::",
                           "2002:a00:1::1",
                           "::ffff:0:10.0.0.1",
                           "2001::ffff:ffff:80ff:fffe",
                           "3fff::1",
                           "100::1",
                           "::127.0.0.1"}) {
    EXPECT_FALSE(is_public_text(text)) << text;
  }
}

TEST(Destination, TheRestOfTheWorldIsPublic) {
  for (const char* text :
       {"8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "192.167.1.1", "100.63.255.255",
        "100.128.0.1", "169.253.1.1", "223.255.255.255", "2001:4860:4860::8888", "2a00:1450::1",
        "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "2001:200::1"}) {
    EXPECT_TRUE(is_public_text(text)) << text;
  }
}

TEST(Destination, OtherFamiliesAreRefused) {
  sockaddr_storage storage{};
  storage.ss_family = AF_UNIX;
  EXPECT_FALSE(is_public(reinterpret_cast<const sockaddr&>(storage)));
  const sockaddr_storage loopback = socket_address("::1");
  EXPECT_EQ(to_text(reinterpret_cast<const sockaddr&>(loopback)), "::1");
}

}  // namespace
}  // namespace merlon::fetch

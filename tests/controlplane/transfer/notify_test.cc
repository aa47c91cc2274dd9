// SPDX-License-Identifier: Apache-2.0
#include "controlplane/transfer/notify.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <functional>
#include <thread>

#include "tests/controlplane/transfer/lab.h"

namespace merlon::tests {
namespace {

using namespace std::chrono_literals;

// A secondary's socket.
class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    socklen_t size = sizeof address;
    ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    const timeval limit{.tv_sec = 5, .tv_usec = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  transfer::Target target() const {
    const dns::Endpoint endpoint{address::Address::v4(INADDR_LOOPBACK), port_};
    return {.endpoint = endpoint, .text = dns::to_text(endpoint)};
  }
  std::vector<uint8_t> receive() {
    std::vector<uint8_t> message(4096);
    socklen_t size = sizeof from_;
    const ssize_t got = ::recvfrom(fd_.get(), message.data(), message.size(), 0,
                                   reinterpret_cast<sockaddr*>(&from_), &size);
    message.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return message;
  }
  void answer(std::vector<uint8_t> message, uint16_t rcode = 0) {
    store_be16(message.data() + 2,
               static_cast<uint16_t>(load_be16(message.data() + 2) | 0x8000 | rcode));
    ::sendto(fd_.get(), message.data(), message.size(), 0,
             reinterpret_cast<const sockaddr*>(&from_), sizeof from_);
  }
  // What the other was told.
  void answer_to(const Listener& other, std::vector<uint8_t> message) {
    from_ = other.from_;
    answer(std::move(message));
  }

 private:
  dns::Fd fd_;
  uint16_t port_ = 0;
  sockaddr_in from_{};
};

transfer::News news(const Listener& to, uint32_t serial, transfer::KeyPointer key = nullptr) {
  return {.device = "fw1",
          .target = to.target(),
          .key = std::move(key),
          .apex = *name::Name::from_text("one.example."),
          .serial = serial};
}

bool eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!condition() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(1ms);
  }
  return condition();
}

TEST(Notifier, TellsUntilItIsAcknowledged) {
  Listener listener;
  const auto notifier = *transfer::Notifier::start({.first_wait = 20ms});
  notifier->tell({news(listener, 5)});
  const auto first = listener.receive();
  const SpecialMessage expected =
      make_query({.name = "one.example.", .type = wire::type::soa, .flags = 0x2400});
  ASSERT_EQ(first.size(), expected.size());
  EXPECT_TRUE(std::equal(first.begin() + 2, first.end(), expected.begin() + 2));
  EXPECT_EQ(listener.receive(), first);  // again, with the same id
  listener.answer(first);
  EXPECT_TRUE(eventually([&] { return notifier->facts().at(0).acknowledged != 0; }));
  const api::Notified facts = notifier->facts().at(0);
  EXPECT_EQ(facts.serial, 5u);
  EXPECT_EQ(facts.target, listener.target().text);
  EXPECT_EQ(facts.error, "");
  EXPECT_GE(facts.tries, 2u);
}

TEST(Notifier, GivesUpAfterItsTries) {
  Listener listener;
  const auto notifier = *transfer::Notifier::start({.first_wait = 5ms, .tries_max = 3});
  notifier->tell({news(listener, 5)});
  EXPECT_TRUE(eventually([&] { return !notifier->facts().at(0).error.empty(); }));
  EXPECT_EQ(notifier->facts().at(0).tries, 3u);
  EXPECT_EQ(notifier->facts().at(0).acknowledged, 0);
  notifier->tell({news(listener, 6)});  // later news begin anew
  EXPECT_TRUE(eventually([&] { return notifier->facts().at(0).tries >= 1; }));
  EXPECT_EQ(notifier->facts().size(), 1u);
}

TEST(Notifier, OnlyTheOneWhoWasToldAcknowledges) {
  Listener listener;
  Listener stranger;
  const auto notifier = *transfer::Notifier::start({.first_wait = 10ms, .tries_max = 6});
  notifier->tell({news(listener, 5)});
  auto told = listener.receive();
  stranger.answer_to(listener, told);  // from another port
  auto wrong = told;
  wrong[0] ^= 1;
  listener.answer(wrong);  // another id
  EXPECT_EQ(listener.receive(), told);
  EXPECT_EQ(notifier->facts().at(0).acknowledged, 0);
  listener.answer(told, wire::rcode::refused);
  EXPECT_TRUE(eventually([&] { return notifier->facts().at(0).acknowledged != 0; }));
  EXPECT_NE(notifier->facts().at(0).error.find("REFUSED"), std::string::npos);
}

TEST(Notifier, SignsWithTheDevicesKey) {
  Listener listener;
  auto key = std::make_shared<transfer::Key>();
  key->name = *name::Name::from_text("fw1.a1.merlon.internal.");
  ASSERT_TRUE(transfer::from_base64(kSecret, key->secret));
  const auto notifier = *transfer::Notifier::start({});
  notifier->tell({news(listener, 5, key)});
  const auto message = listener.receive();
  transfer::Message read;
  ASSERT_TRUE(transfer::read_message(message, read));
  ASSERT_TRUE(read.tsig);
  EXPECT_EQ(transfer::verify_request(message, *read.tsig, *key, std::time(nullptr)),
            transfer::Fault::none);
  const SpecialMessage again =
      TsigClient("fw1.a1.merlon.internal.", kSecret)
          .sign(transfer::without_tsig(message, read), static_cast<int64_t>(read.tsig->time));
  EXPECT_EQ(to_hex(again), to_hex(message));
}

}  // namespace
}  // namespace merlon::tests

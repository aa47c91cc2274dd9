// SPDX-License-Identifier: Apache-2.0
// DNS over TLS on real sockets: the same answers, the same limits, and who a certificate is.
#include "controlplane/dns/tls.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "controlplane/dns/connection.h"
#include "tests/controlplane/dns/client.h"
#include "tests/controlplane/dns/fake_services.h"
#include "tests/controlplane/dns/tls_client.h"
#include "zones/wire/wire.h"

namespace merlon::tests {
namespace {

using dns::CloseReason;
using dns::Counter;

const QuerySpec kSmall{.name = "small.merlon.internal.", .id = 1};
const QuerySpec kLarge{.name = "basic.merlon.internal.", .id = 0x4242, .edns = true};

uint16_t rcode_of(const std::optional<Message>& message) {
  return message ? load_be16(message->data() + 2) & wire::flag::rcode_mask : 0xFFFF;
}

class TlsTest : public testing::Test {
 protected:
  void SetUp() override { first_.write(certificate_path_, key_path_); }

  dns::ServerOptions options() {
    dns::ServerOptions made = quick_options();
    made.listen_tls = {"127.0.0.1:0", "[::1]:0"};
    made.tls = {.certificate_file = certificate_path_,
                .key_file = key_path_,
                .look_interval = std::chrono::milliseconds(50),
                .report = [this](const std::string& what) {
                  const std::lock_guard lock(mutex_);
                  reports_.push_back(what);
                }};
    return made;
  }
  bool waits_for_reports(size_t count) {
    for (int i = 0; i < 5'000; ++i) {
      {
        const std::lock_guard lock(mutex_);
        if (reports_.size() >= count) {
          return true;
        }
      }
      std::this_thread::sleep_for(Milliseconds(1));
    }
    return false;
  }
  std::string report(size_t index) {
    const std::lock_guard lock(mutex_);
    return reports_.at(index);
  }
  static const std::string& at(const RunningServer& running, size_t index = 0) {
    return running.server->tls_addresses()[index];
  }

  TemporaryDirectory folder_;
  std::string certificate_path_ = folder_.path() + "/server.pem";
  std::string key_path_ = folder_.path() + "/server.key";
  Certificate first_ = make_certificate("first.test");
  std::mutex mutex_;
  std::vector<std::string> reports_;
};

TEST_F(TlsTest, AnswersAreThoseOfTcp) {
  RunningServer running(options());
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const size_t family : {size_t{0}, size_t{1}}) {
      TlsClient client(at(running, family), {.version_max = version});
      ASSERT_TRUE(client.is_connected());
      EXPECT_EQ(client.protocol(), "dot");
      EXPECT_EQ(client.server_fingerprint(), first_.fingerprint());
      for (const QuerySpec& spec : {kSmall, kLarge, kSmall}) {
        EXPECT_EQ(client.ask(spec), expected_answer(*running.snapshot, make_query(spec)));
      }
    }
  }
  EXPECT_EQ(running.server->statistics().of(Counter::tls_handshakes), 4u);
  Client plain(running.v4());
  EXPECT_TRUE(plain.ask(kSmall).has_value());
}

TEST_F(TlsTest, OldVersionsAndForeignProtocolsAreRefused) {
  RunningServer running(options());
  EXPECT_FALSE(TlsClient(at(running), {.version_max = TLS1_1_VERSION}).is_connected());
  EXPECT_FALSE(TlsClient(at(running), {.protocols = {"h2", "http/1.1"}}).is_connected());
  EXPECT_TRUE(running.waits_for(CloseReason::tls_failed, 2));
  TlsClient both(at(running), {.protocols = {"h2", "dot"}});
  ASSERT_TRUE(both.is_connected());
  EXPECT_EQ(both.protocol(), "dot");
  TlsClient none(at(running), {.protocols = {}});
  ASSERT_TRUE(none.is_connected());
  EXPECT_EQ(none.protocol(), "");
  EXPECT_TRUE(none.ask(kSmall).has_value());
}

TEST_F(TlsTest, PipelinedLargeAnswersArriveWhole) {
  RunningServer running(options());
  TlsClient client(at(running));
  std::vector<Message> frames;
  for (uint16_t i = 0; i < 60; ++i) {
    QuerySpec spec = i % 3 == 0 ? kLarge : kSmall;
    spec.id = i;
    frames.push_back(framed(make_query(spec)));
  }
  ASSERT_TRUE(client.send_raw(concatenate(frames)));
  std::this_thread::sleep_for(Milliseconds(100));  // the socket is full meanwhile
  for (const Message& frame : frames) {
    EXPECT_EQ(client.receive(), expected_answer(*running.snapshot, Bytes(frame).subspan(2)));
  }
}

TEST_F(TlsTest, StreamsAndLateAnswersComeOverTls) {
  FakeSpecial special;
  FakeForwarder forwarder;
  dns::ServerOptions with = options();
  with.services = {&special, &forwarder};
  RunningServer running(with);
  const Certificate own = make_certificate("client");
  TlsClient client(at(running), {.certificate = &own});
  ASSERT_TRUE(client.send_raw(
      framed(make_query({.name = "merlon.internal.", .type = kAskForwarded, .id = 9}))));
  ASSERT_TRUE(forwarder.waits_for(1));
  ASSERT_TRUE(client.send_raw(
      framed(make_query({.name = "merlon.internal.", .type = kAskStream, .id = 7}))));
  for (size_t i = 0; i < FakeSpecial::kStreamMessages; ++i) {
    ASSERT_EQ(client.receive(), FakeSpecial::stream_message(7, i)) << i;
  }
  forwarder.finish(0, FakeSpecial::whole_answer(9));
  EXPECT_EQ(client.receive(), FakeSpecial::whole_answer(9));
  EXPECT_EQ(special.clients().at(0).tls, dns::Tls::v1_3);
  EXPECT_EQ(special.certificates().at(0), own.fingerprint());
}

TEST_F(TlsTest, SessionsAreResumed) {
  RunningServer running(options());
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient first(at(running), {.version_max = version});
    ASSERT_TRUE(first.ask(kSmall).has_value());  // version 1.3 sends tickets behind the handshake
    const auto session = first.session();
    TlsClient second(at(running), {.version_max = version, .session = session.get()});
    ASSERT_TRUE(second.is_connected());
    EXPECT_TRUE(second.is_resumed());
    EXPECT_TRUE(second.ask(kSmall).has_value());
  }
  EXPECT_EQ(running.server->statistics().of(Counter::tls_resumed), 2u);
}

TEST_F(TlsTest, ANewPairIsForNewConnectionsAndABadOneChangesNothing) {
  RunningServer running(options());
  TlsClient old(at(running));
  ASSERT_TRUE(old.ask(kSmall).has_value());
  std::ofstream(certificate_path_) << "rubbish";
  ASSERT_TRUE(waits_for_reports(1));
  EXPECT_NE(report(0).find(certificate_path_), std::string::npos) << report(0);
  EXPECT_EQ(TlsClient(at(running)).server_fingerprint(), first_.fingerprint());
  // A certificate without its key is no pair either.
  const Certificate second = make_certificate("second.test");
  second.write(certificate_path_, folder_.path() + "/elsewhere.key");
  ASSERT_TRUE(waits_for_reports(2));
  EXPECT_NE(report(1).find(key_path_), std::string::npos) << report(1);
  EXPECT_EQ(TlsClient(at(running)).server_fingerprint(), first_.fingerprint());
  second.write(certificate_path_, key_path_);
  ASSERT_TRUE(waits_for_reports(3));
  EXPECT_EQ(TlsClient(at(running)).server_fingerprint(), second.fingerprint());
  EXPECT_TRUE(old.ask(kLarge).has_value());
}

// Account 7's device of 127.0.0.1, account 9's of 127.0.0.9.
TEST_F(TlsTest, ADeviceWithACertificateIsAnsweredOnlyWithThat) {
  RunningServer running(options());
  const Certificate own = make_certificate("own");
  const Certificate other = make_certificate("other");
  const snapshot::Subject* subject =
      dns::find_subject(*running.snapshot, *address::parse_address("127.0.0.1"));
  ASSERT_NE(subject, nullptr);
  running.server->set_certificates({{{subject->account, subject->device}, own.fingerprint()}});
  TlsClient with(at(running), {.certificate = &own});
  EXPECT_EQ(with.ask(kSmall), expected_answer(*running.snapshot, make_query(kSmall)));
  TlsClient wrong(at(running), {.certificate = &other});
  EXPECT_EQ(rcode_of(wrong.ask(kSmall)), wire::rcode::refused);
  TlsClient without(at(running));
  EXPECT_EQ(rcode_of(without.ask(kSmall)), wire::rcode::refused);
  // A resumed session is its certificate's; one that had none has none.
  const auto session = without.session();
  TlsClient resumed(at(running), {.certificate = &own, .session = session.get()});
  EXPECT_TRUE(resumed.is_resumed());
  EXPECT_EQ(rcode_of(resumed.ask(kSmall)), wire::rcode::refused);
  const auto good_session = with.session();
  TlsClient again(at(running), {.session = good_session.get()});
  EXPECT_EQ(rcode_of(again.ask(kSmall)), wire::rcode::noerror);
  // The certificate gives no other source's rights, and others need none.
  TlsClient stranger(at(running), {.certificate = &own, .source = "127.0.0.77"});
  EXPECT_EQ(rcode_of(stranger.ask(kSmall)), wire::rcode::refused);
  TlsClient neighbour(at(running), {.source = "127.0.0.9"});
  EXPECT_EQ(neighbour.ask(kSmall),
            expected_answer(*running.snapshot, make_query(kSmall), "127.0.0.9"));
  EXPECT_EQ(running.server->statistics().of(Counter::tls_other_certificate), 3u);
  // What is in force now counts for connections that are open.
  running.server->set_certificates({{{subject->account, subject->device}, other.fingerprint()}});
  EXPECT_EQ(rcode_of(with.ask(kSmall)), wire::rcode::refused);
  EXPECT_EQ(rcode_of(wrong.ask(kSmall)), wire::rcode::noerror);
}

TEST_F(TlsTest, AnAuthorityRefusesTheCertificatesOfOthers) {
  const Certificate trusted = make_certificate("trusted");
  const Certificate other = make_certificate("other");
  const std::string ca_path = folder_.path() + "/ca.pem";
  trusted.write(ca_path, folder_.path() + "/ca.key");
  dns::ServerOptions with = options();
  with.tls.client_ca_file = ca_path;
  RunningServer running(with);
  EXPECT_TRUE(TlsClient(at(running), {.certificate = &trusted}).ask(kSmall).has_value());
  EXPECT_FALSE(TlsClient(at(running), {.certificate = &other}).ask(kSmall).has_value());
  EXPECT_TRUE(TlsClient(at(running)).ask(kSmall).has_value());
}

TEST_F(TlsTest, WhoDoesNotShakeHandsIsClosedAndDelaysNobody) {
  dns::ServerOptions quick = options();
  quick.handshake_timeout = Milliseconds(300);
  RunningServer running(quick);
  Client silent(at(running));
  Client slow(at(running));
  const uint8_t begun[] = {0x16, 0x03, 0x01};  // a handshake record's beginning
  ASSERT_TRUE(slow.send_raw(begun));
  Client plain(at(running));
  ASSERT_TRUE(plain.send_message(make_query(kSmall)));  // no TLS
  EXPECT_TRUE(running.waits_for(CloseReason::tls_failed, 1));
  TlsClient good(at(running));
  EXPECT_TRUE(good.ask(kSmall).has_value());
  EXPECT_TRUE(running.waits_for(CloseReason::handshake_timeout, 2));
  EXPECT_TRUE(good.ask(kSmall).has_value());
}

TEST_F(TlsTest, TheLimitsOfTcpApply) {
  dns::ServerOptions quick = options();
  quick.idle_timeout = Milliseconds(200);
  quick.message_timeout = Milliseconds(200);
  quick.connections_per_source_max = 3;
  RunningServer running(quick);
  TlsClient idle(at(running));
  EXPECT_TRUE(idle.sees_close_notify());
  EXPECT_TRUE(running.waits_for(CloseReason::idle, 1));
  TlsClient slow(at(running));
  const uint8_t part[] = {0};
  ASSERT_TRUE(slow.send_raw(part));
  EXPECT_TRUE(running.waits_for(CloseReason::message_timeout, 1));
  TlsClient empty(at(running));
  const uint8_t nothing[] = {0, 0};
  ASSERT_TRUE(empty.send_raw(nothing));
  EXPECT_TRUE(running.waits_for(CloseReason::frame_empty, 1));
  ASSERT_TRUE(running.waits_for_open(0));
  Client one(running.v4());
  Client two(running.v4());
  Client three(at(running));
  EXPECT_FALSE(TlsClient(at(running)).is_connected());
  EXPECT_TRUE(running.waits_for(CloseReason::limit_source, 1));
}

TEST_F(TlsTest, WithoutAGoodPairItDoesNotStart) {
  dns::SnapshotSlot slot;
  dns::ServerOptions wrong = options();
  wrong.tls.key_file = folder_.path() + "/none.key";
  auto started = dns::Server::start(wrong, slot);
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().code, ErrorCode::not_found);
  EXPECT_NE(started.error().message.find("none.key"), std::string::npos);
  make_certificate("other").write(folder_.path() + "/x.pem", wrong.tls.key_file);
  started = dns::Server::start(wrong, slot);
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().code, ErrorCode::invalid_argument);
}

// RFC 7828: told to who asks, over TCP and TLS.
TEST_F(TlsTest, KeepaliveIsToldToWhoAsks) {
  dns::ServerOptions with = options();
  with.idle_timeout = Milliseconds(7'300);
  RunningServer running(with);
  Message query = make_query({.name = "small.merlon.internal.", .id = 1, .edns = true});
  const Message without = query;
  const uint8_t option[] = {0, 11, 0, 0};
  query.insert(query.end(), std::begin(option), std::end(option));
  query[query.size() - 5] = 4;  // the OPT record's data length
  const uint8_t told[] = {0, 6, 0, 11, 0, 2, 0, 73};
  const auto tells = [&](const std::optional<Message>& reply) {
    return reply && reply->size() > sizeof told &&
           std::equal(std::begin(told), std::end(told), reply->end() - sizeof told);
  };
  Client client(running.v4());
  ASSERT_TRUE(client.send_message(query));
  EXPECT_TRUE(tells(client.receive()));
  ASSERT_TRUE(client.send_message(without));
  EXPECT_EQ(client.receive(), expected_answer(*running.snapshot, without));
  TlsClient encrypted(at(running));
  ASSERT_TRUE(encrypted.send_raw(framed(query)));
  EXPECT_TRUE(tells(encrypted.receive()));
  // A client has nothing to say about the time: such an option is passed over.
  Message wrong = without;
  const uint8_t with_time[] = {0, 11, 0, 2, 0, 9};
  wrong.insert(wrong.end(), std::begin(with_time), std::end(with_time));
  wrong[without.size() - 1] = 6;
  ASSERT_TRUE(client.send_message(wrong));
  EXPECT_EQ(client.receive(), expected_answer(*running.snapshot, without));
}

}  // namespace
}  // namespace merlon::tests

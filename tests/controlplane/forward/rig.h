// SPDX-License-Identifier: Apache-2.0
// A forwarder between a client and fake upstreams.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/forward/forwarder.h"
#include "tests/support/fake_upstream.h"
#include "tests/support/snapshot_fixture.h"
#include "tests/support/text_zone.h"

namespace merlon::forward {

inline name::Name make_name(std::string_view text) {
  return *name::Name::from_text(text);
}

// Two accounts with policies, and a garden among our own zones.
inline std::vector<tests::TextZone> policy_zones() {
  const std::string head =
      "@ SOA localhost. nobody.invalid. 7 3600 600 86400 60\n@ NS localhost.\n";
  return {{.apex = "merlon.internal.",
           .text = "@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.1\n"
                   "garden A 192.0.2.80\n"},
          {.apex = "block.rpz.acme.merlon.internal.",
           .text = head + "bad.example CNAME .\n*.bad.example CNAME .\n"
                          "good.bad.example CNAME rpz-passthru.\n"
                          "nodata.example CNAME *.\ndrop.example CNAME rpz-drop.\n"
                          "tcp.example CNAME rpz-tcp-only.\n"
                          "garden.example CNAME garden.merlon.internal.\n"
                          "away.example CNAME away.garden.test.\n"
                          "wild.example CNAME *.walled.test.\n"
                          "data.example A 192.0.2.99\n"
                          "32.66.2.0.192.rpz-ip CNAME .\n"
                          "24.0.100.51.198.rpz-ip CNAME garden.merlon.internal.\n"
                          "32.7.100.51.198.rpz-ip CNAME rpz-passthru.\n"
                          "48.zz.77.db8.2001.rpz-ip CNAME *.\n",
           .account = 7},
          {.apex = "other.rpz.acme.merlon.internal.",
           .text = head + "second.example CNAME .\n*.bad.example CNAME rpz-passthru.\n",
           .account = 7},
          {.apex = "block.rpz.zeta.merlon.internal.",
           .text = head + "zeta.example CNAME .\n",
           .account = 9}};
}

struct Got {
  bool silent = false;
  std::vector<uint8_t> message{};
  tests::ParsedMessage parsed{};
  uint16_t ede = UINT16_MAX;

  std::vector<std::string> answer() const {
    std::vector<std::string> texts;
    for (const auto& record : parsed.answer) {
      texts.push_back(tests::to_text(record));
    }
    return texts;
  }
};

// The EDE code in the OPT record at the message's end; UINT16_MAX: none.
inline uint16_t ede_of(const std::vector<uint8_t>& message) {
  const uint8_t marker[] = {0x00, 0x0f, 0x00, 0x02};
  for (size_t at = message.size(); at >= 6 && at + 40 > message.size(); --at) {
    if (std::equal(marker, marker + 4, message.begin() + static_cast<std::ptrdiff_t>(at - 6))) {
      return load_be16(message.data() + at - 2);
    }
  }
  return UINT16_MAX;
}

struct Asking {
  std::string name = "www.example.";
  uint16_t type = 1;
  bool dnssec_ok = false;
  bool edns = true;
  uint16_t flags = 0x0100;
  uint16_t id = 0x1234;
  uint16_t payload = 1232;
  answer::Transport transport = answer::Transport::udp;
  uint32_t account = 7;
  uint32_t device = 1;
  uint32_t source = 0x0A000001;
};

class Rig {
 public:
  explicit Rig(const std::vector<const tests::FakeUpstream*>& upstreams, Options options = {})
      : zones_(tests::make_text_snapshot(policy_zones())), snapshot_(zones_.snapshot) {
    for (const tests::FakeUpstream* upstream : upstreams) {
      options.upstreams.push_back(*parse_upstream(upstream->address()));
    }
    options.suffix = make_name("merlon.internal.");
    options.not_local.push_back(make_name("test."));
    forwarder_ = *Forwarder::start(std::move(options));
  }

  std::future<std::vector<uint8_t>> start(const Asking& asking) {
    const std::vector<uint8_t> message = tests::make_query({.name = asking.name,
                                                            .type = asking.type,
                                                            .id = asking.id,
                                                            .flags = asking.flags,
                                                            .edns = asking.edns,
                                                            .payload = asking.payload,
                                                            .dnssec_ok = asking.dnssec_ok});
    answer::Query parsed;
    answer::Outcome outcome{};
    EXPECT_EQ(answer::parse_query(message, parsed, outcome), answer::Parse::good);
    const snapshot::Subject subject{asking.account,
                                    asking.device,
                                    tests::kTierBasic,
                                    snapshot::Verb::pass,
                                    snapshot::subject_flag::recursion,
                                    {}};
    auto promise = std::make_shared<std::promise<std::vector<uint8_t>>>();
    auto future = promise->get_future();
    forwarder_->forward({.snapshot = snapshot_,
                         .message = message,
                         .parsed = parsed,
                         .subject = subject,
                         .limits = {.transport = asking.transport},
                         .client = {.source = address::Address::v4(asking.source),
                                    .source_port = 4711,
                                    .transport = asking.transport}},
                        [promise](std::vector<uint8_t> reply) { promise->set_value(reply); });
    return future;
  }

  Got ask(const Asking& asking) {
    auto future = start(asking);
    if (future.wait_for(std::chrono::seconds(8)) != std::future_status::ready) {
      ADD_FAILURE() << "no reply to " << asking.name;
      return {.silent = true};
    }
    Got got{.message = future.get()};
    got.silent = got.message.empty();
    if (!got.silent) {
      got.parsed = tests::parse_message(got.message);
      got.ede = ede_of(got.message);
      EXPECT_EQ(load_be16(got.message.data()), asking.id);
    }
    return got;
  }

  uint64_t count(std::string_view counter) const {
    for (const auto& [name, value] : forwarder_->report().counters) {
      if (name == counter) {
        return value;
      }
    }
    ADD_FAILURE() << "no counter " << counter;
    return 0;
  }
  Forwarder& forwarder() { return *forwarder_; }
  void stop() { forwarder_.reset(); }

 private:
  tests::TextSnapshot zones_;
  dns::SnapshotPointer snapshot_;
  std::unique_ptr<Forwarder> forwarder_;
};

// Answers every A question with this address.
inline tests::FakeUpstream::Handler say_a(std::vector<uint8_t> address, uint32_t ttl = 300) {
  return [address, ttl](Bytes query, tests::FakeUpstream::Over) {
    return tests::FakeUpstream::Messages{tests::make_fake_reply(
        query, {.records = {{tests::question_name(query), 1, address, ttl}}})};
  };
}

inline tests::FakeUpstream::Messages silence(Bytes, tests::FakeUpstream::Over) {
  return {};
}

}  // namespace merlon::forward

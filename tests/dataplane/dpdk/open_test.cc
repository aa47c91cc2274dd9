// SPDX-License-Identifier: Apache-2.0
// What goes wrong when ports are opened is said so that an operator can do something.
#include <gmock/gmock.h>

#include "dataplane/dpdk/eal.h"
#include "tests/dataplane/dpdk/port_fixture.h"

namespace merlon::dpdk {
namespace {

using testing::HasSubstr;

// DPDK stops with the last test.
class StopDpdk : public testing::Environment {
 public:
  void TearDown() override { stop_eal(); }
};
const auto* const kStopDpdk = testing::AddGlobalTestEnvironment(new StopDpdk);

class OpenPorts : public PortFixture {
 protected:
  Error refusal(size_t worker_count = 1) {
    std::vector<stats::WorkerCounters> counters(worker_count);
    const auto ports = Ports::open(settings_, counters);
    EXPECT_FALSE(ports.has_value());
    return ports ? Error{} : ports.error();
  }
};

TEST_F(OpenPorts, NamesThePortAndItsQueuesWhenThereAreTooFew) {
  add_pcap_port({});
  const Error error = refusal(3);
  EXPECT_EQ(error.code, ErrorCode::invalid_argument);
  EXPECT_THAT(error.message, HasSubstr("port net_pcap0"));
  EXPECT_THAT(error.message, HasSubstr("1 queue for 3 workers"));
}

TEST_F(OpenPorts, PassesOnWhatTheDriverSays) {
  settings_.ports = {"net_pcap0,rx_pcap=" + file("missing", 0)};
  const Error error = refusal();
  EXPECT_EQ(error.code, ErrorCode::io);
  EXPECT_THAT(error.message, HasSubstr("port net_pcap0"));
  EXPECT_THAT(error.message, HasSubstr("refused"));
  EXPECT_THAT(error.message, HasSubstr("missing0.pcap"));
}

TEST_F(OpenPorts, SaysThatThereIsNoSuchDriver) {
  settings_.ports = {"net_nothing0"};
  const Error error = refusal();
  EXPECT_THAT(error.message, HasSubstr("port net_nothing0"));
}

TEST_F(OpenPorts, AFailedPortLeavesTheOthersFree) {
  add_pcap_port({});
  settings_.ports.push_back("net_nothing0");
  EXPECT_THAT(refusal().message, HasSubstr("net_nothing0"));
  settings_.ports.pop_back();
  enter();
  EXPECT_EQ(ports_->count(), 1u);
}

TEST_F(OpenPorts, PortsDescribeThemselves) {
  add_ring_port();
  enter();
  const auto reports = ports_->report();
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0].name, "net_ring0");
  EXPECT_EQ(reports[0].driver, "net_ring");
  EXPECT_EQ(reports[0].queue_count, 1u);
  EXPECT_EQ(reports[0].mtu, 1500u);
  EXPECT_EQ(reports[0].checksums, "here");
  EXPECT_EQ(reports[0].exception, "");
  EXPECT_EQ(reports[0].waiting, "poll");
  EXPECT_GT(port_counter(0, "buffers_free_queue0"), 4096u);
}

TEST_F(OpenPorts, OpensAndClosesAgainAndAgain) {
  add_pcap_port({});
  for (int round = 0; round < 10; ++round) {
    enter();
    echo();
    leave();
  }
}

}  // namespace
}  // namespace merlon::dpdk

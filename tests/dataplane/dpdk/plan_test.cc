// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dpdk/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <bit>

#include "zones/base/file.h"

namespace merlon::dpdk {
namespace {

using testing::HasSubstr;

Result<std::vector<PortPlan>> plan(const std::vector<std::string>& ports,
                                   dataplane::PortSettings settings = {}) {
  settings.ports = ports;
  settings.runtime_directory = testing::TempDir();
  return plan_ports(settings, 1);
}

TEST(PortPlan, ReadsPciAddressesAndVirtualDevices) {
  const auto plans = plan({"0000:03:00.0", "04:00.1,rx_vec_en=1", "net_tap0,iface=dns0"});
  ASSERT_TRUE(plans.has_value()) << plans.error().message;
  EXPECT_EQ((*plans)[0].bus, Bus::pci);
  EXPECT_EQ((*plans)[0].device, "0000:03:00.0");
  EXPECT_EQ((*plans)[0].arguments, "");
  EXPECT_EQ((*plans)[1].bus, Bus::pci);
  EXPECT_EQ((*plans)[1].device, "0000:04:00.1");
  EXPECT_EQ((*plans)[1].arguments, "rx_vec_en=1");
  EXPECT_EQ((*plans)[2].bus, Bus::virtual_device);
  EXPECT_EQ((*plans)[2].device, "net_tap0");
  EXPECT_EQ((*plans)[2].arguments, "iface=dns0");
}

TEST(PortPlan, AnAfXdpPortIsAnInterfaceWithAQueueForEachWorker) {
  dataplane::PortSettings settings;
  settings.exception = dataplane::Exception::tap;  // so that the driver's own program is used
  const auto plans = plan({"af_xdp:lo,busy_budget=0"}, settings);
  ASSERT_TRUE(plans.has_value()) << plans.error().message;
  EXPECT_EQ((*plans)[0].device, "net_af_xdp0");
  EXPECT_EQ((*plans)[0].interface, "lo");
  EXPECT_EQ((*plans)[0].arguments, "iface=lo,start_queue=0,queue_count=1,busy_budget=0");
}

TEST(PortPlan, CountsThePacketsThatNetPcapKeeps) {
  const std::string path = testing::TempDir() + fmt::format("plan-{}.pcap", ::getpid());
  std::vector<uint8_t> file(24, 0);
  for (const uint8_t size : {uint8_t{60}, uint8_t{1}, uint8_t{100}}) {
    std::array<uint8_t, 16> header{};
    header[std::endian::native == std::endian::little ? 8 : 11] = size;
    file.insert(file.end(), header.begin(), header.end());
    file.insert(file.end(), size, 0);
  }
  ASSERT_TRUE(write_file_durably(path, file).has_value());
  const auto plans = plan({"net_pcap0,rx_pcap=" + path + ",infinite_rx=1",
                           "net_pcap1,infinite_rx=1,rx_pcap=" + path, "net_pcap2,rx_pcap=" + path,
                           "net_pcap3,rx_pcap=nothing-here,infinite_rx=1"});
  ::unlink(path.c_str());
  ASSERT_TRUE(plans.has_value()) << plans.error().message;
  EXPECT_EQ((*plans)[0].preloaded, 3u);
  EXPECT_EQ((*plans)[1].preloaded, 3u);
  EXPECT_EQ((*plans)[2].preloaded, 0u);  // read once: no copies
  EXPECT_EQ((*plans)[3].preloaded, 0u);
}

TEST(PortPlan, RefusesWhatCannotBe) {
  const struct {
    std::vector<std::string> ports;
    ErrorCode code;
    std::string message;
  } rows[] = {
      {{}, ErrorCode::invalid_argument, "names no port"},
      {{"eth0"}, ErrorCode::invalid_argument, "write af_xdp:<interface>"},
      {{"af_xdp:"}, ErrorCode::invalid_argument, "name of an interface"},
      {{"af_xdp:nothing-here"}, ErrorCode::not_found, "there is no interface nothing-here"},
      {{"net_ring0", "net_ring0,x=1"}, ErrorCode::invalid_argument, "named twice"},
  };
  for (const auto& row : rows) {
    const auto plans = plan(row.ports);
    ASSERT_FALSE(plans.has_value()) << row.message;
    EXPECT_EQ(plans.error().code, row.code) << plans.error().message;
    EXPECT_THAT(plans.error().message, HasSubstr(row.message));
  }
}

TEST(PortPlan, NamesTheBpfObjectThatIsMissing) {
  dataplane::PortSettings settings;
  settings.xdp_program = "no/such/filter.o";
  const auto plans = plan({"af_xdp:lo"}, settings);
  ASSERT_FALSE(plans.has_value());
  EXPECT_EQ(plans.error().code, ErrorCode::not_found);
  EXPECT_THAT(plans.error().message, HasSubstr("no/such/filter.o"));
}

}  // namespace
}  // namespace merlon::dpdk

// SPDX-License-Identifier: Apache-2.0
// The filter as the kernel runs it, on frames of every kind: what goes to the data plane, what to
// the kernel and under which name it is counted.
#include <linux/bpf.h>

#include "tests/dataplane/xdp/loaded.h"

namespace merlon::xdp::tests {
namespace {

constexpr uint16_t kPorts[] = {1, 53, 5300, 65535};
constexpr uint16_t kVlan = 0x8100;
constexpr uint16_t kServiceVlan = 0x88a8;

struct Row {
  const char* name;
  Frame frame;
  uint32_t reason;
};

Frame cut(Frame frame, size_t size) {
  frame.resize(size);
  return frame;
}

Frame padded(Frame frame, size_t more) {
  frame.insert(frame.end(), more, 0);
  return frame;
}

// With port 53 and no addresses.
std::vector<Row> ipv4_rows() {
  const Frame plain = make_frame({});
  return {
      {"a_query", plain, merlon_reason_redirected},
      {"no_payload", make_frame({.payload_size = 0}), merlon_reason_redirected},
      {"large_payload", make_frame({.payload_size = 1400}), merlon_reason_redirected},
      {"padded_to_the_ethernet_minimum", padded(make_frame({.payload_size = 2}), 16),
       merlon_reason_redirected},
      {"dont_fragment_set", make_frame({.fragment = 0x4000}), merlon_reason_redirected},
      {"reserved_flag_set", make_frame({.fragment = 0x8000}), merlon_reason_redirected},
      {"one_word_of_options", make_frame({.options = 1}), merlon_reason_redirected},
      {"most_options", make_frame({.options = 10}), merlon_reason_redirected},
      {"last_unicast_address", make_frame({.destination = "223.255.255.255"}),
       merlon_reason_redirected},
      {"private_destination", make_frame({.destination = "10.0.0.1"}), merlon_reason_redirected},
      {"tcp", make_frame({.protocol = 6}), merlon_reason_not_udp},
      {"icmp", make_frame({.protocol = 1}), merlon_reason_not_udp},
      {"ospf", make_frame({.protocol = 89}), merlon_reason_not_udp},
      {"udp_lite", make_frame({.protocol = 136}), merlon_reason_not_udp},
      {"fragment_of_tcp", make_frame({.protocol = 6, .fragment = 0x2000}), merlon_reason_not_udp},
      {"first_fragment", make_frame({.fragment = 0x2000}), merlon_reason_fragment},
      {"middle_fragment", make_frame({.fragment = 0x2001}), merlon_reason_fragment},
      {"last_fragment", make_frame({.fragment = 0x00b9}), merlon_reason_fragment},
      {"fragment_at_the_largest_offset", make_frame({.fragment = 0x1fff}), merlon_reason_fragment},
      {"fragment_with_dont_fragment", make_frame({.fragment = 0x6000}), merlon_reason_fragment},
      {"port_above", make_frame({.port = 54}), merlon_reason_other_port},
      {"port_with_bytes_swapped", make_frame({.port = 53 << 8}), merlon_reason_other_port},
      {"port_zero", make_frame({.port = 0}), merlon_reason_other_port},
      {"mdns_port", make_frame({.port = 5353}), merlon_reason_other_port},
      {"multicast", make_frame({.destination = "224.0.0.251"}), merlon_reason_not_unicast},
      {"last_multicast", make_frame({.destination = "239.255.255.255"}), merlon_reason_not_unicast},
      {"reserved_class_e", make_frame({.destination = "240.0.0.1"}), merlon_reason_not_unicast},
      {"broadcast", make_frame({.destination = "255.255.255.255"}), merlon_reason_not_unicast},
      {"unspecified", make_frame({.destination = "0.0.0.0"}), merlon_reason_not_unicast},
      {"loopback", make_frame({.destination = "127.0.0.1"}), merlon_reason_not_unicast},
      {"broadcast_mac", make_frame({.first_mac_byte = 0xff}), merlon_reason_not_unicast},
      {"multicast_mac", make_frame({.first_mac_byte = 0x01}), merlon_reason_not_unicast},
      {"version_5", with_byte(plain, 14, 0x55), merlon_reason_bad_header},
      {"version_6_in_an_ipv4_frame", with_byte(plain, 14, 0x65), merlon_reason_bad_header},
      {"version_0", with_byte(plain, 14, 0x05), merlon_reason_bad_header},
      {"header_length_4", with_byte(plain, 14, 0x44), merlon_reason_bad_header},
      {"header_length_0", with_byte(plain, 14, 0x40), merlon_reason_bad_header},
      {"header_length_past_the_frame", with_byte(make_frame({.payload_size = 0}), 14, 0x4f),
       merlon_reason_truncated},
      {"length_one_above_the_frame", with_byte(plain, 17, static_cast<uint8_t>(plain[17] + 1)),
       merlon_reason_truncated},
      {"length_below_the_headers", with_byte(plain, 17, 27), merlon_reason_truncated},
      {"length_0", with_byte(plain, 17, 0), merlon_reason_truncated},
      {"length_one_below_the_frame", with_byte(plain, 17, static_cast<uint8_t>(plain[17] - 1)),
       merlon_reason_redirected},
  };
}

std::vector<Row> ipv6_rows() {
  const Frame plain = make_frame({.destination = "2001:db8::1"});
  const auto with = [](std::vector<uint8_t> extensions) {
    return make_frame({.destination = "2001:db8::1", .extensions = std::move(extensions)});
  };
  const auto to = [](const char* destination) { return make_frame({.destination = destination}); };
  return {
      {"a_query", plain, merlon_reason_redirected},
      {"no_payload", make_frame({.destination = "2001:db8::1", .payload_size = 0}),
       merlon_reason_redirected},
      {"padded", padded(plain, 6), merlon_reason_redirected},
      {"traffic_class_and_flow_label", with_byte(with_byte(plain, 14, 0x6f), 15, 0xff),
       merlon_reason_redirected},
      {"link_local_destination", to("fe80::1"), merlon_reason_redirected},
      {"low_address_that_is_no_loopback", to("::2"), merlon_reason_redirected},
      {"mapped_is_an_address_like_others", with_byte(plain, 14 + 24, 0), merlon_reason_redirected},
      {"hop_by_hop", with({0}), merlon_reason_ipv6_extension},
      {"routing", with({43}), merlon_reason_ipv6_extension},
      {"fragment", with({44}), merlon_reason_ipv6_extension},
      {"destination_options", with({60}), merlon_reason_ipv6_extension},
      {"authentication", with({51}), merlon_reason_ipv6_extension},
      {"encrypted", with({50}), merlon_reason_ipv6_extension},
      {"mobility", with({135}), merlon_reason_ipv6_extension},
      {"two_extensions", with({0, 44}), merlon_reason_ipv6_extension},
      {"tcp", make_frame({.destination = "2001:db8::1", .protocol = 6}), merlon_reason_not_udp},
      {"neighbour_discovery", make_frame({.destination = "2001:db8::1", .protocol = 58}),
       merlon_reason_not_udp},
      {"no_next_header", make_frame({.destination = "2001:db8::1", .protocol = 59}),
       merlon_reason_not_udp},
      {"other_port", make_frame({.destination = "2001:db8::1", .port = 853}),
       merlon_reason_other_port},
      {"multicast", to("ff02::fb"), merlon_reason_not_unicast},
      {"all_nodes", to("ff02::1"), merlon_reason_not_unicast},
      {"unspecified", to("::"), merlon_reason_not_unicast},
      {"loopback", to("::1"), merlon_reason_not_unicast},
      {"multicast_mac", make_frame({.destination = "2001:db8::1", .first_mac_byte = 0x33}),
       merlon_reason_not_unicast},
      {"version_4_in_an_ipv6_frame", with_byte(plain, 14, 0x45), merlon_reason_bad_header},
      {"version_7", with_byte(plain, 14, 0x70), merlon_reason_bad_header},
      {"payload_length_one_above", with_byte(plain, 19, static_cast<uint8_t>(plain[19] + 1)),
       merlon_reason_truncated},
      {"payload_length_below_udp", with_byte(plain, 19, 7), merlon_reason_truncated},
      {"payload_length_0_as_jumbograms", with_byte(plain, 19, 0), merlon_reason_truncated},
  };
}

std::vector<Row> ethernet_rows() {
  const auto typed = [](uint8_t high, uint8_t low) {
    return with_byte(with_byte(make_frame({}), 12, high), 13, low);
  };
  const auto tagged = [](std::vector<uint16_t> tags) { return make_frame({.tags = tags}); };
  return {
      {"arp", typed(0x08, 0x06), merlon_reason_not_ip},
      {"lldp", typed(0x88, 0xcc), merlon_reason_not_ip},
      {"mpls", typed(0x88, 0x47), merlon_reason_not_ip},
      {"length_instead_of_type", typed(0x00, 0x40), merlon_reason_not_ip},
      {"nothing_but_the_ethernet_header", cut(make_frame({}), 14), merlon_reason_truncated},
      {"arp_of_14_bytes", cut(typed(0x08, 0x06), 14), merlon_reason_not_ip},
      {"one_vlan_tag", tagged({kVlan}), merlon_reason_redirected},
      {"one_service_tag", tagged({kServiceVlan}), merlon_reason_redirected},
      {"two_tags", tagged({kServiceVlan, kVlan}), merlon_reason_redirected},
      {"two_customer_tags", tagged({kVlan, kVlan}), merlon_reason_redirected},
      {"three_tags", tagged({kServiceVlan, kVlan, kVlan}), merlon_reason_not_ip},
      {"vlan_tag_and_ipv6", make_frame({.tags = {kVlan}, .destination = "2001:db8::1"}),
       merlon_reason_redirected},
      {"two_tags_and_ipv6",
       make_frame({.tags = {kServiceVlan, kVlan}, .destination = "2001:db8::1"}),
       merlon_reason_redirected},
      {"vlan_tag_and_options", make_frame({.tags = {kVlan}, .options = 3}),
       merlon_reason_redirected},
      {"vlan_tag_and_arp", with_byte(tagged({kVlan}), 17, 0x06), merlon_reason_not_ip},
      {"vlan_tag_and_tcp", make_frame({.tags = {kVlan}, .protocol = 6}), merlon_reason_not_udp},
      {"two_tags_and_a_fragment", make_frame({.tags = {kVlan, kVlan}, .fragment = 0x2000}),
       merlon_reason_fragment},
      {"frame_ends_inside_the_first_tag", cut(tagged({kVlan}), 17), merlon_reason_truncated},
      {"frame_ends_inside_the_second_tag", cut(tagged({kVlan, kVlan}), 21),
       merlon_reason_truncated},
  };
}

void check(LoadedFilter& filter, const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    const auto ran = filter.run(row.frame);
    ASSERT_TRUE(ran.reason.has_value()) << row.name;
    EXPECT_EQ(reason_name(*ran.reason), reason_name(row.reason)) << row.name;
    EXPECT_EQ(ran.action, row.reason == merlon_reason_redirected ? XDP_REDIRECT : XDP_PASS)
        << row.name;
  }
}

TEST(Filter, TakesQueriesOverIpv4AndLeavesTheRestToTheKernel) {
  MERLON_SKIP_WITHOUT_BPF();
  LoadedFilter filter(53, {}, Queue::with_socket);
  check(filter, ipv4_rows());
}

TEST(Filter, TakesQueriesOverIpv6AndLeavesTheRestToTheKernel) {
  MERLON_SKIP_WITHOUT_BPF();
  LoadedFilter filter(53, {}, Queue::with_socket);
  check(filter, ipv6_rows());
}

TEST(Filter, LooksBehindAtMostTwoVlanTags) {
  MERLON_SKIP_WITHOUT_BPF();
  LoadedFilter filter(53, {}, Queue::with_socket);
  check(filter, ethernet_rows());
}

TEST(Filter, LeavesEverythingToTheKernelWhereNoSocketIsBound) {
  MERLON_SKIP_WITHOUT_BPF();
  LoadedFilter filter(53, {}, Queue::without_socket);
  for (auto rows : {ipv4_rows(), ipv6_rows(), ethernet_rows()}) {
    for (Row& row : rows) {
      if (row.reason == merlon_reason_redirected) {
        row.reason = merlon_reason_no_socket;
      }
    }
    check(filter, rows);
  }
}

TEST(Filter, AsksForThePortThatIsConfigured) {
  MERLON_SKIP_WITHOUT_BPF();
  for (const uint16_t port : kPorts) {
    LoadedFilter filter(port, {}, Queue::with_socket);
    for (const uint16_t asked : kPorts) {
      const uint32_t reason = asked == port ? merlon_reason_redirected : merlon_reason_other_port;
      check(filter, {{"ipv4", make_frame({.port = asked}), reason},
                     {"ipv6", make_frame({.destination = "2001:db8::1", .port = asked}), reason}});
    }
  }
}

TEST(Filter, TakesOnlyTheAddressesThatAreConfigured) {
  MERLON_SKIP_WITHOUT_BPF();
  LoadedFilter filter(53, {"192.0.2.1", "192.0.2.200", "2001:db8::1", "2001:db8::100"},
                      Queue::with_socket);
  const auto row = [](const char* destination, uint32_t reason) {
    return Row{destination, make_frame({.destination = destination}), reason};
  };
  check(
      filter,
      {row("192.0.2.1", merlon_reason_redirected), row("192.0.2.200", merlon_reason_redirected),
       row("192.0.2.2", merlon_reason_other_address), row("1.2.0.192", merlon_reason_other_address),
       row("224.0.0.1", merlon_reason_not_unicast), row("2001:db8::1", merlon_reason_redirected),
       row("2001:db8::100", merlon_reason_redirected),
       row("2001:db8::2", merlon_reason_other_address),
       row("2001:db8:0:1::1", merlon_reason_other_address),
       row("2001:db9::1", merlon_reason_other_address),
       row("2001:db8:1::1", merlon_reason_other_address)});
}

TEST(Filter, TakesNoneOfTheFamilyThatIsNotConfigured) {
  MERLON_SKIP_WITHOUT_BPF();
  LoadedFilter only4(53, {"192.0.2.1"}, Queue::with_socket);
  check(only4, {{"ours", make_frame({}), merlon_reason_redirected},
                {"ipv6", make_frame({.destination = "2001:db8::1"}), merlon_reason_other_address}});
  LoadedFilter only6(53, {"2001:db8::1"}, Queue::with_socket);
  check(only6, {{"ours", make_frame({.destination = "2001:db8::1"}), merlon_reason_redirected},
                {"ipv4", make_frame({}), merlon_reason_other_address}});
}

TEST(Filter, LoadsWithAsManyAddressesAsThereMayBe) {
  MERLON_SKIP_WITHOUT_BPF();
  std::vector<std::string> addresses;
  for (int i = 0; i < MERLON_FILTER_ADDRESSES_MAX; ++i) {
    addresses.push_back("198.51.100." + std::to_string(i));
    addresses.push_back("2001:db8::" + std::to_string(i + 1));
  }
  LoadedFilter filter(53, addresses, Queue::with_socket);
  for (const std::string& address : addresses) {
    check(filter,
          {{address.c_str(), make_frame({.destination = address}), merlon_reason_redirected}});
  }
  check(filter,
        {{"next ipv4", make_frame({.destination = "198.51.100.64"}), merlon_reason_other_address},
         {"next ipv6", make_frame({.destination = "2001:db8::65"}), merlon_reason_other_address}});
}

TEST(Filter, NeverTakesAFrameThatWasCutAtAnyByte) {
  MERLON_SKIP_WITHOUT_BPF();
  LoadedFilter filter(53, {}, Queue::with_socket);
  const Frame frames[] = {
      make_frame({}),
      make_frame({.options = 10}),
      make_frame({.destination = "2001:db8::1"}),
      make_frame({.tags = {kVlan}}),
      make_frame({.tags = {kServiceVlan, kVlan}, .options = 2}),
      make_frame({.tags = {kServiceVlan, kVlan}, .destination = "2001:db8::1"}),
      make_frame({.payload_size = 0}),
  };
  for (const Frame& frame : frames) {
    EXPECT_EQ(filter.run(frame).reason, merlon_reason_redirected);
    for (size_t size = 14; size < frame.size(); ++size) {
      const auto ran = filter.run(cut(frame, size));
      ASSERT_EQ(ran.action, XDP_PASS) << size << " of " << frame.size();
      ASSERT_EQ(ran.reason, merlon_reason_truncated) << size << " of " << frame.size();
    }
  }
}

}  // namespace
}  // namespace merlon::xdp::tests

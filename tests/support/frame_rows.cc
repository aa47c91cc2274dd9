// SPDX-License-Identifier: Apache-2.0
#include "tests/support/frame_rows.h"

#include <utility>

namespace merlon::tests {
namespace {

using address::Address;
using address::Bits6;
using frame::Drop;
using frame::Verdict;
using Buffer = std::vector<uint8_t>;
using Edit = void (*)(FrameSpec&);

enum class Over : uint8_t { v4, v6 };

// Why a kernel socket differs.
constexpr std::string_view kReassembles = "the kernel puts fragments together";
constexpr std::string_view kExtension = "the kernel reads extension headers";
constexpr std::string_view kGroupMac = "the kernel takes unicast IP from a group MAC address";
constexpr std::string_view kBroadcast = "the kernel takes broadcast and multicast";
constexpr std::string_view kOtherAddress = "the kernel takes every address of its host";
constexpr std::string_view kNoReply = "received, but a reply cannot leave the host";
constexpr std::string_view kGroupSource = "received, but a reply to a group MAC would be flooded";

class Rows {
 public:
  explicit Rows(Over over) : over_(over) {}

  FrameRow& add(std::string_view name, Verdict verdict, Edit edit) {
    FrameSpec spec{.is_v6 = over_ == Over::v6};
    edit(spec);
    const std::string_view family = spec.is_v6 ? "IPv6, " : "IPv4, ";
    rows_.push_back({.name = std::string(family) + std::string(name),
                     .frame = build_frame(spec),
                     .verdict = verdict});
    return rows_.back();
  }
  FrameRow& query(std::string_view name, Edit edit) { return add(name, Verdict::query, edit); }
  FrameRow& not_ours(std::string_view name, Edit edit) {
    return add(name, Verdict::not_ours, edit);
  }
  FrameRow& drop(Drop drop, std::string_view name, Edit edit) {
    FrameRow& row = add(name, Verdict::drop, edit);
    row.drop = drop;
    return row;
  }
  void move_to(std::vector<FrameRow>& all) {
    all.insert(all.end(), std::make_move_iterator(rows_.begin()),
               std::make_move_iterator(rows_.end()));
  }

 private:
  Over over_;
  std::vector<FrameRow> rows_;
};

// What both families have in common.
void add_link_layer(Rows& rows) {
  rows.query("plain", [](FrameSpec&) {});
  rows.query("padding behind the packet", [](FrameSpec& s) { s.padding.assign(18, 0xee); });
  rows.query("an odd number of padding bytes", [](FrameSpec& s) { s.padding.assign(7, 0xff); });
  rows.not_ours("other MAC address", [](FrameSpec& s) { s.to[5] = 0x54; });
  rows.not_ours("broadcast MAC address", [](FrameSpec& s) { s.to.fill(0xff); }).exception =
      kGroupMac;
  rows.not_ours("multicast MAC address", [](FrameSpec& s) { s.to = {1, 0, 0x5e, 1, 2, 3}; })
      .exception = kGroupMac;
  rows.drop(Drop::source_address, "from a group MAC address",
            [](FrameSpec& s) { s.from[0] = 0x03; })
      .exception = kGroupSource;
  rows.query("from MAC address zero", [](FrameSpec& s) { s.from.fill(0); });
  rows.query("from our own MAC address", [](FrameSpec& s) { s.from = kServerMac; });
  rows.query("priority tag", [](FrameSpec& s) { s.tags = {{0x8100, 0xe000}}; });
  rows.query("priority service tag", [](FrameSpec& s) { s.tags = {{0x88a8, 0}}; });
  rows.query("VLAN 100", [](FrameSpec& s) { s.tags = {{0x8100, 100}}; }).wants_vlan_device = true;
  rows.query("VLAN 7 in VLAN 100", [](FrameSpec& s) { s.tags = {{0x8100, 100}, {0x8100, 7}}; })
      .wants_vlan_device = true;
  rows.query("VLAN 7 in service VLAN 200",
             [](FrameSpec& s) { s.tags = {{0x88a8, 200}, {0x8100, 7}}; })
      .wants_vlan_device = true;
  rows.not_ours("three tags",
                [](FrameSpec& s) { s.tags = {{0x8100, 100}, {0x8100, 7}, {0x8100, 9}}; });
  rows.not_ours("tag of the old type 9100", [](FrameSpec& s) { s.tags = {{0x9100, 0}}; });
  rows.not_ours("EtherType ARP", [](FrameSpec& s) { s.type = 0x0806; });
  rows.not_ours("802.3 length in place of a type", [](FrameSpec& s) { s.type = 68; });
  rows.not_ours("EtherType MPLS", [](FrameSpec& s) { s.type = 0x8847; });
}

void add_ports_and_udp(Rows& rows) {
  rows.not_ours("other port", [](FrameSpec& s) { s.destination_port = 54; });
  rows.not_ours("port with its bytes swapped", [](FrameSpec& s) { s.destination_port = 0x3500; });
  rows.not_ours("port 0", [](FrameSpec& s) { s.destination_port = 0; });
  rows.not_ours("TCP", [](FrameSpec& s) { s.protocol = 6; });
  rows.not_ours("UDP-Lite", [](FrameSpec& s) { s.protocol = 136; });
  rows.not_ours("ICMP", [](FrameSpec& s) { s.protocol = 1; });
  rows.drop(Drop::source_port_zero, "source port 0", [](FrameSpec& s) { s.source_port = 0; })
      .exception = kNoReply;
  rows.query("source port 53", [](FrameSpec& s) { s.source_port = 53; });
  rows.query("source port 65535", [](FrameSpec& s) { s.source_port = 65535; });
  rows.query("no message", [](FrameSpec& s) { s.message.clear(); });
  rows.query("message of one byte", [](FrameSpec& s) { s.message.resize(1); });
  rows.query("message of odd size", [](FrameSpec& s) { s.message.push_back(0x80); });
  rows.query("message of 1232 bytes", [](FrameSpec& s) { s.message.resize(1232, 0xa5); });
  rows.query("message of ones", [](FrameSpec& s) { s.message.assign(64, 0xff); });
  rows.query("UDP length leaves bytes of the packet out",
             [](FrameSpec& s) { s.behind_udp = {1, 2, 3}; });
  rows.query("UDP length 8 in a longer packet", [](FrameSpec& s) { s.udp_length = 8; });
  rows.query("UDP length 9 in a longer packet", [](FrameSpec& s) { s.udp_length = 9; });
  for (const uint16_t length : {uint16_t{1}, uint16_t{7}, uint16_t{49}, uint16_t{65535}}) {
    FrameRow& row = rows.drop(Drop::udp_length, "UDP length ", [](FrameSpec&) {});
    row.name += std::to_string(length);
    const bool is_v6 = row.name.starts_with("IPv6");
    row.frame = build_frame({.is_v6 = is_v6, .udp_length = length});
  }
  rows.drop(Drop::udp_length, "UDP length counts the padding", [](FrameSpec& s) {
    s.padding.assign(10, 0);
    s.udp_length = 58;
  });
  rows.drop(Drop::udp_checksum, "UDP checksum off by a bit",
            [](FrameSpec& s) { s.udp_checksum_flip = 1; });
  rows.drop(Drop::udp_checksum, "UDP checksum with its bytes swapped", [](FrameSpec& s) {
    s.message[0] ^= 0x01;
    s.udp_checksum = 0x1234;
  });
  rows.drop(Drop::udp_checksum, "UDP checksum over bytes behind the UDP length", [](FrameSpec& s) {
    s.message.insert(s.message.end(), {0, 0, 7, 7});
    const Buffer whole = build_frame(s);
    const size_t at = whole.size() - s.message.size() - 2;
    s.udp_checksum = load_be16(whole.data() + at);
    s.udp_length = 48;
  });
  rows.query("UDP checksum that computes to 0, sent as ffff",
             [](FrameSpec& s) { s.sum_to_zero = true; });
  rows.drop(Drop::udp_checksum, "UDP checksum ffff that is wrong",
            [](FrameSpec& s) { s.udp_checksum = 0xffff; });
}

void add_v4_header(Rows& rows) {
  rows.query("no UDP checksum", [](FrameSpec& s) { s.udp_checksum = 0; });
  rows.query("TTL 0", [](FrameSpec& s) { s.hop_limit = 0; });
  rows.query("TTL 1", [](FrameSpec& s) { s.hop_limit = 1; });
  rows.query("all type of service bits", [](FrameSpec& s) { s.traffic_class = 0xff; });
  rows.query("identification 0", [](FrameSpec& s) { s.id = 0; });
  rows.query("do not fragment", [](FrameSpec& s) { s.fragment = 0x4000; });
  rows.query("reserved flag", [](FrameSpec& s) { s.fragment = 0x8000; });
  rows.not_ours("first fragment", [](FrameSpec& s) { s.fragment = 0x2000; });
  rows.not_ours("first fragment with DF", [](FrameSpec& s) { s.fragment = 0x6000; });
  rows.not_ours("later fragment", [](FrameSpec& s) {
    s.fragment = 0x0002;
    s.id = 0x2222;
  });
  rows.not_ours("fragment offset at its highest bit", [](FrameSpec& s) { s.fragment = 0x1000; });
  rows.drop(Drop::ip_header, "version 6 in the header", [](FrameSpec& s) { s.first = 0x65; });
  rows.drop(Drop::ip_header, "version 0", [](FrameSpec& s) { s.first = 0x05; });
  rows.drop(Drop::ip_header, "version 15", [](FrameSpec& s) { s.first = 0xf5; });
  rows.not_ours("header length 0", [](FrameSpec& s) { s.first = 0x40; });
  rows.not_ours("header length 16", [](FrameSpec& s) { s.first = 0x44; });
  rows.not_ours("header length 24 without options", [](FrameSpec& s) { s.first = 0x46; });
  rows.not_ours("header length 60 without options", [](FrameSpec& s) { s.first = 0x4f; });
  rows.not_ours("header length past the frame", [](FrameSpec& s) {
    s.first = 0x4f;
    s.message.resize(8);
  });
  rows.drop(Drop::ip_checksum, "header checksum off by a bit",
            [](FrameSpec& s) { s.ip_checksum_flip = 0x0100; });
  rows.drop(Drop::ip_checksum, "header checksum inverted",
            [](FrameSpec& s) { s.ip_checksum_flip = 0xffff; });
  for (const uint16_t length : {uint16_t{0}, uint16_t{19}, uint16_t{20}, uint16_t{27}, uint16_t{28},
                                uint16_t{67}, uint16_t{69}, uint16_t{65535}}) {
    const Drop why = length < 20   ? Drop::ip_header
                     : length > 68 ? Drop::truncated
                                   : Drop::udp_length;
    FrameRow& row = rows.drop(why, "total length ", [](FrameSpec&) {});
    row.name += std::to_string(length);
    row.frame = build_frame({.length = length});
  }
  rows.query("total length counts padding", [](FrameSpec& s) {
    s.padding.assign(4, 0);
    s.length = 72;
  });
}

void add_v4_cuts(Rows& rows) {
  rows.drop(Drop::truncated, "last byte missing", [](FrameSpec& s) { s.cut = 1; });
  rows.drop(Drop::truncated, "message missing", [](FrameSpec& s) { s.cut = 40; });
  rows.drop(Drop::truncated, "ends inside the UDP header", [](FrameSpec& s) { s.cut = 41; });
  rows.drop(Drop::truncated, "ends behind the ports", [](FrameSpec& s) { s.cut = 44; });
  rows.not_ours("ends inside the ports", [](FrameSpec& s) { s.cut = 45; });
  rows.not_ours("ends behind the IP header", [](FrameSpec& s) { s.cut = 48; });
  rows.not_ours("ends inside the IP header", [](FrameSpec& s) { s.cut = 49; });
  rows.not_ours("ends behind the EtherType", [](FrameSpec& s) { s.cut = 68; });
  rows.drop(Drop::udp_length, "whole packet without the UDP header's end", [](FrameSpec& s) {
    s.message.clear();
    s.length = 26;
    s.cut = 2;
  });
}

void add_v4_addresses(Rows& rows) {
  const auto from = [&rows](std::string_view text) {
    FrameRow& row = rows.query("from ", [](FrameSpec&) {});
    row.name += text;
    row.frame = build_frame({.source = ip(text)});
    return &row;
  };
  for (const std::string_view good :
       {"192.0.2.1", "10.0.0.1", "169.254.1.1", "0.0.0.1", "0.255.255.255", "126.255.255.255",
        "128.0.0.0", "223.255.255.255", "240.0.0.1", "255.255.255.254", "198.51.100.0", "192.0.2.0",
        "192.0.2.255"}) {
    from(good);
  }
  for (const std::string_view bad : {"0.0.0.0", "127.0.0.1", "127.255.255.255", "224.0.0.1",
                                     "239.255.255.255", "255.255.255.255", "192.0.2.53"}) {
    FrameRow* row = from(bad);
    row->verdict = Verdict::drop;
    row->drop = Drop::source_address;
  }
  const auto to = [&rows](std::string_view text, std::string_view exception) {
    FrameRow& row = rows.not_ours("to ", [](FrameSpec&) {});
    row.name += text;
    row.frame = build_frame({.destination = ip(text)});
    row.exception = exception;
  };
  for (const std::string_view other :
       {"192.0.2.54", "203.0.113.1", "0.0.0.0", "127.0.0.1", "224.0.0.251", "240.0.0.1"}) {
    to(other, "");
  }
  to("192.0.2.99", kOtherAddress);
  to("224.0.0.1", kBroadcast);
  to("192.0.2.255", kBroadcast);
  to("255.255.255.255", kBroadcast);
}

// RFC 791 section 3.1. Each is padded with what its last element says.
struct OptionRow {
  std::string_view name;
  Buffer options;
  bool good = true;
};

std::vector<OptionRow> option_rows() {
  return {
      {"end of list", {0, 0, 0, 0}},
      {"no operation", {1, 1, 1, 1}},
      {"anything behind the end of the list", {0, 7, 255, 9}},
      {"40 bytes", Buffer(40, 1)},
      {"unknown option", {0x5e, 4, 9, 9}},
      {"unknown option of two bytes", {0x5e, 2, 1, 0}},
      {"security", {130, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
      {"stream id", {136, 4, 1, 2}},
      {"router alert", {148, 4, 0, 0}},
      {"router alert of an unknown value", {148, 4, 0, 9}},
      {"router alert cut short", {148, 3, 0, 0}, false},
      {"length 0", {0x5e, 0, 0, 0}, false},
      {"length 1", {0x5e, 1, 0, 0}, false},
      {"length past the header", {0x5e, 5, 0, 0}, false},
      {"length missing", {1, 1, 1, 7}, false},
      {"record route", {7, 7, 4, 0, 0, 0, 0, 0}},
      {"record route that is full", {7, 7, 8, 9, 9, 9, 9, 0}},
      {"record route without room for an address", {7, 6, 4, 0, 0, 0, 0, 0}, false},
      {"record route with pointer 3", {7, 7, 3, 0, 0, 0, 0, 0}, false},
      {"record route of two bytes", {7, 2, 0, 0}, false},
      {"record route of three bytes", {7, 3, 4, 0}},
      {"record route twice", {7, 3, 4, 7, 3, 4, 0, 0}, false},
      {"timestamps", {68, 8, 5, 0, 0, 0, 0, 0}},
      {"timestamps that are full", {68, 8, 9, 0, 1, 2, 3, 4}},
      {"timestamps that overflow for the last time", {68, 8, 9, 0xe0, 1, 2, 3, 4}},
      {"timestamps that overflow once too often", {68, 8, 9, 0xf0, 1, 2, 3, 4}, false},
      {"addresses and timestamps", {68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0}},
      {"addresses and timestamps without room", {68, 8, 5, 1, 0, 0, 0, 0}, false},
      {"given addresses", {68, 12, 5, 3, 198, 51, 100, 1, 0, 0, 0, 0}},
      {"given addresses, overflow 15", {68, 12, 13, 0xf3, 198, 51, 100, 1, 0, 0, 0, 0}},
      {"given addresses without room", {68, 8, 5, 3, 198, 51, 100, 1}, false},
      {"timestamps of an unknown kind", {68, 8, 5, 9, 0, 0, 0, 0}},
      {"timestamps with pointer 4", {68, 8, 4, 0, 0, 0, 0, 0}, false},
      {"timestamps without room", {68, 6, 5, 0, 0, 0, 0, 0}, false},
      {"timestamps of three bytes", {68, 3, 5, 0}, false},
      {"timestamps twice", {68, 4, 5, 0, 68, 4, 5, 0}, false},
      {"loose source route", {131, 7, 4, 192, 0, 2, 53, 0}, false},
      {"loose source route at its end", {131, 7, 8, 192, 0, 2, 53, 0}, false},
      {"strict source route", {137, 7, 4, 192, 0, 2, 53, 0}, false},
  };
}

void add_v4_options(Rows& rows) {
  for (const OptionRow& option : option_rows()) {
    const auto name = "options: " + std::string(option.name);
    FrameRow& row = option.good ? rows.query(name, [](FrameSpec&) {})
                                : rows.drop(Drop::ip_options, name, [](FrameSpec&) {});
    row.frame = build_frame({.options = option.options});
  }
  rows.not_ours("options: CIPSO",
                [](FrameSpec& s) { s.options = {134, 10, 0, 0, 0, 3, 1, 4, 0, 1, 0, 0}; });
  rows.drop(Drop::ip_checksum, "options: header checksum wrong", [](FrameSpec& s) {
    s.options = {1, 1, 1, 0};
    s.ip_checksum_flip = 2;
  });
  rows.drop(Drop::ip_header, "options: total length inside of them", [](FrameSpec& s) {
    s.options = {1, 1, 1, 0};
    s.length = 22;
  });
  rows.query("options in a VLAN with priority only", [](FrameSpec& s) {
    s.options = Buffer(40, 1);
    s.tags = {{0x8100, 0}};
  });
}

void add_v6_header(Rows& rows) {
  rows.drop(Drop::udp_checksum, "no UDP checksum", [](FrameSpec& s) { s.udp_checksum = 0; });
  rows.query("hop limit 0", [](FrameSpec& s) { s.hop_limit = 0; });
  rows.query("hop limit 1", [](FrameSpec& s) { s.hop_limit = 1; });
  rows.query("all traffic class bits", [](FrameSpec& s) { s.traffic_class = 0xff; });
  rows.drop(Drop::ip_header, "version 4 in the header", [](FrameSpec& s) { s.first = 0x45; });
  rows.drop(Drop::ip_header, "version 7", [](FrameSpec& s) { s.first = 0x70; });
  for (const uint16_t length :
       {uint16_t{0}, uint16_t{7}, uint16_t{8}, uint16_t{47}, uint16_t{49}, uint16_t{65535}}) {
    FrameRow& row = rows.drop(length > 48 ? Drop::truncated : Drop::udp_length, "payload length ",
                              [](FrameSpec&) {});
    row.name += std::to_string(length);
    row.frame = build_frame({.is_v6 = true, .length = length});
  }
  rows.query("payload length counts padding", [](FrameSpec& s) {
    s.padding.assign(4, 0);
    s.length = 52;
  });
  rows.query("UDP length 0 stands for the packet's", [](FrameSpec& s) { s.udp_length = 0; });
  rows.query("UDP length 0 and padding", [](FrameSpec& s) {
    s.udp_length = 0;
    s.padding.assign(6, 0xee);
  });
  rows.drop(Drop::udp_checksum, "UDP length 0, checksum wrong", [](FrameSpec& s) {
    s.udp_length = 0;
    s.udp_checksum_flip = 0x8000;
  });
  rows.drop(Drop::truncated, "last byte missing", [](FrameSpec& s) { s.cut = 1; });
  rows.drop(Drop::truncated, "ends inside the UDP header", [](FrameSpec& s) { s.cut = 41; });
  rows.drop(Drop::truncated, "ends behind the ports", [](FrameSpec& s) { s.cut = 44; });
  rows.not_ours("ends inside the ports", [](FrameSpec& s) { s.cut = 45; });
  rows.not_ours("ends inside the IP header", [](FrameSpec& s) { s.cut = 49; });
  rows.not_ours("ends behind the EtherType", [](FrameSpec& s) { s.cut = 88; });
}

void add_v6_extensions(Rows& rows) {
  const auto chain = [&rows](std::string_view name, uint8_t type, Buffer extensions,
                             std::string_view exception) {
    FrameRow& row = rows.not_ours(name, [](FrameSpec&) {});
    row.frame = build_frame({.is_v6 = true, .extensions = std::move(extensions), .protocol = type});
    row.exception = exception;
  };
  chain("hop-by-hop options", 0, {17, 0, 1, 4, 0, 0, 0, 0}, kExtension);
  chain("destination options", 60, {17, 0, 1, 4, 0, 0, 0, 0}, kExtension);
  chain("destination option that is unknown", 60, {17, 0, 0x80, 4, 0, 0, 0, 0}, "");
  chain("routing header 0", 43, {17, 0, 0, 0, 0, 0, 0, 0}, kExtension);
  chain("routing header 0 with a segment left", 43, {17, 0, 0, 1, 0, 0, 0, 0}, "");
  chain("atomic fragment", 44, {17, 0, 0, 0, 0, 0, 0, 1}, kReassembles);
  chain("first fragment", 44, {17, 0, 0, 1, 0, 0, 0, 2}, "");
  chain("later fragment", 44, {17, 0, 0, 8, 0, 0, 0, 3}, "");
  chain("no next header", 59, {}, "");
  chain("authentication header", 51,
        {17, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "");
}

void add_v6_addresses(Rows& rows) {
  const auto from = [&rows](std::string_view name, Bits6 bits) {
    FrameRow& row = rows.query("from ", [](FrameSpec&) {});
    row.name += name;
    row.frame = build_frame({.is_v6 = true, .source = Address::v6(bits)});
    return &row;
  };
  for (const std::string_view good :
       {"2001:db8::1", "fe80::1", "fd00::1", "::2", "::192.0.2.1", "64:ff9b::c000:201", "fec0::1",
        "ffe::1", "100::1", "2001:db8::", "2002:7f00:1::1"}) {
    from(good, ip(good).bits);
  }
  const auto refused = [&](std::string_view name, Bits6 bits, std::string_view exception) {
    FrameRow* row = from(name, bits);
    row->verdict = Verdict::drop;
    row->drop = Drop::source_address;
    row->exception = exception;
  };
  refused("::", 0, kNoReply);
  refused("our own address", ip(kServer6).bits, kNoReply);
  refused("::1", 1, "");
  refused("ff02::1", ip("ff02::1").bits, "");
  refused("ff00::", ip("ff00::").bits, "");
  refused("::ffff:192.0.2.1", (Bits6{0xffff} << 32) | 0xc0000201, kNoReply);
  const auto to = [&rows](std::string_view name, Bits6 bits, std::string_view exception) {
    FrameRow& row = rows.not_ours("to ", [](FrameSpec&) {});
    row.name += name;
    row.frame = build_frame({.is_v6 = true, .destination = Address::v6(bits)});
    row.exception = exception;
  };
  for (const std::string_view other : {"2001:db8::54", "2001:db8:2::53", "::", "::1", "ff01::1"}) {
    to(other, ip(other).bits, "");
  }
  to("::ffff:192.0.2.53", (Bits6{0xffff} << 32) | 0xc0000235, "");
  to("2001:db8::99", ip("2001:db8::99").bits, kOtherAddress);
  to("ff02::1", ip("ff02::1").bits, kBroadcast);
}

void add_reassembly(Rows& rows) {
  // 48 bytes of UDP in two parts: 24 and 24. The checksum is that of the whole.
  FrameRow& row = rows.not_ours("last of two fragments", [](FrameSpec&) {});
  const auto part = [](size_t first, uint16_t fragment) {
    const Buffer whole = build_frame({});
    Buffer frame(whole.begin(), whole.begin() + 34);
    frame.insert(frame.end(), whole.begin() + static_cast<std::ptrdiff_t>(34 + first),
                 whole.begin() + static_cast<std::ptrdiff_t>(34 + first + 24));
    store_be16(frame.data() + 16, 44);
    store_be16(frame.data() + 18, 0x7777);
    store_be16(frame.data() + 20, fragment);
    store_be16(frame.data() + 24, 0);
    store_be16(frame.data() + 24, static_cast<uint16_t>(~slow_sum(Bytes(frame).subspan(14, 20))));
    return frame;
  };
  row.before = part(0, 0x2000);
  row.frame = part(24, 24 / 8);
  row.exception = kReassembles;
}

}  // namespace

frame::Filter frame_filter() {
  return {.port = kServerPort, .mac = kServerMac, .addresses = {ip(kServer4), ip(kServer6)}};
}

std::vector<FrameRow> frame_rows() {
  std::vector<FrameRow> all;
  Rows v4(Over::v4);
  add_link_layer(v4);
  add_ports_and_udp(v4);
  add_v4_header(v4);
  v4.drop(Drop::udp_length, "UDP length 0", [](FrameSpec& s) { s.udp_length = 0; });
  add_v4_cuts(v4);
  add_v4_addresses(v4);
  add_v4_options(v4);
  add_reassembly(v4);
  v4.move_to(all);
  Rows v6(Over::v6);
  add_link_layer(v6);
  add_ports_and_udp(v6);
  add_v6_header(v6);
  add_v6_extensions(v6);
  add_v6_addresses(v6);
  v6.move_to(all);
  all.push_back({.name = "empty", .verdict = Verdict::not_ours});
  all.push_back({.name = "13 bytes", .frame = Buffer(13, 2), .verdict = Verdict::not_ours});
  return all;
}

}  // namespace merlon::tests

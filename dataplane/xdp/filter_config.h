// SPDX-License-Identifier: Apache-2.0
// What the BPF filter (filter.bpf.c, C for the kernel) and the code that configures it and reads
// its counters (C++) agree on. Plain C that both compile.
//
// Whoever attaches the filter loads it from a file and cannot be told settings (DPDK's net_af_xdp
// takes a path, nothing else). So the settings are constants of the object: one struct in a section
// of its own, which prepare_filter() overwrites in a private copy of the file. The kernel freezes
// the section when it loads the object and the verifier then knows its values, which makes the
// filter as fast as one compiled for these settings.
#ifndef MERLON_DATAPLANE_XDP_FILTER_CONFIG_H
#define MERLON_DATAPLANE_XDP_FILTER_CONFIG_H

#include <linux/types.h>

#define MERLON_FILTER_MAGIC "MRLNXDP1"
#define MERLON_FILTER_MAGIC_SIZE 8
#define MERLON_FILTER_ADDRESSES_MAX 64
#define MERLON_FILTER_QUEUES_MAX 512

// Names as the kernel shows them (at most 15 characters).
#define MERLON_FILTER_SECTION ".rodata.config"
#define MERLON_FILTER_PROGRAM_NAME "merlon_filter"
#define MERLON_FILTER_COUNTERS_NAME "merlon_counters"
#define MERLON_FILTER_SOCKETS_NAME "xsks_map"

struct merlon_filter_config {
  __u8 magic[MERLON_FILTER_MAGIC_SIZE];
  __u16 port;  // network order
  __u16 v4_count;
  __u16 v6_count;
  __u16 reserved;
  // Our addresses, in network order. None at all: any unicast destination.
  __u32 v4[MERLON_FILTER_ADDRESSES_MAX];
  __u32 v6[MERLON_FILTER_ADDRESSES_MAX][4];
};

// What became of a frame. All but the first go to the kernel as if there were no filter.
#define MERLON_FILTER_REASONS(X)                                                      \
  X(redirected, "a query: to the data plane")                                         \
  X(no_socket, "a query, but no data plane serves its queue: to the kernel")          \
  X(not_ip, "neither IPv4 nor IPv6 behind at most two VLAN tags (ARP, LLDP, ..)")     \
  X(truncated, "ends inside a header, or before the length that its IP says")         \
  X(bad_header, "IP version or IPv4 header length impossible")                        \
  X(not_udp, "TCP, ICMP and all other protocols")                                     \
  X(ipv6_extension, "IPv6 extension headers, fragments among them")                   \
  X(fragment, "a fragment of IPv4")                                                   \
  X(not_unicast, "to a multicast, broadcast, loopback or unspecified address or MAC") \
  X(other_port, "UDP to another port")                                                \
  X(other_address, "to our port, but none of our addresses")

enum merlon_filter_reason {
#define MERLON_X(name, text) merlon_reason_##name,
  MERLON_FILTER_REASONS(MERLON_X)
#undef MERLON_X
      merlon_reason_count
};

#endif

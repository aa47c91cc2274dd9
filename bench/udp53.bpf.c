// SPDX-License-Identifier: Apache-2.0
// The least that an XDP program for a DNS server can do: IPv4 UDP to port 53 goes to the AF_XDP
// socket of its queue, all else to the kernel. dpdk-testpmd runs behind it as the ceiling that
// bench/run compares with; what the product's own filter checks beyond that counts against us.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

// net_af_xdp looks for a map of this name.
struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, 64);
  __type(key, __u32);
  __type(value, __u32);
} xsks_map SEC(".maps");

SEC("xdp")
int udp53(struct xdp_md *packet) {
  const void *end = (const void *)(long)packet->data_end;
  const struct ethhdr *ethernet = (const void *)(long)packet->data;
  const struct iphdr *ip = (const void *)(ethernet + 1);
  const struct udphdr *udp = (const void *)(ip + 1);
  if ((const void *)(udp + 1) > end || ethernet->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 ||
      ip->protocol != IPPROTO_UDP || udp->dest != bpf_htons(53)) {
    return XDP_PASS;
  }
  return bpf_redirect_map(&xsks_map, packet->rx_queue_index, XDP_PASS);
}

char terms[] SEC("license") = "Apache-2.0";

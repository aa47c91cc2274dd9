// SPDX-License-Identifier: Apache-2.0
// The XDP program of AF_XDP ports: whole UDP datagrams to our port (and addresses, when some are
// listed) go to the socket of their receive queue, everything else to the kernel, as if nothing
// were attached: ARP, neighbour discovery, ICMP, TCP, BGP, fragments (which only the kernel can
// reassemble), what is malformed. Nothing is ever dropped here. Where no socket is bound to the
// queue (the data plane was killed, or has fewer workers than the port has queues) queries go to
// the kernel too, where a socket may answer them.
//
// Checksums and UDP lengths are verified by dataplane/frame, not here: the filter only decides
// whose the frame is. A tag that the port has stripped (receive VLAN offload) is not seen.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <stddef.h>

#include "dataplane/xdp/filter_config.h"
// The kernel's types must be known before the helpers.
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define IP_MORE_FRAGMENTS_OR_OFFSET 0x3fff

struct vlan_tag {
  __be16 control;
  __be16 inner_type;
};

const volatile struct merlon_filter_config merlon_config SEC(MERLON_FILTER_SECTION) = {
    .magic = MERLON_FILTER_MAGIC,
    .port = bpf_htons(53),
};

// DPDK looks this name up and puts its sockets in.
struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, MERLON_FILTER_QUEUES_MAX);
  __type(key, __u32);
  __type(value, __u32);
} xsks_map SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, merlon_reason_count);
  __type(key, __u32);
  __type(value, __u64);
} merlon_counters SEC(".maps");

// 0.0.0.0/8, 127.0.0.0/8, multicast, reserved and broadcast are nobody's address here.
static __always_inline int is_unicast_v4(__be32 address) {
  const __u32 first = bpf_ntohl(address) >> 24;
  return first != 0 && first != 127 && first < 224;
}

static __always_inline int is_unicast_v6(const __be32* words) {
  if (words[0] == 0 && words[1] == 0 && words[2] == 0) {
    return words[3] != 0 && words[3] != bpf_htonl(1);  // :: and ::1
  }
  return (bpf_ntohl(words[0]) >> 24) != 0xff;
}

static __always_inline int is_any_address_ours(void) {
  return merlon_config.v4_count == 0 && merlon_config.v6_count == 0;
}

static __always_inline int is_ours_v4(__be32 address) {
  for (__u32 i = 0; i < MERLON_FILTER_ADDRESSES_MAX; ++i) {
    if (i >= merlon_config.v4_count) {
      return 0;
    }
    if (merlon_config.v4[i] == address) {
      return 1;
    }
  }
  return 0;
}

static __always_inline int is_ours_v6(const __be32* words) {
  for (__u32 i = 0; i < MERLON_FILTER_ADDRESSES_MAX; ++i) {
    if (i >= merlon_config.v6_count) {
      return 0;
    }
    if (merlon_config.v6[i][3] == words[3] && merlon_config.v6[i][2] == words[2] &&
        merlon_config.v6[i][1] == words[1] && merlon_config.v6[i][0] == words[0]) {
      return 1;
    }
  }
  return 0;
}

static __always_inline int is_extension_header(__u8 protocol) {
  return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING ||
         protocol == IPPROTO_FRAGMENT || protocol == IPPROTO_ESP || protocol == IPPROTO_AH ||
         protocol == IPPROTO_DSTOPTS || protocol == IPPROTO_MH;
}

// What a whole datagram to `port` is; redirected stands for "ours".
static __always_inline int classify_ipv4(void* at, void* end, int is_group_mac) {
  struct iphdr* ip = at;
  if ((void*)(ip + 1) > end) {
    return merlon_reason_truncated;
  }
  if (ip->version != 4 || ip->ihl < 5) {
    return merlon_reason_bad_header;
  }
  if (ip->protocol != IPPROTO_UDP) {
    return merlon_reason_not_udp;
  }
  if (ip->frag_off & bpf_htons(IP_MORE_FRAGMENTS_OR_OFFSET)) {
    return merlon_reason_fragment;
  }
  const __u32 header_size = ip->ihl * 4u;
  const __u32 size = bpf_ntohs(ip->tot_len);
  struct udphdr* udp = at + header_size;
  if ((void*)(udp + 1) > end || size < header_size + sizeof(*udp) || size > end - at) {
    return merlon_reason_truncated;
  }
  if (is_group_mac || !is_unicast_v4(ip->daddr)) {
    return merlon_reason_not_unicast;
  }
  if (udp->dest != merlon_config.port) {
    return merlon_reason_other_port;
  }
  return is_any_address_ours() || is_ours_v4(ip->daddr) ? merlon_reason_redirected
                                                        : merlon_reason_other_address;
}

static __always_inline int classify_ipv6(void* at, void* end, int is_group_mac) {
  struct ipv6hdr* ip = at;
  if ((void*)(ip + 1) > end) {
    return merlon_reason_truncated;
  }
  if (ip->version != 6) {
    return merlon_reason_bad_header;
  }
  if (ip->nexthdr != IPPROTO_UDP) {
    return is_extension_header(ip->nexthdr) ? merlon_reason_ipv6_extension : merlon_reason_not_udp;
  }
  struct udphdr* udp = (void*)(ip + 1);
  const __u32 size = bpf_ntohs(ip->payload_len);
  if ((void*)(udp + 1) > end || size < sizeof(*udp) || size > end - (void*)udp) {
    return merlon_reason_truncated;
  }
  const __be32* destination = ip->daddr.in6_u.u6_addr32;
  if (is_group_mac || !is_unicast_v6(destination)) {
    return merlon_reason_not_unicast;
  }
  if (udp->dest != merlon_config.port) {
    return merlon_reason_other_port;
  }
  return is_any_address_ours() || is_ours_v6(destination) ? merlon_reason_redirected
                                                          : merlon_reason_other_address;
}

static __always_inline int is_vlan(__be16 type) {
  return type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD);
}

static __always_inline int classify(void* data, void* end) {
  struct ethhdr* ethernet = data;
  void* at = ethernet + 1;
  if (at > end) {
    return merlon_reason_truncated;
  }
  const int is_group_mac = ethernet->h_dest[0] & 1;
  __be16 type = ethernet->h_proto;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    if (is_vlan(type)) {
      struct vlan_tag* tag = at;
      at = tag + 1;
      if (at > end) {
        return merlon_reason_truncated;
      }
      type = tag->inner_type;
    }
  }
  if (type == bpf_htons(ETH_P_IP)) {
    return classify_ipv4(at, end, is_group_mac);
  }
  if (type == bpf_htons(ETH_P_IPV6)) {
    return classify_ipv6(at, end, is_group_mac);
  }
  return merlon_reason_not_ip;
}

SEC("xdp")
int merlon_filter(struct xdp_md* context) {
  int action = XDP_PASS;
  __u32 reason = classify((void*)(long)context->data, (void*)(long)context->data_end);
  if (reason == merlon_reason_redirected) {
    action = bpf_redirect_map(&xsks_map, context->rx_queue_index, XDP_PASS);
    if (action != XDP_REDIRECT) {
      reason = merlon_reason_no_socket;
    }
  }
  __u64* counter = bpf_map_lookup_elem(&merlon_counters, &reason);
  if (counter) {
    ++*counter;
  }
  return action;
}

char merlon_license[] SEC("license") = "Apache-2.0";

// SPDX-License-Identifier: Apache-2.0
// The BPF filter of AF_XDP ports as a file: filter.bpf.c is compiled once, and each configuration
// is a private copy of that object with the settings written into it (filter_config.h says why).
//
//   auto object = xdp::installed_filter();
//   auto program = xdp::prepare_filter({.object_path = *object, .port = 53, .addresses = ours,
//                                       .runtime_directory = "/run/merlon"});
//   -> "net_af_xdp0,iface=eth0,xdp_prog=" + *program
//
// Not on the packet path; safe to call from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/xdp/filter_config.h"
#include "zones/address/address.h"
#include "zones/base/bytes.h"
#include "zones/base/error.h"

namespace merlon::xdp {

struct FilterOptions {
  std::string object_path;  // the object as built
  uint16_t port = 53;
  // Ours, at most 64 of each family; empty: any unicast destination.
  std::vector<address::Address> addresses = {};
  std::string runtime_directory = {};  // where the copy goes; made when it is not there
};

// The object beside this program, or where an installed one lies. Errors: not_found.
Result<std::string> installed_filter();

// Writes the configured copy and returns its path. The name depends on the content, so equal
// settings share a file and a running data plane's file is never changed. Errors: invalid_argument
// (settings), corruption (not our object), not_found, io.
Result<std::string> prepare_filter(const FilterOptions& options);

// The two halves of it. Errors: invalid_argument; corruption when `object` is not our filter.
Result<merlon_filter_config> make_config(uint16_t port,
                                         const std::vector<address::Address>& addresses);
Status patch_object(MutableBytes object, const merlon_filter_config& config);
// What an object is configured for.
Result<merlon_filter_config> read_config(Bytes object);

// The name of a counter and what it counts. REQUIRES: reason < merlon_reason_count.
std::string_view reason_name(uint32_t reason);
std::string_view explain_reason(uint32_t reason);

}  // namespace merlon::xdp

// SPDX-License-Identifier: Apache-2.0
// What kinds of devices can take: addresses under one name, and addresses in all. The numbers are
// those of the consumers' documentation, or measured. Thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace merlon::policy {

struct Profile {
  std::string_view name;
  uint32_t addresses4_per_name = 4000;
  uint32_t addresses6_per_name = 2300;
  uint64_t capacity = 0;  // addresses of both families in all; 0: no limit of its own
  std::string_view what;  // for people: which devices, and where the numbers are from
};

// `default` first.
std::span<const Profile> profiles();
// nullptr when there is none of this name; "" is `default`.
const Profile* find_profile(std::string_view name);

}  // namespace merlon::policy

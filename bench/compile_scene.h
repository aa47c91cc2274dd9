// SPDX-License-Identifier: Apache-2.0
// What is compiled when compiling is measured: the same in every run of the same size.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/store/store.h"
#include "zones/base/error.h"

namespace merlon::bench {

struct SceneSize {
  uint64_t indicators = 10'000'000;  // different values, about a fifth of them in two feeds
  unsigned feeds = 40;
  unsigned policies = 1'000;  // of an account each, no two alike
  unsigned accounts = 0;      // besides: each with a device, a list and a policy
};

// Fills an empty store. Returns how many indicators the feeds list, each counted once.
Result<uint64_t> fill_store(store::Store& store, const SceneSize& size);
// What feed number `feed` lists, with `changed_permille` of it replaced.
store::FeedSet feed_set(const SceneSize& size, unsigned feed, unsigned changed_permille);
std::string feed_id(unsigned feed);
// The real feeds of a folder, one per file that can be parsed. Returns how many.
Result<unsigned> fill_from_files(store::Store& store, const std::string& folder);

// The source address of an account's device, its name, and an address that its list has at first.
std::string account_name(unsigned account);
std::string account_source(unsigned account);

}  // namespace merlon::bench

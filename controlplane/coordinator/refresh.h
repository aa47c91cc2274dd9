// SPDX-License-Identifier: Apache-2.0
// What the ways to new content have in common.
#pragma once

#include "controlplane/feeds/parse.h"
#include "controlplane/store/model.h"

namespace merlon::coordinator {

// What the parser found, as state. Counts of the set are the store's business.
void describe(const feeds::ParsedFeed& parsed, store::FeedState& state);

}  // namespace merlon::coordinator

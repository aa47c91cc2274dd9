// SPDX-License-Identifier: Apache-2.0
// What the safety net and the guard say of a feed, for people.
#pragma once

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"

namespace merlon::merlonctl {

// Trust, what was taken out and what is in quarantine, below the details of `feed show`.
Done print_safety(const Context& context, const std::string& id);

}  // namespace merlon::merlonctl

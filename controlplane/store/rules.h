// SPDX-License-Identifier: Apache-2.0
// What a definition, a device, an account, a list or a policy must fulfil before it is stored, as
// far as it says so itself; what depends on other things in the store is checked there. Errors are
// invalid_argument and say which field, what it holds and what would be right.
#pragma once

#include <string>
#include <string_view>

#include "controlplane/store/model.h"
#include "zones/base/error.h"

namespace merlon::store {

// [a-z0-9-]{1,40}, first and last a letter or a digit. `what` names it in the error: "feed id".
Status check_label(std::string_view what, std::string_view text);

Status check_definition(const FeedDefinition& definition);
Status check_device(const Device& device);
Status check_account(const Account& account);
Status check_list(const CustomList& list);
Status check_policy(const Policy& policy);
// Comment and expiry of an entry.
Status check_entry(const CustomEntry& entry, int64_t now);

}  // namespace merlon::store

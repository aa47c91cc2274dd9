// SPDX-License-Identifier: Apache-2.0
// Which names of a snapshot carry an address: read from the answers themselves, so it is true for
// any generation, however it was made.
#pragma once

#include <string>
#include <vector>

#include "zones/address/address.h"
#include "zones/snapshot/snapshot.h"

namespace merlon::coordinator {

std::vector<std::string> names_that_carry(const snapshot::Snapshot& snapshot,
                                          const address::Address& address);

}  // namespace merlon::coordinator

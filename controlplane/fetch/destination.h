// SPDX-License-Identifier: Apache-2.0
// May a feed's URL lead to this address? Whoever can define a feed, or answers for the host that a
// feed names, must not be able to make us talk to what only we can reach: our own services, the
// network behind us, the metadata service of a cloud.
#pragma once

#include <sys/socket.h>

#include <string>

#include "zones/address/address.h"

namespace merlon::fetch {

// False for private, loopback, link-local, documentation, multicast and reserved space, for known
// metadata services, and for IPv6 that carries such an IPv4 address (mapped, NAT64, 6to4, Teredo).
bool is_public(const address::Address& address);
bool is_public(const sockaddr& socket_address);
std::string to_text(const sockaddr& socket_address);

}  // namespace merlon::fetch

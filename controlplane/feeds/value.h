// SPDX-License-Identifier: Apache-2.0
// One token of a feed: an address, prefix or range, or a host name, or the reason why it is
// neither. This is where the strictness lives; the formats only say where tokens are.
#pragma once

#include <expected>
#include <string_view>

#include "controlplane/feeds/reject.h"
#include "zones/address/address.h"

namespace merlon::feeds {

struct Value {
  enum class Kind : uint8_t { address, name };
  Kind kind = Kind::address;
  bool host_bits_set = false;  // a prefix whose host bits were cleared
  bool had_port = false;       // a port was written and is dropped
  address::AnyRange range;     // of an address, prefix or range
  std::string_view name;       // as written, without the final dot
};

template <class T>
using Read = std::expected<T, RejectReason>;

Read<Value> read_value(std::string_view token);
// As read_value, but addresses are refused (address_not_name).
Read<Value> read_name(std::string_view token);
// An address or prefix and nothing else.
Read<Value> read_network(std::string_view token);
// "first" "- last" or "first" "-last", when what follows the first column is that; else nothing
// is changed and false returned.
bool joins_range(std::string_view first, std::string_view rest, Read<Value>& out);

}  // namespace merlon::feeds

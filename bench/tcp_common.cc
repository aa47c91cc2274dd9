// SPDX-License-Identifier: Apache-2.0
#include "bench/tcp_common.h"

#include "zones/name/name.h"
#include "zones/wire/wire.h"

namespace merlon::bench {

Result<std::vector<uint8_t>> make_framed_query(const QueryOptions& options) {
  const auto name = name::Name::from_text(options.name);
  if (!name) {
    return in(options.name, name.error());
  }
  uint16_t type = 0;
  for (unsigned i = 1; i < 65536 && type == 0; ++i) {
    type = wire::type_to_text(static_cast<uint16_t>(i)) == options.type ? static_cast<uint16_t>(i)
                                                                        : uint16_t{0};
  }
  if (type == 0) {
    return fail(ErrorCode::invalid_argument, "--type {}: write A, AAAA, TXT, or TYPE65280",
                options.type);
  }
  std::vector<uint8_t> query(2 + 12 + 255 + 4 + 11);
  wire::Writer writer(query);
  for (const unsigned value : {0u, 0u, 0x0100u, 1u, 0u, 0u, options.edns ? 1u : 0u}) {
    writer.u16(static_cast<uint16_t>(value));
  }
  writer.name(*name);
  writer.u16(type);
  writer.u16(wire::kClassIn);
  if (options.edns) {
    writer.u8(0);
    writer.u16(wire::type::opt);
    writer.u16(1232);
    writer.u32(0);
    writer.u16(0);
  }
  query.resize(writer.size());
  store_be16(query.data(), static_cast<uint16_t>(query.size() - 2));
  return query;
}

}  // namespace merlon::bench

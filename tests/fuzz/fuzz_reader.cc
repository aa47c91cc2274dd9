// SPDX-License-Identifier: Apache-2.0
// Names at every place of any message: a name that is read is a valid name and comes back when it
// is written; a name that is not read moves nothing. Sums over parts equal the sum over the whole.
#include <algorithm>
#include <array>

#include "zones/base/assert.h"
#include "zones/wire/wire.h"

using namespace merlon;  // NOLINT(google-build-using-namespace): one short file

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes message(data, std::min<size_t>(size, 4096));
  for (size_t start = 0; start <= message.size(); ++start) {
    wire::Reader reader(message);
    reader.skip(start);
    const name::Name name = reader.name();
    if (!reader.ok()) {
      MERLON_ASSERT(reader.offset() == start && name.is_root());
      continue;
    }
    MERLON_ASSERT(reader.offset() > start && reader.offset() <= message.size());
    MERLON_ASSERT(name::Name::from_wire(name.wire()).has_value());
    std::array<uint8_t, name::kWireSizeMax> room;
    wire::Writer writer(room);
    writer.name(name);
    MERLON_ASSERT(writer.ok());
    wire::Reader again(writer.written());
    MERLON_ASSERT(std::ranges::equal(again.name().wire(), name.wire()) && again.ok());
  }
  const size_t half = message.size() / 4 * 2;
  const uint32_t sum = wire::checksum_partial(message.first(half)) +
                       uint32_t{wire::checksum_partial(message.subspan(half))};
  MERLON_ASSERT((sum & 0xffff) + (sum >> 16) == wire::checksum_partial(message));
  return 0;
}

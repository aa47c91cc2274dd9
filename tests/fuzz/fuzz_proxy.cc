// SPDX-License-Identifier: Apache-2.0
// PROXYv2 headers from anybody: what is read lies inside the datagram, and written again it is read
// the same.
#include <algorithm>
#include <array>

#include "zones/base/assert.h"
#include "zones/proxy/proxy.h"

using namespace merlon;  // NOLINT(google-build-using-namespace): one short file

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes datagram(data, size);
  proxy::Header header;
  Bytes message;
  if (proxy::parse(datagram, header, message) != proxy::Fault::none) {
    return 0;
  }
  MERLON_ASSERT(message.data() + message.size() == datagram.data() + datagram.size());
  MERLON_ASSERT(message.size() + 28 <= datagram.size());
  MERLON_ASSERT(header.unique_id.empty() ||
                (header.unique_id.data() > datagram.data() &&
                 header.unique_id.data() + header.unique_id.size() <= message.data()));
  if (header.source.family != header.destination.family) {
    return 0;  // one of two is mapped; nobody sends that
  }
  std::array<uint8_t, proxy::kHeaderSizeMax> room;
  const size_t written = proxy::write(header, room);
  MERLON_ASSERT(written != 0);
  proxy::Header again;
  Bytes rest;
  MERLON_ASSERT(proxy::parse(Bytes(room).first(written), again, rest) == proxy::Fault::none);
  MERLON_ASSERT(rest.empty() && again.source == header.source &&
                again.destination == header.destination &&
                again.source_port == header.source_port &&
                again.destination_port == header.destination_port &&
                std::ranges::equal(again.unique_id, header.unique_id));
  return 0;
}

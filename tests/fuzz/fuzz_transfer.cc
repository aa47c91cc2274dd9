// SPDX-License-Identifier: Apache-2.0
// Whatever comes in as a transfer or a signed message is read within its bounds, and a signature is
// found where it was and can be taken out again.
#include "controlplane/transfer/message.h"
#include "zones/base/assert.h"
#include "zones/wire/wire.h"

using namespace merlon;  // NOLINT(google-build-using-namespace): one short file

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 65535) {
    return 0;
  }
  const Bytes message(data, size);
  transfer::Message read;
  if (!transfer::read_message(message, read)) {
    return 0;
  }
  MERLON_ASSERT(size >= wire::kHeaderSize);
  MERLON_ASSERT(read.question_end <= size);
  if (read.tsig) {
    MERLON_ASSERT(read.tsig->offset >= wire::kHeaderSize && read.tsig->offset < size);
    MERLON_ASSERT(read.tsig->mac.size() <= size && read.tsig->other.size() <= size);
    const std::vector<uint8_t> bare = transfer::without_tsig(message, read);
    MERLON_ASSERT(bare.size() == read.tsig->offset);
    transfer::Message again;
    MERLON_ASSERT(transfer::read_message(bare, again));
    MERLON_ASSERT(again.qtype == read.qtype && again.client_serial == read.client_serial);
  }
  return 0;
}

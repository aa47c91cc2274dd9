// SPDX-License-Identifier: Apache-2.0
// What an upstream answers is read within its bounds, and never believed when it answers another
// question: an answer that is taken repeats ours.
#include <algorithm>

#include "controlplane/forward/message.h"
#include "zones/base/assert.h"
#include "zones/wire/wire.h"

using namespace merlon;  // NOLINT(google-build-using-namespace): one short file

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 65535) {
    return 0;
  }
  const Bytes message(data, size);
  const name::Name sent = *name::Name::from_text("wWw.eXample.");
  for (const bool dnssec_ok : {false, true}) {
    const forward::Question question{
        .name = *name::Name::from_text("www.example."), .type = 1, .dnssec_ok = dnssec_ok};
    const forward::Read read = forward::read_answer(message, question, sent, {});
    if (read.verdict != forward::Verdict::good) {
      continue;
    }
    MERLON_ASSERT(size >= wire::kHeaderSize + sent.size() + 4);
    MERLON_ASSERT(std::ranges::equal(message.subspan(wire::kHeaderSize, sent.size()), sent.wire()));
    MERLON_ASSERT(read.answer.ttl_s <= forward::Caps{}.ttl_max_s);
    // As many bytes of records as came cannot become more than names written out allow.
    MERLON_ASSERT(read.answer.rcode <= 4095);
  }
  return 0;
}

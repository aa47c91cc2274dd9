// SPDX-License-Identifier: Apache-2.0
// Detection and the guard: the answer is the same twice, a refusal has a reason, and what is
// accepted holds something.
#include "tests/fuzz/fuzz_feed.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace merlon;
  const Bytes content{data, size};
  const Result<feeds::Format> format = feeds::detect(content);
  const Result<feeds::Format> again = feeds::detect(content);
  MERLON_ASSERT(format.has_value() == again.has_value());
  if (format) {
    MERLON_ASSERT(*format == *again);
    feeds::fuzz_parse(content, *format);
  } else {
    MERLON_ASSERT(format.error().code == ErrorCode::unsupported);
    MERLON_ASSERT(!format.error().message.empty());
  }
  const Result<feeds::ParsedFeed> feed = feeds::parse_feed(content, "auto");
  if (feed) {
    MERLON_ASSERT(format.has_value() && feed->format == *format);
    MERLON_ASSERT(!feed->set.empty());
    MERLON_ASSERT(feed->rejected_count <= feed->entry_line_count + 1);
  } else {
    MERLON_ASSERT(!feed.error().message.empty());
    MERLON_ASSERT(feeds::printable(feed.error().message, SIZE_MAX) == feed.error().message);
  }
  return 0;
}

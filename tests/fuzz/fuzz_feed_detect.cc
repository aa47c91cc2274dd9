// SPDX-License-Identifier: Apache-2.0
// Detection and the guard: the answer is the same twice, a refusal has a reason, and what is
// accepted holds something.
#include "controlplane/feeds/guess.h"
#include "tests/fuzz/fuzz_feed.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace merlon;
  const Bytes content{data, size};
  const std::string_view text = as_text(content);
  const Result<feeds::Declaration> guessed = feeds::guess(text);
  const Result<feeds::Declaration> again = feeds::guess(text);
  MERLON_ASSERT(guessed.has_value() == again.has_value());
  if (guessed) {
    MERLON_ASSERT(*guessed == *again);
    const Result<feeds::Declaration> read = feeds::parse_declaration(feeds::to_text(*guessed));
    MERLON_ASSERT(read.has_value() && *read == *guessed);
    feeds::fuzz_parse(content, *guessed);
  } else {
    MERLON_ASSERT(guessed.error().code == ErrorCode::unsupported);
    MERLON_ASSERT(!guessed.error().message.empty());
  }
  const Result<feeds::ParsedFeed> feed = feeds::parse_feed(content, "auto");
  if (feed) {
    MERLON_ASSERT(!feed->set.empty());
    MERLON_ASSERT(feeds::fault_of(*feed).empty());
  } else {
    MERLON_ASSERT(!feed.error().message.empty());
    MERLON_ASSERT(feeds::printable(feed.error().message, SIZE_MAX) == feed.error().message);
  }
  return 0;
}

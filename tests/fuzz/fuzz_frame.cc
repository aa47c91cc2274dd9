// SPDX-License-Identifier: Apache-2.0
// The first byte chooses the filter, what the port has checked and whether checksums are made right
// first; the rest is a frame. Both frame parsers must agree; the message of a query goes through
// both query parsers; and the reference reads the reply to it as its asker would.
#include <algorithm>
#include <array>
#include <vector>

#include "tests/support/frame_rows.h"
#include "tests/support/reference_frame.h"
#include "tests/support/reference_query.h"
#include "zones/answer/query.h"
#include "zones/base/assert.h"

using namespace merlon;  // NOLINT(google-build-using-namespace): one short file

namespace {

using Buffer = std::vector<uint8_t>;

void check_message(Bytes message) {
  answer::Query query;
  answer::Outcome outcome = answer::Outcome::answered;
  const answer::Parse parse = answer::parse_query(message, query, outcome);
  outcome = parse == answer::Parse::good ? answer::Outcome::answered : outcome;
  MERLON_ASSERT(tests::difference_from_reference(message, parse, outcome, query).empty());
}

// The message itself, with its end cut or doubled, is the reply.
void check_reply(const Buffer& frame, const frame::Layout& layout,
                 const tests::ReferenceFrame& query, unsigned choice) {
  Buffer message(query.message.begin(), query.message.end());
  message.resize(message.size() * (choice & 3U) / 2, 0xa5);
  Buffer work = frame;
  work.resize(std::max(frame.size(), layout.message + message.size()));
  if (layout.message + message.size() > 65535) {
    return;
  }
  std::ranges::copy(message, work.begin() + layout.message);
  const frame::Reply reply = frame::turn_around(work, layout, message.size(),
                                                tests::slow_sum(message), frame::Checksums::here);
  const Bytes sent = Bytes(work).subspan(reply.offset, reply.size);
  MERLON_ASSERT(tests::reply_fault(frame, query, message, sent).empty());

  Buffer built(reply.size);
  const Bytes headers = Bytes(frame).first(layout.message);
  MERLON_ASSERT(frame::build_reply(headers, layout, message, built) == built.size());
  MERLON_ASSERT(std::ranges::equal(built, sent));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::array<frame::Filter, 4> filters = {
      tests::frame_filter(), frame::Filter{.port = 53},
      frame::Filter{.port = 53, .mac = tests::kServerMac},
      frame::Filter{.port = 53, .addresses = {tests::ip(tests::kServer6)}}};
  if (size == 0 || size > 65535) {
    return 0;
  }
  const unsigned choice = data[0];
  Buffer frame(data + 1, data + size);
  if ((choice & 1) != 0) {
    tests::fix_frame_checksums(frame);
  }
  const frame::Filter& filter = filters[(choice >> 1) & 3];
  const frame::Checked checked{.ip = (choice & 8) != 0, .udp = (choice & 16) != 0};
  MERLON_ASSERT(tests::difference_from_reference(frame, filter, checked).empty());

  frame::Layout layout;
  address::Address source;
  if (frame::parse(frame, filter, checked, layout, source) == frame::Verdict::query) {
    const tests::ReferenceFrame query = tests::reference_parse(frame, filter, checked);
    check_message(query.message);
    check_reply(frame, layout, query, choice >> 5);
  }
  return 0;
}

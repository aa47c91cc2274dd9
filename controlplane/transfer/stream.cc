// SPDX-License-Identifier: Apache-2.0
#include "controlplane/transfer/stream.h"

#include "zones/wire/wire.h"

namespace merlon::transfer {
namespace {

constexpr size_t kPrefixSize = 2;
constexpr size_t kPartCapacity = dns::kStreamPartSize + (size_t{20} << 10);

}  // namespace

Stream::Stream(Parts parts) : parts_(std::move(parts)), writer_(std::move(parts_.writer)) {
  has_record_ = parts_.source->next(record_);
}

void Stream::write_message(std::vector<uint8_t>& out) {
  writer_.begin(out);
  while (has_record_ && writer_.add(record_)) {
    has_record_ = parts_.source->next(record_);
  }
  if (writer_.empty()) {
    // A record beside which no message has room for a TSIG record of this key.
    writer_.set_rcode(wire::rcode::servfail);
    has_record_ = false;
    failed_ = true;
  }
  writer_.finish(parts_.clock());
}

std::shared_ptr<const std::vector<uint8_t>> Stream::next() {
  if (!has_record_) {
    if (parts_.done && !failed_) {
      parts_.done();
      parts_.done = nullptr;
    }
    return nullptr;
  }
  auto part = std::make_shared<std::vector<uint8_t>>();
  part->reserve(kPartCapacity);
  while (has_record_ && part->size() < dns::kStreamPartSize) {
    write_message(*part);
  }
  return part;
}

std::vector<uint8_t> as_one_message(RecordSource& source, WriterOptions options, int64_t now) {
  options.size_wanted = options.size_max;
  MessageWriter writer(std::move(options));
  std::vector<uint8_t> out;
  writer.begin(out);
  Record record;
  while (source.next(record)) {
    if (!writer.add(record)) {
      return {};
    }
  }
  writer.finish(now);
  out.erase(out.begin(), out.begin() + kPrefixSize);
  return out;
}

}  // namespace merlon::transfer

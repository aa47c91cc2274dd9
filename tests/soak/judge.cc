// SPDX-License-Identifier: Apache-2.0
#include "tests/soak/judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "zones/answer/answer.h"
#include "zones/wire/wire.h"

namespace merlon::soak {
namespace {

constexpr size_t kHeaderSize = 12;
constexpr uint64_t kSearched = 300'000;

unsigned get16(Bytes bytes, size_t at) {
  return at + 2 <= bytes.size() ? unsigned{bytes[at]} << 8 | bytes[at + 1] : 0;
}

uint64_t key_of(const address::Address& asker, unsigned port, unsigned id) {
  uint64_t key = static_cast<uint64_t>(asker.bits >> 64) * 0x9E3779B97F4A7C15;
  key = (key ^ static_cast<uint64_t>(asker.bits)) * 0xBF58476D1CE4E5B9;
  key = (key ^ key >> 29 ^ (uint64_t{port} << 16 | id)) * 0x94D049BB133111EB;
  key ^= key >> 32;
  return key == 0 ? 1 : key;
}

// What a message says of itself, as far as it can be read.
struct Shape {
  bool is_whole = false;  // all records are inside, and nothing behind them
  size_t question_end = 0;
  std::optional<size_t> edns_size{};
};

Shape shape_of(Bytes message) {
  Shape shape;
  wire::Reader reader(message);
  reader.skip(4);
  const unsigned questions = reader.u16();
  const unsigned records = reader.u16() + unsigned{reader.u16()} + reader.u16();
  for (unsigned i = 0; i < questions && reader.ok(); ++i) {
    reader.name();
    reader.skip(4);
  }
  shape.question_end = reader.ok() ? message.size() - reader.remaining() : 0;
  for (unsigned i = 0; i < records && reader.ok(); ++i) {
    reader.name();
    const uint16_t type = reader.u16();
    const uint16_t size = reader.u16();
    reader.skip(4);
    reader.skip(reader.u16());
    if (type == wire::type::opt && reader.ok()) {
      shape.edns_size = size;
    }
  }
  shape.is_whole = reader.ok() && reader.remaining() == 0;
  return shape;
}

}  // namespace

// ---- Ledger

Ledger::Ledger() : now_(kSize), before_(kSize) {}

Ledger::Entry& Ledger::place(std::vector<Entry>& entries, uint64_t key) {
  size_t at = key & (kSize - 1);
  while (entries[at].key != 0 && entries[at].key != key) {
    at = (at + 1) & (kSize - 1);
  }
  return entries[at];
}

void Ledger::add(uint64_t key, uint64_t number) {
  if (used_ > kSize / 8 * 5) {
    std::swap(now_, before_);
    std::ranges::fill(now_, Entry{});
    used_ = 0;
  }
  Entry& entry = place(now_, key);
  if (entry.key != 0 || place(before_, key).key != 0) {
    entry.is_shared = true;
  }
  used_ += entry.key == 0 ? 1 : 0;
  entry.key = key;
  entry.number = number;
}

Ledger::Entry* Ledger::find(uint64_t key) {
  for (std::vector<Entry>* entries : {&now_, &before_}) {
    if (Entry& entry = place(*entries, key); entry.key != 0) {
      return &entry;
    }
  }
  return nullptr;
}

// ---- Judge

Judge::Judge(const FrameMaker& maker, Options options)
    : maker_(maker),
      options_(std::move(options)),
      filter_{.port = tests::kServerPort,
              .mac = options_.place.server_mac,
              .addresses = {options_.place.server4, options_.place.server6}} {}

void Judge::sent(uint64_t number, Bytes frame) {
  last_number_ = number;
  const tests::ReferenceFrame read = tests::reference_parse(frame, filter_);
  if (read.verdict == frame::Verdict::not_ours) {
    ++counts_.not_ours;
  } else if (read.verdict == frame::Verdict::drop) {
    ++counts_.frame_drops;
  } else if (read.message.size() < kHeaderSize) {
    ++counts_.short_ones;
  } else if ((read.message[2] & 0x80) != 0) {
    ++counts_.responses;
  } else {
    ++counts_.queries;
    ledger_.add(key_of(read.source, read.source_port, get16(read.message, 0)), number);
  }
}

void Judge::received(Bytes frame) {
  size_t at = 12;
  while (get16(frame, at) == 0x8100 || get16(frame, at) == 0x88a8) {
    at += 4;
  }
  const unsigned type = get16(frame, at);
  if (type != 0x0800 && type != 0x86dd) {
    counts_.arp += type == 0x0806 ? 1 : 0;
    if (type != 0x0806) {
      violation(fmt::format("a frame of EtherType {:#06x}", type), frame, {});
    }
    return;
  }
  const size_t ip = at + 2;
  const size_t header = type == 0x86dd ? 40 : 20;  // the kernel's and ours have no options
  const unsigned protocol = ip + header <= frame.size() ? frame[ip + (header == 40 ? 6 : 9)] : 255;
  if (protocol != 17 || get16(frame, ip + header) != tests::kServerPort) {
    ++(protocol == 1 || protocol == 58 || protocol == 0 ? counts_.icmp : counts_.other_ip);
    return;
  }
  const frame::Filter any_asker{.port = static_cast<uint16_t>(get16(frame, ip + header + 2))};
  const tests::ReferenceFrame reply = tests::reference_parse(frame, any_asker);
  if (std::ranges::count(options_.bystanders, reply.destination) != 0) {
    ++counts_.to_others;
    return;
  }
  ++counts_.replies;
  if (reply.verdict != frame::Verdict::query) {
    violation(fmt::format("its asker drops it: {}", to_string(reply.drop)), frame, {});
    return;
  }
  const unsigned id = get16(reply.message, 0);
  Ledger::Entry* entry = ledger_.find(key_of(reply.destination, any_asker.port, id));
  if (entry == nullptr) {
    violation("a reply to what was no query", frame, candidates(any_asker.port, id));
    return;
  }
  judge_reply(frame, reply, *entry);
}

void Judge::judge_reply(Bytes frame, const tests::ReferenceFrame& reply, Ledger::Entry& entry) {
  counts_.rcodes[reply.message.size() > 3 ? reply.message[3] & 15 : 0] += 1;
  if (entry.is_shared) {
    ++counts_.loosely;
    if (reply.message.size() < kHeaderSize || (reply.message[2] & 0x80) == 0) {
      violation("a reply without QR or shorter than a header", frame, {});
    }
    return;
  }
  maker_.make(entry.number, query_);
  const tests::ReferenceFrame query = tests::reference_parse(query_, filter_);
  std::string fault = tests::reply_fault(query_, query, reply.message, frame);
  fault = fault.substr(0, fault.find(':'));
  if (fault.empty() && entry.is_answered) {
    fault = "a second reply";
  }
  entry.is_answered = true;
  if (fault.empty()) {
    fault = message_fault(query, reply.message);
  }
  if (!fault.empty()) {
    violation(fault, frame, {query_});
  }
}

bool Judge::is_stranger(const address::Address& source) const {
  const bool is_v6 = source.family == address::Family::v6;
  const address::Address& device = is_v6 ? options_.place.device6 : options_.place.device4;
  return source.bits >> 8 != device.bits >> 8;
}

// "" when `reply` may be the answer to this query.
std::string Judge::message_fault(const tests::ReferenceFrame& query, Bytes reply) const {
  const Bytes message = query.message;
  if (reply.size() < kHeaderSize || (reply[2] & 0x80) == 0) {
    return "no DNS response";
  }
  if (((reply[2] ^ message[2]) & 0x79) != 0) {
    return "another opcode or RD";
  }
  const Shape got = shape_of(reply);
  if (!got.is_whole) {
    return "records that do not end where the message ends";
  }
  const Shape asked = shape_of(message);
  const unsigned questions = get16(reply, 4);
  if (questions > 1 ||
      (questions == 1 && (got.question_end > message.size() ||
                          !std::ranges::equal(reply.subspan(12, got.question_end - 12),
                                              message.subspan(12, got.question_end - 12))))) {
    return "another question";
  }
  const bool is_stranger_ = is_stranger(query.source);
  if (is_stranger_ && reply.size() > message.size() + answer::kStrangerGain) {
    return fmt::format("a stranger gets {} bytes for {}", reply.size(), message.size());
  }
  if (is_stranger_ && ((reply[3] & 15) != 5 || get16(reply, 6) + get16(reply, 8) != 0)) {
    return "a stranger is told something";
  }
  size_t limit = options_.udp_size_max;
  if (asked.is_whole) {
    limit = asked.edns_size ? std::clamp<size_t>(*asked.edns_size, 512, limit) : 512;
  }
  return reply.size() > limit ? fmt::format("{} bytes where {} are allowed", reply.size(), limit)
                              : "";
}

std::vector<Buffer> Judge::candidates(unsigned port, unsigned id) const {
  std::vector<Buffer> found;
  if (violations_.size() >= options_.violations_kept) {
    return found;
  }
  const uint64_t first = last_number_ > kSearched ? last_number_ - kSearched : 0;
  Buffer frame;
  for (uint64_t number = first; number <= last_number_ && found.size() < 4; ++number) {
    maker_.make(number, frame);
    for (size_t at = 34; at + 10 <= frame.size() && at <= 110; at += 2) {
      if (get16(frame, at) == port && get16(frame, at + 2) == tests::kServerPort &&
          get16(frame, at + 8) == id) {
        found.push_back(frame);
        break;
      }
    }
  }
  return found;
}

void Judge::violation(std::string what, Bytes reply, std::vector<Buffer> sent) {
  ++violation_count_;
  if (violations_.size() < options_.violations_kept) {
    violations_.push_back(
        {.what = std::move(what), .reply = {reply.begin(), reply.end()}, .sent = std::move(sent)});
  }
}

}  // namespace merlon::soak

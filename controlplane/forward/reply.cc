// SPDX-License-Identifier: Apache-2.0
#include "controlplane/forward/reply.h"

#include <algorithm>
#include <cstring>

#include "zones/answer/opt.h"
#include "zones/name/fold.h"

namespace merlon::forward {
namespace {

constexpr size_t kNamesMax = 24;  // that later ones may point at
constexpr size_t kPointerReach = 0x3FFF;

name::Name name_of(const answer::Query& query) {
  const auto name = name::Name::from_wire(query.folded_qname());
  return name ? *name : name::Name();
}

size_t size_max(const answer::Query& query, const answer::Limits& limits) {
  if (limits.transport == answer::Transport::tcp) {
    return wire::kMessageSizeMax;
  }
  const size_t wanted = query.has_edns ? size_t{query.edns_payload_size} : 0;
  return std::clamp<size_t>(wanted, wire::kUdpSizeWithoutEdns,
                            std::max<size_t>(limits.udp_size_max, wire::kUdpSizeWithoutEdns));
}

// Records with their owners compressed.
class RecordWriter {
 public:
  RecordWriter(MutableBytes room, size_t at) : room_(room), at_(at) {}

  void note_name(size_t at) {
    if (name_count_ < kNamesMax && at <= kPointerReach) {
      names_[name_count_++] = static_cast<uint16_t>(at);
    }
  }

  void add(const Record& record, uint32_t ttl) {
    const size_t owner_at = at_;
    put_owner(record.owner);
    uint8_t fixed[10];
    store_be16(fixed, record.type);
    store_be16(fixed + 2, wire::kClassIn);
    store_be32(fixed + 4, ttl);
    store_be16(fixed + 8, static_cast<uint16_t>(record.data.size()));
    put(fixed);
    const size_t data_at = at_;
    put(record.data);
    if (!ok_) {
      return;
    }
    note_name(owner_at);
    if (record.type == wire::type::cname || record.type == wire::type::dname) {
      note_name(data_at);
    }
    ++counts_[static_cast<size_t>(record.section)];
  }

  void put(Bytes bytes) {
    if (bytes.size() > room_.size() - at_) {
      ok_ = false;
      return;
    }
    std::memcpy(room_.data() + at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }

  bool ok() const { return ok_; }
  size_t size() const { return at_; }
  uint16_t count(Section section) const { return counts_[static_cast<size_t>(section)]; }

 private:
  // Whether the name that stands at `at` in the message is this one.
  bool is_at(size_t at, Bytes name) const {
    size_t compared = 0;
    while (true) {
      const uint8_t size = room_[at];
      if ((size & 0xC0) == 0xC0) {
        at = load_be16(room_.data() + at) & kPointerReach;  // our own: backwards
        continue;
      }
      if (size != name[compared]) {
        return false;
      }
      for (size_t i = 1; i <= size; ++i) {
        if (name::fold(room_[at + i]) != name::fold(name[compared + i])) {
          return false;
        }
      }
      if (size == 0) {
        return true;
      }
      at += size + 1u;
      compared += size + 1u;
    }
  }

  void put_owner(Bytes owner) {
    size_t labels = 0;  // bytes of labels in front of what is known
    while (owner[labels] != 0) {
      for (size_t i = 0; i < name_count_; ++i) {
        if (is_at(names_[i], owner.subspan(labels))) {
          put(owner.first(labels));
          uint8_t pointer[2];
          store_be16(pointer, static_cast<uint16_t>(0xC000u | names_[i]));
          put(pointer);
          return;
        }
      }
      labels += owner[labels] + 1u;
    }
    put(owner);
  }

  MutableBytes room_;
  size_t at_;
  bool ok_ = true;
  std::array<uint16_t, 3> counts_{};
  std::array<uint16_t, kNamesMax> names_{};
  size_t name_count_ = 0;
};

// Our OPT record; empty without EDNS.
std::vector<uint8_t> make_opt(const answer::Query& query, const answer::Limits& limits,
                              uint16_t rcode, uint16_t ede) {
  if (!query.has_edns) {
    return {};
  }
  // As for what is answered, which has no EDE; ours goes behind it.
  std::vector<uint8_t> opt(answer::opt_size(query, answer::Outcome::answered, limits));
  answer::write_opt(query, answer::Outcome::answered, limits, opt.size(), opt.data());
  opt[5] = static_cast<uint8_t>(rcode >> 4);
  if (ede != kEdeNone) {
    uint8_t option[answer::kEdeOptionSize];
    answer::write_option_head(option, wire::kOptionEde, 2);
    store_be16(option + answer::kOptionHeadSize, ede);
    opt.insert(opt.end(), option, option + sizeof option);
    store_be16(opt.data() + 9, static_cast<uint16_t>(opt.size() - answer::kOptFixedSize));
  }
  return opt;
}

struct Head {
  Bytes bytes;  // header and question
  const answer::Query& query;
  const answer::Limits& limits;
};

std::vector<uint8_t> write(const Head& head, const ReplyParts& parts) {
  const std::vector<uint8_t> opt = make_opt(head.query, head.limits, parts.rcode, parts.ede);
  const size_t most = size_max(head.query, head.limits);
  std::vector<uint8_t> out(most);
  RecordWriter writer(MutableBytes(out).first(most - opt.size()), 0);
  writer.put(head.bytes);
  writer.note_name(wire::kHeaderSize);
  const size_t head_size = head.bytes.size();
  for (const auto section : {Section::answer, Section::authority, Section::additional}) {
    for (const auto* records : {parts.records, parts.more}) {
      if (records == nullptr || parts.truncated) {
        continue;
      }
      const uint32_t age = records == parts.records ? parts.age_s : 0;
      records->for_each([&](const Record& record) {
        if (record.section == section) {
          const uint32_t left = record.ttl > age ? record.ttl - age : 0;
          writer.add(record, parts.ttl_max_s != UINT32_MAX ? parts.ttl_max_s : left);
        }
        return writer.ok();
      });
    }
  }
  const bool truncated = parts.truncated || !writer.ok();
  const size_t size = truncated ? head_size : writer.size();
  const unsigned flags =
      wire::flag::qr | wire::flag::ra |
      (head.query.flags & (wire::flag::opcode_mask | wire::flag::rd | wire::flag::cd)) |
      (truncated ? wire::flag::tc : 0u) |
      (parts.authenticated && !truncated ? wire::flag::ad : 0u) |
      (parts.rcode & wire::flag::rcode_mask);
  store_be16(out.data() + 2, static_cast<uint16_t>(flags));
  store_be16(out.data() + 4, 1);
  store_be16(out.data() + 6, truncated ? uint16_t{0} : writer.count(Section::answer));
  store_be16(out.data() + 8, truncated ? uint16_t{0} : writer.count(Section::authority));
  const unsigned additional = truncated ? 0u : writer.count(Section::additional);
  store_be16(out.data() + 10, static_cast<uint16_t>(additional + (opt.empty() ? 0u : 1u)));
  std::memcpy(out.data() + size, opt.data(), opt.size());
  out.resize(size + opt.size());
  return out;
}

}  // namespace

Asked::Asked(const dns::Request& request)
    : parsed_(request.parsed),
      limits_(request.limits),
      head_(request.message.begin(), request.message.begin() + request.parsed.question_end),
      question_{.name = name_of(request.parsed),
                .type = request.parsed.qtype,
                .dnssec_ok = request.parsed.dnssec_ok,
                .checking_disabled = (request.parsed.flags & wire::flag::cd) != 0} {
  if (parsed_.server_cookie != nullptr) {
    std::memcpy(server_cookie_.data(), parsed_.server_cookie, server_cookie_.size());
    parsed_.server_cookie = server_cookie_.data();
  }
}

std::vector<uint8_t> write_reply(const Asked& asked, const ReplyParts& parts) {
  // RFC 6840 section 5.8: AD is for who asks for it.
  ReplyParts allowed = parts;
  allowed.authenticated = parts.authenticated && (asked.parsed().dnssec_ok ||
                                                  (asked.parsed().flags & wire::flag::ad) != 0);
  return write({asked.head(), asked.parsed(), asked.limits()}, allowed);
}

std::vector<uint8_t> write_error(const dns::Request& request, uint16_t rcode, uint16_t ede) {
  return write({request.message.first(request.parsed.question_end), request.parsed, request.limits},
               {.rcode = rcode, .ede = ede});
}

}  // namespace merlon::forward

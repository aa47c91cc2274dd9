// SPDX-License-Identifier: Apache-2.0
#include "controlplane/forward/message.h"

#include <algorithm>
#include <string_view>

namespace merlon::forward {
namespace {

namespace type = wire::type;

constexpr size_t kChainMax = 16;
constexpr uint16_t kPayloadSize = 1232;
constexpr uint16_t kOptionPadding = 12;
constexpr size_t kPaddingBlock = 128;
constexpr size_t kQuerySizeMax = 1024;
constexpr uint32_t kTtlSignBit = 0x8000'0000;  // RFC 2181 section 8: such a TTL is zero

struct Parsed {
  name::Name owner;
  uint16_t type = 0;
  uint32_t ttl = 0;
  size_t data_at = 0;
  size_t data_size = 0;
};

struct Message {
  uint16_t flags = 0;
  uint16_t rcode = 0;  // with OPT's upper bits
  uint16_t ede = kEdeNone;
  std::vector<Parsed> answer;
  std::vector<Parsed> authority;
};

// The form of record data that may hold compressed names (RFC 1035, 3597 section 4): n a name, s a
// string with its size, a digit so many bytes, * the rest.
std::string_view form_of(uint16_t record_type) {
  switch (record_type) {
    case type::ns:
    case 3:  // MD
    case 4:  // MF
    case type::cname:
    case 7:  // MB
    case 8:  // MG
    case 9:  // MR
    case type::ptr:
    case type::dname:
      return "n";
    case type::soa:
      return "nn99*";
    case 14:  // MINFO
    case 17:  // RP
      return "nn";
    case type::mx:
    case 18:  // AFSDB
    case 21:  // RT
    case 36:  // KX
      return "2n";
    case 26:  // PX
      return "2nn";
    case type::srv:
      return "6n";
    case 35:  // NAPTR
      return "4sssn";
    case 24:  // SIG
    case type::rrsig:
      return "99n*";
    default:
      return "*";
  }
}

// Record data with its names uncompressed. False: it is not of its type's form.
bool expand(Bytes message, const Parsed& record, std::vector<uint8_t>& out) {
  out.clear();
  const size_t end = record.data_at + record.data_size;
  wire::Reader reader(message);
  reader.skip(record.data_at);
  const auto copy = [&](size_t count) {
    const Bytes bytes = reader.bytes(count);
    out.insert(out.end(), bytes.begin(), bytes.end());
  };
  for (const char each : form_of(record.type)) {
    if (each == 'n') {
      const name::Name name = reader.name();
      out.insert(out.end(), name.wire().begin(), name.wire().end());
    } else if (each == 's') {
      const uint8_t size = reader.u8();
      out.push_back(size);
      copy(size);
    } else if (each == '*') {
      copy(reader.offset() <= end ? end - reader.offset() : 0);
    } else {
      copy(static_cast<size_t>(each - '0'));
    }
  }
  const bool fixed = record.type != type::a || record.data_size == 4;
  const bool fixed6 = record.type != type::aaaa || record.data_size == 16;
  return reader.ok() && reader.offset() == end && out.size() <= UINT16_MAX && fixed && fixed6;
}

void read_opt(wire::Reader& reader, uint16_t size, uint32_t ttl, Message& out) {
  out.rcode = static_cast<uint16_t>(out.rcode | ((ttl >> 24) << 4));
  wire::Reader options(reader.bytes(size));
  while (options.ok() && options.remaining() != 0) {
    const uint16_t code = options.u16();
    const Bytes data = options.bytes(options.u16());
    if (code == wire::kOptionEde && data.size() >= 2 && out.ede == kEdeNone) {
      out.ede = load_be16(data.data());
    }
  }
  if (!options.ok()) {
    reader.fail();
  }
}

void read_section(wire::Reader& reader, size_t count, std::vector<Parsed>* into, Message& out) {
  for (size_t i = 0; i < count && reader.ok(); ++i) {
    Parsed record;
    record.owner = reader.name();
    record.type = reader.u16();
    const uint16_t record_class = reader.u16();
    record.ttl = reader.u32();
    record.data_size = reader.u16();
    record.data_at = reader.offset();
    if (into == nullptr && record.type == type::opt) {
      read_opt(reader, static_cast<uint16_t>(record.data_size), record.ttl, out);
      continue;
    }
    reader.skip(record.data_size);
    if (into != nullptr && reader.ok() && record_class == wire::kClassIn) {
      record.ttl = (record.ttl & kTtlSignBit) != 0 ? 0 : record.ttl;
      into->push_back(record);
    }
  }
}

uint16_t covered_type(Bytes message, const Parsed& record) {
  return record.data_size < 2 ? uint16_t{0} : load_be16(message.data() + record.data_at);
}

// Takes what belongs to the question out of a message.
class Picker {
 public:
  Picker(Bytes message, const Message& read, const Question& question, const Caps& caps)
      : message_(message), read_(read), question_(question), caps_(caps), at_(question.name) {}

  Verdict pick(Answer& out);

 private:
  bool keep(Section section, const Parsed& record);
  bool keep_set(Section section, const std::vector<Parsed>& from, const name::Name& owner,
                uint16_t record_type);
  // The chain up to its end. False: malformed. is_final_ says whether it ends in what was asked.
  bool follow();
  bool follow_alias(const Parsed& alias);
  bool keep_final();
  bool deny(Answer& out);
  bool keep_denials();

  Bytes message_;
  const Message& read_;
  const Question& question_;
  const Caps& caps_;
  name::Name at_;  // the end of the chain so far
  bool is_final_ = false;
  bool has_alias_ = false;
  uint32_t ttl_s_ = UINT32_MAX;
  Records records_;
  std::vector<uint8_t> data_;
};

bool Picker::keep(Section section, const Parsed& record) {
  if (!expand(message_, record, data_)) {
    return false;
  }
  const uint32_t ttl = std::min(record.ttl, caps_.ttl_max_s);
  if (section == Section::answer) {
    ttl_s_ = std::min(ttl_s_, ttl);
  }
  records_.add({.section = section,
                .owner = record.owner.wire(),
                .type = record.type,
                .ttl = ttl,
                .data = data_});
  return true;
}

// An RRset with its signatures.
bool Picker::keep_set(Section section, const std::vector<Parsed>& from, const name::Name& owner,
                      uint16_t record_type) {
  for (const Parsed& record : from) {
    const bool is_signature = record.type == type::rrsig && question_.dnssec_ok &&
                              covered_type(message_, record) == record_type;
    if ((record.type == record_type || is_signature) && record.owner == owner &&
        !keep(section, record)) {
      return false;
    }
  }
  return true;
}

bool Picker::keep_final() {
  const bool any = question_.type == type::any;
  for (const Parsed& record : read_.answer) {
    const bool is_signature = record.type == type::rrsig && question_.dnssec_ok &&
                              covered_type(message_, record) == question_.type;
    const bool is_asked = any || record.type == question_.type;
    if ((is_asked || is_signature) && record.owner == at_ && !keep(Section::answer, record)) {
      return false;
    }
    is_final_ = is_final_ || (is_asked && record.owner == at_);
  }
  return true;
}

bool Picker::follow_alias(const Parsed& alias) {
  for (const Parsed& record : read_.answer) {
    if (record.type == type::dname && at_ != record.owner && at_.is_at_or_below(record.owner) &&
        !keep_set(Section::answer, read_.answer, record.owner, type::dname)) {
      return false;
    }
  }
  // One alias at a name, whatever else is claimed.
  if (!keep(Section::answer, alias)) {
    return false;
  }
  const auto target = name::Name::from_wire(data_);
  for (const Parsed& record : read_.answer) {
    if (question_.dnssec_ok && record.type == type::rrsig && record.owner == at_ &&
        covered_type(message_, record) == type::cname && !keep(Section::answer, record)) {
      return false;
    }
  }
  if (!target) {
    return false;
  }
  at_ = *target;
  has_alias_ = true;
  return true;
}

bool Picker::follow() {
  for (size_t links = 0; links < kChainMax; ++links) {
    if (!keep_final()) {
      return false;
    }
    if (is_final_ || question_.type == type::cname) {
      return true;
    }
    const auto alias = std::ranges::find_if(read_.answer, [this](const Parsed& record) {
      return record.type == type::cname && record.owner == at_;
    });
    if (alias == read_.answer.end()) {
      return true;
    }
    if (!follow_alias(*alias)) {
      return false;
    }
  }
  return false;  // a loop, or as good as one
}

// NSEC and NSEC3 with their signatures.
bool Picker::keep_denials() {
  for (const Parsed& record : read_.authority) {
    const uint16_t kind = record.type == type::rrsig ? covered_type(message_, record) : record.type;
    if ((kind == type::nsec || kind == type::nsec3) && !keep(Section::authority, record)) {
      return false;
    }
  }
  return true;
}

bool Picker::deny(Answer& out) {
  const auto soa = std::ranges::find_if(read_.authority, [this](const Parsed& record) {
    return record.type == type::soa && at_.is_at_or_below(record.owner);
  });
  if (soa == read_.authority.end()) {
    ttl_s_ = 0;
    return true;
  }
  Parsed bounded = *soa;
  if (!expand(message_, bounded, data_) || data_.size() < 4) {
    return false;
  }
  // RFC 2308 section 5.
  bounded.ttl =
      std::min({bounded.ttl, load_be32(data_.data() + data_.size() - 4), caps_.negative_ttl_max_s});
  out.ttl_s = std::min(ttl_s_, bounded.ttl);
  if (!keep(Section::authority, bounded)) {
    return false;
  }
  for (const Parsed& record : read_.authority) {
    if (question_.dnssec_ok && record.type == type::rrsig && record.owner == soa->owner &&
        covered_type(message_, record) == type::soa && !keep(Section::authority, record)) {
      return false;
    }
  }
  ttl_s_ = out.ttl_s;
  return true;
}

Verdict Picker::pick(Answer& out) {
  if (!follow()) {
    return Verdict::malformed;
  }
  if (is_final_ && read_.rcode == wire::rcode::nxdomain) {
    return Verdict::malformed;  // the name cannot be both
  }
  const bool refers =
      !is_final_ && !has_alias_ && read_.rcode == wire::rcode::noerror &&
      std::ranges::any_of(read_.authority,
                          [](const Parsed& record) { return record.type == type::ns; }) &&
      std::ranges::none_of(read_.authority,
                           [](const Parsed& record) { return record.type == type::soa; });
  if (refers) {
    out.rcode = wire::rcode::servfail;
    return Verdict::failed;  // it does not recurse for us
  }
  if (!is_final_ && !deny(out)) {
    return Verdict::malformed;
  }
  if (question_.dnssec_ok && !keep_denials()) {
    return Verdict::malformed;
  }
  out.ttl_s = std::min(ttl_s_, caps_.ttl_max_s);
  out.authenticated = (read_.flags & wire::flag::ad) != 0;
  records_.shrink();
  out.records = std::move(records_);
  return Verdict::good;
}

// Whether the message repeats the question. Leaves the reader behind it.
Verdict compare_question(wire::Reader& reader, const Question& question,
                         const name::Name& sent_name) {
  const name::Name name = reader.name();
  const uint16_t qtype = reader.u16();
  const uint16_t qclass = reader.u16();
  if (!reader.ok() || qtype != question.type || qclass != wire::kClassIn || name != sent_name) {
    return Verdict::not_ours;
  }
  return std::ranges::equal(name.wire(), sent_name.wire()) ? Verdict::good : Verdict::other_case;
}

}  // namespace

std::string Question::key() const {
  const name::Name folded = name.folded();
  std::string key(as_text(folded.wire()));
  key.push_back(static_cast<char>(type >> 8));
  key.push_back(static_cast<char>(type & 0xff));
  key.push_back(static_cast<char>((dnssec_ok ? 1 : 0) | (checking_disabled ? 2 : 0)));
  return key;
}

name::Name mix_case(const name::Name& name, Random& random) {
  const Bytes wire = name.wire();
  std::vector<uint8_t> mixed(wire.begin(), wire.end());
  uint32_t bits = 0;
  unsigned left = 0;
  for (uint8_t& each : mixed) {
    const auto letter = static_cast<uint8_t>(each | 0x20u);
    if (letter < 'a' || letter > 'z') {
      continue;  // sizes of labels are below the letters
    }
    if (left == 0) {
      bits = random.u32();
      left = 32;
    }
    each = static_cast<uint8_t>((bits & 1) != 0 ? letter : letter & ~0x20u);
    bits >>= 1;
    --left;
  }
  const auto made = name::Name::from_wire(mixed);
  return made ? *made : name;
}

std::vector<uint8_t> write_query(const Question& question, const name::Name& sent_name,
                                 Padding padding) {
  std::vector<uint8_t> out(kQuerySizeMax);
  wire::Writer writer(out);
  // AD: whether the answer is authenticated is wanted (RFC 6840 section 5.7).
  const unsigned flags =
      wire::flag::rd | wire::flag::ad | (question.checking_disabled ? wire::flag::cd : uint16_t{0});
  writer.u16(0);
  writer.u16(static_cast<uint16_t>(flags));
  writer.u16(1);
  writer.u16(0);
  writer.u16(0);
  writer.u16(1);
  writer.name(sent_name);
  writer.u16(question.type);
  writer.u16(wire::kClassIn);
  writer.u8(0);
  writer.u16(type::opt);
  writer.u16(kPayloadSize);
  writer.u32(question.dnssec_ok ? 0x8000 : 0);
  if (padding == Padding::none) {
    writer.u16(0);
  } else {
    const size_t before = writer.size() + 2 + 4;
    const size_t fill = (kPaddingBlock - before % kPaddingBlock) % kPaddingBlock;
    writer.u16(static_cast<uint16_t>(4 + fill));
    writer.u16(kOptionPadding);
    writer.u16(static_cast<uint16_t>(fill));
    const std::vector<uint8_t> zeros(fill);
    writer.bytes(zeros);
  }
  MERLON_ASSERT(writer.ok());
  out.resize(writer.size());
  return out;
}

Read read_answer(Bytes message, const Question& question, const name::Name& sent_name,
                 const Caps& caps) {
  Read result;
  wire::Reader reader(message);
  reader.skip(2);
  Message read;
  read.flags = reader.u16();
  const uint16_t question_count = reader.u16();
  const uint16_t answer_count = reader.u16();
  const uint16_t authority_count = reader.u16();
  const uint16_t additional_count = reader.u16();
  if (!reader.ok() || (read.flags & wire::flag::qr) == 0 ||
      (read.flags & wire::flag::opcode_mask) != 0 || question_count != 1) {
    return result;
  }
  result.verdict = compare_question(reader, question, sent_name);
  if (result.verdict != Verdict::good) {
    return result;
  }
  if ((read.flags & wire::flag::tc) != 0) {
    result.verdict = Verdict::truncated;
    return result;
  }
  read.rcode = read.flags & wire::flag::rcode_mask;
  read_section(reader, answer_count, &read.answer, read);
  read_section(reader, authority_count, &read.authority, read);
  read_section(reader, additional_count, nullptr, read);
  if (!reader.ok() || reader.remaining() != 0) {
    result.verdict = Verdict::malformed;
    return result;
  }
  result.answer.rcode = read.rcode;
  result.answer.ede = read.ede;
  if (read.rcode != wire::rcode::noerror && read.rcode != wire::rcode::nxdomain) {
    result.verdict = Verdict::failed;
    return result;
  }
  result.verdict = Picker(message, read, question, caps).pick(result.answer);
  return result;
}

}  // namespace merlon::forward

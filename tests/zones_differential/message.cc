// SPDX-License-Identifier: Apache-2.0
#include "tests/zones_differential/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "controlplane/zonefile/rdata.h"
#include "zones/name/fold.h"
#include "zones/wire/wire.h"

namespace merlon::differential {
namespace {

constexpr uint16_t kTypeNaptr = 35;

// Names in data count whatever their case. That letters of NAPTR's strings do too is a small price.
void fold_data(uint16_t type, std::vector<uint8_t>& data) {
  zonefile::fold_rdata(type, data);
  size_t from = SIZE_MAX;
  from = type == wire::type::rrsig ? 18 : from;
  from = type == wire::type::nsec ? 0 : from;
  from = type == kTypeNaptr ? 4 : from;
  for (size_t at = from; at < data.size() && data[at] != 0; ++at) {
    data[at] = name::fold(data[at]);
  }
}

std::string record_text(const name::Name& owner, uint16_t type, uint32_t ttl, Bytes data) {
  return fmt::format("{} {} {} {}", owner.folded().to_text(), ttl, zonefile::type_text(type),
                     to_hex(data));
}

}  // namespace

std::vector<uint8_t> make_query(const Question& question, uint16_t id) {
  std::array<uint8_t, 512> room;
  wire::Writer writer(room);
  writer.u16(id);
  writer.u16(0);
  writer.u16(1);
  writer.u32(0);
  writer.u16(1);  // OPT
  writer.name(question.name);
  writer.u16(question.type);
  writer.u16(wire::kClassIn);
  writer.u8(0);
  writer.u16(wire::type::opt);
  writer.u16(1232);
  writer.u16(0);
  writer.u16(question.dnssec_ok ? 0x8000 : 0);
  writer.u16(0);
  return {writer.written().begin(), writer.written().end()};
}

bool Answer::is_referral() const {
  return !authoritative && answer.empty() &&
         std::ranges::any_of(authority,
                             [](const std::string& line) { return line.contains(" NS "); });
}

std::string Answer::to_text() const {
  std::string text =
      fmt::format("  rcode {}{}{}\n", rcode, authoritative ? " AA" : "", truncated ? " TC" : "");
  const std::array<std::pair<const char*, const std::multiset<std::string>*>, 3> sections = {
      {{"answer", &answer}, {"authority", &authority}, {"additional", &additional}}};
  for (const auto& [what, records] : sections) {
    for (const std::string& record : *records) {
      text += fmt::format("    {:10} {}\n", what, record);
    }
  }
  return text;
}

Result<Answer> read_answer(Bytes message, const Question& question) {
  wire::Reader reader(message);
  reader.u16();
  const uint16_t flags = reader.u16();
  const unsigned questions = reader.u16();
  const std::array<unsigned, 3> counts = {reader.u16(), reader.u16(), reader.u16()};
  Answer answer;
  answer.rcode = flags & wire::flag::rcode_mask;
  answer.authoritative = (flags & wire::flag::aa) != 0;
  answer.truncated = (flags & wire::flag::tc) != 0;
  const name::Name name = reader.name();
  const bool same = questions == 1 && std::ranges::equal(name.wire(), question.name.wire());
  if (reader.u16() != question.type || reader.u16() != wire::kClassIn || !same || !reader.ok()) {
    return fail(ErrorCode::invalid_argument, "the question is not repeated");
  }
  std::array<std::multiset<std::string>*, 3> sections = {&answer.answer, &answer.authority,
                                                         &answer.additional};
  for (size_t i = 0; i < sections.size(); ++i) {
    for (unsigned k = 0; k < counts[i]; ++k) {
      const name::Name owner = reader.name();
      const uint16_t type = reader.u16();
      reader.u16();
      const uint32_t ttl = reader.u32();
      const size_t size = reader.u16();
      const size_t at = reader.offset();
      reader.skip(size);
      std::vector<uint8_t> data;
      if (!reader.ok() ||
          (type != wire::type::opt && !zonefile::decompress_rdata(type, message, at, size, data))) {
        return fail(ErrorCode::invalid_argument, "a malformed record");
      }
      if (type != wire::type::opt) {
        fold_data(type, data);
        if (i == 0 && type == wire::type::cname) {
          if (const auto target = name::Name::from_wire(data)) {
            answer.targets.push_back(target->folded());
          }
        }
        sections[i]->insert(record_text(owner, type, ttl, data));
      }
    }
  }
  if (reader.remaining() != 0) {
    return fail(ErrorCode::invalid_argument, "bytes behind the last record");
  }
  return answer;
}

}  // namespace merlon::differential

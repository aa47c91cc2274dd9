// SPDX-License-Identifier: Apache-2.0
#include "controlplane/forward/local_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace merlon::forward {
namespace {

constexpr uint32_t kTtl_s = 10'800;  // RFC 6303 section 3
constexpr std::string_view kLocalhost = "localhost";

constexpr std::string_view kZones[] = {kLocalhost,
                                       "invalid",
                                       "test",
                                       "local",
                                       "onion",
                                       "alt",
                                       "home.arpa",
                                       "resolver.arpa",
                                       "10.in-addr.arpa",
                                       "168.192.in-addr.arpa",
                                       "0.in-addr.arpa",
                                       "127.in-addr.arpa",
                                       "254.169.in-addr.arpa",
                                       "2.0.192.in-addr.arpa",
                                       "100.51.198.in-addr.arpa",
                                       "113.0.203.in-addr.arpa",
                                       "255.255.255.255.in-addr.arpa",
                                       "d.f.ip6.arpa",
                                       "8.e.f.ip6.arpa",
                                       "9.e.f.ip6.arpa",
                                       "a.e.f.ip6.arpa",
                                       "b.e.f.ip6.arpa",
                                       "8.b.d.0.1.0.0.2.ip6.arpa"};

name::Name literal(std::string_view text) {
  const auto name = name::Name::from_text(text);
  MERLON_ASSERT(name.has_value());
  return *name;
}

// "0." x 31 with a last digit: the unspecified address and the loopback's.
std::string ip6_zone(char last) {
  std::string text;
  text += last;
  for (int i = 0; i < 31; ++i) {
    text += ".0";
  }
  return text + ".ip6.arpa";
}

std::vector<uint8_t> soa_data() {
  std::vector<uint8_t> data(2 * name::kWireSizeMax + 20);
  wire::Writer writer(data);
  writer.name(literal(kLocalhost));
  writer.name(literal("nobody.invalid"));
  for (const uint32_t field : {1u, 3600u, 1200u, 604'800u, kTtl_s}) {
    writer.u32(field);
  }
  data.resize(writer.size());
  return data;
}

// Of the loopback's names; empty: there is none of this type.
std::vector<uint8_t> loopback_data(const name::Name& zone, const Question& question) {
  static const name::Name localhost = literal(kLocalhost);
  static const name::Name loopback4 = literal("1.0.0.127.in-addr.arpa");
  static const name::Name loopback6 = literal(ip6_zone('1'));
  if (zone == localhost && question.type == wire::type::a) {
    return {127, 0, 0, 1};
  }
  if (zone == localhost && question.type == wire::type::aaaa) {
    std::vector<uint8_t> data(16);
    data.back() = 1;
    return data;
  }
  if (question.type == wire::type::ptr &&
      (question.name == loopback4 || question.name == loopback6)) {
    return {localhost.wire().begin(), localhost.wire().end()};
  }
  return {};
}

// Names that are there, whatever they hold.
bool exists(const name::Name& zone, const Question& question) {
  static const name::Name localhost = literal(kLocalhost);
  static const name::Name loopback4 = literal("1.0.0.127.in-addr.arpa");
  return zone == localhost || question.name == zone || loopback4.is_at_or_below(question.name);
}

}  // namespace

LocalNames::LocalNames(std::vector<name::Name> except) : except_(std::move(except)) {
  for (const std::string_view zone : kZones) {
    zones_.push_back(literal(zone));
  }
  for (int i = 16; i < 32; ++i) {
    zones_.push_back(literal(fmt::format("{}.172.in-addr.arpa", i)));
  }
  for (int i = 64; i < 128; ++i) {
    zones_.push_back(literal(fmt::format("{}.100.in-addr.arpa", i)));
  }
  zones_.push_back(literal(ip6_zone('0')));
  zones_.push_back(literal(ip6_zone('1')));
  std::ranges::sort(zones_);
}

const name::Name* LocalNames::zone_of(const name::Name& name) const {
  for (name::Name at = name; !at.is_root(); at = at.parent()) {
    const auto found = std::ranges::lower_bound(zones_, at);
    if (found != zones_.end() && *found == at) {
      return &*found;
    }
  }
  return nullptr;
}

AnswerPointer LocalNames::answer(const Question& question) const {
  const name::Name* zone = zone_of(question.name);
  if (zone == nullptr || std::ranges::any_of(except_, [&](const name::Name& each) {
        return question.name.is_at_or_below(each);
      })) {
    return nullptr;
  }
  auto made = std::make_shared<Answer>();
  made->ttl_s = kTtl_s;
  const std::vector<uint8_t> data = loopback_data(*zone, question);
  if (!data.empty()) {
    made->records.add({.section = Section::answer,
                       .owner = question.name.wire(),
                       .type = question.type,
                       .ttl = kTtl_s,
                       .data = data});
    return made;
  }
  made->rcode = exists(*zone, question) ? wire::rcode::noerror : wire::rcode::nxdomain;
  made->records.add({.section = Section::authority,
                     .owner = zone->wire(),
                     .type = wire::type::soa,
                     .ttl = kTtl_s,
                     .data = soa_data()});
  return made;
}

}  // namespace merlon::forward

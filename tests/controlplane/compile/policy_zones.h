// SPDX-License-Identifier: Apache-2.0
// Policies for tests, and compiled policy zones as a zone file.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "controlplane/compile/rpz.h"
#include "tests/controlplane/compile/zones.h"

namespace merlon::compile {

inline const name::Name kPolicyApex = name_of("policy.rpz.customer.merlon.internal");

using TestDomain = std::pair<std::string_view, domains::Scope>;

inline std::shared_ptr<const domains::DomainSet> domains_of(const std::vector<TestDomain>& list) {
  domains::DomainSetBuilder builder;
  for (const auto& [text, scope] : list) {
    builder.add(domains::key_of(name_of(text)), scope);
  }
  return std::make_shared<domains::DomainSet>(builder.finish());
}

inline std::shared_ptr<const domains::DomainSet> subtrees(
    const std::vector<std::string_view>& list) {
  std::vector<TestDomain> all;
  for (const std::string_view text : list) {
    all.emplace_back(text, domains::Scope::subtree);
  }
  return domains_of(all);
}

inline address::IpSet addresses_of(const std::vector<std::string_view>& list) {
  address::IpSet set;
  for (const std::string_view text : list) {
    const address::AnyRange range = address::parse_range(text).value();
    address::IpSet one;
    if (range.family == address::Family::v4) {
      one.v4 = address::RangeSet4::from_normal({range.v4()});
    } else {
      one.v6 = address::RangeSet6::from_normal({range.v6()});
    }
    set = set.united(one);
  }
  return set;
}

inline RpzInput policy(std::vector<RpzRule> rules) {
  return {.apex = kPolicyApex,
          .account = 7,
          .test_name = name_of("blocked.merlon-test.net"),
          .rules = std::move(rules)};
}

inline CompiledRpz compiled(const RpzInput& input, const RpzMemory& before = {},
                            uint32_t next_serial = 1) {
  static const RpzSettings kSettings;
  auto made = compile_rpz(input, {.settings = kSettings, .next_serial = next_serial}, before);
  EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message);
  return std::move(*made);
}

// Record data as text, of the few types that policy zones have.
inline std::string data_text(uint16_t type, Bytes data) {
  wire::Reader reader(data);
  if (type != wire::type::soa) {
    return name::Name::from_wire(data).value().to_text();
  }
  std::string text = reader.name().to_text();
  text += " " + reader.name().to_text();
  for (int i = 0; i < 5; ++i) {
    text += fmt::format(" {}", reader.u32());
  }
  return text;
}

// "owner TTL IN type data" a line, the SOA first.
inline std::string zone_file(const CompiledRpz& zone) {
  const auto loaded = load_zone(zone.bytes);
  std::string text;
  for (const RecordView record : records_of(loaded->content())) {
    std::string line = fmt::format(
        "{} {} IN {} {}\n", name::Name::from_wire(record.owner()).value().to_text(), record.ttl(),
        wire::type_to_text(record.type()), data_text(record.type(), record.data()));
    text = record.type() == wire::type::soa ? line + text : text + line;
  }
  return text;
}

// "owner below the apex -> target" of each CNAME, in the order of the zone.
inline std::vector<std::string> triggers(const CompiledRpz& zone) {
  const auto loaded = load_zone(zone.bytes);
  const std::string apex = "." + kPolicyApex.to_text();
  std::vector<std::string> all;
  for (const RecordView record : records_of(loaded->content())) {
    if (record.type() == wire::type::cname) {
      const std::string owner = name::Name::from_wire(record.owner()).value().to_text();
      all.push_back(owner.substr(0, owner.size() - apex.size()) + " -> " +
                    data_text(record.type(), record.data()));
    }
  }
  return all;
}

}  // namespace merlon::compile

// SPDX-License-Identifier: Apache-2.0
#include "tests/zones_differential/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

namespace merlon::differential {
namespace {

size_t pick(size_t count, Random& random) {
  return static_cast<size_t>(random() % count);
}

bool chance(unsigned percent, Random& random) {
  return random() % 100 < percent;
}

// Few labels, so that names meet.
std::string label(Random& random) {
  constexpr std::array<std::string_view, 10> kLabels = {"a", "b",  "c",   "d",   "ent",
                                                        "w", "ns", "www", "xn-", "_srv"};
  return std::string(kLabels[pick(kLabels.size(), random)]);
}

std::string mixed_case(std::string text, Random& random) {
  for (char& c : text) {
    if (chance(30, random)) {
      c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
  }
  return text;
}

// Below the apex, relative to it, in lower case.
bool is_below(const std::string& name, const std::string& ancestor) {
  return name.size() > ancestor.size() && name.ends_with("." + ancestor);
}

class Generator {
 public:
  // `others`: apexes of zones that aliases may lead to as well.
  Generator(const std::string& apex, std::vector<std::string> others, Random& random)
      : random_(random), others_(std::move(others)) {
    text_ = fmt::format(
        "$ORIGIN {0}\n$TTL {1}\n@ SOA ns1 host {2} 3600 600 86400 {3}\n@ NS ns1\n"
        "@ NS ns.outside.test.\nns1 A 192.0.2.53\n",
        apex, 60 + pick(5000, random), pick(1 << 30, random), pick(4000, random));
    used_.insert("ns1");
    if (chance(50, random)) {
      text_ += "child NS ns.child\nns.child A 198.51.100.9\n";
      used_.insert("child");
      used_.insert("ns.child");
      cuts_.push_back("child");
      if (chance(50, random)) {
        text_ += "child DS 1 13 2 " + std::string(64, 'a') + "\n";
      }
    }
  }

  std::string run() {
    const size_t names = 6 + pick(40, random_);
    for (size_t i = 0; i < names; ++i) {
      add_name();
    }
    for (const std::string& line : lines_) {
      text_ += line;
    }
    return text_;
  }

  // Relative to the apex.
  const std::vector<std::string>& cuts() const { return cuts_; }

  std::string new_name() {
    std::string name = label(random_);
    if (!used_.empty() && chance(40, random_)) {  // below one that there is
      auto at = used_.begin();
      std::advance(at, static_cast<ptrdiff_t>(pick(used_.size(), random_)));
      name += "." + *at;
    } else {
      for (size_t depth = pick(3, random_); depth > 0; --depth) {
        name += "." + label(random_);
      }
    }
    if (chance(15, random_)) {
      name = "*." + name;
    }
    return name;
  }

 private:
  // Where an alias goes: anywhere in the zone, existing or not, or out of it.
  std::string target() {
    if (chance(15, random_)) {
      return "www.outside.test.";
    }
    if (!others_.empty() && chance(25, random_)) {
      const std::string& other = others_[pick(others_.size(), random_)];
      return chance(20, random_) ? other : new_name() + "." + other;
    }
    if (!used_.empty() && chance(70, random_)) {
      auto at = used_.begin();
      std::advance(at, static_cast<ptrdiff_t>(pick(used_.size(), random_)));
      return mixed_case(chance(25, random_) ? label(random_) + "." + *at : *at, random_);
    }
    return mixed_case(new_name(), random_);
  }

  void add(const std::string& name, std::string_view rest) {
    lines_.push_back(fmt::format("{} {}\n", mixed_case(name, random_), rest));
  }

  void add_name() {
    const std::string name = new_name();
    if (name.size() > 120 || used_.contains(name)) {
      return;
    }
    for (const std::string& dname : dnames_) {
      if (is_below(name, dname)) {
        return;  // no zone may have this
      }
    }
    const unsigned kind = static_cast<unsigned>(pick(100, random_));
    if (kind < 15) {
      add(name, "CNAME " + target());
    } else if (kind < 25 && !has_below(name) && !name.starts_with("*.")) {
      add(name, "DNAME " + target());
      dnames_.push_back(name);
      if (chance(40, random_)) {
        add(name, "A 192.0.2.77");
      }
    } else if (kind < 40 && !name.starts_with("*.")) {
      add_delegation(name);
    } else {
      add_data(name);
    }
    used_.insert(name);
  }

  bool has_below(const std::string& name) const {
    return std::ranges::any_of(used_,
                               [&](const std::string& other) { return is_below(other, name); });
  }

  void add_delegation(const std::string& name) {
    cuts_.push_back(name);
    add(name, "NS ns.outside.test.");
    if (chance(60, random_)) {
      add(name, "NS ns." + name);
      if (chance(80, random_) && used_.insert("ns." + name).second) {
        add("ns." + name, fmt::format("A 198.51.100.{}", pick(250, random_)));
        if (chance(50, random_)) {
          add("ns." + name, fmt::format("AAAA 2001:db8::{:x}", pick(250, random_)));
        }
      }
    }
    if (chance(30, random_)) {
      add(name, "NS ns1");  // glue from beside
    }
    if (chance(20, random_)) {
      add(name, "NS " + name);  // itself
      add(name, fmt::format("A 198.51.100.{}", pick(250, random_)));
    }
    if (chance(40, random_)) {
      add(name, "DS 12345 13 2 " + std::string(64, "0123456789abcdef"[pick(16, random_)]));
    }
    if (chance(20, random_)) {
      add(name, "TXT \"occluded\"");
    }
  }

  void add_data(const std::string& name) {
    constexpr std::array<std::string_view, 9> kData = {
        "A 192.0.2.{}",         "AAAA 2001:db8::{}",      "MX {} www",
        "TXT \"text {}\"",      "SRV 0 {} 80 www",        "TYPE65280 \\# 2 00{:02}",
        "CAA 0 issue \"ca{}\"", "HINFO \"cpu{}\" \"os\"", "PTR host{}"};
    const size_t rrsets = 1 + pick(3, random_);
    std::set<size_t> types;
    for (size_t i = 0; i < rrsets; ++i) {
      types.insert(pick(kData.size(), random_));
    }
    for (const size_t type : types) {
      const size_t first = pick(50, random_);
      for (size_t i = 0, count = 1 + pick(3, random_); i < count; ++i) {
        add(name, fmt::format(fmt::runtime(kData[type]), first + i));
      }
    }
  }

  Random& random_;
  std::string text_;
  std::vector<std::string> lines_;
  std::set<std::string> used_;
  std::vector<std::string> dnames_;
  std::vector<std::string> cuts_;
  std::vector<std::string> others_;
};

constexpr std::array<uint16_t, 20> kTypes = {1,  1,  1,  28, 2,  5,  6,  12, 13,  15,
                                             16, 33, 39, 43, 43, 47, 48, 51, 257, 65280};

name::Name with_mixed_case(const name::Name& name, Random& random) {
  std::vector<uint8_t> wire(name.wire().begin(), name.wire().end());
  for (size_t at = 0; wire[at] != 0;) {
    const size_t end = at + 1 + wire[at];
    for (++at; at < end; ++at) {
      if (chance(40, random) && std::isalpha(wire[at]) != 0) {
        wire[at] = static_cast<uint8_t>(wire[at] ^ 0x20);
      }
    }
  }
  return *name::Name::from_wire(wire);
}

name::Name child_of(const name::Name& name, Random& random) {
  static constexpr std::array<std::string_view, 5> kMore = {"*", "zz", "0", "not-there", "a-b"};
  const std::string below =
      chance(60, random) ? label(random) : std::string(kMore[pick(kMore.size(), random)]);
  return name.child(below).value_or(name);
}

}  // namespace

std::vector<GeneratedZone> generate_family(const std::string& apex, Random& random) {
  std::vector<GeneratedZone> zones;
  if (chance(50, random)) {
    zones.push_back({apex, Generator(apex, {}, random).run()});
    return zones;
  }
  std::vector<std::string> apexes = {apex};
  for (size_t i = 0, count = 2 + pick(3, random); i < count; ++i) {
    Generator generator(apexes[i], apexes, random);
    zones.push_back({apexes[i], generator.run()});
    if (i + 1 == count) {
      break;
    }
    std::string below;
    do {  // an apex of a wildcard's name would not be told from the wildcard by NSD
      below = generator.cuts().empty() || chance(20, random)
                  ? generator.new_name()
                  : generator.cuts()[pick(generator.cuts().size(), random)];
    } while (below.starts_with("*."));
    apexes.push_back(below + "." + apexes[i]);
  }
  return zones;
}

std::vector<Question> generate_questions(const zonefile::ZoneData& zone, size_t count,
                                         Random& random) {
  std::vector<Question> questions;
  while (questions.size() < count) {
    const auto& rrset = zone.rrsets()[pick(zone.rrsets().size(), random)];
    name::Name name = *name::Name::from_wire(zone.owner_of(rrset));
    switch (pick(10, random)) {
      case 0:
      case 1:
        name = child_of(name, random);
        break;
      case 2:
        name = child_of(child_of(name, random), random);
        break;
      case 3:  // between its names
        name = name == zone.apex() ? name : child_of(name.parent(), random);
        break;
      case 4:  // an empty non-terminal, or a name above
        name = name == zone.apex() ? name : name.parent();
        break;
      case 5:
        name = name == zone.apex() ? name : child_of(child_of(name.parent(), random), random);
        break;
      default:
        break;
    }
    if (chance(25, random)) {
      name = with_mixed_case(name, random);
    }
    const bool own_type = chance(50, random) && rrset.type != 46 && rrset.type != 50;
    questions.push_back({.name = name,
                         .type = own_type ? rrset.type : kTypes[pick(kTypes.size(), random)],
                         .dnssec_ok = chance(50, random)});
  }
  return questions;
}

}  // namespace merlon::differential

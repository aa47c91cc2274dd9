// SPDX-License-Identifier: Apache-2.0
#include "controlplane/domains/domain.h"

#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "tests/support/seed.h"

namespace merlon::domains {
namespace {

Canonicaliser canonicaliser(const CanonicalOptions& options = {}) {
  return Canonicaliser::make(options).value();
}

std::string read(std::string_view text, const CanonicalOptions& options = {}) {
  static const Canonicaliser kDefault = canonicaliser();
  const auto domain = options.own_zones.empty() &&
                              options.purpose == CanonicalOptions::Purpose::block &&
                              options.wildcard == Scope::below && options.apex_size_max == 64
                          ? kDefault.read(text)
                          : canonicaliser(options).read(text);
  return domain ? domain->to_text() : "!" + std::string(to_string(domain.error()));
}

TEST(Domain, HasOneSpellingForEachName) {
  const struct {
    const char* text;
    const char* canonical;
  } rows[] = {
      {"bad-site.com", "bad-site.com"},
      {"Bad-Site.COM.", "bad-site.com"},
      {"*.bad-site.com", "*.bad-site.com"},
      {".bad-site.com", "bad-site.com"},
      {"_dmarc.bad-site.com", "_dmarc.bad-site.com"},
      {"-x-.bad-site.com", "-x-.bad-site.com"},
      {"bücher.de", "xn--bcher-kva.de"},
      {"BÜCHER.de.", "xn--bcher-kva.de"},
      {"*.Bücher.de", "*.xn--bcher-kva.de"},
      {"bu\xcc\x88"
       "cher.de",
       "xn--bcher-kva.de"},
      {"faß.de", "xn--fa-hia.de"},
      {"пример.рф", "xn--e1afmkfd.xn--p1ai"},
      {"例え。jp.com", "xn--r8jz45g.jp.com"},
      {"XN--BCHER-KVA.de", "xn--bcher-kva.de"},
      {"xn--ls8h.la", "xn--ls8h.la"},  // not of IDNA 2008, and it resolves
      {"a.b.c.d.e.f.co.uk", "a.b.c.d.e.f.co.uk"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(read(row.text), row.canonical) << row.text;
  }
}

TEST(Domain, RefusesWithTheReason) {
  const std::string label63(63, 'a');
  const struct {
    std::string text;
    Fault fault;
  } rows[] = {
      {"", Fault::empty},
      {".", Fault::empty},
      {"*.", Fault::empty},
      {"a b.com", Fault::bad_character},
      {"http://bad-site.com/", Fault::bad_character},
      {"bad-site.com/path", Fault::bad_character},
      {"bad\\.site.com", Fault::bad_character},
      {"bad..com", Fault::bad_label},
      {"bad.com..", Fault::bad_label},
      {"..bad.com", Fault::bad_label},
      {label63 + "a.com", Fault::bad_label},
      {label63 + "." + label63 + "." + label63 + ".com", Fault::too_long},
      {"\xff\xfe.com", Fault::bad_idna},
      {"a\xe2\x98\x83.com", Fault::bad_idna},
      {"a.*.com", Fault::wildcard_inside},
      {"*", Fault::wildcard_inside},
      {"*.*.bad.com", Fault::wildcard_inside},
      {"192.0.2.1", Fault::ip_address},
      {"192.0.2.0/24", Fault::ip_address},
      {"2001:db8::1", Fault::ip_address},
      {"1.2.3", Fault::ip_address},
      {"bad.site.42", Fault::ip_address},
      {"com", Fault::single_label},
      {"intranet", Fault::single_label},
      {"localhost", Fault::reserved},
      {"x.localhost", Fault::reserved},
      {"1.0.0.10.in-addr.arpa", Fault::reserved},
      {"printer.local", Fault::reserved},
      {"db.internal", Fault::reserved},
      {"x.invalid", Fault::reserved},
      {"x.test", Fault::reserved},
      {"x.example", Fault::reserved},
      {"abcdef.onion", Fault::reserved},
      {"32.1.2.0.192.rpz-ip", Fault::reserved},
      {"x.rpz-passthru", Fault::reserved},
      {"co.uk", Fault::public_suffix},
      {"*.co.uk", Fault::public_suffix},
      {".CO.UK.", Fault::public_suffix},
      {"github.io", Fault::public_suffix},       // private section
      {"*.blogspot.com", Fault::public_suffix},  // private section
      {"kawasaki.jp", Fault::public_suffix},     // of *.kawasaki.jp
      {"any.kawasaki.jp", Fault::public_suffix},
      {"公司.cn", Fault::public_suffix},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(read(row.text), "!" + std::string(to_string(row.fault))) << row.text;
    EXPECT_FALSE(explain(row.fault).empty());
  }
  EXPECT_EQ(read("city.kawasaki.jp"), "city.kawasaki.jp");  // the list's exception
  EXPECT_EQ(read("somebody.github.io"), "somebody.github.io");
}

TEST(Domain, RefusesWhatWouldCoverOurOwnZones) {
  const CanonicalOptions options{
      .own_zones = {name::Name::from_text("Lists.Merlon-Dns.net").value()}};
  for (const char* text :
       {"lists.merlon-dns.net", "x.lists.merlon-dns.net", "merlon-dns.net", "*.merlon-dns.net"}) {
    EXPECT_EQ(read(text, options), "!own_zone") << text;
  }
  EXPECT_EQ(read("other.merlon-dns.net", options), "other.merlon-dns.net");
  EXPECT_EQ(read("xlists.merlon-dns.net", options), "xlists.merlon-dns.net");
  CanonicalOptions exact = options;
  exact.plain = Scope::exact;
  EXPECT_EQ(read("merlon-dns.net", exact), "merlon-dns.net");
}

TEST(Domain, MayBeAnythingWhenItIsAllowed) {
  const CanonicalOptions options{.purpose = CanonicalOptions::Purpose::allow};
  for (const char* text : {"co.uk", "printer.local", "localhost", "*.gov.uk"}) {
    EXPECT_EQ(read(text, options), text);
  }
  EXPECT_EQ(read("192.0.2.1", options), "!ip_address");
}

TEST(Domain, HasTheScopeThatItsSpellingSays) {
  const Canonicaliser names = canonicaliser();
  EXPECT_EQ(names.read("bad.com")->scope, Scope::subtree);
  EXPECT_EQ(names.read(".bad.com")->scope, Scope::subtree);
  EXPECT_EQ(names.read("*.bad.com")->scope, Scope::below);
  EXPECT_EQ(canonicaliser({.wildcard = Scope::subtree}).read("*.bad.com")->scope, Scope::subtree);
  EXPECT_EQ(canonicaliser({.plain = Scope::exact}).read("bad.com")->scope, Scope::exact);
}

TEST(Domain, FitsBelowTheLongestApexWithAWildcard) {
  const name::Name apex = name::Name::from_text("policy.rpz.customer.merlon.internal").value();
  const Canonicaliser names = canonicaliser({.apex_size_max = apex.size()});
  size_t accepted = 0;
  for (size_t size = 1; size < 250; ++size) {
    std::string text(size, 'a');
    for (size_t at = 60; at < size; at += 61) {
      text[at] = '.';
    }
    if (text.back() == '.') {
      continue;
    }
    const auto domain = names.read(text + ".com");
    if (domain) {
      ++accepted;
      EXPECT_TRUE(name_below(apex, domain->key(), Scope::below).has_value()) << size;
    } else {
      EXPECT_EQ(domain.error(), Fault::too_long);
      const auto full = name::Name::from_text("*." + text + ".com." + apex.to_text());
      EXPECT_FALSE(full.has_value()) << size;
    }
  }
  EXPECT_GT(accepted, 150u);
}

TEST(Domain, KeysOrderAsNamesDo) {
  std::mt19937_64 random(test::seed_for("KeysOrderAsNamesDo"));
  const auto name = [&random] {
    std::string text;
    for (size_t labels = 1 + random() % 4; labels > 0; --labels) {
      for (size_t size = 1 + random() % 3; size > 0; --size) {
        text += "ab-_09z"[random() % 7];
      }
      text += '.';
    }
    return name::Name::from_text(text).value();
  };
  for (int i = 0; i < 20000; ++i) {
    const name::Name a = name();
    const name::Name b = name();
    EXPECT_EQ(key_of(a) <=> key_of(b), a <=> b) << a.to_text() << " " << b.to_text();
    EXPECT_EQ(key_of(a).starts_with(key_of(b)), a.is_at_or_below(b));
    EXPECT_EQ(text_of(key_of(a)) + ".", a.to_text());
    EXPECT_EQ(name_below(name::Name(), key_of(a), Scope::exact).value(), a);
    EXPECT_EQ(name_below(b, key_of(a), Scope::below)->to_text(), "*." + a.to_text() + b.to_text());
  }
}

TEST(Domain, SurvivesAnyBytes) {
  std::mt19937_64 random(test::seed_for("SurvivesAnyBytes"));
  const Canonicaliser names = canonicaliser();
  for (int i = 0; i < 20000; ++i) {
    std::string text(random() % 40, 0);
    for (char& c : text) {
      c = random() % 3 == 0 ? static_cast<char>(random()) : ".*-azüA1"[random() % 8];
    }
    const auto domain = names.read(text);
    if (domain) {
      const auto again = names.read(domain->to_text());
      ASSERT_TRUE(again.has_value()) << domain->to_text();
      EXPECT_EQ(again->key(), domain->key());
    }
  }
}

}  // namespace
}  // namespace merlon::domains

// SPDX-License-Identifier: Apache-2.0
// Any text: a canonical domain reads back as itself, fits below an apex and is in a set of it.
#include <cstddef>
#include <cstdint>

#include "controlplane/domains/domain_set.h"
#include "zones/base/assert.h"
#include "zones/base/bytes.h"

using namespace merlon::domains;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto kNames = Canonicaliser::make({}).value();
  static const auto kApex = merlon::name::Name::from_text("policy.rpz.customer.internal").value();
  const auto domain = kNames.read(merlon::as_text({data, size}));
  if (!domain) {
    MERLON_ASSERT(!explain(domain.error()).empty());
    return 0;
  }
  const auto again = kNames.read(domain->to_text());
  MERLON_ASSERT(again && again->key() == domain->key() && again->scope == domain->scope);
  const auto name = name_below(kApex, domain->key(), Scope::below);
  MERLON_ASSERT(name && name->is_at_or_below(kApex));
  DomainSetBuilder builder;
  builder.add(*domain);
  builder.add(*again);
  Dropped dropped;
  const DomainSet set = builder.finish(&dropped);
  MERLON_ASSERT(set.size() == 1 && dropped.duplicates == 1);
  MERLON_ASSERT(set.covers(domain->key()) == has_exact(domain->scope));
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Signatures: one by one, and whole zones by several threads with and without a cache.
#include <benchmark/benchmark.h>

#include "controlplane/dnssec/sign.h"
#include "tests/controlplane/dnssec/signer_fixture.h"

namespace merlon::dnssec {
namespace {

std::vector<uint8_t> list_body(int64_t count) {
  std::vector<uint8_t> body;
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t record[] = {0xC0,
                              0x0C,
                              0,
                              1,
                              0,
                              1,
                              0,
                              0,
                              3,
                              0x84,
                              0,
                              4,
                              10,
                              0,
                              static_cast<uint8_t>(i >> 8),
                              static_cast<uint8_t>(i)};
    body.insert(body.end(), std::begin(record), std::end(record));
  }
  return body;
}

void sign_rrset(benchmark::State& state, Algorithm algorithm) {
  const name::Name apex = name_of("acme.merlon.internal.");
  const name::Name owner = name_of("list.acme.merlon.internal.");
  const auto key = PrivateKey::generate(algorithm);
  KeySigner signer(*key);
  const SigningKey used{&*key, dnskey_rdata(257, algorithm, key->public_key()), 1};
  const auto body = list_body(state.range(0));
  for (auto _ : state) {
    const auto rrset =
        canonical_rrset({.owner = owner.wire(), .apex = apex.wire(), .type = 1, .body = body});
    benchmark::DoNotOptimize(make_rrsig(*rrset, apex, used, {1, 2}, signer));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(sign_rrset, ecdsa_p256, Algorithm::ecdsa_p256)
    ->Name("Sign/ecdsa_p256/small")
    ->ArgName("records")
    ->Arg(1);
BENCHMARK_CAPTURE(sign_rrset, ecdsa_p256, Algorithm::ecdsa_p256)
    ->Name("Sign/ecdsa_p256")
    ->ArgName("records")
    ->Arg(1500);
BENCHMARK_CAPTURE(sign_rrset, ed25519, Algorithm::ed25519)
    ->Name("Sign/ed25519/small")
    ->ArgName("records")
    ->Arg(1);
BENCHMARK_CAPTURE(sign_rrset, ed25519, Algorithm::ed25519)
    ->Name("Sign/ed25519")
    ->ArgName("records")
    ->Arg(1500);

enum class Cache : uint8_t { none, full };

// A zone of many names: signatures a second, of which `full` finds all in a RocksDB cache.
void sign_whole_zone(benchmark::State& state, Algorithm algorithm, Cache cache) {
  const tests::TemporaryDirectory folder;
  TestClock clock;
  SignerOptions options = signer_options(folder.path() + "/keys", clock);
  options.policy.algorithm = algorithm;
  options.thread_count = static_cast<unsigned>(state.range(1));
  const ListZoneOptions zone_options{.extra_names = static_cast<size_t>(state.range(0))};
  auto kept = Signer::open(options, open_cache(folder.path() + "/signatures"));
  if (cache == Cache::full) {
    ListZone zone = make_list_zone(zone_options);
    (*kept)->sign(*zone.builder).value();
  }
  uint64_t signatures = 0;
  for (auto _ : state) {
    state.PauseTiming();
    ListZone zone = make_list_zone(zone_options);
    std::unique_ptr<Signer> fresh = std::move(*Signer::open(options, memory_cache()));
    Signer& signer = cache == Cache::full ? **kept : *fresh;
    const SignerCounters before = signer.counters();
    state.ResumeTiming();
    signer.sign(*zone.builder).value();
    const SignerCounters after = signer.counters();
    signatures += after.made + after.reused - before.made - before.reused;
  }
  state.SetItemsProcessed(static_cast<int64_t>(signatures));
}
BENCHMARK_CAPTURE(sign_whole_zone, ecdsa_p256, Algorithm::ecdsa_p256, Cache::none)
    ->Name("SignZone/ecdsa_p256/small")
    ->ArgNames({"names", "threads"})
    ->Args({100, 1})
    ->UseRealTime();
BENCHMARK_CAPTURE(sign_whole_zone, ecdsa_p256, Algorithm::ecdsa_p256, Cache::none)
    ->Name("SignZone/ecdsa_p256")
    ->ArgNames({"names", "threads"})
    ->Args({10'000, 1})
    ->Args({10'000, 2})
    ->UseRealTime();
BENCHMARK_CAPTURE(sign_whole_zone, ed25519, Algorithm::ed25519, Cache::none)
    ->Name("SignZone/ed25519")
    ->ArgNames({"names", "threads"})
    ->Args({10'000, 1})
    ->Args({10'000, 2})
    ->UseRealTime();
BENCHMARK_CAPTURE(sign_whole_zone, cached, Algorithm::ecdsa_p256, Cache::full)
    ->Name("SignZone/cached")
    ->ArgNames({"names", "threads"})
    ->Args({10'000, 1})
    ->Args({10'000, 2})
    ->UseRealTime();

}  // namespace
}  // namespace merlon::dnssec

BENCHMARK_MAIN();

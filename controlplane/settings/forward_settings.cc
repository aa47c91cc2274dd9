// SPDX-License-Identifier: Apache-2.0
#include "controlplane/settings/forward_settings.h"

#include "zones/settings/settings.h"

namespace merlon::controlplane {
namespace {

using settings::Kind;

constexpr std::string_view kSection = "forward";
constexpr settings::Option kOptions[] = {
    {"upstreams", Kind::text_list, "[]", 0, 0,
     "whom to ask for names of others, for devices with recursion: \"192.0.2.1\", "
     "\"udp://[2001:db8::1]:53\", \"tcp://192.0.2.1\", \"tls://192.0.2.1:853#dns.example.net\"; "
     "none: such queries are REFUSED"},
    {"cache_size_mb", Kind::number, "64", 1, 65'536, "memory for answers"},
    {"outstanding_max", Kind::number, "10000", 1, 1'000'000, "queries that wait, in all"},
    {"outstanding_per_source_max", Kind::number, "1000", 1, 1'000'000,
     "queries that wait, of one source"},
    {"timeout_ms", Kind::number, "1900", 100, 30'000,
     "for an answer, in all; the data plane waits 2000"},
    {"stale_after_ms", Kind::number, "1800", 0, 30'000,
     "when an expired answer is given if there is no other yet (RFC 8767)"},
    {"stale_max_s", Kind::number, "86400", 0, 604'800,
     "for how long after its end an answer may be given; 0: never"},
    {"ttl_max_s", Kind::number, "86400", 1, 604'800, "TTLs above this are cut to it"},
    {"negative_ttl_max_s", Kind::number, "3600", 1, 86'400, "the same for negative answers"},
    {"probe_every_ms", Kind::number, "1000", 100, 60'000, "how often who is down is asked"},
    {"tls_ca_file", Kind::text, "\"\"", 0, 0,
     "certificates that upstreams' must lead to; empty: the system's"},
    {"not_local", Kind::text_list, "[]", 0, 0,
     "special-use names (RFC 6303, 6761) that upstreams know all the same, such as "
     "\"10.in-addr.arpa\""},
};

}  // namespace

Result<forward::Options> load_forward_settings(const std::string& path, const Settings& settings) {
  const auto section = settings::Section::load(path, kSection, kOptions);
  if (!section) {
    return std::unexpected(section.error());
  }
  const auto milliseconds = [&](std::string_view key) {
    return forward::Options::Milliseconds(section->number(key));
  };
  forward::Options out{
      .suffix = settings.compile.suffix,
      .tls_ca_file = section->text("tls_ca_file"),
      .cache_bytes_max = static_cast<size_t>(section->number("cache_size_mb")) << 20,
      .outstanding_max = static_cast<size_t>(section->number("outstanding_max")),
      .outstanding_per_source_max =
          static_cast<size_t>(section->number("outstanding_per_source_max")),
      .timeout = milliseconds("timeout_ms"),
      .stale_after = milliseconds("stale_after_ms"),
      .stale_max = std::chrono::seconds(section->number("stale_max_s")),
      .ttl_max_s = static_cast<uint32_t>(section->number("ttl_max_s")),
      .negative_ttl_max_s = static_cast<uint32_t>(section->number("negative_ttl_max_s")),
      .probe_every = milliseconds("probe_every_ms")};
  for (const std::string& text : section->text_list("upstreams")) {
    auto upstream = forward::parse_upstream(text);
    if (!upstream) {
      return in(fmt::format("{}: [forward]", path), upstream.error());
    }
    out.upstreams.push_back(std::move(*upstream));
  }
  for (const std::string& text : section->text_list("not_local")) {
    const auto name = name::Name::from_text(text);
    if (!name) {
      return in(fmt::format("{}: [forward] not_local: \"{}\"", path, text), name.error());
    }
    out.not_local.push_back(*name);
  }
  return out;
}

std::string example_forward_settings() {
  return settings::example(kSection, kOptions);
}

}  // namespace merlon::controlplane

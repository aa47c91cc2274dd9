// SPDX-License-Identifier: Apache-2.0
#include "controlplane/settings/settings.h"

#include "zones/answer/identity.h"
#include "zones/settings/settings.h"

namespace merlon::controlplane {
namespace {

using settings::Kind;

constexpr std::string_view kSection = "controlplane";
constexpr settings::Option kOptions[] = {
    {"suffix", Kind::text, "\"merlon.internal.\"", 0, 0,
     "the zone of the shared lists: <list>.<suffix>"},
    {"state_directory", Kind::text, "\"/var/lib/merlon\"", 0, 0,
     "store, snapshots, signing key; readable by this process only"},
    {"api_socket", Kind::text, "\"/run/merlon/control.sock\"", 0, 0,
     "Unix socket of the REST API, for merlonctl"},
    {"dataplane_socket", Kind::text, "\"/run/merlon/dataplane.sock\"", 0, 0,
     "control socket of the data plane; empty: none to tell"},
    {"slow_path_socket", Kind::text, "\"/run/merlon/slowpath.sock\"", 0, 0,
     "Unix socket for the data plane's UDP queries that it does not answer itself; empty: none"},
    {"dns_listen", Kind::text_list, R"(["127.0.0.1:5300", "[::1]:5300"])", 0, 0,
     "TCP addresses to answer DNS on, e.g. port 53 and 5353 for networks that block 53"},
    {"dot_listen", Kind::text_list, "[]", 0, 0,
     "addresses to answer DNS over TLS on, e.g. \"[::]:853\"; needs the two files below"},
    {"tls_certificate_file", Kind::text, "\"\"", 0, 0,
     "PEM, the chain of the server's certificate; looked at every second for a new one"},
    {"tls_key_file", Kind::text, "\"\"", 0, 0, "PEM, the key of that certificate"},
    {"tls_client_ca_file", Kind::text, "\"\"", 0, 0,
     "PEM, who may have issued clients' certificates; empty: anybody, the device names its own"},
    {"dns_threads", Kind::number, "1", 1, 256, "threads that serve DNS over TCP"},
    {"dns_connections", Kind::number, "16384", 1, 1'000'000,
     "TCP connections open at once, in all; as many descriptors are needed"},
    {"dns_connections_per_source", Kind::number, "512", 1, 1'000'000,
     "of those from one IPv4 address or IPv6 /64"},
    {"ttl_s", Kind::number, "900", 1, 86400, "TTL of list records in seconds"},
    {"negative_ttl_s", Kind::number, "60", 1, 86400, "TTL of negative answers in seconds"},
    {"addresses4_per_name", Kind::number, "4000", 1, 4000, "A records under one name"},
    {"addresses6_per_name", Kind::number, "2300", 1, 2300, "AAAA records under one name"},
    {"expand4_from_length", Kind::number, "24", 8, 32,
     "IPv4 prefixes at least this long become A records; wider ones are in APL only"},
    {"expand6_from_length", Kind::number, "124", 104, 128,
     "IPv6 prefixes at least this long become AAAA records; wider ones are in APL only"},
    {"test_address4", Kind::text, "\"192.0.2.1\"", 0, 0, "an address that every list carries"},
    {"test_address6", Kind::text, "\"2001:db8::1\"", 0, 0,
     "an address that every list with IPv6 carries"},
    {"https_listen", Kind::text_list, "[]", 0, 0,
     "addresses for zone files and the REST API over HTTPS, e.g. \"[::]:443\"; needs "
     "tls_certificate_file and tls_key_file, which are read at the start"},
    {"api_token_file", Kind::text, "\"\"", 0, 0,
     "the token for the REST API over HTTPS, made at the first start; empty: not offered there"},
    {"generations_kept", Kind::number, "32", 2, 100'000, "snapshots to keep for rollback"},
    {"contact", Kind::text, "\"\"", 0, 0,
     "e-mail or URL for the User-Agent of feed fetches; some publishers require one"},
    {"feed_private_hosts", Kind::boolean, "false", 0, 0,
     "every feed's URL may lead to private, loopback and link-local addresses, not only those of "
     "feeds that say so themselves"},
    {"feed_proxy", Kind::text, "\"\"", 0, 0,
     "http://HOST:PORT that fetches feeds for us; it must refuse private addresses itself"},
    {"fetch_threads", Kind::number, "32", 2, 256,
     "feeds that are fetched at the same time; slow ones hold at most half"},
    {"identity", Kind::text, "\"\"", 0, 0,
     "answer to NSID and id.server over TCP, at most 64 bytes; empty: none"},
    {"version", Kind::text, "\"\"", 0, 0,
     "answer to version.bind over TCP, at most 64 bytes; empty: refused"},
    {"cookie_secret_file", Kind::text, "\"\"", 0, 0,
     "the data plane's file of cookie secrets; empty: no cookies over TCP"},
    {"allow_files", Kind::text_list, "[]", 0, 0,
     "files of addresses, prefixes, ranges and domains that no list may carry, one a line"},
    {"top_domain_files", Kind::text_list, "[]", 0, 0,
     "files of popular domains (\"name\" or \"rank,name\" a line) that feeds cannot block"},
    {"geo_country_file", Kind::text, "\"\"", 0, 0,
     "an MMDB of countries (tools/get-geo brings one), for targets and check; empty: none"},
    {"geo_asn_file", Kind::text, "\"\"", 0, 0,
     "an MMDB of autonomous systems, likewise; both are looked at for changes"},
    {"zone_directory", Kind::text, "\"\"", 0, 0,
     "a folder of zone files, each <apex>.zone, served as they are; empty: none"},
    {"zones", Kind::text_list, "[]", 0, 0,
     "more zones, each \"<apex> file=PATH\" or \"<apex> primary=ADDRESS[:PORT]\", and "
     "\"account=NAME\" or \"sign\""},
};

Status read_test_addresses(const settings::Section& section, compile::Settings& out) {
  const auto v4 = address::parse_address(section.text("test_address4"));
  const auto v6 = address::parse_address(section.text("test_address6"));
  if (!v4 || v4->family != address::Family::v4) {
    return fail(ErrorCode::invalid_argument, "test_address4 is no IPv4 address");
  }
  if (!v6 || v6->family != address::Family::v6) {
    return fail(ErrorCode::invalid_argument, "test_address6 is no IPv6 address");
  }
  out.test_address4 = static_cast<address::Bits4>(v4->bits);
  out.test_address6 = v6->bits;
  return {};
}

void read_feed_files(const settings::Section& section, Settings& result) {
  result.net = {.allow_files = section.text_list("allow_files"),
                .top_domain_files = section.text_list("top_domain_files")};
  result.geo = {.country_file = section.text("geo_country_file"),
                .asn_file = section.text("geo_asn_file")};
}

void read_dns_limits(const settings::Section& section, Settings& out) {
  out.dns_thread_count = static_cast<unsigned>(section.number("dns_threads"));
  out.dns_connections = static_cast<size_t>(section.number("dns_connections"));
  out.dns_connections_per_source =
      static_cast<size_t>(section.number("dns_connections_per_source"));
}

void read_fetching(const settings::Section& section, Settings& result) {
  result.contact = section.text("contact");
  result.feed_hosts =
      section.boolean("feed_private_hosts") ? fetch::Hosts::any : fetch::Hosts::public_only;
  result.feed_proxy = section.text("feed_proxy");
  result.fetch_thread_count = static_cast<unsigned>(section.number("fetch_threads"));
}

}  // namespace

Result<Settings> load_settings(const std::string& path) {
  const auto section = settings::Section::load(path, kSection, kOptions);
  if (!section) {
    return std::unexpected(section.error());
  }
  Settings result;
  const auto suffix = name::Name::from_text(section->text("suffix"));
  if (!suffix || suffix->is_root()) {
    return fail(ErrorCode::invalid_argument, "{}: suffix: {}", path,
                suffix ? "the root cannot be the suffix" : suffix.error().message);
  }
  result.compile.suffix = suffix->folded();
  result.compile.ttl_s = static_cast<uint32_t>(section->number("ttl_s"));
  result.compile.negative_ttl_s = static_cast<uint32_t>(section->number("negative_ttl_s"));
  result.compile.addresses4_per_name =
      static_cast<uint32_t>(section->number("addresses4_per_name"));
  result.compile.addresses6_per_name =
      static_cast<uint32_t>(section->number("addresses6_per_name"));
  result.compile.expand4_from_length = static_cast<int>(section->number("expand4_from_length"));
  result.compile.expand6_from_length = static_cast<int>(section->number("expand6_from_length"));
  if (auto done = read_test_addresses(*section, result.compile); !done) {
    return in(path, done.error());
  }
  result.state_directory = section->text("state_directory");
  if (result.state_directory.empty()) {
    return fail(ErrorCode::invalid_argument, "{}: state_directory is empty; name a folder", path);
  }
  result.api_socket = section->text("api_socket");
  result.dataplane_socket = section->text("dataplane_socket");
  result.slow_path_socket = section->text("slow_path_socket");
  result.dns_listen = section->text_list("dns_listen");
  result.dot_listen = section->text_list("dot_listen");
  result.tls_certificate_file = section->text("tls_certificate_file");
  result.tls_key_file = section->text("tls_key_file");
  result.tls_client_ca_file = section->text("tls_client_ca_file");
  if (!result.dot_listen.empty() &&
      (result.tls_certificate_file.empty() || result.tls_key_file.empty())) {
    return fail(ErrorCode::invalid_argument,
                "{}: dot_listen needs tls_certificate_file and tls_key_file", path);
  }
  read_dns_limits(*section, result);
  result.https_listen = section->text_list("https_listen");
  result.api_token_file = section->text("api_token_file");
  if (!result.https_listen.empty() &&
      (result.tls_certificate_file.empty() || result.tls_key_file.empty())) {
    return fail(ErrorCode::invalid_argument,
                "{}: https_listen needs tls_certificate_file and tls_key_file", path);
  }
  result.generations_kept = static_cast<size_t>(section->number("generations_kept"));
  read_fetching(*section, result);
  result.identity = section->text("identity");
  result.version = section->text("version");
  result.cookie_secret_file = section->text("cookie_secret_file");
  read_feed_files(*section, result);
  result.zones.directory = section->text("zone_directory");
  for (const std::string& text : section->text_list("zones")) {
    auto source = zonefile::parse_source(text);
    if (!source) {
      return in(fmt::format("{}: zones", path), source.error());
    }
    result.zones.sources.push_back(std::move(*source));
  }
  for (const std::string_view key : {"identity", "version"}) {
    if (section->text(key).size() > answer::Identity::kTextSizeMax) {
      return fail(ErrorCode::invalid_argument, "{}: {} has more than {} bytes", path, key,
                  answer::Identity::kTextSizeMax);
    }
  }
  return result;
}

std::string example_settings() {
  return settings::example(kSection, kOptions);
}

}  // namespace merlon::controlplane

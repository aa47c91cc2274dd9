// SPDX-License-Identifier: Apache-2.0
#include "controlplane/forward/options.h"

#include <fmt/format.h>

namespace merlon::forward {
namespace {

constexpr uint16_t kPort = 53;
constexpr uint16_t kTlsPort = 853;

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) {
    return false;
  }
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

std::string_view to_string(Transport transport) {
  switch (transport) {
    case Transport::udp:
      return "udp";
    case Transport::tcp:
      return "tcp";
    case Transport::tls:
      return "tls";
  }
  return "unknown";
}

std::string UpstreamSpec::to_text() const {
  return fmt::format("{}://{}{}{}", to_string(transport), dns::to_text(endpoint),
                     tls_name.empty() ? "" : "#", tls_name);
}

Result<UpstreamSpec> parse_upstream(std::string_view text) {
  UpstreamSpec spec;
  std::string_view rest = text;
  if (take_prefix(rest, "tls://")) {
    spec.transport = Transport::tls;
  } else if (take_prefix(rest, "tcp://")) {
    spec.transport = Transport::tcp;
  } else {
    take_prefix(rest, "udp://");
  }
  const size_t hash = rest.find('#');
  if (hash != std::string_view::npos) {
    spec.tls_name = rest.substr(hash + 1);
    rest = rest.substr(0, hash);
    if (spec.transport != Transport::tls || spec.tls_name.empty()) {
      return fail(ErrorCode::invalid_argument,
                  "upstream \"{}\": what follows # is the name in a certificate, of tls:// only",
                  text);
    }
  }
  // An address alone, or one with a port.
  if (const auto address = address::parse_address(rest)) {
    spec.endpoint = {*address, spec.transport == Transport::tls ? kTlsPort : kPort};
    return spec;
  }
  const auto endpoint = dns::parse_endpoint(rest);
  if (!endpoint || endpoint->port == 0) {
    return fail(ErrorCode::invalid_argument,
                "upstream \"{}\" is none: give an address like 192.0.2.1, udp://[2001:db8::1]:53, "
                "tcp://192.0.2.1 or tls://192.0.2.1:853#dns.example.net",
                text);
  }
  spec.endpoint = *endpoint;
  return spec;
}

}  // namespace merlon::forward

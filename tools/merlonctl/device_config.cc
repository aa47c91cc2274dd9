// SPDX-License-Identifier: Apache-2.0
// `device config`: what a customer's server needs to take an account's policy zones, ready to be
// pasted. Addresses of this service that nobody here knows are arguments.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

struct Facts {
  std::string host{};  // of ours
  std::string port{};
  std::string tls{};    // the name of our certificate: transfers over TLS; "": in clear
  std::string https{};  // HOST[:PORT]: files over HTTPS; "": transfers
  std::string key_name{};
  std::string algorithm{};
  std::string secret{};
  std::vector<std::string> zones{};  // policy zones, with final dot
  std::string catalog{};             // "": none

  // With the port where it is not DNS's own: `mark` is what the server writes between the two.
  std::string address(std::string_view mark) const {
    return port == "53" ? host : fmt::format("{}{}{}", host, mark, port);
  }
};

std::string without_dot(const std::string& name) {
  return name.ends_with('.') ? name.substr(0, name.size() - 1) : name;
}

// named takes no policy from a zone that only the catalog names, so each is written down as well.
std::string named(const Facts& f) {
  std::string text = fmt::format(
      "key \"{0}\" {{ algorithm {1}; secret \"{2}\"; }};\n"
      "primaries merlon {{ {3} key \"{0}\"; }};\n"
      "// there is one options block: merge this with yours\n",
      without_dot(f.key_name), f.algorithm, f.secret, f.address(" port "));
  text += "options {\n  max-records-per-type 0;  // lists have up to 4000 addresses a name\n";
  text += "  response-policy {\n";
  for (const std::string& zone : f.zones) {
    text += fmt::format("    zone \"{}\";\n", without_dot(zone));
  }
  text += "  } qname-wait-recurse no break-dnssec yes min-update-interval 1;\n";
  if (!f.catalog.empty()) {
    text += fmt::format(
        "  // new zones come by themselves; to have their policy enforced, write them above\n"
        "  catalog-zones {{ zone \"{}\" default-primaries {{ {} key \"{}\"; }} in-memory yes; "
        "}};\n",
        without_dot(f.catalog), f.address(" port "), without_dot(f.key_name));
  }
  text += "};\n";
  std::vector<std::string> all = f.zones;
  if (!f.catalog.empty()) {
    all.push_back(f.catalog);
  }
  for (const std::string& zone : all) {
    text += fmt::format(
        "zone \"{0}\" {{ type secondary; primaries {{ merlon; }}; allow-notify {{ {1}; }}; "
        "file \"{0}.db\"; masterfile-format raw; allow-query {{ localhost; }}; }};\n",
        without_dot(zone), f.host);
  }
  return text;
}

// A rule without a key is not for signed messages, and ours are.
std::string knot(const Facts& f) {
  std::string text = fmt::format(
      "key:\n  - id: {0}\n    algorithm: {1}\n    secret: {2}\n"
      "remote:\n  - id: merlon\n    address: {3}\n    key: {0}\n"
      "acl:\n  - id: merlon-notify\n    address: {4}\n    key: {0}\n    action: notify\n"
      "template:\n  - id: merlon\n    master: merlon\n    acl: merlon-notify\n"
      "zone:\n",
      f.key_name, f.algorithm, f.secret, f.address("@"), f.host);
  if (!f.catalog.empty()) {
    return text + fmt::format(
                      "  - domain: {}\n    master: merlon\n    acl: merlon-notify\n"
                      "    catalog-role: interpret\n    catalog-template: merlon\n",
                      f.catalog);
  }
  for (const std::string& zone : f.zones) {
    text += fmt::format("  - domain: {}\n    template: merlon\n", zone);
  }
  return text;
}

std::string nsd(const Facts& f) {
  std::string text = fmt::format("key:\n  name: \"{}\"\n  algorithm: {}\n  secret: \"{}\"\n",
                                 without_dot(f.key_name), f.algorithm, f.secret);
  for (const std::string& zone : f.zones) {
    text += fmt::format("zone:\n  name: \"{0}\"\n  request-xfr: {1} {3}\n  allow-notify: {2} {3}\n",
                        without_dot(zone), f.address("@"), f.host, without_dot(f.key_name));
  }
  return text;
}

// It knows no TSIG: by source address, over TLS as well, or files with the device's token.
std::string unbound(const Facts& f) {
  std::string text = "server:\n  module-config: \"respip validator iterator\"\n";
  if (!f.tls.empty() || !f.https.empty()) {
    text += "  tls-cert-bundle: \"/etc/ssl/certs/ca-certificates.crt\"\n";
  }
  if (!f.https.empty()) {
    text +=
        "# TOKEN stands for the device's: merlonctl device set NAME --token new\n"
        "# Unbound takes no signed NOTIFY: a device with a key has changes after 15 minutes\n";
  } else {
    text +=
        "# It transfers without a key: the device's source addresses are what it is known by.\n";
  }
  std::string primary = fmt::format("primary: {}", f.address("@"));
  if (!f.tls.empty()) {
    primary = fmt::format("primary: {}@{}#{}", f.host, f.port == "53" ? "853" : f.port, f.tls);
  }
  for (const std::string& zone : f.zones) {
    if (!f.https.empty()) {
      primary = fmt::format("url: \"https://{}/zones/TOKEN/{}\"", f.https, without_dot(zone));
    }
    text += fmt::format(
        "rpz:\n  name: {0}\n  {1}\n  allow-notify: {2}\n  zonefile: \"{3}.zone\"\n"
        "  rpz-log: yes\n",
        zone, primary, f.host, without_dot(zone));
  }
  return text;
}

// It takes no NOTIFY for policy zones, and asks for the serial instead.
std::string pdns(const Facts& f) {
  const std::string host =
      f.host.find(':') != std::string::npos ? fmt::format("[{}]", f.host) : f.host;
  std::string text = "-- of the file that lua-config-file names\n";
  for (const std::string& zone : f.zones) {
    text += fmt::format(
        "rpzPrimary({{\"{}:{}\"}}, \"{}\", {{policyName=\"{}\", tsigname=\"{}\", "
        "tsigalgo=\"{}\", tsigsecret=\"{}\", refresh=10}})\n",
        host, f.port, without_dot(zone), without_dot(zone), without_dot(f.key_name), f.algorithm,
        f.secret);
  }
  return text;
}

struct Server {
  std::string_view name;
  std::string (*text)(const Facts&);
  bool needs_key;
};
constexpr Server kServers[] = {
    {"named", named, true},      {"knot", knot, true}, {"nsd", nsd, true},
    {"unbound", unbound, false}, {"pdns", pdns, true},
};

// "192.0.2.53", "192.0.2.53:5353", "2001:db8::53", "[2001:db8::53]:5353": host and port.
std::optional<std::pair<std::string, std::string>> split_address(const std::string& text) {
  std::string host = text;
  std::string port = "53";
  const size_t colon = text.rfind(':');
  const bool is_bare_v6 = !text.starts_with('[') && text.find(':') != colon;
  if (colon != std::string::npos && !is_bare_v6 && !text.ends_with(']')) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  }
  const auto number = parse_number(port);
  const bool is_address =
      !host.empty() && host.find_first_not_of("0123456789abcdefABCDEF.:") == std::string::npos;
  if (!is_address || !number || *number == 0 || *number > 65535) {
    return std::nullopt;
  }
  return std::pair{host, port};
}

// The account's policy zones and the device's catalog.
Done find_zones(const Context& context, const std::string& account, Facts& facts) {
  const Outcome<Json> published =
      context.client.get(fmt::format("/v1/accounts/{}/published", escaped(account)));
  if (!published) {
    return std::unexpected(published.error());
  }
  for (const Json& zone : published->at("policy_zones")) {
    facts.zones.push_back(zone.at("apex").get<std::string>());
  }
  for (const Json& zone : published->at("catalogs")) {
    const std::string apex = zone.at("apex").get<std::string>();
    if (apex.starts_with(context.arg(0) + ".")) {
      facts.catalog = apex;
    }
  }
  if (facts.zones.empty()) {
    return failed(fmt::format(
        "account {0} has no policy zones yet: merlonctl policy add {0} NAME --kind dns", account));
  }
  return {};
}

}  // namespace

Done run_device_config(const Context& context) {
  const Invocation& call = context.call;
  const auto server =
      std::ranges::find(kServers, call.has("--for") ? call.value("--for") : "", &Server::name);
  const auto place = split_address(call.has("--address") ? call.value("--address") : "");
  if (server == std::end(kServers) || !place) {
    return usage_error(
        "device config needs --for named|knot|nsd|unbound|pdns and --address ADDRESS of ours, or "
        "ADDRESS:PORT");
  }
  const Outcome<Json> device = context.client.get("/v1/devices/" + escaped(context.arg(0)));
  if (!device) {
    return std::unexpected(device.error());
  }
  Facts facts{.host = place->first, .port = place->second};
  for (const auto& [flag, into] :
       {std::pair{"--tls", &facts.tls}, std::pair{"--https", &facts.https}}) {
    if (!call.has(flag)) {
      continue;
    }
    if (server->needs_key) {
      return usage_error(fmt::format("{} is for --for unbound; the others have a key", flag));
    }
    *into = call.value(flag);
  }
  const bool has_key = device->at("device").at("tsig").get<std::string>() != "off";
  if (!server->needs_key && has_key && facts.https.empty()) {
    return failed(
        fmt::format("device {0} must sign with its key, and {1} cannot: merlonctl device set {0} "
                    "--tsig off, or "
                    "take the files with --https HOST",
                    context.arg(0), server->name));
  }
  const std::string account = device->at("device").at("account").get<std::string>();
  if (const Done found = find_zones(context, account, facts); !found) {
    return found;
  }
  if (server->needs_key) {
    const Outcome<Json> key =
        context.client.get(fmt::format("/v1/devices/{}/key", escaped(context.arg(0))));
    if (!key) {
      return std::unexpected(key.error());
    }
    facts.key_name = key->at("key").at("name").get<std::string>();
    facts.algorithm = key->at("key").at("algorithm").get<std::string>();
    facts.secret = key->at("key").at("secret").get<std::string>();
  }
  const std::string text = server->text(facts);
  if (context.json) {
    print_json(Json{{"schema_version", 1}, {"config", text}});
  } else {
    print(text);
  }
  return {};
}

}  // namespace merlon::merlonctl

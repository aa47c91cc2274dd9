// SPDX-License-Identifier: Apache-2.0
// `device config`: what a customer's server needs to take an account's policy zones, ready to be
// pasted. Addresses of this service that nobody here knows are arguments.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

struct Facts {
  std::string address;  // of ours
  std::string key_name;
  std::string algorithm;
  std::string secret;
  std::vector<std::string> zones;  // policy zones, with final dot
  std::string catalog;             // "": none
};

std::string without_dot(const std::string& name) {
  return name.ends_with('.') ? name.substr(0, name.size() - 1) : name;
}

std::string named(const Facts& f) {
  std::string text = fmt::format(
      "key \"{0}\" {{ algorithm {1}; secret \"{2}\"; }};\n"
      "primaries merlon {{ {3} key \"{0}\"; }};\n",
      without_dot(f.key_name), f.algorithm, f.secret, f.address);
  text += "options {\n  max-records-per-type 0;  # lists have up to 4000 addresses a name\n";
  text += "  response-policy {\n";
  for (const std::string& zone : f.zones) {
    text += fmt::format("    zone \"{}\";\n", without_dot(zone));
  }
  text += "  } qname-wait-recurse no break-dnssec yes min-update-interval 1;\n";
  if (!f.catalog.empty()) {
    text += fmt::format(
        "  catalog-zones {{ zone \"{}\" default-primaries {{ {} key \"{}\"; }} in-memory yes; "
        "}};\n",
        without_dot(f.catalog), f.address, without_dot(f.key_name));
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
        without_dot(zone), f.address);
  }
  return text;
}

std::string knot(const Facts& f) {
  std::string text = fmt::format(
      "key:\n  - id: {0}\n    algorithm: {1}\n    secret: {2}\n"
      "remote:\n  - id: merlon\n    address: {3}\n    key: {0}\n"
      "acl:\n  - id: merlon-notify\n    address: {3}\n    action: notify\n"
      "template:\n  - id: merlon\n    master: merlon\n    acl: merlon-notify\n"
      "zone:\n",
      f.key_name, f.algorithm, f.secret, f.address);
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
    text +=
        fmt::format("zone:\n  name: \"{0}\"\n  request-xfr: {1} {2}\n  allow-notify: {1} NOKEY\n",
                    without_dot(zone), f.address, without_dot(f.key_name));
  }
  return text;
}

// It knows no TSIG: by source address, or over TLS or HTTPS.
std::string unbound(const Facts& f) {
  std::string text =
      "server:\n  module-config: \"respip validator iterator\"\n"
      "# It transfers without a key: the device's source addresses are what it is known by.\n"
      "# Over TLS: primary: ADDRESS@853#NAME and tls-cert-bundle; over HTTPS instead of primary:\n"
      "#   url: \"https://HOST/zones/TOKEN/ZONE\"\n";
  for (const std::string& zone : f.zones) {
    text += fmt::format(
        "rpz:\n  name: {0}\n  primary: {1}\n  allow-notify: {1}\n  zonefile: \"{2}.zone\"\n"
        "  rpz-log: yes\n",
        zone, f.address, without_dot(zone));
  }
  return text;
}

std::string pdns(const Facts& f) {
  std::string text = "-- of the file that lua-config-file names\n";
  for (const std::string& zone : f.zones) {
    text += fmt::format(
        "rpzPrimary({{\"{}\"}}, \"{}\", {{policyName=\"{}\", tsigname=\"{}\", tsigalgo=\"{}\", "
        "tsigsecret=\"{}\", refresh=60}})\n",
        f.address, without_dot(zone), without_dot(zone), without_dot(f.key_name), f.algorithm,
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

}  // namespace

Done run_device_config(const Context& context) {
  const Invocation& call = context.call;
  const auto server =
      std::ranges::find(kServers, call.has("--for") ? call.value("--for") : "", &Server::name);
  if (server == std::end(kServers) || !call.has("--address")) {
    return usage_error(
        "device config needs --for named|knot|nsd|unbound|pdns and --address ADDRESS of ours");
  }
  const Outcome<Json> device = context.client.get("/v1/devices/" + escaped(context.arg(0)));
  if (!device) {
    return std::unexpected(device.error());
  }
  const std::string account = device->at("device").at("account").get<std::string>();
  const Outcome<Json> published =
      context.client.get(fmt::format("/v1/accounts/{}/published", escaped(account)));
  if (!published) {
    return std::unexpected(published.error());
  }
  Facts facts;
  facts.address = call.value("--address");
  for (const Json& zone : published->at("policy_zones")) {
    facts.zones.push_back(zone.at("apex").get<std::string>());
  }
  for (const Json& zone : published->at("catalogs")) {
    const std::string apex = zone.at("apex").get<std::string>();
    if (apex.starts_with(context.arg(0) + ".")) {
      facts.catalog = apex;
    }
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
  if (facts.zones.empty()) {
    return failed(fmt::format(
        "account {0} has no policy zones yet: merlonctl policy add {0} NAME --kind dns", account));
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

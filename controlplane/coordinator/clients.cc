// SPDX-License-Identifier: Apache-2.0
// What DNS over TCP saw of its clients, in the API's words.
#include "controlplane/coordinator/coordinator.h"
#include "zones/name/name.h"
#include "zones/wire/wire.h"

namespace merlon::coordinator {
namespace {

// As the server folded it; a name that cannot be read was never taken.
std::string text_of(const std::string& wire) {
  const auto parsed = name::Name::from_wire(as_bytes(wire));
  return parsed ? parsed->to_text() : std::string();
}

api::TcpDevice device_of(uint32_t account, uint32_t device, const dns::AskedOfSubject& asked) {
  api::TcpDevice out{.account = account,
                     .device = device,
                     .queries = asked.queries,
                     .last = asked.last,
                     .last_useful = asked.last_useful};
  for (const dns::AskedName& name : asked.names) {
    out.names.push_back({.name = text_of(name.name),
                         .type = wire::type_to_text(name.type),
                         .outcome = std::string(to_string(name.outcome)),
                         .count = name.count,
                         .last = name.last,
                         .records = name.records,
                         .ttl_s = name.ttl_s,
                         .within_ttl = name.within_ttl});
  }
  return out;
}

}  // namespace

Result<api::TcpClients> Coordinator::tcp_clients() {
  api::TcpClients clients{.since = started_};
  if (dns_server_ == nullptr) {
    return clients;
  }
  const dns::AskedReport report = dns_server_->asked();
  for (const auto& [key, asked] : report.subjects) {
    clients.devices.push_back(device_of(key.first, key.second, asked));
  }
  for (const dns::UnknownSource& source : report.unknown) {
    clients.unknown.push_back(
        {.address = source.address, .count = source.count, .last = source.last});
  }
  return clients;
}

}  // namespace merlon::coordinator

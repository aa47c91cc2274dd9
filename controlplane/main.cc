// SPDX-License-Identifier: Apache-2.0
// merlon-controlplane: feeds, store, compile, publish, DNS over TCP and the REST API. Wiring only:
//   settings -> store, publisher -> coordinator -> DNS over TCP, REST API
// SIGTERM and SIGINT stop it; the data plane goes on without it.
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <ctime>
#include <exception>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "controlplane/api/https_server.h"
#include "controlplane/api/server.h"
#include "controlplane/coordinator/coordinator.h"
#include "controlplane/dns/server.h"
#include "controlplane/dns/udp_proxy.h"
#include "controlplane/dnssec/zone_signer.h"
#include "controlplane/forward/forwarder.h"
#include "controlplane/publish/publisher.h"
#include "controlplane/settings/dnssec_settings.h"
#include "controlplane/settings/forward_settings.h"
#include "controlplane/settings/settings.h"
#include "controlplane/store/store.h"
#include "controlplane/transfer/service.h"
#include "zones/answer/identity.h"
#include "zones/base/file.h"
#include "zones/cookie/cookie.h"

namespace merlon::controlplane {
namespace {

constexpr const char* kVersion = "0.1.0";
constexpr size_t kSpaceAtStart = 4 << 20;

int give_up(std::string_view what, const Error& error) {
  spdlog::critical("{}: {}", what, error.message);
  return 1;
}

// Each TCP client takes a descriptor, RocksDB some hundreds: the soft limit (often 1024) goes up to
// the hard one.
void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

// The state holds the signing key: it belongs to this user alone, but the data plane, which may
// run as another, reads the snapshots and the public key.
Status prepare_state(const Settings& settings) {
  for (const std::string& path :
       {settings.state_directory, settings.catalogue_path(), settings.held_path()}) {
    if (auto made = make_directories(path); !made) {
      return made;
    }
  }
  // RocksDB does not survive a disk that is full while it opens (Debian builds its assertions in),
  // so it is told here, with a reason.
  const std::string probe = settings.state_directory + "/space-check";
  const std::vector<uint8_t> zeros(kSpaceAtStart);
  const Status room = write_file_durably(probe, zeros, 0600);
  ::unlink(probe.c_str());
  if (!room) {
    return in(fmt::format("a start needs {} MiB of room there", kSpaceAtStart >> 20), room.error());
  }
  return {};
}

Result<snapshot::SigningKey> prepare_key(const Settings& settings) {
  auto key = snapshot::SigningKey::load_or_create(settings.signing_key_path());
  if (!key) {
    return std::unexpected(key.error());
  }
  const std::string text = to_hex(key->public_key) + "\n";
  const auto known = read_file(settings.public_key_path(), 4096);
  if (!known || as_text(*known) != text) {
    if (auto written = write_file_durably(settings.public_key_path(), as_bytes(text)); !written) {
      return std::unexpected(written.error());
    }
  }
  return key;
}

Result<cookie::Secrets> load_cookie_secrets(const std::string& path) {
  const auto text = read_file(path, 4096);
  if (!text) {
    return std::unexpected(text.error());
  }
  auto secrets = cookie::parse_secrets(as_text(*text));
  if (!secrets) {
    return in(path, secrets.error());
  }
  return secrets;
}

struct DnsServers {
  std::unique_ptr<dns::Server> tcp;
  std::unique_ptr<dns::UdpProxyServer> slow_path;  // nullptr: none
};

Result<DnsServers> start_dns(const Settings& settings, const dns::SnapshotSlot& slot,
                             const dns::Services& services) {
  dns::ServerOptions options;
  options.listen = settings.dns_listen;
  options.listen_tls = settings.dot_listen;
  options.tls = {.certificate_file = settings.tls_certificate_file,
                 .key_file = settings.tls_key_file,
                 .client_ca_file = settings.tls_client_ca_file,
                 .report = [](const std::string& what) { spdlog::warn("{}", what); }};
  options.threads = settings.dns_thread_count;
  options.connections_max = settings.dns_connections;
  options.connections_per_source_max = settings.dns_connections_per_source;
  options.identity = answer::Identity(settings.identity, settings.version);
  options.services = services;
  if (!settings.cookie_secret_file.empty()) {
    const auto secrets = load_cookie_secrets(settings.cookie_secret_file);
    if (!secrets) {
      return in("cookie secrets", secrets.error());
    }
    options.cookie_secrets = *secrets;
  }
  auto tcp = dns::Server::start(options, slot);
  if (!tcp) {
    return in("DNS over TCP", tcp.error());
  }
  DnsServers servers{std::move(*tcp), nullptr};
  if (!settings.slow_path_socket.empty()) {
    auto slow_path = dns::UdpProxyServer::start({.socket_path = settings.slow_path_socket,
                                                 .identity = options.identity,
                                                 .cookie_secrets = options.cookie_secrets,
                                                 .services = services},
                                                slot);
    if (!slow_path) {
      return in("slow path", slow_path.error());
    }
    servers.slow_path = std::move(*slow_path);
  }
  return servers;
}

coordinator::Options coordinator_options(const Settings& settings, dnssec::Signer& signer,
                                         transfer::Service& transfers,
                                         forward::Forwarder& forwarder) {
  return {.compile = settings.compile,
          .catalogue_path = settings.catalogue_path(),
          .dataplane_socket = settings.dataplane_socket,
          .contact = settings.contact,
          .zone_log_path = settings.zone_log_path(),
          .signer = &signer,
          .dnssec = &signer,
          .transfers = &transfers,
          .fetch_threads = settings.fetch_thread_count,
          .feed_hosts = settings.feed_hosts,
          .feed_proxy = settings.feed_proxy,
          .feed_directory = settings.feed_directory(),
          .zones = settings.zones,
          .forwarder = &forwarder,
          .net = settings.net,
          .geo = settings.geo,
          .held_path = settings.held_path()};
}

Result<std::unique_ptr<dnssec::Signer>> open_signer(const std::string& config,
                                                    const Settings& settings) {
  auto options = load_dnssec_settings(config, settings);
  if (!options) {
    return std::unexpected(options.error());
  }
  auto signer =
      dnssec::Signer::open(std::move(*options), dnssec::open_cache(signature_cache_path(settings)));
  if (signer && !(*signer)->cache_trouble().empty()) {
    spdlog::warn("{}", (*signer)->cache_trouble());
  }
  return signer;
}

Result<std::unique_ptr<forward::Forwarder>> start_forwarder(const std::string& config,
                                                            const Settings& settings) {
  auto options = load_forward_settings(config, settings);
  if (!options) {
    return std::unexpected(options.error());
  }
  return forward::Forwarder::start(std::move(*options));
}

// The journal, and what gives it away; in this order they start, in the other they end.
struct Transfers {
  std::unique_ptr<compile::Journal> journal;
  std::unique_ptr<transfer::Service> service;
};

Result<Transfers> start_transfers(const Settings& settings) {
  auto journal = compile::Journal::open({.directory = settings.journal_path()}, std::time(nullptr));
  if (!journal) {
    return std::unexpected(journal.error());
  }
  for (const std::string& note : (*journal)->notes()) {
    spdlog::warn("{}", note);
  }
  auto service = transfer::Service::start({.journal = journal->get()});
  if (!service) {
    return std::unexpected(service.error());
  }
  return Transfers{std::move(*journal), std::move(*service)};
}

// nullptr: none is wanted.
Result<std::unique_ptr<api::HttpsServer>> start_https(const Settings& settings,
                                                      api::Operations& operations) {
  if (settings.https_listen.empty()) {
    return nullptr;
  }
  auto started =
      api::HttpsServer::start(operations, {.listen = settings.https_listen,
                                           .certificate_file = settings.tls_certificate_file,
                                           .key_file = settings.tls_key_file,
                                           .api_token_file = settings.api_token_file});
  if (started) {
    spdlog::info("HTTPS on {}", fmt::join(settings.https_listen, ", "));
  }
  return started;
}

// Those that end the process, for every thread to come; sigwait() takes them.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

void wait_for(const sigset_t& signals) {
  int received = 0;
  sigwait(&signals, &received);
  spdlog::info("stopping");
}

void say_ready(const Settings& settings, const dns::Server& server) {
  if (!settings.dot_listen.empty()) {
    spdlog::info("DNS over TLS on {}", fmt::join(server.tls_addresses(), ", "));
  }
  spdlog::info("ready: DNS over TCP on {}, API on {}", fmt::join(server.addresses(), ", "),
               settings.api_socket);
}

// Instead of a start: the store becomes what the newest backup holds.
int restore(const std::string& config, const std::string& backups) {
  const auto settings = load_settings(config);
  if (!settings) {
    spdlog::critical("{}", settings.error().message);
    return 2;
  }
  if (auto made = make_directories(settings->state_directory); !made) {
    return give_up("state directory", made.error());
  }
  const auto restored = store::Store::restore(backups, settings->store_path());
  if (!restored) {
    return give_up("restore", restored.error());
  }
  if (const auto store = store::Store::open(settings->store_path()); !store) {
    return give_up("restore", store.error());
  }
  spdlog::info("backup {} of {} restored to {}", restored->id, backups, settings->store_path());
  return 0;
}

int run(const std::string& config) {
  const auto settings = load_settings(config);
  if (!settings) {
    spdlog::critical("{}", settings.error().message);
    return 2;
  }
  const sigset_t signals = block_signals();

  raise_file_limit();
  if (auto prepared = prepare_state(*settings); !prepared) {
    return give_up("state directory", prepared.error());
  }
  const auto key = prepare_key(*settings);
  if (!key) {
    return give_up("signing key", key.error());
  }
  auto store = store::Store::open(settings->store_path());
  if (!store) {
    return give_up("store", store.error());
  }
  auto publisher = publish::Publisher::open(settings->snapshot_path(), *key,
                                            {.generations_kept = settings->generations_kept});
  if (!publisher) {
    return give_up("snapshots", publisher.error());
  }
  const auto signer = open_signer(config, *settings);
  if (!signer) {
    return give_up("DNSSEC", signer.error());
  }
  const auto transfers = start_transfers(*settings);
  if (!transfers) {
    return give_up("transfers", transfers.error());
  }
  const auto forwarder = start_forwarder(config, *settings);
  if (!forwarder) {
    return give_up("forwarding", forwarder.error());
  }
  dns::SnapshotSlot slot;
  coordinator::Coordinator coordinator(
      **store, *publisher, slot,
      coordinator_options(*settings, **signer, *transfers->service, **forwarder));
  auto dns_servers = start_dns(
      *settings, slot, {.special = transfers->service.get(), .forwarder = forwarder->get()});
  if (!dns_servers) {
    return give_up("DNS", dns_servers.error());
  }
  coordinator.watch(*dns_servers->tcp);
  if (auto started = coordinator.start(); !started) {
    return give_up("start", started.error());
  }
  auto api_server = api::Server::start(coordinator, {.socket_path = settings->api_socket});
  if (!api_server) {
    return give_up("REST API", api_server.error());
  }
  auto https = start_https(*settings, coordinator);
  if (!https) {
    return give_up("HTTPS", https.error());
  }
  say_ready(*settings, *dns_servers->tcp);
  wait_for(signals);
  coordinator.cancel_waits();  // the API's requests may be among those who wait
  https->reset();
  api_server->reset();
  coordinator.stop();
  transfers->service->stop();
  dns_servers->slow_path.reset();
  dns_servers->tcp.reset();
  return 0;
}

}  // namespace
}  // namespace merlon::controlplane

int main(int argc, char** argv) {
  CLI::App app("Merlon control plane: feeds, store, compile, publish, DNS over TCP, REST API");
  std::string config = "/etc/merlon/merlon.toml";
  app.add_option("--config", config, "TOML file with a [controlplane] section")
      ->capture_default_str();
  std::string backups;
  app.add_option("--restore", backups,
                 "instead of starting, make the store of the newest backup in this directory");
  app.add_flag_callback(
      "--example-config",
      [] {
        fmt::print("{}\n{}\n{}", merlon::controlplane::example_settings(),
                   merlon::controlplane::example_dnssec_settings(),
                   merlon::controlplane::example_forward_settings());
        throw CLI::Success();
      },
      "print the section with defaults and exit");
  app.set_version_flag("--version", merlon::controlplane::kVersion);
  CLI11_PARSE(app, argc, argv);
  spdlog::set_default_logger(spdlog::stderr_color_mt("merlon-controlplane"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %n %^%l%$ %v");
  try {
    return backups.empty() ? merlon::controlplane::run(config)
                           : merlon::controlplane::restore(config, backups);
  } catch (const std::exception& error) {
    spdlog::critical("stopped by an exception of a library: {}", error.what());
    return 1;
  }
}

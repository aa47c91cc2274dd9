// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dns/server.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <limits>
#include <system_error>
#include <thread>
#include <utility>

#include "controlplane/dns/source_table.h"
#include "controlplane/dns/worker.h"

namespace merlon::dns {

struct Server::Parts {
  explicit Parts(const ServerOptions& the_options)
      : options(the_options),
        sources(the_options.connections_max, the_options.connections_per_source_max) {}

  ServerOptions options;  // workers refer to it
  SourceTable sources;
  DeviceCertificates certificates;
  std::unique_ptr<TlsCertificates> tls;  // nullptr: nobody listens for TLS
  std::unique_ptr<Shared> shared;
  std::vector<Endpoint> endpoints;  // options.listen, then options.listen_tls
  std::vector<std::string> addresses;
  std::vector<std::string> tls_addresses;
  std::vector<std::unique_ptr<Worker>> workers;
  std::vector<std::thread> threads;
};

namespace {

constexpr unsigned kThreadsMax = 256;

Status check_options(const ServerOptions& options) {
  const auto wrong = [](std::string_view what) {
    return fail(ErrorCode::invalid_argument, "DNS over TCP: {}", what);
  };
  if (options.listen.empty() && options.listen_tls.empty()) {
    return wrong("no address to listen on");
  }
  if (options.threads == 0 || options.threads > kThreadsMax) {
    return wrong(fmt::format("threads is {}, not 1 to {}", options.threads, kThreadsMax));
  }
  if (options.pipeline_max == 0 || options.unsent_bytes_max == 0 || options.connections_max == 0 ||
      options.connections_per_source_max == 0) {
    return wrong("a limit of 0 would answer nobody");
  }
  if (options.input_bytes_max / options.threads < (size_t{1} << 20)) {
    return wrong("input_bytes_max is less than 1 MiB per thread");
  }
  for (const auto time :
       {options.idle_timeout, options.message_timeout, options.write_stall_timeout,
        options.handshake_timeout, options.forward_timeout}) {
    if (time.count() <= 0 || time > std::chrono::hours(24)) {
      return wrong(fmt::format("a timeout of {} ms is not between 1 ms and a day", time.count()));
    }
  }
  return {};
}

// One worker's sockets. The first worker's fix the ports that the system was to choose.
Result<std::vector<ListeningSocket>> open_listeners(const ServerOptions& options,
                                                    std::vector<Endpoint>& endpoints) {
  const ListenOptions listen_options{
      .port_use = options.threads > 1 ? PortUse::shared : PortUse::exclusive,
      .unacknowledged_max = options.write_stall_timeout,
      .kernel_unsent_bytes_max = options.kernel_unsent_bytes_max};
  std::vector<ListeningSocket> listeners;
  for (Endpoint& endpoint : endpoints) {
    auto listener = listen_on(endpoint, listen_options);
    if (!listener) {
      return std::unexpected(listener.error());
    }
    const auto bound = local_endpoint(*listener);
    if (!bound) {
      return std::unexpected(bound.error());
    }
    endpoint.port = bound->port;
    listeners.push_back({std::move(*listener), listeners.size() < options.listen.size()
                                                   ? Security::plain
                                                   : Security::tls});
  }
  return listeners;
}

Result<std::vector<Endpoint>> parse_endpoints(const ServerOptions& options) {
  std::vector<Endpoint> endpoints;
  std::vector<std::string> texts = options.listen;
  texts.insert(texts.end(), options.listen_tls.begin(), options.listen_tls.end());
  for (const std::string& text : texts) {
    const auto endpoint = parse_endpoint(text);
    if (!endpoint) {
      return std::unexpected(endpoint.error());
    }
    if (auto is_free = check_port_is_free(*endpoint); !is_free) {
      return std::unexpected(is_free.error());
    }
    endpoints.push_back(*endpoint);
  }
  return endpoints;
}

// Signals are the main thread's: a new thread inherits the mask of its maker.
Result<std::thread> start_thread(Worker& worker, unsigned number) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread;
  std::string reason;
  try {
    thread = std::thread([&worker] { worker.run(); });
  } catch (const std::system_error& error) {
    reason = error.what();
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!thread.joinable()) {
    return fail(ErrorCode::io, "start DNS thread {}: {}", number, reason);
  }
  pthread_setname_np(thread.native_handle(), fmt::format("dns-tcp-{}", number).c_str());
  return thread;
}

}  // namespace

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Server::~Server() {
  for (const auto& worker : parts_->workers) {
    worker->stop();
  }
  for (std::thread& thread : parts_->threads) {
    thread.join();
  }
}

Result<std::unique_ptr<Server>> Server::start(const ServerOptions& options,
                                              const SnapshotSlot& snapshots) {
  if (auto good = check_options(options); !good) {
    return std::unexpected(good.error());
  }
  auto endpoints = parse_endpoints(options);
  if (!endpoints) {
    return std::unexpected(endpoints.error());
  }
  // From here on the destructor stops what was started.
  std::unique_ptr<Server> server(new Server(std::make_unique<Parts>(options)));
  Parts& parts = *server->parts_;
  parts.endpoints = std::move(*endpoints);
  if (!options.listen_tls.empty()) {
    auto tls = TlsCertificates::load(options.tls);
    if (!tls) {
      return std::unexpected(tls.error());
    }
    parts.tls = std::move(*tls);
  }
  parts.shared = std::make_unique<Shared>(
      Shared{snapshots, parts.sources, parts.certificates, parts.tls.get()});
  for (unsigned i = 0; i < options.threads; ++i) {
    auto listeners = open_listeners(parts.options, parts.endpoints);
    if (!listeners) {
      return std::unexpected(listeners.error());
    }
    auto worker = Worker::make(parts.options, *parts.shared, std::move(*listeners));
    if (!worker) {
      return std::unexpected(worker.error());
    }
    parts.workers.push_back(std::move(*worker));
  }
  for (const Endpoint& endpoint : parts.endpoints) {
    const bool is_plain = parts.addresses.size() < options.listen.size();
    (is_plain ? parts.addresses : parts.tls_addresses).push_back(to_text(endpoint));
  }
  for (unsigned i = 0; i < options.threads; ++i) {
    auto thread = start_thread(*parts.workers[i], i);
    if (!thread) {
      return std::unexpected(thread.error());
    }
    parts.threads.push_back(std::move(*thread));
  }
  return server;
}

const std::vector<std::string>& Server::addresses() const {
  return parts_->addresses;
}

const std::vector<std::string>& Server::tls_addresses() const {
  return parts_->tls_addresses;
}

void Server::set_certificates(DeviceCertificates::Table table) {
  parts_->certificates.set(std::move(table));
}

SubjectCounts Server::subject_queries() const {
  SubjectCounts sum;
  for (const auto& worker : parts_->workers) {
    worker->subjects().add_into(sum);
  }
  return sum;
}

AskedReport Server::asked() const {
  AskedReport sum;
  for (const auto& worker : parts_->workers) {
    worker->subjects().add_into(sum);
  }
  return sum;
}

Statistics Server::statistics() const {
  Statistics sum;
  for (const auto& worker : parts_->workers) {
    worker->counters().add_into(sum);
  }
  return sum;
}

}  // namespace merlon::dns

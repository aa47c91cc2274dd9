// SPDX-License-Identifier: Apache-2.0
// merlon-tcp-bench-server: the TCP server alone over the tests' generation, for merlon-tcp-load.
// Serves until it gets SIGINT or SIGTERM, then prints its statistics.
#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <string>

#include "controlplane/dns/server.h"
#include "tests/support/snapshot_fixture.h"

int main(int argc, char** argv) {
  merlon::dns::ServerOptions options;
  options.listen = {"127.0.0.1:5300"};
  options.connections_per_source_max = options.connections_max;
  CLI::App app{"DNS over TCP of a test generation (basic.merlon.internal: 4000 A)",
               "merlon-tcp-bench-server"};
  app.add_option("--listen", options.listen, "address:port")->capture_default_str();
  app.add_option("--threads", options.threads, "workers")->capture_default_str();
  app.add_option("--kernel-unsent", options.kernel_unsent_bytes_max, "0: as the system says")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGINT);
  sigaddset(&stop, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  merlon::dns::SnapshotSlot slot;
  slot.set(merlon::tests::make_fixture().snapshot);
  const auto server = merlon::dns::Server::start(options, slot);
  if (!server) {
    fmt::print(stderr, "merlon-tcp-bench-server: {}\n", server.error().message);
    return 1;
  }
  int signal_number = 0;
  sigwait(&stop, &signal_number);
  fmt::print("{}\n", (*server)->statistics().to_json());
  return 0;
}

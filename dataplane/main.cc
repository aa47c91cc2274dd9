// SPDX-License-Identifier: Apache-2.0
// merlon-dataplane: answers UDP queries from the published snapshot. Wiring only:
//   settings -> sockets -> workers (engine + pipeline) <- live snapshot <- control socket
//                          workers <-> slow path <-> control plane
// It starts from disk without the control plane and goes on without it. SIGHUP loads what is
// current, SIGTERM and SIGINT stop.
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <ctime>
#include <latch>
#include <mutex>
#include <set>
#include <thread>

#include "dataplane/control/control.h"
#include "dataplane/control/observe.h"
#include "dataplane/control/report.h"
#include "dataplane/dnstap/tap.h"
#include "dataplane/dpdk/eal.h"
#include "dataplane/dpdk/ports.h"
#include "dataplane/io/mmsg_io.h"
#include "dataplane/io/uring_io.h"
#include "dataplane/pipeline/worker.h"
#include "dataplane/ratelimit/ratelimit.h"
#include "dataplane/settings/settings.h"
#include "dataplane/slowpath/slow_path.h"
#include "dataplane/xdp/preflight.h"
#include "zones/answer/identity.h"
#include "zones/base/file.h"
#include "zones/cookie/cookie.h"

namespace merlon::dataplane {
namespace {

constexpr const char* kVersion = "0.1.0";

void say(std::string_view text) {
  fmt::print(stderr, "merlon-dataplane: {}\n", text);
  std::fflush(stderr);
}

std::vector<stats::SubjectTable*> tables_of(std::vector<stats::WorkerCounters>& workers) {
  std::vector<stats::SubjectTable*> tables;
  for (stats::WorkerCounters& worker : workers) {
    tables.push_back(&worker.subjects);
  }
  return tables;
}

// Everything the process holds, in the order it is taken apart.
class DataPlane {
 public:
  explicit DataPlane(Settings settings)
      : settings_(std::move(settings)),
        directory_(settings_.snapshot_directory),
        counters_(settings_.worker_count),
        subjects_(tables_of(counters_)),
        live_(settings_.worker_count, &subjects_),
        observer_(counters_, subjects_),
        running_(static_cast<std::ptrdiff_t>(settings_.worker_count)),
        engines_(settings_.worker_count) {}
  ~DataPlane() { stop(); }

  Status start() {
    const auto key_text = read_file(settings_.manifest_key_file, 4096);
    if (!key_text) {
      return in("manifest_key_file (the control plane writes it at its first start)",
                key_text.error());
    }
    const auto key = snapshot::parse_public_key(as_text(*key_text));
    if (!key) {
      return in(settings_.manifest_key_file, key.error());
    }
    trusted_ = *key;
    if (auto done = prepare_answering(); !done) {
      return done;
    }
    started_ = std::time(nullptr);
    load();  // an error is said and kept for `status`; the control plane may publish later
    // Before the UDP sockets: they would share the port with a data plane that runs already, and
    // take queries from it until this one gives up.
    auto control = control::ControlServer::start(
        settings_.control_socket, [this](std::string_view command) { return handle(command); });
    if (!control) {
      return std::unexpected(control.error());
    }
    control_ = std::move(*control);
    if (auto done = open_engines(); !done) {
      return done;
    }
    if (auto done = start_slow_path(); !done) {
      return done;
    }
    if (!settings_.dnstap.path.empty()) {
      auto tap = dnstap::Tap::start({.target = settings_.dnstap.path,
                                     .identity = settings_.identity,
                                     .version = fmt::format("merlon-dataplane {}", kVersion),
                                     .sample = settings_.dnstap.sample,
                                     .worker_count = settings_.worker_count});
      if (!tap) {
        return std::unexpected(tap.error());
      }
      const std::lock_guard lock(facts_);
      tap_ = std::move(*tap);
    }
    for (size_t i = 0; i < settings_.worker_count; ++i) {
      threads_.emplace_back([this, i] { run(i); });
    }
    running_.wait();
    return {};
  }

  void stop() {
    stop_.store(true);
    for (std::thread& thread : threads_) {
      thread.join();
    }
    threads_.clear();
    slow_path_.reset();
    control_.reset();
    tap_.reset();
    ports_.reset();
    dpdk::stop_eal();
  }

  std::string load() {
    const auto generation = live_.load_current(directory_, trusted_);
    const std::lock_guard lock(facts_);
    if (!generation) {
      last_load_error_ = generation.error().message;
      say(fmt::format("not loaded: {}", last_load_error_));
      return control::error_json(generation.error());
    }
    last_load_error_.clear();
    loaded_ = std::time(nullptr);
    return control::loaded_json(*generation);
  }

  // Reads the secret file again. What is wrong with it is said, and the secrets stay as they were.
  void reload_secrets() {
    if (services_.secrets == nullptr || settings_.cookie_secret_file.empty()) {
      return;
    }
    cookie::Secrets& next =
        secrets_in_force_.load() == &secrets_[0] ? secrets_[1] : secrets_[0];  // nobody reads it
    if (auto done = read_secrets(next); !done) {
      say(fmt::format("cookie secrets not loaded: {}", done.error().message));
      return;
    }
    secrets_in_force_.store(&next);
    live_.synchronize();  // from here on nobody reads the former ones
    say("cookie secrets loaded");
  }

 private:
  // What is answered with besides lists: names, cookies, the rate limit.
  Status prepare_answering() {
    identity_ = answer::Identity(settings_.identity, settings_.version);
    if (settings_.cookies) {
      secrets_[0] = cookie::Secrets::random();
      if (auto done = read_secrets(secrets_[0]); !done) {
        return done;
      }
      secrets_in_force_.store(&secrets_[0]);
      services_.secrets = &secrets_[0];
    }
    const RateLimit& limit = settings_.rate_limit;
    if (limit.per_second != 0) {
      limiter_ = ratelimit::Limiter::make({.per_second = limit.per_second, .slip = limit.slip});
      services_.limiter = limiter_.get();
      services_.limit_dry_run = limit.dry_run;
    }
    return {};
  }

  // Leaves `secrets` alone when no file is configured.
  Status read_secrets(cookie::Secrets& secrets) const {
    if (settings_.cookie_secret_file.empty()) {
      return {};
    }
    const auto text = read_file(settings_.cookie_secret_file, 4096);
    if (!text) {
      return in("cookie_secret_file", text.error());
    }
    const auto read = cookie::parse_secrets(as_text(*text));
    if (!read) {
      return in(settings_.cookie_secret_file, read.error());
    }
    secrets = *read;
    return {};
  }

  // Ports when they are asked for. `auto` prefers ports that are configured, and says loudly when
  // it has to do without.
  Status open_engines() {
    if (settings_.engine == Engine::dpdk) {
      return open_ports();
    }
    if (settings_.engine == Engine::automatic && !settings_.dpdk.ports.empty()) {
      auto opened = open_ports();
      if (opened) {
        return {};
      }
      say(
          fmt::format("engine auto: the ports cannot be used: {}. FALLING BACK TO SOCKETS, which "
                      "are slower; merlon-dataplane preflight explains",
                      opened.error().message));
      const std::lock_guard lock(facts_);
      engine_note_ = opened.error().message;
    }
    return bind_sockets();
  }

  Status bind_sockets() {
    for (const io::Endpoint& endpoint : settings_.listen) {
      if (auto free = io::UdpSocket::wait_until_free(endpoint); !free) {
        return free;
      }
    }
    sockets_.resize(settings_.worker_count);
    for (auto& own : sockets_) {
      for (io::Endpoint& endpoint : settings_.listen) {
        auto socket = io::UdpSocket::bind(endpoint);
        if (!socket) {
          return std::unexpected(socket.error());
        }
        endpoint = socket->local();  // port 0: the workers share the one that the first got
        own.push_back(std::move(*socket));
      }
    }
    const std::lock_guard lock(facts_);
    for (const io::Endpoint& endpoint : settings_.listen) {
      listen_.push_back(endpoint.to_text());
    }
    return {};
  }

  Status start_slow_path() {
    if (settings_.slow_path_socket.empty()) {
      return {};
    }
    auto started = slowpath::SlowPath::start({.socket = settings_.slow_path_socket}, counters_);
    if (!started) {
      return std::unexpected(started.error());
    }
    slow_path_ = std::move(*started);
    return {};
  }

  Status open_ports() {
    auto ports = dpdk::Ports::open(settings_.dpdk, counters_);
    if (!ports) {
      return std::unexpected(ports.error());
    }
    for (const std::string& line : xdp::served_modes(settings_.dpdk.ports)) {
      say(line);
    }
    const std::lock_guard lock(facts_);
    ports_ = std::move(*ports);
    return {};
  }

  void pin(size_t index) const {
    if (settings_.cores.empty()) {
      return;
    }
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(settings_.cores[index]), &set);
    if (pthread_setaffinity_np(pthread_self(), sizeof set, &set) != 0) {
      say(fmt::format("worker {}: core {} is not available, running unpinned", index,
                      settings_.cores[index]));
    }
  }

  // A worker thread: its engine is made here, because a ring belongs to the thread that made it.
  void run(size_t index) {
    pin(index);
    stats::WorkerCounters& counters = counters_[index];
    pipeline::Worker worker{.index = index,
                            .live = live_,
                            .counters = counters,
                            .limits = {.transport = answer::Transport::udp,
                                       .udp_size_max = settings_.udp_size_max,
                                       .identity = &identity_},
                            .services = services_,
                            .secrets = services_.secrets == nullptr ? nullptr : &secrets_in_force_,
                            .sampler = tap_ == nullptr ? nullptr : &tap_->sampler(index)};
    if (ports_ != nullptr) {
      run_on_ports(index, worker);
      return;
    }
    if (settings_.engine != Engine::mmsg) {
      auto engine = io::UringIo::create(sockets_[index], counters);
      if (engine) {
        note_engine(index, "io_uring", "");
        serve(**engine, worker);
        return;
      }
      note_engine(index, "mmsg", fmt::format("io_uring refused: {}", engine.error().message));
    } else {
      note_engine(index, "mmsg", "");
    }
    const auto engine = io::MmsgIo::create(sockets_[index], counters);
    serve(*engine, worker);
  }

  template <class Engine>
  void serve(Engine& engine, pipeline::Worker& worker) {
    if (slow_path_ == nullptr) {
      pipeline::run_worker(engine, worker, stop_);
      return;
    }
    slow_path_->attach(worker.index, engine);
    pipeline::run_worker(engine, worker, stop_, &slow_path_->outlet(worker.index));
    slow_path_->detach(worker.index);
  }

  void run_on_ports(size_t index, pipeline::Worker& worker) {
    const auto engine = ports_->enter(index);
    note_engine(index, engine ? "dpdk" : "none", engine ? "" : engine.error().message);
    if (engine) {
      serve(**engine, worker);
      ports_->leave(index);
    }
  }

  // What the ports are and have counted; none before they are open.
  std::vector<stats::PortReport> port_reports() {
    const std::lock_guard lock(facts_);
    return ports_ == nullptr ? std::vector<stats::PortReport>{} : ports_->report();
  }

  void note_engine(size_t worker, std::string_view engine, const std::string& note) {
    const std::lock_guard lock(facts_);
    engines_[worker] = engine;
    if (!note.empty()) {
      engine_note_ = note;
    }
    say(note.empty() ? fmt::format("worker {}: engine {}", worker, engine)
                     : fmt::format("worker {}: {}; falling back to {}", worker, note, engine));
    running_.count_down();
  }

  // The engine, or the engines when the kernel allowed io_uring to some workers only.
  std::string engine_text() const {
    std::set<std::string_view> different(engines_.begin(), engines_.end());
    different.erase("");
    return fmt::format("{}", fmt::join(different, "+"));
  }

  std::string handle(std::string_view command) {
    const auto served = live_.served();
    const uint64_t generation = served == nullptr ? 0 : served->generation();
    if (command == "load") {
      return load();
    }
    if (command == "stats") {
      const auto ports = port_reports();
      std::vector<control::StatsSection> sections{{"subjects", observer_.subjects_section()}};
      const std::lock_guard lock(facts_);
      if (tap_ != nullptr) {
        sections.push_back({"dnstap", control::dnstap_json(tap_->numbers())});
      }
      return control::stats_json(generation, counters_, ports, sections);
    }
    if (auto answer = observer_.handle(command)) {
      return std::move(*answer);
    }
    if (command == "status") {
      auto ports = port_reports();
      const std::lock_guard lock(facts_);
      control::StatusFacts facts{.version = kVersion,
                                 .engine = engine_text(),
                                 .engine_note = engine_note_,
                                 .worker_count = settings_.worker_count,
                                 .listen = listen_,
                                 .ports = std::move(ports),
                                 .started = started_,
                                 .loaded = loaded_,
                                 .last_load_error = last_load_error_,
                                 .served = served.get()};
      return control::status_json(facts);
    }
    return control::error_json(
        Error{ErrorCode::invalid_argument,
              "unknown command; there are load, status, stats, top, subjects and profile"});
  }

  Settings settings_;
  snapshot::Directory directory_;
  snapshot::PublicKey trusted_{};
  answer::Identity identity_;
  std::array<cookie::Secrets, 2> secrets_;
  std::atomic<const cookie::Secrets*> secrets_in_force_{nullptr};
  std::unique_ptr<ratelimit::Limiter> limiter_;
  pipeline::Services services_;
  std::vector<stats::WorkerCounters> counters_;
  stats::SubjectRegistry subjects_;
  swap::LiveSlot live_;
  control::Observer observer_;
  std::vector<std::vector<io::UdpSocket>> sockets_;  // per worker
  std::unique_ptr<slowpath::SlowPath> slow_path_;    // nullptr: none
  std::unique_ptr<dpdk::Ports> ports_;               // instead of them: the dpdk engine
  std::unique_ptr<control::ControlServer> control_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stop_{false};
  std::latch running_;                // until every worker has its engine
  std::mutex facts_;                  // the members below
  std::unique_ptr<dnstap::Tap> tap_;  // when it is wanted; made before the workers
  std::vector<std::string> engines_;  // per worker; "" until it runs
  std::string engine_note_;
  std::vector<std::string> listen_;
  std::string last_load_error_;
  int64_t started_ = 0;
  int64_t loaded_ = 0;
};

int run(const std::string& config) {
  auto settings = load_settings(config);
  if (!settings) {
    say(settings.error().message);
    return 2;
  }
  // Blocked before any thread starts, so that only sigwait below sees them.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    sigaddset(&signals, number);
  }
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  DataPlane plane(std::move(*settings));
  if (auto started = plane.start(); !started) {
    say(started.error().message);
    return 1;
  }
  say("ready");
  int received = 0;
  while (sigwait(&signals, &received) == 0 && received == SIGHUP) {
    plane.load();
    plane.reload_secrets();
  }
  plane.stop();
  say("stopped");
  return 0;
}

// 0 when the configured engine can run, 1 when not, 2 when the configuration is wrong.
int run_preflight(const xdp::PreflightOptions& options, bool as_json) {
  const auto report = xdp::preflight(options);
  if (!report) {
    say(report.error().message);
    return 2;
  }
  fmt::print("{}", as_json ? xdp::to_json(*report) : xdp::to_text(*report));
  return report->can_run ? 0 : 1;
}

}  // namespace
}  // namespace merlon::dataplane

int main(int argc, char** argv) {
  CLI::App app("Merlon data plane: answers DNS over UDP from published snapshots");
  std::string config = "/etc/merlon/merlon.toml";
  app.add_option("--config", config, "TOML file with a [dataplane] section")->capture_default_str();
  app.add_flag_callback(
      "--example-config",
      [] {
        fmt::print("{}", merlon::dataplane::example_settings());
        throw CLI::Success();
      },
      "print the section with defaults and exit");
  app.set_version_flag("--version", merlon::dataplane::kVersion);
  merlon::xdp::PreflightOptions preflight;
  bool as_json = false;
  CLI::App* check = app.add_subcommand("preflight", "say what interfaces and engines can do here");
  check->add_option("--config", preflight.config, "judge whether this configuration can run");
  check->add_option("interface", preflight.interfaces, "interfaces; none: all, or the configured");
  check->add_flag("--json", as_json, "for programs");
  check->add_flag_callback(
      "--no-trials", [&preflight] { preflight.trials = merlon::xdp::Trials::none; },
      "attach and bind nothing, not even for a moment");
  CLI11_PARSE(app, argc, argv);
  if (check->parsed()) {
    return merlon::dataplane::run_preflight(preflight, as_json);
  }
  return merlon::dataplane::run(config);
}

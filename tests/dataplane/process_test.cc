// SPDX-License-Identifier: Apache-2.0
// The real merlon-dataplane as a process: starts from disk, answers, falls back to the mmsg engine
// where io_uring is refused, loads and keeps, stops. One process per test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/support/snapshot_fixture.h"
#include "zones/base/bytes.h"
#include "zones/cookie/cookie.h"

namespace merlon {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::HasSubstr;

// A child process, ended with the test.
class Process {
 public:
  Process(const std::vector<std::string>& arguments, const std::string& log) {
    std::vector<char*> argv;
    for (const std::string& argument : arguments) {
      argv.push_back(const_cast<char*>(argument.c_str()));
    }
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      if (::freopen(log.c_str(), "a", stderr) != nullptr) {
        ::execv(argv[0], argv.data());
      }
      ::_exit(127);
    }
  }
  ~Process() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void signal(int number) const { ::kill(pid_, number); }
  // The exit code, -1 when it was killed or does not end.
  int wait() {
    for (int i = 0; i < 1000; ++i) {
      int status = 0;
      if (::waitpid(pid_, &status, WNOHANG) == pid_) {
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
      }
      ::usleep(10000);
    }
    return -1;
  }

 private:
  pid_t pid_ = -1;
};

class DataplaneProcess : public testing::Test {
 protected:
  void publish(const tests::FixtureOptions& options, uint64_t generation) {
    ASSERT_TRUE(
        tests::make_fixture(options)
            .write_directory(folder_.path() + "/snapshots", generation, tests::fixed_signing_key())
            .has_value());
  }
  void SetUp() override {
    publish({}, 1);
    std::ofstream(folder_.path() + "/manifest.pub")
        << to_hex(tests::fixed_signing_key().public_key) << "\n";
    write_settings("auto", 2);
  }
  void write_settings(std::string_view engine, int workers) {
    std::ofstream(folder_.path() + "/merlon.toml")
        << "[dataplane]\nlisten = [\"127.0.0.1:0\", \"[::1]:0\"]\nengine = \"" << engine
        << "\"\nworkers = " << workers << "\nsnapshot_directory = \"" << folder_.path()
        << "/snapshots\"\nmanifest_key_file = \"" << folder_.path()
        << "/manifest.pub\"\ncontrol_socket = \"" << socket_ << "\"\n";
  }
  std::vector<std::string> command() const {
    return {MERLON_DATAPLANE, "--config", folder_.path() + "/merlon.toml"};
  }
  std::string log() const {
    std::ifstream in(log_);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  json control(std::string_view line) const {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, socket_.data(), socket_.size());
    std::string reply;
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      const std::string text = std::string(line) + "\n";
      ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
      std::array<char, 4096> chunk;
      for (ssize_t n = 0; (n = ::recv(fd, chunk.data(), chunk.size(), 0)) > 0;) {
        reply.append(chunk.data(), static_cast<size_t>(n));
      }
    }
    ::close(fd);
    return json::parse(reply, nullptr, false);
  }
  // `status` once all workers run.
  json wait_until_ready() const {
    for (int i = 0; i < 500; ++i) {
      json status = control("status");
      if (status.is_object() && status["engine"] != "" && log().ends_with("ready\n")) {
        return status;
      }
      ::usleep(20000);
    }
    ADD_FAILURE() << "not ready: " << log();
    return json::object();
  }
  // "127.0.0.1:4711" or "[::1]:4711"; "" when no reply comes.
  std::vector<uint8_t> ask(const std::string& listen, const tests::QuerySpec& spec,
                           int patience_ms = 3000) const {
    const auto port = static_cast<uint16_t>(std::stoi(listen.substr(listen.rfind(':') + 1)));
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    six.sin6_addr = in6addr_loopback;
    sockaddr_in four{};
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool v6 = listen.starts_with('[');
    const int fd = ::socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(v6 ? ::connect(fd, reinterpret_cast<const sockaddr*>(&six), sizeof six)
                 : ::connect(fd, reinterpret_cast<const sockaddr*>(&four), sizeof four),
              0);
    const auto query = tests::make_query(spec);
    ::send(fd, query.data(), query.size(), 0);
    pollfd wait{fd, POLLIN, 0};
    std::vector<uint8_t> reply(4096);
    const ssize_t n =
        ::poll(&wait, 1, patience_ms) > 0 ? ::recv(fd, reply.data(), reply.size(), 0) : 0;
    reply.resize(n > 0 ? static_cast<size_t>(n) : 0);
    ::close(fd);
    return reply;
  }
  void expect_answers(const json& status) const {
    ASSERT_EQ(status["listen"].size(), 2u);
    for (const std::string listen : status["listen"]) {
      // Different source ports fall to different workers.
      for (int i = 0; i < 20; ++i) {
        const auto reply = ask(listen, {.name = "small.merlon.internal."});
        ASSERT_GT(reply.size(), 12u) << listen;
        EXPECT_EQ(reply[7], 4) << listen;
      }
    }
  }

  tests::TemporaryDirectory folder_;
  std::string socket_ = folder_.path() + "/control.sock";
  std::string log_ = folder_.path() + "/log";
};

TEST_F(DataplaneProcess, AnswersOnBothFamiliesAndCounts) {
  Process process(command(), log_);
  const json status = wait_until_ready();
  expect_answers(status);
  EXPECT_EQ(status["worker_count"], 2);
  EXPECT_EQ(status["generation"], 1);
  const json stats = control("stats");
  EXPECT_EQ(stats["total"]["outcomes"]["answered"], 40);
  EXPECT_EQ(stats["total"]["io"]["rx_packets"], 40);
  EXPECT_EQ(stats["workers"].size(), 2u);
  EXPECT_EQ(control("nonsense")["error"]["code"], "invalid_argument");
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait(), 0);
  EXPECT_NE(::access(socket_.c_str(), F_OK), 0) << "the control socket was left behind";
}

TEST_F(DataplaneProcess, FallsBackToMmsgWhereIoUringIsRefusedAndSaysSo) {
  auto arguments = command();
  arguments.insert(arguments.begin(), MERLON_WITHOUT_IO_URING);
  Process process(arguments, log_);
  const json status = wait_until_ready();
  EXPECT_EQ(status["engine"], "mmsg");
  EXPECT_THAT(status["engine_note"], HasSubstr("io_uring refused"));
  EXPECT_THAT(std::string(status["engine_note"]), HasSubstr("Operation not permitted"));
  EXPECT_THAT(log(), HasSubstr("falling back to mmsg"));
  expect_answers(status);
}

TEST_F(DataplaneProcess, UsesTheEngineThatWasAskedFor) {
  write_settings("mmsg", 1);
  Process process(command(), log_);
  const json status = wait_until_ready();
  EXPECT_EQ(status["engine"], "mmsg");
  EXPECT_EQ(status["engine_note"], "");
  expect_answers(status);
}

TEST_F(DataplaneProcess, LoadsNewGenerationsAndKeepsGoodOnes) {
  Process process(command(), log_);
  const json status = wait_until_ready();
  const std::string listen = status["listen"][0];
  const tests::QuerySpec soa{.name = "merlon.internal.", .type = 6};
  const auto first = ask(listen, soa);
  publish({.serial = 2}, 2);
  EXPECT_EQ(control("load")["generation"], 2);
  EXPECT_NE(ask(listen, soa), first);
  std::ofstream(folder_.path() + "/snapshots/current") << "99\n";
  EXPECT_THAT(std::string(control("load")["error"]["message"]), HasSubstr("99"));
  const json damaged = control("status");
  EXPECT_EQ(damaged["generation"], 2);
  EXPECT_THAT(std::string(damaged["last_load_error"]), HasSubstr("99"));
  publish({}, 1);  // back to where it began, by signal
  process.signal(SIGHUP);
  for (int i = 0; i < 200 && control("status")["generation"] != 1; ++i) {
    ::usleep(10000);
  }
  EXPECT_EQ(ask(listen, soa), first);
  EXPECT_EQ(control("status")["last_load_error"], "");
}

TEST_F(DataplaneProcess, StartsWithoutASnapshotAndAnswersOnceThereIsOne) {
  std::ofstream(folder_.path() + "/snapshots/current") << "99\n";
  Process process(command(), log_);
  const json status = wait_until_ready();
  EXPECT_EQ(status["generation"], 0);
  const std::string listen = status["listen"][0];
  EXPECT_TRUE(ask(listen, {}, 200).empty());
  EXPECT_EQ(control("stats")["total"]["io"]["drop_no_snapshot"], 1);
  publish({}, 1);
  EXPECT_EQ(control("load")["generation"], 1);
  EXPECT_FALSE(ask(listen, {}).empty());
}

TEST_F(DataplaneProcess, ASecondOneLeavesTheFirstAlone) {
  Process first(command(), log_);
  json status = wait_until_ready();
  // The second would listen on the port of the first.
  const std::string listen = status["listen"][0];
  std::ofstream(folder_.path() + "/second.toml")
      << "[dataplane]\nlisten = [\"" << listen << "\"]\nsnapshot_directory = \"" << folder_.path()
      << "/snapshots\"\nmanifest_key_file = \"" << folder_.path()
      << "/manifest.pub\"\ncontrol_socket = \"" << socket_ << "\"\n";
  for (int i = 0; i < 3; ++i) {
    Process second({MERLON_DATAPLANE, "--config", folder_.path() + "/second.toml"}, log_);
    EXPECT_EQ(second.wait(), 1);
  }
  EXPECT_THAT(log(), HasSubstr("another data plane is running"));
  expect_answers(status);
}

// RFC 9018 section 5: a cookie of the former secret is still good, and is renewed with the new one.
TEST_F(DataplaneProcess, RollsCookieSecretsOverBySignal) {
  constexpr std::string_view kFormer = "e5e973e5a6b2a43f48e7dc849e37bfcf";
  constexpr std::string_view kNext = "445536bcd2513298075a5d379663c962";
  const std::string file = folder_.path() + "/secrets";
  std::ofstream(file) << kFormer << "\n";
  std::ofstream(folder_.path() + "/merlon.toml", std::ios::app)
      << "cookie_secret_file = \"" << file << "\"\n";
  Process process(command(), log_);
  const json status = wait_until_ready();
  const std::string listen = status["listen"][0];
  // Options of a query with this cookie; the reply's cookie is its last 24 bytes.
  const auto cookie_after = [&](const std::vector<uint8_t>& cookie) {
    std::vector<uint8_t> option = {0, 10, 0, static_cast<uint8_t>(cookie.size())};
    option.insert(option.end(), cookie.begin(), cookie.end());
    const auto reply =
        ask(listen, {.name = "small.merlon.internal.", .edns = true, .options = option});
    EXPECT_GT(reply.size(), 36u);
    return reply.size() < 24 ? std::vector<uint8_t>(24)
                             : std::vector<uint8_t>(reply.end() - 24, reply.end());
  };
  const auto is_made_with = [](std::string_view secret, const std::vector<uint8_t>& cookie) {
    cookie::Check check;
    std::copy_n(cookie.begin(), 8, check.client.begin());
    std::copy_n(cookie.begin() + 8, 16, check.server.begin());
    check.server_size = 16;
    check.source = address::Address::v4(INADDR_LOOPBACK);
    cookie::check_burst(cookie::parse_secrets(secret).value(),
                        static_cast<uint32_t>(std::time(nullptr)), {&check, 1});
    return check.state == cookie::State::valid;
  };
  const auto first = cookie_after({1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_TRUE(is_made_with(kFormer, first));
  EXPECT_EQ(cookie_after(first), first);

  std::ofstream(file) << "nonsense\n";
  process.signal(SIGHUP);
  for (int i = 0; i < 500 && log().find("cookie secrets not loaded") == std::string::npos; ++i) {
    ::usleep(10000);
  }
  EXPECT_THAT(log(), HasSubstr("line 1"));
  EXPECT_EQ(cookie_after(first), first);

  std::ofstream(file) << kNext << "\n" << kFormer << "\n";
  process.signal(SIGHUP);
  for (int i = 0; i < 500 && log().find("cookie secrets loaded") == std::string::npos; ++i) {
    ::usleep(10000);
  }
  const auto renewed = cookie_after(first);
  EXPECT_TRUE(is_made_with(kNext, renewed));
  EXPECT_EQ(cookie_after(renewed), renewed);
}

TEST_F(DataplaneProcess, AutoSaysLoudlyThatItsPortsCannotBeUsed) {
  std::ofstream(folder_.path() + "/merlon.toml", std::ios::app)
      << "dpdk_ports = [\"af_xdp:nowhere0\"]\ndpdk_huge_pages = \"no\"\n";
  Process process(command(), log_);
  const json status = wait_until_ready();
  expect_answers(status);
  EXPECT_NE(status["engine"], "dpdk");
  EXPECT_THAT(log(), HasSubstr("FALLING BACK TO SOCKETS"));
  EXPECT_THAT(log(), HasSubstr("nowhere0"));
  EXPECT_THAT(std::string(status["engine_note"]), HasSubstr("nowhere0"));
}

TEST_F(DataplaneProcess, SaysWhatIsWrongWithItsSettings) {
  std::ofstream(folder_.path() + "/merlon.toml") << "[dataplane]\nlissten = []\n";
  EXPECT_EQ(Process(command(), log_).wait(), 2);
  EXPECT_THAT(log(), HasSubstr("did you mean \"listen\"?"));
  write_settings("auto", 1);
  ::unlink((folder_.path() + "/manifest.pub").c_str());
  EXPECT_EQ(Process(command(), log_).wait(), 1);
  EXPECT_THAT(log(), HasSubstr("manifest_key_file"));
}

}  // namespace
}  // namespace merlon

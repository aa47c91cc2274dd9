// SPDX-License-Identifier: Apache-2.0
// merlon-udp-load: a closed loop of A queries over UDP that costs less per query than the servers
// that it measures (dnsperf makes two system calls and locks per query and is busy before a good
// server is). Against any DNS server, so that servers are compared by one client.
//
// One thread, `sockets` sockets with `window` queries each: a batch is sent by one sendmmsg, its
// answers are taken by recvmmsg. Of every answer the id, flags, question and record count are
// checked. A query that is not answered within the timeout is counted as lost, and the loop goes
// on.
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "controlplane/dns/socket.h"
#include "zones/name/name.h"
#include "zones/wire/wire.h"

namespace merlon::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kWindowMax = 128;
constexpr size_t kAnswerSizeMax = 1472;
constexpr int kTimeoutMs = 500;

struct Options {
  std::string server = "127.0.0.1:5300";
  std::string suffix = "merlon.internal";
  unsigned names = 2000;  // n0.<suffix>, n1.<suffix>, ..
  unsigned expect_answers = 4;
  unsigned sockets = 8;
  unsigned window = 32;
  double seconds = 5;
};

struct Totals {
  uint64_t sent = 0;
  uint64_t answers = 0;
  uint64_t wrong = 0;
  uint64_t lost = 0;
};

std::vector<std::vector<uint8_t>> make_queries(const Options& options) {
  std::vector<std::vector<uint8_t>> queries;
  for (unsigned i = 0; i < options.names; ++i) {
    const auto name = name::Name::from_text(fmt::format("n{}.{}", i, options.suffix));
    std::vector<uint8_t> query(wire::kHeaderSize + name::kWireSizeMax + 4);
    wire::Writer writer(query);
    writer.u16(0);
    writer.u16(wire::flag::rd);
    for (const uint16_t count : std::to_array<uint16_t>({1, 0, 0, 0})) {
      writer.u16(count);
    }
    writer.name(name ? *name : name::Name());
    writer.u16(wire::type::a);
    writer.u16(wire::kClassIn);
    query.resize(writer.size());
    queries.push_back(std::move(query));
  }
  return queries;
}

// One socket with its window of queries: all are sent, all answers are awaited, and so on.
class Lane {
 public:
  Lane(const std::vector<std::vector<uint8_t>>& queries, const Options& options, Totals& totals,
       size_t first)
      : queries_(queries), options_(options), totals_(totals), next_(first) {
    for (size_t i = 0; i < kWindowMax; ++i) {
      out_[i].msg_hdr = {};
      out_[i].msg_hdr.msg_iov = &out_parts_[i];
      out_[i].msg_hdr.msg_iovlen = 1;
      in_parts_[i] = {answers_[i].data(), answers_[i].size()};
      in_[i].msg_hdr = {};
      in_[i].msg_hdr.msg_iov = &in_parts_[i];
      in_[i].msg_hdr.msg_iovlen = 1;
    }
  }

  Status open(const dns::Endpoint& server) {
    const bool v4 = server.address.family == address::Family::v4;
    fd_ = dns::Fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in to4{};
    sockaddr_in6 to6{};
    to4.sin_family = AF_INET;
    to4.sin_port = htons(server.port);
    to4.sin_addr.s_addr = htonl(static_cast<uint32_t>(server.address.bits));
    to6.sin6_family = AF_INET6;
    to6.sin6_port = htons(server.port);
    address::store_network(server.address.bits, to6.sin6_addr.s6_addr);
    const auto* to =
        v4 ? reinterpret_cast<const sockaddr*>(&to4) : reinterpret_cast<const sockaddr*>(&to6);
    if (!fd_.valid() || ::connect(fd_.get(), to, v4 ? sizeof to4 : sizeof to6) != 0) {
      return fail_errno("UDP socket", errno);
    }
    return {};
  }

  int fd() const { return fd_.get(); }
  bool idle() const { return waiting_ == 0; }
  bool late(Clock::time_point now) const {
    return waiting_ != 0 && now - sent_at_ > std::chrono::milliseconds(kTimeoutMs);
  }

  void give_up() {
    totals_.lost += waiting_;
    waiting_ = 0;
  }

  void send() {
    ++round_;
    for (unsigned i = 0; i < options_.window; ++i) {
      const auto& query = queries_[next_];
      next_ = next_ + 1 == queries_.size() ? 0 : next_ + 1;
      std::memcpy(asked_[i].data(), query.data(), query.size());
      store_be16(asked_[i].data(), id_of(i));
      out_parts_[i] = {asked_[i].data(), query.size()};
      open_[i] = true;
    }
    waiting_ = 0;
    while (waiting_ < options_.window) {
      const int sent = ::sendmmsg(fd_.get(), out_.data() + waiting_, options_.window - waiting_, 0);
      if (sent <= 0) {
        break;
      }
      waiting_ += static_cast<unsigned>(sent);
    }
    totals_.sent += waiting_;
    sent_at_ = Clock::now();
  }

  void receive() {
    const int count = ::recvmmsg(fd_.get(), in_.data(), options_.window, MSG_DONTWAIT, nullptr);
    for (int i = 0; i < count; ++i) {
      check(static_cast<size_t>(i));
    }
  }

 private:
  uint16_t id_of(unsigned slot) const {
    return static_cast<uint16_t>((round_ % 512) * kWindowMax + slot);
  }

  void check(size_t index) {
    const uint8_t* answer = answers_[index].data();
    const size_t size = in_[index].msg_len;
    if (size < wire::kHeaderSize) {
      ++totals_.wrong;
      return;
    }
    const unsigned slot = load_be16(answer) % kWindowMax;
    if (slot >= options_.window || load_be16(answer) != id_of(slot) || !open_[slot]) {
      return;  // of a query that was given up
    }
    open_[slot] = false;
    --waiting_;
    const size_t asked_size = out_parts_[slot].iov_len;
    const uint16_t flags = load_be16(answer + 2);
    const bool good =
        (flags & (wire::flag::qr | wire::flag::aa | wire::flag::tc | wire::flag::rcode_mask)) ==
            (wire::flag::qr | wire::flag::aa) &&
        load_be16(answer + 6) == options_.expect_answers && size > asked_size &&
        std::memcmp(answer + wire::kHeaderSize, asked_[slot].data() + wire::kHeaderSize,
                    asked_size - wire::kHeaderSize) == 0;
    ++(good ? totals_.answers : totals_.wrong);
  }

  const std::vector<std::vector<uint8_t>>& queries_;
  const Options& options_;
  Totals& totals_;
  dns::Fd fd_;
  size_t next_;
  uint64_t round_ = 0;
  unsigned waiting_ = 0;
  Clock::time_point sent_at_;
  std::array<std::array<uint8_t, wire::kHeaderSize + name::kWireSizeMax + 4>, kWindowMax> asked_{};
  std::array<std::array<uint8_t, kAnswerSizeMax>, kWindowMax> answers_{};
  std::array<bool, kWindowMax> open_{};
  std::array<iovec, kWindowMax> out_parts_{};
  std::array<iovec, kWindowMax> in_parts_{};
  std::array<mmsghdr, kWindowMax> out_{};
  std::array<mmsghdr, kWindowMax> in_{};
};

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return of(used.ru_utime) + of(used.ru_stime);
}

void drive(std::vector<std::unique_ptr<Lane>>& lanes, Clock::time_point end) {
  std::vector<pollfd> polled;
  for (const auto& lane : lanes) {
    polled.push_back({lane->fd(), POLLIN, 0});
    lane->send();
  }
  while (true) {
    ::poll(polled.data(), polled.size(), kTimeoutMs);
    const auto now = Clock::now();
    if (now >= end) {
      return;
    }
    for (size_t i = 0; i < lanes.size(); ++i) {
      if ((polled[i].revents & (POLLIN | POLLERR)) != 0) {
        lanes[i]->receive();
      }
      if (lanes[i]->late(now)) {
        lanes[i]->give_up();
      }
      if (lanes[i]->idle()) {
        lanes[i]->send();
      }
    }
  }
}

int run(const Options& options) {
  const auto server = dns::parse_endpoint(options.server);
  if (!server) {
    fmt::print(stderr, "merlon-udp-load: {}\n", server.error().message);
    return 2;
  }
  Totals totals;
  const auto queries = make_queries(options);
  std::vector<std::unique_ptr<Lane>> lanes;
  for (unsigned i = 0; i < options.sockets; ++i) {
    lanes.push_back(
        std::make_unique<Lane>(queries, options, totals, queries.size() * i / options.sockets));
    if (auto opened = lanes.back()->open(*server); !opened) {
      fmt::print(stderr, "merlon-udp-load: {}\n", opened.error().message);
      return 1;
    }
  }
  const auto start = Clock::now();
  const double cpu_start = cpu_seconds();
  drive(lanes, start + std::chrono::duration_cast<Clock::duration>(
                           std::chrono::duration<double>(options.seconds)));
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const nlohmann::json json = {{"schema_version", 1},
                               {"seconds", seconds},
                               {"client_cpu_seconds", cpu_seconds() - cpu_start},
                               {"sent", totals.sent},
                               {"answers", totals.answers},
                               {"answers_per_s", static_cast<double>(totals.answers) / seconds},
                               {"wrong", totals.wrong},
                               {"lost", totals.lost}};
  fmt::print("{}\n", json.dump());
  return totals.answers != 0 && totals.wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace merlon::bench

int main(int argc, char** argv) {
  CLI::App app("Closed loop of A queries for n0.<suffix>, n1.<suffix>, .. over UDP");
  merlon::bench::Options options;
  app.add_option("--server", options.server, "address:port")->capture_default_str();
  app.add_option("--suffix", options.suffix, "the zone")->capture_default_str();
  app.add_option("--names", options.names, "how many names")->check(CLI::Range(1, 1'000'000));
  app.add_option("--expect-answers", options.expect_answers, "records that each name has");
  app.add_option("--sockets", options.sockets, "sockets")->check(CLI::Range(1, 256));
  app.add_option("--window", options.window, "queries under way on each")
      ->check(CLI::Range(1, static_cast<int>(merlon::bench::kWindowMax)));
  app.add_option("--seconds", options.seconds, "how long")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return merlon::bench::run(options);
}

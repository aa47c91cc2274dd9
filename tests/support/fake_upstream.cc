// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fake_upstream.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "zones/base/assert.h"
#include "zones/name/name.h"
#include "zones/wire/wire.h"

namespace merlon::tests {
namespace {

constexpr int kTurn_ms = 20;

int open_socket(int type, uint16_t port) {
  const int fd = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
  MERLON_ASSERT(fd >= 0);
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_port = htons(port);
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0) {
    ::close(fd);
    return -1;
  }
  return fd;
}

}  // namespace

std::vector<uint8_t> wire_name(std::string_view text) {
  const auto name = name::Name::from_text(text);
  MERLON_ASSERT(name.has_value());
  return {name->wire().begin(), name->wire().end()};
}

FakeRecord fake_soa(std::string_view owner, uint32_t minimum) {
  std::vector<uint8_t> data = wire_name("ns.example.");
  const std::vector<uint8_t> mailbox = wire_name("hostmaster.example.");
  data.insert(data.end(), mailbox.begin(), mailbox.end());
  for (const uint32_t field : {1u, 3600u, 600u, 86'400u, minimum}) {
    uint8_t bytes[4];
    store_be32(bytes, field);
    data.insert(data.end(), bytes, bytes + 4);
  }
  return {std::string(owner), wire::type::soa, data, 3600, 1};
}

std::vector<uint8_t> make_fake_reply(Bytes query, const FakeReply& reply) {
  wire::Reader reader(query);
  reader.skip(wire::kHeaderSize);
  reader.name();
  reader.skip(4);
  std::vector<uint8_t> out(query.begin(),
                           query.begin() + static_cast<std::ptrdiff_t>(reader.offset()));
  store_be16(out.data() + 2, reply.flags);
  std::array<uint16_t, 3> counts{};
  for (const FakeRecord& record : reply.records) {
    ++counts[static_cast<size_t>(record.section)];
    const std::vector<uint8_t> owner = wire_name(record.owner);
    out.insert(out.end(), owner.begin(), owner.end());
    uint8_t fixed[10];
    store_be16(fixed, record.type);
    store_be16(fixed + 2, wire::kClassIn);
    store_be32(fixed + 4, record.ttl);
    store_be16(fixed + 8, static_cast<uint16_t>(record.data.size()));
    out.insert(out.end(), fixed, fixed + sizeof fixed);
    out.insert(out.end(), record.data.begin(), record.data.end());
  }
  for (size_t i = 0; i < counts.size(); ++i) {
    store_be16(out.data() + 6 + 2 * i, counts[i]);
  }
  return out;
}

std::string question_name(Bytes query) {
  wire::Reader reader(query);
  reader.skip(wire::kHeaderSize);
  return reader.name().folded().to_text();
}

uint16_t question_type(Bytes query) {
  wire::Reader reader(query);
  reader.skip(wire::kHeaderSize);
  reader.name();
  return reader.u16();
}

FakeUpstream::FakeUpstream(Handler handler) : handler_(std::move(handler)) {
  // A port that is free for both.
  while (listener_ < 0) {
    if (udp_ >= 0) {
      ::close(udp_);
    }
    udp_ = open_socket(SOCK_DGRAM | SOCK_NONBLOCK, 0);
    sockaddr_in own{};
    socklen_t size = sizeof own;
    MERLON_ASSERT(::getsockname(udp_, reinterpret_cast<sockaddr*>(&own), &size) == 0);
    port_ = ntohs(own.sin_port);
    listener_ = open_socket(SOCK_STREAM | SOCK_NONBLOCK, port_);
  }
  MERLON_ASSERT(::listen(listener_, 64) == 0);
  thread_ = std::thread([this] { run(); });
}

FakeUpstream::~FakeUpstream() {
  stop_ = true;
  thread_.join();
  for (const int fd : clients_) {
    ::close(fd);
  }
  ::close(udp_);
  ::close(listener_);
}

std::string FakeUpstream::address() const {
  return fmt::format("127.0.0.1:{}", port_);
}

void FakeUpstream::set_handler(Handler handler) {
  const std::lock_guard lock(mutex_);
  handler_ = std::move(handler);
}

std::vector<uint16_t> FakeUpstream::ports() const {
  const std::lock_guard lock(mutex_);
  return ports_;
}

std::vector<std::vector<uint8_t>> FakeUpstream::queries() const {
  const std::lock_guard lock(mutex_);
  return queries_;
}

size_t FakeUpstream::count_of(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  return static_cast<size_t>(std::ranges::count_if(
      queries_, [&](const auto& query) { return question_name(query) == name; }));
}

FakeUpstream::Messages FakeUpstream::handle(Bytes query, Over over, uint16_t port) {
  Handler handler;
  {
    const std::lock_guard lock(mutex_);
    ports_.push_back(port);
    queries_.emplace_back(query.begin(), query.end());
    handler = handler_;
  }
  return handler(query, over);
}

void FakeUpstream::serve_udp() {
  std::array<uint8_t, 4096> room;
  while (true) {
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const ssize_t n =
        ::recvfrom(udp_, room.data(), room.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (n <= 0) {
      return;
    }
    for (const auto& message :
         handle(Bytes(room).first(static_cast<size_t>(n)), Over::udp, ntohs(from.sin_port))) {
      ::sendto(udp_, message.data(), message.size(), 0, reinterpret_cast<const sockaddr*>(&from),
               size);
    }
  }
}

// One query; the test's clients send each in one piece.
void FakeUpstream::serve_tcp(int fd) {
  std::array<uint8_t, 4096> room;
  const ssize_t n = ::recv(fd, room.data(), room.size(), 0);
  size_t at = 0;
  while (n > 0 && at + 2 <= static_cast<size_t>(n)) {
    const size_t size = load_be16(room.data() + at);
    if (at + 2 + size > static_cast<size_t>(n)) {
      break;
    }
    for (const auto& message : handle(Bytes(room).subspan(at + 2, size), Over::tcp, 0)) {
      std::vector<uint8_t> framed(2);
      store_be16(framed.data(), static_cast<uint16_t>(message.size()));
      framed.insert(framed.end(), message.begin(), message.end());
      ::send(fd, framed.data(), framed.size(), MSG_NOSIGNAL);
    }
    at += 2 + size;
  }
  if (n <= 0) {
    ::close(fd);
    std::erase(clients_, fd);
  }
}

void FakeUpstream::run() {
  while (!stop_) {
    std::vector<pollfd> polled = {{udp_, POLLIN, 0}, {listener_, POLLIN, 0}};
    for (const int fd : clients_) {
      polled.push_back({fd, POLLIN, 0});
    }
    ::poll(polled.data(), polled.size(), kTurn_ms);
    if (polled[0].revents != 0) {
      serve_udp();
    }
    for (size_t i = 2; i < polled.size(); ++i) {
      if (polled[i].revents != 0) {
        serve_tcp(polled[i].fd);
      }
    }
    if (polled[1].revents != 0) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd >= 0) {
        clients_.push_back(fd);
      }
    }
  }
}

}  // namespace merlon::tests

// SPDX-License-Identifier: Apache-2.0
#include "tests/controlplane/dns/client.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "zones/answer/answer.h"
#include "zones/base/assert.h"
#include "zones/snapshot/zone_builder.h"
#include "zones/wire/wire.h"

namespace merlon::tests {
namespace {

using Clock = std::chrono::steady_clock;

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress socket_address(const dns::Endpoint& endpoint) {
  SocketAddress out;
  if (endpoint.address.family == address::Family::v4) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    v4.sin_addr.s_addr = htonl(static_cast<uint32_t>(endpoint.address.bits));
    std::memcpy(&out.storage, &v4, sizeof v4);
    out.size = sizeof v4;
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    address::store_network(endpoint.address.bits, v6.sin6_addr.s6_addr);
    std::memcpy(&out.storage, &v6, sizeof v6);
    out.size = sizeof v6;
  }
  return out;
}

bool readable_before(int fd, Clock::time_point end) {
  const auto left = std::chrono::duration_cast<Milliseconds>(end - Clock::now()).count();
  pollfd wanted{.fd = fd, .events = POLLIN, .revents = 0};
  return left > 0 && poll(&wanted, 1, static_cast<int>(left)) == 1;
}

template <class Done>
bool comes_true(Done&& done) {
  const auto end = Clock::now() + kPatience;
  while (!done()) {
    if (Clock::now() > end) {
      return false;
    }
    std::this_thread::sleep_for(Milliseconds(2));
  }
  return true;
}

}  // namespace

dns::Fd connected_socket(std::string_view server, std::string_view source, int receive_buffer) {
  const auto endpoint = dns::parse_endpoint(server);
  MERLON_ASSERT(endpoint.has_value());
  const bool v4 = endpoint->address.family == address::Family::v4;
  dns::Fd fd(socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  MERLON_ASSERT(fd.valid());
  if (receive_buffer != 0) {
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  }
  if (!source.empty()) {
    const SocketAddress from = socket_address({*address::parse_address(source), 0});
    MERLON_ASSERT(bind(fd.get(), from.get(), from.size) == 0);
  }
  const SocketAddress to = socket_address(*endpoint);
  MERLON_ASSERT(connect(fd.get(), to.get(), to.size) == 0);
  return fd;
}

Client::Client(std::string_view server, std::string_view source)
    : fd_(connected_socket(server, source)) {}

Client Client::with_small_buffer(std::string_view server) {
  Client client;
  client.fd_ = connected_socket(server, "", 4096);
  return client;
}

bool Client::send_raw(Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t n = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) {
      return false;
    }
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return true;
}

bool Client::send_message(Bytes message) {
  return send_raw(framed(message));
}

void Client::close_writing() {
  shutdown(fd_.get(), SHUT_WR);
}

void Client::reset() {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  fd_ = dns::Fd();
}

bool Client::read_exactly(MutableBytes out, Clock::time_point end) {
  while (!out.empty()) {
    if (!readable_before(fd_.get(), end)) {
      return false;
    }
    const ssize_t n = recv(fd_.get(), out.data(), out.size(), 0);
    if (n <= 0) {
      return false;
    }
    out = out.subspan(static_cast<size_t>(n));
  }
  return true;
}

std::optional<Message> Client::receive(Milliseconds patience) {
  const auto end = Clock::now() + patience;
  std::array<uint8_t, 2> prefix;
  if (!read_exactly(prefix, end)) {
    return std::nullopt;
  }
  Message message(load_be16(prefix.data()));
  if (!read_exactly(message, end)) {
    return std::nullopt;
  }
  return message;
}

std::optional<Message> Client::ask(const QuerySpec& spec) {
  return send_message(make_query(spec)) ? receive() : std::nullopt;
}

bool Client::sees_close(Milliseconds patience) {
  const auto end = Clock::now() + patience;
  uint8_t byte = 0;
  return readable_before(fd_.get(), end) && recv(fd_.get(), &byte, 1, 0) <= 0;
}

std::optional<size_t> Client::drain(Milliseconds patience) {
  const auto end = Clock::now() + patience;
  std::vector<uint8_t> bytes(1 << 16);
  size_t total = 0;
  while (readable_before(fd_.get(), end)) {
    const ssize_t n = recv(fd_.get(), bytes.data(), bytes.size(), 0);
    if (n <= 0) {
      return total;
    }
    total += static_cast<size_t>(n);
  }
  return std::nullopt;
}

Message framed(Bytes message) {
  Message out(2 + message.size());
  store_be16(out.data(), static_cast<uint16_t>(message.size()));
  std::copy(message.begin(), message.end(), out.begin() + 2);
  return out;
}

Message concatenate(const std::vector<Message>& parts) {
  Message all;
  for (const Message& part : parts) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

Message expected_answer(const snapshot::Snapshot& snapshot, Bytes query, std::string_view source) {
  const uint32_t index = snapshot.access()->view.find(*address::parse_address(source));
  const snapshot::Subject* subject =
      index == snapshot::kNoSubject ? nullptr : &snapshot.subject(index);
  const answer::Limits limits{.transport = answer::Transport::tcp};
  answer::Query parsed;
  std::vector<uint8_t> scratch(65535);
  answer::Reply reply = answer::answer(snapshot, query, subject, limits, parsed, scratch);
  Message buffer(65535);
  std::copy(query.begin(), query.end(), buffer.begin());
  buffer.resize(answer::compose(parsed, reply, limits, buffer, query.size()));
  return buffer;
}

namespace {

std::shared_ptr<const snapshot::LoadedAccess> make_access() {
  using snapshot::Verb;
  struct Row {
    std::string_view source;
    uint32_t account;
    uint32_t tier_mask;
    Verb verb;
  };
  constexpr Row kRows[] = {{"127.0.0.1", 7, kTierBasic | kTierAdvanced, Verb::pass},
                           {"::1", 7, kTierBasic | kTierAdvanced, Verb::pass},
                           {"127.0.0.3", 7, kTierBasic, Verb::ignore},
                           {"127.0.0.4", 7, kTierBasic, Verb::refuse},
                           {"127.0.0.5", 7, kTierBasic, Verb::empty},
                           {"127.0.0.9", 9, kTierBasic, Verb::pass}};
  snapshot::AccessBuilder builder;
  for (const Row& row : kRows) {
    builder.add_source(*address::parse_prefix(row.source),
                       builder.add_subject({row.account, 1, row.tier_mask, row.verb, {}, {}}));
  }
  auto segment = snapshot::Segment::from_bytes(*builder.finish());
  MERLON_ASSERT(segment.has_value());
  auto access = std::make_shared<snapshot::LoadedAccess>();
  access->segment = std::move(*segment);
  access->view = *snapshot::AccessView::open(access->segment);
  return access;
}

std::shared_ptr<const snapshot::LoadedZone> make_patched_zone(std::string_view apex_text) {
  using snapshot::BodiesBuilder;
  const name::Name apex = *name::Name::from_text(apex_text);
  snapshot::ZoneBuilder zone({.apex = apex, .serial = 1, .tier_mask = kTierBasic});
  BodiesBuilder& bodies = zone.own();
  bodies.begin();
  for (uint16_t i = 0; i < kPatchedRecords; ++i) {
    const std::array<uint8_t, 3> text{2, static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i)};
    bodies.add({.section = BodiesBuilder::Section::authority,
                .owner = BodiesBuilder::Owner::apex,
                .type = wire::type::txt,
                .ttl = 60,
                .data = text});
  }
  zone.set_negative_body(*bodies.end());
  const auto bytes = zone.finish();
  MERLON_ASSERT(bytes.has_value());
  auto segment = snapshot::Segment::from_bytes(*bytes);
  MERLON_ASSERT(segment.has_value());
  auto loaded = snapshot::LoadedZone::make(std::move(*segment), {}, fixed_index_key());
  MERLON_ASSERT(loaded.has_value());
  return *loaded;
}

}  // namespace

std::shared_ptr<const snapshot::Snapshot> loopback_snapshot(const FixtureOptions& options,
                                                            std::string_view patched) {
  const Fixture fixture = make_fixture(options);
  auto zones = fixture.snapshot->zones();
  if (!patched.empty()) {
    zones.push_back(make_patched_zone(patched));
  }
  auto snapshot =
      snapshot::Snapshot::assemble(options.serial, std::move(zones), make_access(), fixture.key);
  MERLON_ASSERT(snapshot.has_value());
  return *snapshot;
}

dns::ServerOptions quick_options() {
  dns::ServerOptions options;
  options.listen = {"127.0.0.1:0", "[::1]:0"};
  return options;
}

RunningServer::RunningServer(const dns::ServerOptions& options,
                             std::shared_ptr<const snapshot::Snapshot> first)
    : snapshot(std::move(first)) {
  slot.set(snapshot);
  auto started = dns::Server::start(options, slot);
  MERLON_ASSERT(started.has_value());
  server = std::move(*started);
}

bool RunningServer::waits_for(dns::CloseReason reason, uint64_t count) const {
  return comes_true([&] { return closes(reason) >= count; });
}

bool RunningServer::waits_for_open(uint64_t count) const {
  return comes_true([&] { return server->statistics().connections_open() == count; });
}

}  // namespace merlon::tests

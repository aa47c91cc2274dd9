// SPDX-License-Identifier: Apache-2.0
#include "controlplane/transfer/notify.h"

#include <netinet/in.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "controlplane/transfer/message.h"
#include "zones/wire/wire.h"

namespace merlon::transfer {
namespace {

constexpr size_t kSendMax = 64;
constexpr size_t kReceiveMax = 256;
constexpr int kIdleWaitMs = 60'000;

socklen_t fill_address(const dns::Endpoint& endpoint, sockaddr_storage& storage) {
  storage = {};
  if (endpoint.address.family == address::Family::v4) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(endpoint.port);
    v4->sin_addr.s_addr = htonl(static_cast<uint32_t>(endpoint.address.bits));
    return sizeof *v4;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(endpoint.port);
  address::store_network(endpoint.address.bits, v6->sin6_addr.s6_addr);
  return sizeof *v6;
}

uint16_t random_id() {
  uint16_t id = 0;
  while (::getrandom(&id, sizeof id, 0) != sizeof id) {
  }
  return id;
}

// RFC 1996 section 3.7, without the SOA, which could be forged and is asked for anyway.
std::vector<uint8_t> notify_message(uint16_t id, const name::Name& apex) {
  std::vector<uint8_t> message(wire::kHeaderSize + apex.size() + 4);
  wire::Writer writer(message);
  writer.u16(id);
  writer.u16(static_cast<uint16_t>((kOpcodeNotify << kOpcodeShift) | wire::flag::aa));
  writer.u16(1);
  writer.u16(0);
  writer.u32(0);
  writer.name(apex);
  writer.u16(wire::type::soa);
  writer.u16(wire::kClassIn);
  return message;
}

}  // namespace

Result<std::unique_ptr<Notifier>> Notifier::start(const NotifierOptions& options) {
  std::unique_ptr<Notifier> notifier(new Notifier(options));
  if (auto opened = notifier->open_sockets(); !opened) {
    return in("NOTIFY", opened.error());
  }
  notifier->thread_ = std::thread([raw = notifier.get()] { raw->run(); });
  return notifier;
}

Notifier::~Notifier() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) {
    ::eventfd_write(wake_.get(), 1);
    thread_.join();
  }
}

Status Notifier::open_sockets() {
  wake_ = dns::Fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  socket4_ = dns::Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!wake_.valid() || !socket4_.valid()) {
    return fail_errno("socket", errno);
  }
  // A machine without IPv6 has none of these; sending says so.
  socket6_ = dns::Fd(::socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  return {};
}

void Notifier::forget_id(uint16_t id, const Key& key) {
  for (auto [at, end] = by_id_.equal_range(id); at != end; ++at) {
    if (at->second == key) {
      by_id_.erase(at);
      return;
    }
  }
}

void Notifier::make_room() {
  if (pending_.size() < kNewsMax) {
    return;
  }
  std::erase_if(pending_, [](const auto& one) { return !one.second.open; });
}

void Notifier::tell(std::vector<News> news) {
  {
    const std::lock_guard lock(mutex_);
    for (News& one : news) {
      const Key key{one.device, one.target.text, one.apex.folded().to_text()};
      if (!pending_.contains(key)) {
        make_room();
        if (pending_.size() >= kNewsMax) {
          spdlog::warn("NOTIFY: {} addresses and zones are waiting, others are not told",
                       pending_.size());
          break;
        }
      }
      Pending& pending = pending_[key];
      forget_id(pending.id, key);
      pending.facts = {.device = one.device,
                       .target = one.target.text,
                       .apex = std::get<2>(key),
                       .serial = one.serial};
      pending.news = std::move(one);
      pending.id = random_id();
      pending.open = true;
      pending.due = Steady::now();
      by_id_.emplace(pending.id, key);
      due_.emplace(pending.due, key);
    }
  }
  ::eventfd_write(wake_.get(), 1);
}

std::vector<api::Notified> Notifier::facts() const {
  std::vector<api::Notified> facts;
  const std::lock_guard lock(mutex_);
  for (const auto& [key, pending] : pending_) {
    facts.push_back(pending.facts);
  }
  return facts;
}

int Notifier::wait_ms() const {
  const std::lock_guard lock(mutex_);
  if (due_.empty()) {
    return kIdleWaitMs;
  }
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(due_.begin()->first - Steady::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, kIdleWaitMs));
}

void Notifier::run() {
  while (true) {
    std::array<pollfd, 3> items{{{.fd = wake_.get(), .events = POLLIN, .revents = 0},
                                 {.fd = socket4_.get(), .events = POLLIN, .revents = 0},
                                 {.fd = socket6_.get(), .events = POLLIN, .revents = 0}}};
    ::poll(items.data(), items.size(), wait_ms());
    eventfd_t count = 0;
    ::eventfd_read(wake_.get(), &count);
    for (const pollfd& item : {items[1], items[2]}) {
      if ((item.revents & POLLIN) != 0) {
        receive(item.fd);
      }
    }
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) {
        return;
      }
      send_due();
    }
  }
}

void Notifier::send_due() {
  const auto now = Steady::now();
  const int64_t unix_now = std::time(nullptr);
  for (size_t sent = 0; sent < kSendMax && !due_.empty() && due_.begin()->first <= now;) {
    const auto [due, key] = *due_.begin();
    due_.erase(due_.begin());
    const auto at = pending_.find(key);
    if (at == pending_.end() || !at->second.open || at->second.due != due) {
      continue;  // acknowledged, or there is later news
    }
    ++sent;
    Pending& pending = at->second;
    if (pending.facts.tries >= options_.tries_max) {
      forget_id(pending.id, key);
      give_up(pending);
      continue;
    }
    send(pending, unix_now);
    pending.due = now + options_.first_wait * (1u << (pending.facts.tries - 1));
    due_.emplace(pending.due, key);
  }
}

void Notifier::give_up(Pending& pending) {
  pending.open = false;
  if (pending.facts.error.empty()) {
    pending.facts.error = fmt::format("no answer to {} messages", pending.facts.tries);
  }
  spdlog::warn("NOTIFY of {} to {} (device {}): {}", pending.facts.apex, pending.facts.target,
               pending.facts.device, pending.facts.error);
}

void Notifier::send(Pending& pending, int64_t now) {
  std::vector<uint8_t> message = notify_message(pending.id, pending.news.apex);
  if (pending.news.key != nullptr) {
    Signer(pending.news.key).sign(message, 0, now);
  }
  const dns::Endpoint& endpoint = pending.news.target.endpoint;
  sockaddr_storage storage;
  const socklen_t size = fill_address(endpoint, storage);
  const dns::Fd& socket = endpoint.address.family == address::Family::v4 ? socket4_ : socket6_;
  ++pending.facts.tries;
  pending.facts.sent = now;
  const ssize_t sent = ::sendto(socket.get(), message.data(), message.size(), 0,
                                reinterpret_cast<const sockaddr*>(&storage), size);
  pending.facts.error = sent < 0 ? fmt::format("send: {}", ::strerror(errno)) : std::string();
}

void Notifier::receive(int socket) {
  for (size_t i = 0; i < kReceiveMax; ++i) {
    std::array<uint8_t, 4096> room;
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    const ssize_t got = ::recvfrom(socket, room.data(), room.size(), 0,
                                   reinterpret_cast<sockaddr*>(&storage), &size);
    if (got < 0 && errno == EAGAIN) {
      return;
    }
    if (got >= static_cast<ssize_t>(wire::kHeaderSize)) {
      const dns::Endpoint source = dns::endpoint_of(storage);
      take_answer(Bytes(room).first(static_cast<size_t>(got)), source.address, source.port);
    }
  }
}

void Notifier::take_answer(Bytes message, const address::Address& source, uint16_t port) {
  const uint16_t id = load_be16(message.data());
  const uint16_t flags = load_be16(message.data() + 2);
  if ((flags & wire::flag::qr) == 0 || (flags & wire::flag::opcode_mask) != kOpcodeNotify
                                                                                << kOpcodeShift) {
    return;
  }
  const std::lock_guard lock(mutex_);
  for (auto [at, end] = by_id_.equal_range(id); at != end;) {
    const auto found = pending_.find(at->second);
    if (found == pending_.end() ||
        found->second.news.target.endpoint != dns::Endpoint{source, port}) {
      ++at;
      continue;
    }
    Pending& pending = found->second;
    pending.open = false;
    pending.facts.acknowledged = std::time(nullptr);
    const unsigned rcode = flags & wire::flag::rcode_mask;
    pending.facts.error = rcode == 0 ? std::string()
                                     : fmt::format("answered with RCODE {}{}", rcode,
                                                   rcode == wire::rcode::refused   ? " (REFUSED)"
                                                   : rcode == wire::rcode::notauth ? " (NOTAUTH)"
                                                                                   : "");
    by_id_.erase(at);
    return;
  }
}

}  // namespace merlon::transfer

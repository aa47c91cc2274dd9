// SPDX-License-Identifier: Apache-2.0
// The other end of the slow path for tests: it takes what comes and answers when and what it is
// told; and an engine that keeps the late replies.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/io/packet_io.h"
#include "zones/base/assert.h"
#include "zones/base/bytes.h"
#include "zones/proxy/proxy.h"

namespace merlon::tests {

using Buffer = std::vector<uint8_t>;

class FakeControlPlane {
 public:
  struct Query {
    proxy::Header header;
    Buffer id;  // header.unique_id
    Buffer message;
  };

  explicit FakeControlPlane(const std::string& path) : path_(path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    MERLON_ASSERT(path.size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, path.data(), path.size());
    ::unlink(path.c_str());
    listener_ = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    MERLON_ASSERT(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
                  0);
    MERLON_ASSERT(::listen(listener_, 4) == 0);
  }
  ~FakeControlPlane() {
    hang_up();
    ::close(listener_);
    ::unlink(path_.c_str());
  }
  FakeControlPlane(const FakeControlPlane&) = delete;
  FakeControlPlane& operator=(const FakeControlPlane&) = delete;

  bool accepted(int patience_ms = 10'000) {
    if (connection_ < 0 && readable(listener_, patience_ms)) {
      connection_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    }
    return connection_ >= 0;
  }
  void hang_up() {
    if (connection_ >= 0) {
      ::close(connection_);
      connection_ = -1;
    }
  }
  // The next query; nullopt when none comes in time. Accepts whoever connects.
  std::optional<Query> receive(int patience_ms = 10'000) {
    Buffer datagram(8192);
    if (!accepted(patience_ms) || !readable(connection_, patience_ms)) {
      return std::nullopt;
    }
    const ssize_t n = ::recv(connection_, datagram.data(), datagram.size(), 0);
    if (n <= 0) {
      hang_up();  // the other end did
      return std::nullopt;
    }
    datagram.resize(static_cast<size_t>(n));
    Query query;
    Bytes message;
    MERLON_ASSERT(proxy::parse(datagram, query.header, message) == proxy::Fault::none);
    query.id.assign(query.header.unique_id.begin(), query.header.unique_id.end());
    query.message.assign(message.begin(), message.end());
    return query;
  }
  bool answer(const Query& query, Bytes reply) {
    Buffer out(proxy::kHeaderSizeMax);
    out.resize(proxy::write({.source = query.header.destination,
                             .destination = query.header.source,
                             .source_port = query.header.destination_port,
                             .destination_port = query.header.source_port,
                             .unique_id = query.id},
                            out));
    out.insert(out.end(), reply.begin(), reply.end());
    return send_raw(out);
  }
  // False when the slow path has given up this connection.
  bool send_raw(Bytes datagram) {
    return ::send(connection_, datagram.data(), datagram.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(datagram.size());
  }

 private:
  static bool readable(int fd, int patience_ms) {
    pollfd polled{fd, POLLIN, 0};
    return ::poll(&polled, 1, patience_ms) == 1;
  }

  std::string path_;
  int listener_ = -1;
  int connection_ = -1;
};

// Keeps late replies by the number in their path's return data.
class Clients : public io::LateReplies {
 public:
  static io::Path path(uint32_t number, std::string_view source = "192.0.2.10") {
    io::Path path;
    path.source = *address::parse_address(source);
    path.destination = {path.source.family, 53};
    path.source_port = static_cast<uint16_t>(1024 + number % 60000);
    path.destination_port = 53;
    path.return_size = sizeof number;
    std::memcpy(path.return_data.data(), &number, sizeof number);
    return path;
  }
  bool send_late(const io::Path& path, Bytes reply) override {
    uint32_t number = 0;
    std::memcpy(&number, path.return_data.data(), sizeof number);
    const std::lock_guard lock(mutex_);
    replies_[number].emplace_back(reply.begin(), reply.end());
    return true;
  }
  size_t count() const {
    const std::lock_guard lock(mutex_);
    return replies_.size();
  }
  std::vector<Buffer> of(uint32_t number) const {
    const std::lock_guard lock(mutex_);
    const auto at = replies_.find(number);
    return at == replies_.end() ? std::vector<Buffer>{} : at->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<uint32_t, std::vector<Buffer>> replies_;
};

}  // namespace merlon::tests

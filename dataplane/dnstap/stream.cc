// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dnstap/stream.h"

#include <fcntl.h>
#include <fstrm.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "dataplane/dnstap/message.h"

namespace merlon::dnstap {
namespace {

constexpr std::string_view kFilePrefix = "file:";
constexpr auto kOpenPatience = std::chrono::milliseconds(1000);
constexpr auto kFinishPatience = std::chrono::milliseconds(500);

struct ControlFrame {
  ControlFrame() : raw(fstrm_control_init()) {}
  ~ControlFrame() { fstrm_control_destroy(&raw); }
  ControlFrame(const ControlFrame&) = delete;
  ControlFrame& operator=(const ControlFrame&) = delete;
  fstrm_control* raw;
};

bool would_block(int error_number) {
  return error_number == EAGAIN || error_number == EINTR;
}

}  // namespace

Stream::Stream(std::string target, int wake)
    : path_(std::move(target)), is_file_(path_.starts_with(kFilePrefix)), wake_(wake) {
  if (is_file_) {
    path_.erase(0, kFilePrefix.size());
  }
}

Stream::~Stream() {
  close();
}

void Stream::close() {
  if (fd_ >= 0) {
    ::close(fd_);
    fd_ = -1;
  }
}

bool Stream::wait_for(short events) const {
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline_ - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return false;
    }
    std::array<pollfd, 2> wait{{{fd_, events, 0}, {ignore_wake_ ? -1 : wake_, POLLIN, 0}}};
    const int ready = ::poll(wait.data(), wait.size(), static_cast<int>(left.count()));
    if (ready > 0) {
      return wait[1].revents == 0;
    }
  }
}

Status Stream::open() {
  deadline_ = std::chrono::steady_clock::now() + kOpenPatience;
  Status done = is_file_ ? open_file() : connect();
  if (done && !is_file_) {
    done = shake_hands();
  }
  if (done) {
    done = send_control(Control::start);
  }
  if (!done) {
    close();
    return in(fmt::format("dnstap to {}", path_), done.error());
  }
  return {};
}

Status Stream::open_file() {
  struct stat there{};
  if (::stat(path_.c_str(), &there) == 0 && there.st_size > 0 && S_ISREG(there.st_mode) &&
      std::rename(path_.c_str(), (path_ + ".1").c_str()) != 0) {
    return fail_errno("keep the file that is there", errno);
  }
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  file_size_ = 0;
  return fd_ < 0 ? Status(fail_errno("open", errno)) : Status();
}

Status Stream::connect() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof address.sun_path) {
    return fail(ErrorCode::invalid_argument, "a Unix socket path has at most {} bytes",
                sizeof address.sun_path - 1);
  }
  std::memcpy(address.sun_path, path_.data(), path_.size());
  fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ < 0 || ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail_errno("connect (is the reader running?)", errno);
  }
  return {};
}

Status Stream::shake_hands() {
  if (auto sent = send_control(Control::ready); !sent) {
    return sent;
  }
  return receive_control(Control::accept);
}

Status Stream::send_control(Control type) {
  ControlFrame frame;
  constexpr fstrm_control_type kTypes[] = {FSTRM_CONTROL_ACCEPT, FSTRM_CONTROL_START,
                                           FSTRM_CONTROL_STOP, FSTRM_CONTROL_READY,
                                           FSTRM_CONTROL_FINISH};
  fstrm_control_set_type(frame.raw, kTypes[static_cast<size_t>(type)]);
  if (type == Control::ready || type == Control::start) {
    fstrm_control_add_field_content_type(
        frame.raw, reinterpret_cast<const uint8_t*>(kContentType.data()), kContentType.size());
  }
  std::array<uint8_t, FSTRM_CONTROL_FRAME_LENGTH_MAX> encoded;
  size_t size = encoded.size();
  if (fstrm_control_encode(frame.raw, encoded.data(), &size, FSTRM_CONTROL_FLAG_WITH_HEADER) !=
      fstrm_res_success) {
    return fail(ErrorCode::internal, "a control frame does not encode");
  }
  for (size_t sent = 0; sent < size;) {
    const auto more = write(Bytes(encoded.data() + sent, size - sent));
    if (!more) {
      return std::unexpected(more.error());
    }
    sent += *more;
    if (sent < size && !wait_for(POLLOUT)) {
      return fail(ErrorCode::busy, "the reader does not read");
    }
  }
  return {};
}

Status Stream::receive_all(uint8_t* out, size_t size) {
  for (size_t received = 0; received < size;) {
    const ssize_t n = ::recv(fd_, out + received, size - received, MSG_DONTWAIT);
    if (n > 0) {
      received += static_cast<size_t>(n);
    } else if (n == 0) {
      return fail(ErrorCode::io, "the reader closed the connection");
    } else if (!would_block(errno)) {
      return fail_errno("receive", errno);
    } else if (!wait_for(POLLIN)) {
      return fail(ErrorCode::busy, "the reader does not answer");
    }
  }
  return {};
}

Status Stream::receive_control(Control type) {
  std::array<uint8_t, FSTRM_CONTROL_FRAME_LENGTH_MAX> payload;
  std::array<uint8_t, 8> header;  // escape (a frame of size 0), then the control frame's size
  if (auto received = receive_all(header.data(), header.size()); !received) {
    return received;
  }
  const uint32_t size = load_be32(header.data() + 4);
  if (load_be32(header.data()) != 0 || size > payload.size()) {
    return fail(ErrorCode::io, "the reader does not speak Frame Streams");
  }
  if (auto received = receive_all(payload.data(), size); !received) {
    return received;
  }
  ControlFrame frame;
  fstrm_control_type got{};
  if (fstrm_control_decode(frame.raw, payload.data(), size, 0) != fstrm_res_success ||
      fstrm_control_get_type(frame.raw, &got) != fstrm_res_success) {
    return fail(ErrorCode::io, "the reader does not speak Frame Streams");
  }
  if (got != (type == Control::accept ? FSTRM_CONTROL_ACCEPT : FSTRM_CONTROL_FINISH)) {
    return fail(ErrorCode::io, "the reader answered {}", fstrm_control_type_to_str(got));
  }
  if (type == Control::accept &&
      fstrm_control_match_field_content_type(frame.raw,
                                             reinterpret_cast<const uint8_t*>(kContentType.data()),
                                             kContentType.size()) != fstrm_res_success) {
    return fail(ErrorCode::io, "the reader does not take {}", kContentType);
  }
  return {};
}

Result<size_t> Stream::write(Bytes frames) {
  const ssize_t n = is_file_ ? ::write(fd_, frames.data(), frames.size())
                             : ::send(fd_, frames.data(), frames.size(), MSG_NOSIGNAL);
  if (n < 0 && would_block(errno)) {
    return size_t{0};
  }
  if (n < 0 || (is_file_ && static_cast<size_t>(n) != frames.size())) {
    const int error_number = n < 0 ? errno : ENOSPC;
    if (is_file_) {
      // Half a frame would make the whole file unreadable; when this fails, too, it is.
      [[maybe_unused]] const int cut = ::ftruncate(fd_, static_cast<off_t>(file_size_));
    }
    close();
    return fail_errno(fmt::format("write to {}", path_), error_number);
  }
  file_size_ += static_cast<uint64_t>(n);
  return static_cast<size_t>(n);
}

bool Stream::peer_is_there() {
  if (is_file_) {
    return true;
  }
  uint8_t byte = 0;
  const ssize_t n = ::recv(fd_, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
  return n > 0 || (n < 0 && would_block(errno));
}

void Stream::finish() {
  if (fd_ < 0) {
    return;
  }
  ignore_wake_ = true;
  deadline_ = std::chrono::steady_clock::now() + kFinishPatience;
  if (send_control(Control::stop) && !is_file_) {
    static_cast<void>(receive_control(Control::finish));  // a reader that is gone is gone
  }
  close();
  ignore_wake_ = false;
}

}  // namespace merlon::dnstap

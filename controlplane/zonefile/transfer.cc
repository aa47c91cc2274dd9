// SPDX-License-Identifier: Apache-2.0
#include "controlplane/zonefile/transfer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <vector>

#include "controlplane/dns/socket.h"
#include "controlplane/zonefile/rdata.h"
#include "zones/wire/wire.h"

namespace merlon::zonefile {
namespace {

using std::chrono::steady_clock;

constexpr uint16_t kTypeAxfr = 252;
constexpr int kPollSliceMs = 200;

std::string rcode_text(unsigned rcode) {
  constexpr std::array<std::string_view, 11> kNames = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
                                                       "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
                                                       "NXRRSET", "NOTAUTH", "NOTZONE"};
  return rcode < kNames.size() ? std::string(kNames[rcode]) : fmt::format("RCODE{}", rcode);
}

socklen_t fill_address(const Primary& primary, sockaddr_storage& storage) {
  storage = {};
  if (primary.address.family == address::Family::v4) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(primary.port);
    v4->sin_addr.s_addr = htonl(static_cast<uint32_t>(primary.address.bits));
    return sizeof *v4;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(primary.port);
  address::store_network(primary.address.bits, v6->sin6_addr.s6_addr);
  return sizeof *v6;
}

// One TCP connection with a deadline.
class Connection {
 public:
  explicit Connection(const TransferOptions& options)
      : options_(options),
        deadline_(steady_clock::now() + std::chrono::milliseconds(options.timeout_ms)) {}

  Status open();
  Status send(Bytes bytes);
  Status receive_message(std::vector<uint8_t>& message);

 private:
  Status wait_for(short events);
  Status receive(MutableBytes into);

  const TransferOptions& options_;
  steady_clock::time_point deadline_;
  dns::Fd socket_;
};

Status Connection::wait_for(short events) {
  for (;;) {
    if (options_.stop != nullptr && options_.stop->load()) {
      return fail(ErrorCode::busy, "stopped");
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - steady_clock::now());
    if (left.count() <= 0) {
      return fail(ErrorCode::io, "no answer within {} ms", options_.timeout_ms);
    }
    pollfd item{.fd = socket_.get(), .events = events, .revents = 0};
    const int ready =
        ::poll(&item, 1, static_cast<int>(std::min<int64_t>(left.count(), kPollSliceMs)));
    if (ready > 0) {
      return {};
    }
    if (ready < 0 && errno != EINTR) {
      return fail_errno("poll", errno);
    }
  }
}

Status Connection::open() {
  sockaddr_storage storage;
  const socklen_t size = fill_address(options_.primary, storage);
  socket_ = dns::Fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_.valid()) {
    return fail_errno("socket", errno);
  }
  if (::connect(socket_.get(), reinterpret_cast<sockaddr*>(&storage), size) == 0) {
    return {};
  }
  if (errno != EINPROGRESS) {
    return fail_errno("connect", errno);
  }
  if (auto ready = wait_for(POLLOUT); !ready) {
    return ready;
  }
  int error = 0;
  socklen_t error_size = sizeof error;
  ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &error_size);
  return error == 0 ? Status() : fail_errno("connect", error);
}

Status Connection::send(Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes = bytes.subspan(static_cast<size_t>(sent));
    } else if (errno != EAGAIN && errno != EINTR) {
      return fail_errno("send", errno);
    } else if (auto ready = wait_for(POLLOUT); !ready) {
      return ready;
    }
  }
  return {};
}

Status Connection::receive(MutableBytes into) {
  while (!into.empty()) {
    const ssize_t got = ::recv(socket_.get(), into.data(), into.size(), 0);
    if (got > 0) {
      into = into.subspan(static_cast<size_t>(got));
    } else if (got == 0) {
      return fail(ErrorCode::io, "the connection ended in the middle");
    } else if (errno != EAGAIN && errno != EINTR) {
      return fail_errno("receive", errno);
    } else if (auto ready = wait_for(POLLIN); !ready) {
      return ready;
    }
  }
  return {};
}

Status Connection::receive_message(std::vector<uint8_t>& message) {
  std::array<uint8_t, 2> size;
  if (auto got = receive(size); !got) {
    return got;
  }
  message.resize(load_be16(size.data()));
  return receive(message);
}

struct Question {
  uint16_t id = 0;
  uint16_t type = 0;
};

Status ask(Connection& connection, const name::Name& apex, Question& question, uint16_t type) {
  question.type = type;
  if (::getrandom(&question.id, sizeof question.id, 0) != sizeof question.id) {
    return fail_errno("getrandom", errno);
  }
  std::array<uint8_t, 2 + wire::kHeaderSize + name::kWireSizeMax + 4> room;
  wire::Writer writer(room);
  writer.u16(static_cast<uint16_t>(wire::kHeaderSize + apex.size() + 4));
  writer.u16(question.id);
  writer.u16(0);  // flags: a plain query
  writer.u16(1);
  writer.u16(0);
  writer.u32(0);
  writer.name(apex);
  writer.u16(type);
  writer.u16(wire::kClassIn);
  return connection.send(writer.written());
}

// The records of one answer; the assembler takes them.
class AnswerReader {
 public:
  AnswerReader(const name::Name& apex, const Question& question)
      : apex_(apex), question_(question) {}

  // Calls take(owner, type, ttl, data) for each answer record; it returns a Status.
  template <class Take>
  Status read(Bytes message, Take take);

 private:
  Status read_question(wire::Reader& reader, unsigned count) const;

  const name::Name& apex_;
  const Question& question_;
  std::vector<uint8_t> data_;
};

Status AnswerReader::read_question(wire::Reader& reader, unsigned count) const {
  if (count > 1) {
    return fail(ErrorCode::invalid_argument, "an answer with {} questions", count);
  }
  if (count == 1) {
    const name::Name name = reader.name();
    const uint16_t type = reader.u16();
    const uint16_t qclass = reader.u16();
    if (!reader.ok() || name != apex_ || type != question_.type || qclass != wire::kClassIn) {
      return fail(ErrorCode::invalid_argument, "an answer to another question");
    }
  }
  return {};
}

template <class Take>
Status AnswerReader::read(Bytes message, Take take) {
  wire::Reader reader(message);
  const uint16_t id = reader.u16();
  const uint16_t flags = reader.u16();
  const unsigned questions = reader.u16();
  const unsigned answers = reader.u16();
  reader.u32();
  if (!reader.ok() || id != question_.id || (flags & wire::flag::qr) == 0) {
    return fail(ErrorCode::invalid_argument, "what is no answer to our query");
  }
  if ((flags & wire::flag::rcode_mask) != 0) {
    return fail(ErrorCode::invalid_argument, "the primary says {}",
                rcode_text(flags & wire::flag::rcode_mask));
  }
  if (auto good = read_question(reader, questions); !good) {
    return good;
  }
  for (unsigned i = 0; i < answers; ++i) {
    const name::Name owner = reader.name();
    const uint16_t type = reader.u16();
    const uint16_t rclass = reader.u16();
    const uint32_t ttl = reader.u32();
    const size_t size = reader.u16();
    const size_t at = reader.offset();
    reader.skip(size);
    if (!reader.ok()) {
      return fail(ErrorCode::invalid_argument, "a message cut off in record {}", i);
    }
    data_.clear();
    const bool good = rclass == wire::kClassIn && decompress_rdata(type, message, at, size, data_);
    if (const auto wrong = good ? rdata_fault(type, data_) : "malformed, or not of class IN";
        !wrong.empty()) {
      return fail(ErrorCode::invalid_argument, "{} {}: {}", owner.to_text(), type_text(type),
                  wrong);
    }
    if (auto taken = take(owner, type, ttl > INT32_MAX ? 0 : ttl, Bytes(data_)); !taken) {
      return taken;
    }
  }
  return {};
}

// RFC 5936 section 2.2: the SOA record comes first, and again at the end.
class Transfer {
 public:
  Transfer(const TransferOptions& options, Connection& connection)
      : options_(options), connection_(connection), assembler_(options.apex) {}

  Result<std::optional<ZoneData>> run();

 private:
  Result<uint32_t> serial_there();
  Status take(const name::Name& owner, uint16_t type, uint32_t ttl, Bytes data);

  const TransferOptions& options_;
  Connection& connection_;
  ZoneAssembler assembler_;
  std::vector<uint8_t> soa_;
  bool complete_ = false;
  uint32_t records_ = 0;
};

Result<uint32_t> Transfer::serial_there() {
  Question question;
  std::vector<uint8_t> message;
  std::optional<uint32_t> serial;
  auto done = ask(connection_, options_.apex, question, wire::type::soa);
  if (done) {
    done = connection_.receive_message(message);
  }
  if (done) {
    done = AnswerReader(options_.apex, question)
               .read(message, [&](const name::Name& owner, uint16_t type, uint32_t, Bytes data) {
                 if (owner == options_.apex && type == wire::type::soa) {
                   serial = load_be32(data.data() + data.size() - 20);
                 }
                 return Status();
               });
  }
  if (!done) {
    return in("SOA query", done.error());
  }
  if (!serial) {
    return fail(ErrorCode::invalid_argument, "SOA query: the primary does not have the zone");
  }
  return *serial;
}

Status Transfer::take(const name::Name& owner, uint16_t type, uint32_t ttl, Bytes data) {
  ++records_;
  if (complete_) {
    return fail(ErrorCode::invalid_argument, "records behind the SOA record that ends the zone");
  }
  const bool is_soa = type == wire::type::soa && owner == options_.apex;
  if (records_ == 1) {
    if (!is_soa) {
      return fail(ErrorCode::invalid_argument, "the first record is not the SOA record");
    }
    soa_.assign(data.begin(), data.end());
  } else if (is_soa) {
    if (!std::ranges::equal(soa_, data)) {
      return fail(ErrorCode::invalid_argument, "the zone changed while it was transferred");
    }
    complete_ = true;
    return {};
  }
  return assembler_.add({.owner = owner.wire(),
                         .type = type,
                         .ttl = ttl,
                         .data = data,
                         .place = {.file = 0, .line = records_}});
}

Result<std::optional<ZoneData>> Transfer::run() {
  if (options_.serial) {
    const auto serial = serial_there();
    if (!serial) {
      return std::unexpected(serial.error());
    }
    if (!is_newer(*serial, *options_.serial)) {
      return std::optional<ZoneData>();
    }
  }
  Question question;
  if (auto asked = ask(connection_, options_.apex, question, kTypeAxfr); !asked) {
    return std::unexpected(asked.error());
  }
  AnswerReader answers(options_.apex, question);
  std::vector<uint8_t> message;
  uint64_t size = 0;
  while (!complete_) {
    if (auto got = connection_.receive_message(message); !got) {
      return std::unexpected(got.error());
    }
    size += message.size();
    if (size > options_.size_max) {
      return fail(ErrorCode::invalid_argument, "a zone of more than {} bytes", options_.size_max);
    }
    const uint32_t before = records_;
    auto done = answers.read(message, [this](const name::Name& owner, uint16_t type, uint32_t ttl,
                                             Bytes data) { return take(owner, type, ttl, data); });
    if (!done) {
      return std::unexpected(done.error());
    }
    if (records_ == before) {
      return fail(ErrorCode::invalid_argument, "a message without records in the middle");
    }
  }
  auto zone = assembler_.finish();
  if (!zone) {
    return std::unexpected(zone.error());
  }
  return std::optional<ZoneData>(std::move(*zone));
}

}  // namespace

Result<Primary> Primary::from_text(std::string_view text) {
  if (const auto address = address::parse_address(text)) {
    return Primary{.address = *address, .port = 53};
  }
  const auto endpoint = dns::parse_endpoint(text);
  if (!endpoint) {
    return fail(ErrorCode::invalid_argument,
                "primary \"{}\": an address, or an address and a port, as 192.0.2.1:53 or "
                "[2001:db8::1]:53",
                text);
  }
  return Primary{.address = endpoint->address, .port = endpoint->port};
}

std::string Primary::to_text() const {
  return dns::to_text(dns::Endpoint{address, port});
}

Result<std::optional<ZoneData>> transfer_in(const TransferOptions& options) {
  const std::string what =
      fmt::format("transfer of {} from {}", options.apex.to_text(), options.primary.to_text());
  Connection connection(options);
  if (auto opened = connection.open(); !opened) {
    return in(what, opened.error());
  }
  auto zone = Transfer(options, connection).run();
  if (!zone) {
    return in(what, zone.error());
  }
  return zone;
}

}  // namespace merlon::zonefile

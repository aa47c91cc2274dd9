// SPDX-License-Identifier: Apache-2.0
#include "tests/controlplane/compile/resolver.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>

#include "zones/address/address.h"
#include "zones/base/assert.h"
#include "zones/name/name.h"
#include "zones/wire/wire.h"

namespace merlon::test {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr uint8_t kDefaultAddress[] = {203, 0, 113, 1};

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int bound_socket(int type, uint16_t port) {
  const int fd = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  if (fd >= 0 && ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return fd;
  }
  ::close(fd);
  return -1;
}

uint16_t port_of(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  MERLON_ASSERT(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return ntohs(address.sin_port);
}

bool readable(int fd, int timeout_ms) {
  pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&entry, 1, timeout_ms) > 0;
}

std::vector<uint8_t> query_of(const std::string& name, uint16_t type) {
  std::vector<uint8_t> message(512);
  wire::Writer writer(message);
  static std::atomic<uint16_t> id{1};
  writer.u16(++id);
  writer.u16(wire::flag::rd);
  for (const int count : {1, 0, 0, 0}) {
    writer.u16(static_cast<uint16_t>(count));
  }
  writer.name(name::Name::from_text(name).value());
  writer.u16(type);
  writer.u16(wire::kClassIn);
  message.resize(writer.size());
  return message;
}

Said read_reply(Bytes message) {
  Said said;
  wire::Reader reader(message);
  reader.u16();
  const uint16_t flags = reader.u16();
  said.truncated = (flags & wire::flag::tc) != 0;
  said.rcode = flags & wire::flag::rcode_mask;
  const uint16_t questions = reader.u16();
  const uint16_t answers = reader.u16();
  reader.skip(4);
  for (uint16_t i = 0; i < questions; ++i) {
    reader.name();
    reader.skip(4);
  }
  for (uint16_t i = 0; i < answers && reader.ok(); ++i) {
    reader.name();
    const uint16_t type = reader.u16();
    reader.skip(6);
    const uint16_t size = reader.u16();
    if (type == wire::type::cname) {
      said.answers.push_back("CNAME " + reader.name().to_text());
      continue;
    }
    const Bytes data = reader.bytes(size);
    said.answers.push_back(
        data.size() == 4    ? address::to_text_v4(address::load_network_v4(data.data()))
        : data.size() == 16 ? address::to_text_v6(address::load_network_v6(data.data()))
                            : wire::type_to_text(type));
  }
  return said;
}

// Reads exactly `size` bytes of a stream.
bool read_all(int fd, uint8_t* out, size_t size, int timeout_ms) {
  size_t got = 0;
  while (got < size) {
    if (!readable(fd, timeout_ms)) {
      return false;
    }
    const ssize_t n = ::read(fd, out + got, size - got);
    if (n <= 0) {
      return false;
    }
    got += static_cast<size_t>(n);
  }
  return true;
}

int start(const std::vector<std::string>& arguments, const std::filesystem::path& log) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(out, 1);
    ::dup2(out, 2);
    ::execvp(argv[0], argv.data());
    ::_exit(127);
  }
  ::close(out);
  return pid;
}

std::string text_of(const std::filesystem::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string named_configuration(const Resolver::Settings& settings, uint16_t port) {
  return fmt::format(
      "options {{ directory \"{0}\"; pid-file none; session-keyfile none;\n"
      "  listen-on port {1} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n"
      "  allow-query {{ any; }}; recursion yes; allow-recursion {{ any; }};\n"
      "  forward only; forwarders {{ 127.0.0.1 port {2}; }};\n"
      "  dnssec-validation no; empty-zones-enable no;\n"
      "  response-policy {{ zone \"{3}\"; }} qname-wait-recurse no break-dnssec yes; }};\n"
      "controls {{ }};\n"
      "zone \"{3}\" {{ type primary; file \"{0}/policy.zone\"; }};\n",
      settings.directory.string(), port, settings.upstream_port, settings.apex);
}

std::string unbound_configuration(const Resolver::Settings& settings, uint16_t port) {
  return fmt::format(
      "server:\n  interface: 127.0.0.1\n  port: {1}\n  do-daemonize: no\n  username: \"\"\n"
      "  chroot: \"\"\n  directory: \"{0}\"\n  pidfile: \"\"\n  use-syslog: no\n"
      "  do-not-query-localhost: no\n  do-ip6: no\n  num-threads: 1\n"
      "  module-config: \"respip iterator\"\n  access-control: 127.0.0.0/8 allow\n"
      "forward-zone:\n  name: \".\"\n  forward-addr: 127.0.0.1@{2}\n"
      "rpz:\n  name: \"{3}\"\n  zonefile: \"{0}/policy.zone\"\n"
      "remote-control:\n  control-enable: no\n",
      settings.directory.string(), port, settings.upstream_port, settings.apex);
}

}  // namespace

std::string Said::text() const {
  if (nothing || truncated) {
    return nothing ? "nothing" : "truncated";
  }
  if (rcode != 0) {
    return fmt::format("rcode {}", rcode);
  }
  std::string all;
  for (const std::string& answer : answers) {
    all += (all.empty() ? "" : " ") + answer;
  }
  return all.empty() ? "empty" : all;
}

uint16_t free_port() {
  for (int attempt = 0; attempt < 100; ++attempt) {
    const int udp = bound_socket(SOCK_DGRAM, 0);
    const uint16_t port = port_of(udp);
    const int tcp = bound_socket(SOCK_STREAM, port);
    ::close(udp);
    if (tcp >= 0) {
      ::close(tcp);
      return port;
    }
  }
  return 0;
}

EveryNameServer::EveryNameServer(std::map<std::string, std::vector<uint8_t>> addresses)
    : addresses_(std::move(addresses)), socket_(bound_socket(SOCK_DGRAM, 0)) {
  MERLON_ASSERT(socket_ >= 0);
  port_ = port_of(socket_);
  thread_ = std::thread([this] { serve(); });
}

EveryNameServer::~EveryNameServer() {
  stop_ = true;
  thread_.join();
  ::close(socket_);
}

void EveryNameServer::serve() {
  while (!stop_) {
    if (!readable(socket_, 50)) {
      continue;
    }
    uint8_t query[4096];
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const ssize_t n =
        ::recvfrom(socket_, query, sizeof query, 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (n > static_cast<ssize_t>(wire::kHeaderSize)) {
      const auto reply = reply_to({query, static_cast<size_t>(n)});
      ::sendto(socket_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }
}

std::vector<uint8_t> EveryNameServer::reply_to(Bytes query) const {
  wire::Reader reader(query);
  const uint16_t id = reader.u16();
  reader.skip(10);
  const name::Name name = reader.name();
  const uint16_t type = reader.u16();
  const auto at = addresses_.find(name.folded().to_text());
  const Bytes data = at != addresses_.end() ? Bytes(at->second) : Bytes(kDefaultAddress);
  const bool has = type == (data.size() == 4 ? wire::type::a : wire::type::aaaa);
  std::vector<uint8_t> reply(1024);
  wire::Writer writer(reply);
  writer.u16(id);
  writer.u16(wire::flag::qr | wire::flag::aa | wire::flag::rd | wire::flag::ra);
  for (const int count : {1, has ? 1 : 0, 0, 0}) {
    writer.u16(static_cast<uint16_t>(count));
  }
  writer.name(name);
  writer.u16(type);
  writer.u16(wire::kClassIn);
  if (has) {
    writer.u16(wire::kOwnerIsQname);
    writer.u16(type);
    writer.u16(wire::kClassIn);
    writer.u32(60);
    writer.u16(static_cast<uint16_t>(data.size()));
    writer.bytes(data);
  }
  reply.resize(writer.size());
  return reply;
}

bool Resolver::installed(Kind kind) {
  return std::filesystem::exists(kind == Kind::named ? "/usr/sbin/named" : "/usr/sbin/unbound");
}

Resolver::Resolver(const Settings& settings)
    : log_path_(settings.directory / "log"), port_(free_port()) {
  std::ofstream(settings.directory / "policy.zone") << settings.zone_file;
  const std::string configuration = settings.directory / "resolver.conf";
  if (settings.kind == Kind::named) {
    std::ofstream(configuration) << named_configuration(settings, port_);
    pid_ = start({"/usr/sbin/named", "-g", "-n", "1", "-c", configuration}, log_path_);
  } else {
    std::ofstream(configuration) << unbound_configuration(settings, port_);
    pid_ = start({"/usr/sbin/unbound", "-d", "-c", configuration}, log_path_);
  }
}

Resolver::~Resolver() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

std::string Resolver::log() const {
  return text_of(log_path_);
}

bool Resolver::wait_until(const std::string& name, const std::string& said) const {
  for (const auto end = steady_clock::now() + 10s; steady_clock::now() < end;) {
    if (ask(name, wire::type::a, Transport::udp, 500).text() == said) {
      return true;
    }
    std::this_thread::sleep_for(50ms);
  }
  return false;
}

Said Resolver::ask(const std::string& name, uint16_t type, Transport transport,
                   int timeout_ms) const {
  const std::vector<uint8_t> query = query_of(name, type);
  const sockaddr_in to = loopback(port_);
  const bool tcp = transport == Transport::tcp;
  const int fd = ::socket(AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
  std::vector<uint8_t> reply(wire::kMessageSizeMax);
  size_t size = 0;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) {
    std::vector<uint8_t> sent = query;
    if (tcp) {
      sent.insert(sent.begin(),
                  {static_cast<uint8_t>(query.size() >> 8), static_cast<uint8_t>(query.size())});
    }
    const bool went = ::send(fd, sent.data(), sent.size(), MSG_NOSIGNAL) >= 0;
    if (tcp && went && read_all(fd, reply.data(), 2, timeout_ms)) {
      const size_t wanted = load_be16(reply.data());
      size = read_all(fd, reply.data(), wanted, timeout_ms) ? wanted : 0;
    } else if (!tcp && went && readable(fd, timeout_ms)) {
      const ssize_t n = ::recv(fd, reply.data(), reply.size(), 0);
      size = n > 0 ? static_cast<size_t>(n) : 0;
    }
  }
  ::close(fd);
  if (size < wire::kHeaderSize) {
    Said said;
    said.nothing = true;
    return said;
  }
  return read_reply({reply.data(), size});
}

std::pair<int, std::string> run(const std::vector<std::string>& arguments,
                                const std::filesystem::path& log) {
  int status = 0;
  ::waitpid(start(arguments, log), &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text_of(log)};
}

}  // namespace merlon::test

// SPDX-License-Identifier: Apache-2.0
// The kernel's "netdev" generic netlink family (since 6.3) tells what XDP a driver can do without
// touching the port. Its numbers are written down here because the headers of older kernels, which
// the data plane is built with, lack them.
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cstring>

#include "dataplane/xdp/interface.h"

namespace merlon::xdp {
namespace {

constexpr std::string_view kFamily = "netdev";
constexpr uint8_t kCommandDeviceGet = 1;
constexpr uint16_t kAttributeIndex = 1;
constexpr uint16_t kAttributeFeatures = 3;

constexpr size_t kMessageHead = sizeof(nlmsghdr) + sizeof(genlmsghdr);
static_assert(kMessageHead % 4 == 0 && sizeof(nlattr) == 4);

constexpr size_t align(size_t size) {
  return (size + 3) / 4 * 4;
}

struct Request {
  nlmsghdr message;
  genlmsghdr command;
  nlattr attribute;
  std::array<uint8_t, 16> value;
};

struct Question {
  uint16_t family = 0;
  uint8_t command = 0;
  uint16_t attribute = 0;  // of the request
  Bytes value;
  uint16_t wanted = 0;  // attribute of the answer
};

// The wanted attribute's bytes within `answer`, a whole message; empty when it is not there.
Bytes find_attribute(Bytes answer, uint16_t wanted) {
  size_t at = kMessageHead;
  while (at + sizeof(nlattr) <= answer.size()) {  // each turn moves on by at least a header
    nlattr attribute;
    std::memcpy(&attribute, answer.data() + at, sizeof attribute);
    if (attribute.nla_len < sizeof attribute || attribute.nla_len > answer.size() - at) {
      break;
    }
    if ((attribute.nla_type & NLA_TYPE_MASK) == wanted) {
      return answer.subspan(at + sizeof attribute, attribute.nla_len - sizeof attribute);
    }
    at += align(attribute.nla_len);
  }
  return {};
}

// One question, one answer of the kernel. `answer` is the buffer that the result points into.
Bytes ask(int fd, const Question& question, MutableBytes answer) {
  Request request{};
  const size_t attribute_size = sizeof(nlattr) + question.value.size();
  request.message.nlmsg_len = static_cast<uint32_t>(kMessageHead + align(attribute_size));
  request.message.nlmsg_type = question.family;
  request.message.nlmsg_flags = NLM_F_REQUEST;
  request.command.cmd = question.command;
  request.command.version = 1;
  request.attribute.nla_type = question.attribute;
  request.attribute.nla_len = static_cast<uint16_t>(attribute_size);
  if (question.value.size() > request.value.size()) {
    return {};
  }
  std::memcpy(request.value.data(), question.value.data(), question.value.size());
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (::sendto(fd, &request, request.message.nlmsg_len, 0,
               reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) < 0) {
    return {};
  }
  const ssize_t size = ::recv(fd, answer.data(), answer.size(), 0);
  nlmsghdr head;
  if (size < static_cast<ssize_t>(sizeof head)) {
    return {};
  }
  std::memcpy(&head, answer.data(), sizeof head);
  if (head.nlmsg_type == NLMSG_ERROR || head.nlmsg_len > static_cast<size_t>(size)) {
    return {};
  }
  return find_attribute(answer.first(head.nlmsg_len), question.wanted);
}

template <class T>
std::optional<T> number(Bytes bytes) {
  if (bytes.size() != sizeof(T)) {
    return std::nullopt;
  }
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

}  // namespace

std::optional<uint64_t> ask_xdp_features(uint32_t index) {
  const Descriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC));
  const timeval limit{.tv_sec = 2, .tv_usec = 0};
  if (!socket.is_open() ||
      ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0) {
    return std::nullopt;
  }
  alignas(8) std::array<uint8_t, 8192> answer;
  std::array<uint8_t, kFamily.size() + 1> family{};
  std::memcpy(family.data(), kFamily.data(), kFamily.size());
  const auto id = number<uint16_t>(ask(socket.get(),
                                       {.family = GENL_ID_CTRL,
                                        .command = CTRL_CMD_GETFAMILY,
                                        .attribute = CTRL_ATTR_FAMILY_NAME,
                                        .value = family,
                                        .wanted = CTRL_ATTR_FAMILY_ID},
                                       answer));
  if (!id) {
    return std::nullopt;
  }
  std::array<uint8_t, sizeof index> device;
  std::memcpy(device.data(), &index, sizeof index);
  return number<uint64_t>(ask(socket.get(),
                              {.family = *id,
                               .command = kCommandDeviceGet,
                               .attribute = kAttributeIndex,
                               .value = device,
                               .wanted = kAttributeFeatures},
                              answer));
}

}  // namespace merlon::xdp

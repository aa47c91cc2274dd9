// SPDX-License-Identifier: Apache-2.0
#include "tests/zones_differential/served.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "controlplane/publish/publisher.h"
#include "controlplane/zonefile/compile.h"
#include "controlplane/zonefile/zone_file.h"
#include "zones/address/address.h"
#include "zones/answer/answer.h"
#include "zones/base/file.h"
#include "zones/snapshot/access.h"

namespace merlon::differential {
namespace {

constexpr uint32_t kTiers = 1;
constexpr size_t kMessageRoom = 65535;

snapshot::Subject anybody() {
  return {.account = 1,
          .device = 1,
          .tier_mask = kTiers,
          .verb = snapshot::Verb::pass,
          .flags = 0,
          .reserved = {}};
}

publish::SegmentFile listed(snapshot::SegmentKind kind, Bytes bytes, const name::Name& apex) {
  return {{.kind = kind,
           .hash = snapshot::ContentHash::of(bytes),
           .size_bytes = bytes.size(),
           .apex = apex},
          bytes};
}

}  // namespace

Result<Served> Served::load(const std::vector<ZoneFile>& files) {
  Served served;
  const snapshot::IndexKey key = snapshot::IndexKey::random();
  std::vector<std::shared_ptr<const snapshot::LoadedZone>> loaded;
  for (const ZoneFile& file : files) {
    auto data = zonefile::read_zone_file(file.path, {.apex = file.apex});
    if (!data) {
      return std::unexpected(data.error());
    }
    auto bytes = zonefile::compile(*data, {.tier_mask = kTiers});
    if (!bytes) {
      return std::unexpected(bytes.error());
    }
    auto segment = snapshot::Segment::from_bytes(*bytes);
    if (!segment) {
      return std::unexpected(segment.error());
    }
    auto zone = snapshot::LoadedZone::make(std::move(*segment), {}, key);
    if (!zone) {
      return std::unexpected(zone.error());
    }
    for (const zonefile::ZoneData::Rrset& rrset : data->rrsets()) {
      served.owners_.insert(name::Name::from_wire(data->owner_of(rrset))->to_text());
    }
    loaded.push_back(std::move(*zone));
    served.zones_.push_back(std::move(*data));
    served.segments_.push_back(std::move(*bytes));
  }
  snapshot::AccessBuilder access;
  access.add_source(*address::parse_prefix("127.0.0.0/8"), access.add_subject(anybody()));
  const auto access_bytes = access.finish();
  if (!access_bytes) {
    return std::unexpected(access_bytes.error());
  }
  served.access_ = *access_bytes;
  auto segment = snapshot::Segment::from_bytes(served.access_);
  if (!segment) {
    return std::unexpected(segment.error());
  }
  auto loaded_access = std::make_shared<snapshot::LoadedAccess>();
  loaded_access->segment = std::move(*segment);
  const auto view = snapshot::AccessView::open(loaded_access->segment);
  if (!view) {
    return std::unexpected(view.error());
  }
  loaded_access->view = *view;
  auto snapshot = snapshot::Snapshot::assemble(1, std::move(loaded), loaded_access, key);
  if (!snapshot) {
    return std::unexpected(snapshot.error());
  }
  served.snapshot_ = std::move(*snapshot);
  return served;
}

std::vector<uint8_t> Served::answer(Bytes message) const {
  std::vector<uint8_t> buffer(2 * kMessageRoom);
  std::vector<uint8_t> scratch(kMessageRoom);
  std::ranges::copy(message, buffer.begin());
  const snapshot::Subject subject = anybody();
  const answer::Limits limits{.transport = answer::Transport::tcp};
  answer::Query query;
  auto reply = answer::answer(*snapshot_, Bytes(buffer).first(message.size()), &subject, limits,
                              query, scratch);
  const size_t size = answer::compose(query, reply, limits, buffer, message.size());
  buffer.resize(size);
  return buffer;
}

Status Served::write_state(const std::string& directory) const {
  if (auto made = make_directories(directory); !made) {
    return made;
  }
  const auto key = snapshot::SigningKey::load_or_create(directory + "/manifest.key");
  if (!key) {
    return std::unexpected(key.error());
  }
  const std::string public_key = to_hex(key->public_key) + "\n";
  if (auto done = write_file_durably(directory + "/manifest.pub", as_bytes(public_key)); !done) {
    return done;
  }
  auto publisher = publish::Publisher::open(directory + "/snapshots", *key, {});
  if (!publisher) {
    return std::unexpected(publisher.error());
  }
  std::vector<publish::SegmentFile> files;
  for (size_t i = 0; i < zones_.size(); ++i) {
    files.push_back(listed(snapshot::SegmentKind::zone, segments_[i], zones_[i].apex()));
  }
  files.push_back(listed(snapshot::SegmentKind::access, access_, name::Name()));
  const auto written = publisher->write(files, 1'800'000'000);
  return written ? publisher->set_current(written->generation)
                 : Status(std::unexpected(written.error()));
}

Result<std::unique_ptr<DataPlane>> DataPlane::start(const std::string& program,
                                                    const Served& served,
                                                    const std::string& directory) {
  const std::string state = directory + "/state";
  if (auto written = served.write_state(state); !written) {
    return std::unexpected(written.error());
  }
  const uint16_t port = tests::free_port();
  const std::string config = fmt::format(
      "[dataplane]\nlisten = [\"127.0.0.1:{0}\"]\nworkers = 1\nengine = \"auto\"\n"
      "snapshot_directory = \"{1}/snapshots\"\nmanifest_key_file = \"{1}/manifest.pub\"\n"
      "control_socket = \"{2}/dataplane.sock\"\nslow_path_socket = \"\"\n",
      port, state, directory);
  const std::string path = directory + "/merlon.toml";
  if (auto done = write_file_durably(path, as_bytes(config)); !done) {
    return std::unexpected(done.error());
  }
  auto process = Process::start({program, "--config", path}, directory + "/dataplane.log");
  if (!process) {
    return std::unexpected(process.error());
  }
  std::unique_ptr<DataPlane> plane(new DataPlane(std::move(*process)));
  plane->fd_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  if (::connect(plane->fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return fail_errno("connect", errno);
  }
  return plane;
}

DataPlane::~DataPlane() {
  ::close(fd_);
}

Result<std::vector<uint8_t>> DataPlane::ask(Bytes query) const {
  const timeval limit{.tv_sec = 0, .tv_usec = 500'000};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  std::vector<uint8_t> answer(kMessageRoom);
  for (int tries = 0; tries < 40; ++tries) {
    if (::send(fd_, query.data(), query.size(), 0) < 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));  // not listening yet
      continue;
    }
    for (;;) {
      const ssize_t got = ::recv(fd_, answer.data(), answer.size(), 0);
      if (got < 0) {
        if (errno == ECONNREFUSED) {
          std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
        break;
      }
      if (got >= 12 && answer[0] == query[0] && answer[1] == query[1]) {
        answer.resize(static_cast<size_t>(got));
        return answer;
      }
    }
  }
  return fail(ErrorCode::io, "the data plane does not answer");
}

}  // namespace merlon::differential

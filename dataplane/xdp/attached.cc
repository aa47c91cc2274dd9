// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/attached.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace merlon::xdp {
namespace {

AttachMode mode_of(uint8_t mode) {
  switch (mode) {
    case XDP_ATTACHED_NONE:
      return AttachMode::none;
    case XDP_ATTACHED_DRV:
      return AttachMode::native;
    case XDP_ATTACHED_SKB:
      return AttachMode::generic;
    case XDP_ATTACHED_HW:
      return AttachMode::offload;
    default:
      return AttachMode::several;
  }
}

Result<uint32_t> index_of(const std::string& interface) {
  const unsigned index = ::if_nametoindex(interface.c_str());
  if (index == 0) {
    return fail(ErrorCode::not_found, "no interface {} (`ip link` lists them)", interface);
  }
  return index;
}

struct Program {
  Attached attached;
  Descriptor fd;
  std::vector<uint32_t> map_ids;
};

// The first program of an interface, opened when we may.
Result<Program> open_program(uint32_t index) {
  LIBBPF_OPTS(bpf_xdp_query_opts, query);
  const int error = bpf_xdp_query(static_cast<int>(index), 0, &query);
  if (error != 0) {
    return fail_errno(fmt::format("ask for the XDP program of interface {}", index), -error);
  }
  Program program;
  program.attached.mode = mode_of(query.attach_mode);
  const uint32_t ids[] = {query.prog_id, query.drv_prog_id, query.skb_prog_id, query.hw_prog_id};
  for (const uint32_t id : ids) {
    if (id != 0) {
      program.attached.program_id = id;
      break;
    }
  }
  if (program.attached.program_id == 0) {
    return program;
  }
  program.attached.owner = Owner::unknown;
  program.fd = Descriptor(bpf_prog_get_fd_by_id(program.attached.program_id));
  if (!program.fd.is_open()) {
    return program;
  }
  bpf_prog_info info{};
  uint32_t size = sizeof info;
  program.map_ids.resize(64);
  info.nr_map_ids = static_cast<uint32_t>(program.map_ids.size());
  info.map_ids = reinterpret_cast<uintptr_t>(program.map_ids.data());
  if (bpf_obj_get_info_by_fd(program.fd.get(), &info, &size) != 0) {
    return fail_errno("ask for an XDP program's name", errno);
  }
  program.map_ids.resize(std::min<size_t>(program.map_ids.size(), info.nr_map_ids));
  program.attached.program_name.assign(info.name, ::strnlen(info.name, sizeof info.name));
  program.attached.owner = Owner::foreign;
  return program;
}

// A map of the program by name, type and value size.
struct MapWanted {
  std::string_view name;
  bpf_map_type type;
  uint32_t value_size;
  uint32_t entry_count;
};

Descriptor find_map(const Program& program, const MapWanted& wanted) {
  for (const uint32_t id : program.map_ids) {
    Descriptor map(bpf_map_get_fd_by_id(id));
    bpf_map_info info{};
    uint32_t size = sizeof info;
    if (map.is_open() && bpf_obj_get_info_by_fd(map.get(), &info, &size) == 0 &&
        info.type == static_cast<uint32_t>(wanted.type) && info.value_size == wanted.value_size &&
        info.max_entries == wanted.entry_count && wanted.name == info.name) {
      return map;
    }
  }
  return Descriptor();
}

// Without it the kernel would look in the mode that it would choose for a new program.
uint32_t flag_of(AttachMode mode) {
  switch (mode) {
    case AttachMode::native:
      return XDP_FLAGS_DRV_MODE;
    case AttachMode::generic:
      return XDP_FLAGS_SKB_MODE;
    case AttachMode::offload:
      return XDP_FLAGS_HW_MODE;
    default:
      return 0;
  }
}

// Our filter is known by its name and by the settings that it carries.
std::optional<merlon_filter_config> config_of(const Program& program) {
  if (program.attached.program_name != MERLON_FILTER_PROGRAM_NAME) {
    return std::nullopt;
  }
  const Descriptor map = find_map(
      program, {MERLON_FILTER_SECTION, BPF_MAP_TYPE_ARRAY, sizeof(merlon_filter_config), 1});
  merlon_filter_config config;
  const uint32_t key = 0;
  if (!map.is_open() || bpf_map_lookup_elem(map.get(), &key, &config) != 0 ||
      std::memcmp(config.magic, MERLON_FILTER_MAGIC, sizeof config.magic) != 0) {
    return std::nullopt;
  }
  return config;
}

// The smallest frame that the filter takes for a query.
std::vector<uint8_t> query_frame(const merlon_filter_config& config) {
  const bool is_v6 = config.v4_count == 0 && config.v6_count != 0;
  std::vector<uint8_t> frame(14 + (is_v6 ? 40 : 20) + 8, 0);
  frame[0] = 0x02;  // a unicast MAC
  uint8_t* ip = &frame[14];
  uint8_t* udp = ip + (is_v6 ? 40 : 20);
  if (is_v6) {
    frame[12] = 0x86;
    frame[13] = 0xdd;
    ip[0] = 0x60;
    ip[5] = 8;
    ip[6] = 17;
    std::memcpy(ip + 24, config.v6[0], 16);
  } else {
    frame[12] = 0x08;
    ip[0] = 0x45;
    ip[3] = 28;
    ip[9] = 17;
    const uint8_t any[4] = {192, 0, 2, 1};
    std::memcpy(ip + 16, config.v4_count != 0 ? static_cast<const void*>(config.v4) : any, 4);
  }
  std::memcpy(udp + 2, &config.port, sizeof config.port);
  return frame;
}

// Whether a socket is bound behind the filter. A map of sockets cannot be read, so the filter
// itself is asked, queue by queue, without a packet on the wire: a query would be redirected or
// passed. (Each question counts as one frame.) When the kernel cannot run it, somebody may be
// there.
bool is_serving(const Program& program, const merlon_filter_config& config, uint32_t index) {
  const std::vector<uint8_t> frame = query_frame(config);
  for (uint32_t queue = 0; queue < MERLON_FILTER_QUEUES_MAX; ++queue) {
    xdp_md context{};
    context.data_end = static_cast<uint32_t>(frame.size());
    context.ingress_ifindex = index;
    context.rx_queue_index = queue;
    LIBBPF_OPTS(bpf_test_run_opts, run);
    run.data_in = frame.data();
    run.data_size_in = static_cast<uint32_t>(frame.size());
    run.ctx_in = &context;
    run.ctx_size_in = sizeof context;
    run.repeat = 1;
    if (bpf_prog_test_run_opts(program.fd.get(), &run) != 0) {
      return queue == 0;  // no such queue: all of them were asked
    }
    if (run.retval == XDP_REDIRECT) {
      return true;
    }
  }
  return false;
}

Result<Program> examine(uint32_t index) {
  auto program = open_program(index);
  if (program && program->attached.owner == Owner::foreign) {
    if (const auto config = config_of(*program)) {
      program->attached.owner =
          is_serving(*program, *config, index) ? Owner::serving : Owner::stale;
    }
  }
  return program;
}

Result<Descriptor> open_counters(uint32_t index) {
  const auto program = open_program(index);
  if (!program) {
    return std::unexpected(program.error());
  }
  if (program->attached.owner == Owner::unknown) {
    return fail_errno("open the XDP program (CAP_SYS_ADMIN is needed)", EPERM);
  }
  Descriptor map;
  if (program->attached.program_name == MERLON_FILTER_PROGRAM_NAME) {
    map = find_map(*program, {MERLON_FILTER_COUNTERS_NAME, BPF_MAP_TYPE_PERCPU_ARRAY,
                              sizeof(uint64_t), merlon_reason_count});
  }
  if (!map.is_open()) {
    return fail(ErrorCode::not_found, "our XDP filter is not attached to interface {}", index);
  }
  return map;
}

}  // namespace

std::string_view to_string(AttachMode mode) {
  constexpr std::string_view kNames[] = {"none", "native", "generic", "offload", "several"};
  return kNames[static_cast<size_t>(mode)];
}

std::string_view to_string(Owner owner) {
  constexpr std::string_view kNames[] = {"nobody", "serving", "stale", "foreign", "unknown"};
  return kNames[static_cast<size_t>(owner)];
}

Result<Attached> query_attached(const std::string& interface) {
  const auto index = index_of(interface);
  if (!index) {
    return std::unexpected(index.error());
  }
  auto program = examine(*index);
  if (!program) {
    return in(interface, program.error());
  }
  return program->attached;
}

Status detach_stale(const std::string& interface) {
  const auto index = index_of(interface);
  if (!index) {
    return std::unexpected(index.error());
  }
  const auto program = examine(*index);
  if (!program) {
    return in(interface, program.error());
  }
  const Attached& attached = program->attached;
  switch (attached.owner) {
    case Owner::nobody:
      return {};
    case Owner::serving:
      return fail(ErrorCode::busy,
                  "{}: a data plane serves there already (XDP program {}); stop it first",
                  interface, attached.program_id);
    case Owner::unknown:
      return fail_errno(fmt::format("{}: XDP program {} is attached; to see whose it is "
                                    "CAP_SYS_ADMIN is needed",
                                    interface, attached.program_id),
                        EPERM);
    case Owner::foreign:
      return fail(ErrorCode::conflict,
                  "{}: the XDP program \"{}\" (id {}, {}) is attached and is not ours; remove it "
                  "with `ip link set dev {} xdp off`, or use a socket engine",
                  interface, attached.program_name, attached.program_id, to_string(attached.mode),
                  interface);
    case Owner::stale:
      break;
  }
  LIBBPF_OPTS(bpf_xdp_attach_opts, only_this);
  only_this.old_prog_fd = program->fd.get();
  const int error = bpf_xdp_detach(static_cast<int>(*index), flag_of(attached.mode), &only_this);
  if (error != 0) {
    return fail_errno(fmt::format("{}: detach the filter that was left behind (id {})", interface,
                                  attached.program_id),
                      -error);
  }
  return {};
}

Result<CounterReader> CounterReader::open(const std::string& interface) {
  const auto index = index_of(interface);
  if (!index) {
    return std::unexpected(index.error());
  }
  auto map = open_counters(*index);
  if (!map) {
    return in(interface, map.error());
  }
  return CounterReader(std::move(*map));
}

Result<FilterCounters> CounterReader::read() const {
  const int cpu_count = libbpf_num_possible_cpus();
  if (cpu_count <= 0) {
    return fail_errno("count the machine's processors", -cpu_count);
  }
  std::vector<uint64_t> per_cpu(static_cast<size_t>(cpu_count));
  FilterCounters counters;
  for (uint32_t reason = 0; reason < merlon_reason_count; ++reason) {
    if (bpf_map_lookup_elem(map_.get(), &reason, per_cpu.data()) != 0) {
      return fail_errno("read the XDP filter's counters", errno);
    }
    for (const uint64_t value : per_cpu) {
      counters.frames[reason] += value;
    }
  }
  return counters;
}

Result<FilterCounters> read_counters(uint32_t interface_index) {
  std::array<char, IF_NAMESIZE> name{};
  if (::if_indextoname(interface_index, name.data()) == nullptr) {
    return fail(ErrorCode::not_found, "no interface with index {}", interface_index);
  }
  const auto reader = CounterReader::open(name.data());
  if (!reader) {
    return std::unexpected(reader.error());
  }
  return reader->read();
}

}  // namespace merlon::xdp

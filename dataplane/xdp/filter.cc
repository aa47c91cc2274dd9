// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/filter.h"

#include <bpf/libbpf.h>
#include <elf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>
#include <memory>

#include "zones/base/file.h"

namespace merlon::xdp {
namespace {

constexpr uint64_t kObjectSizeMax = uint64_t{4} << 20;
constexpr std::string_view kObjectName = "merlon-xdp-filter.o";
// From the folder of the program.
constexpr std::array<std::string_view, 2> kObjectFolders = {".", "../lib/merlon"};

// A T at `offset`, when all of it lies within `bytes`.
template <class T>
bool read_at(Bytes bytes, uint64_t offset, T& out) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) {
    return false;
  }
  std::memcpy(&out, bytes.data() + offset, sizeof(T));
  return true;
}

// The text that ends with a zero byte at `offset`; empty when there is none.
std::string_view text_at(Bytes bytes, uint64_t offset) {
  if (offset >= bytes.size()) {
    return {};
  }
  const Bytes rest = bytes.subspan(offset);
  const auto end = std::ranges::find(rest, uint8_t{0});
  if (end == rest.end()) {
    return {};
  }
  return as_text(rest.first(static_cast<size_t>(end - rest.begin())));
}

// Where the settings lie in the object.
Result<size_t> find_config(Bytes object) {
  Elf64_Ehdr header;
  if (!read_at(object, 0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_BPF ||
      header.e_shentsize != sizeof(Elf64_Shdr)) {
    return fail(ErrorCode::corruption, "not a BPF object file");
  }
  if (header.e_shoff > object.size() ||
      header.e_shnum * sizeof(Elf64_Shdr) > object.size() - header.e_shoff) {
    return fail(ErrorCode::corruption, "the section table lies outside of the file: was it cut?");
  }
  Elf64_Shdr names;
  if (!read_at(object, header.e_shoff + header.e_shstrndx * sizeof(Elf64_Shdr), names)) {
    return fail(ErrorCode::corruption, "section names lie outside of the file");
  }
  for (uint64_t i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section;
    if (!read_at(object, header.e_shoff + i * sizeof(Elf64_Shdr), section)) {
      return fail(ErrorCode::corruption, "section {} lies outside of the file", i);
    }
    if (text_at(object, names.sh_offset + section.sh_name) != MERLON_FILTER_SECTION) {
      continue;
    }
    merlon_filter_config config;
    if (section.sh_size != sizeof config || !read_at(object, section.sh_offset, config) ||
        std::memcmp(config.magic, MERLON_FILTER_MAGIC, sizeof config.magic) != 0) {
      return fail(ErrorCode::corruption,
                  "section {} is not what this version of the data plane configures; use the "
                  "merlon-xdp-filter.o that was built with it",
                  MERLON_FILTER_SECTION);
    }
    return section.sh_offset;
  }
  return fail(ErrorCode::corruption,
              "no section {}: this is not Merlon's filter; leave dpdk_xdp_program empty to use the "
              "one that came with the data plane",
              MERLON_FILTER_SECTION);
}

struct ObjectCloser {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};

int say_nothing(libbpf_print_level /*level*/, const char* /*format*/, va_list /*arguments*/) {
  return 0;
}

// What the data plane will do with the file, as far as it needs no privilege.
Status check_object(Bytes bytes) {
  const auto print = libbpf_set_print(say_nothing);
  const std::unique_ptr<bpf_object, ObjectCloser> object(
      bpf_object__open_mem(bytes.data(), bytes.size(), nullptr));
  libbpf_set_print(print);
  if (object == nullptr) {
    return fail(ErrorCode::corruption, "libbpf does not read the object");
  }
  const bpf_program* program = bpf_object__next_program(object.get(), nullptr);
  if (program == nullptr ||
      std::string_view(bpf_program__name(program)) != MERLON_FILTER_PROGRAM_NAME) {
    return fail(ErrorCode::corruption, "the first program is not {}", MERLON_FILTER_PROGRAM_NAME);
  }
  for (const char* map : {MERLON_FILTER_SOCKETS_NAME, MERLON_FILTER_COUNTERS_NAME}) {
    if (bpf_object__find_map_by_name(object.get(), map) == nullptr) {
      return fail(ErrorCode::corruption, "no map {}", map);
    }
  }
  return {};
}

// FNV-1a: the name only has to differ when the content does.
uint64_t digest(Bytes bytes) {
  uint64_t value = 0xcbf29ce484222325;
  for (const uint8_t byte : bytes) {
    value = (value ^ byte) * 0x100000001b3;
  }
  return value;
}

}  // namespace

Result<std::string> installed_filter() {
  std::array<char, PATH_MAX> self{};
  const ssize_t size = ::readlink("/proc/self/exe", self.data(), self.size());
  if (size <= 0) {
    return fail_errno("read /proc/self/exe to find the BPF filter beside the program", errno);
  }
  const std::string_view program(self.data(), static_cast<size_t>(size));
  const std::string_view folder = program.substr(0, program.rfind('/'));
  std::string tried;
  for (const std::string_view relative : kObjectFolders) {
    const std::string path = fmt::format("{}/{}/{}", folder, relative, kObjectName);
    if (::access(path.c_str(), R_OK) == 0) {
      return path;
    }
    tried += (tried.empty() ? "" : ", ") + path;
  }
  return fail(ErrorCode::not_found, "no BPF filter at {}; name it with dpdk_xdp_program", tried);
}

Result<merlon_filter_config> make_config(uint16_t port,
                                         const std::vector<address::Address>& addresses) {
  if (port == 0) {
    return fail(ErrorCode::invalid_argument, "port 0 cannot be filtered for");
  }
  merlon_filter_config config{};
  std::memcpy(config.magic, MERLON_FILTER_MAGIC, sizeof config.magic);
  config.port = __builtin_bswap16(port);
  static_assert(std::endian::native == std::endian::little);
  for (const address::Address& address : addresses) {
    const bool is_v4 = address.family == address::Family::v4;
    uint16_t& count = is_v4 ? config.v4_count : config.v6_count;
    if (count == MERLON_FILTER_ADDRESSES_MAX) {
      return fail(ErrorCode::invalid_argument,
                  "more than {} {} addresses; leave the list empty to answer on any",
                  MERLON_FILTER_ADDRESSES_MAX, is_v4 ? "IPv4" : "IPv6");
    }
    std::array<uint8_t, 16> network{};
    if (is_v4) {
      address::store_network(static_cast<address::Bits4>(address.bits), network.data());
      std::memcpy(&config.v4[count], network.data(), sizeof config.v4[0]);
    } else {
      address::store_network(address.bits, network.data());
      std::memcpy(config.v6[count], network.data(), sizeof config.v6[0]);
    }
    ++count;
  }
  return config;
}

Status patch_object(MutableBytes object, const merlon_filter_config& config) {
  const auto offset = find_config(object);
  if (!offset) {
    return std::unexpected(offset.error());
  }
  std::memcpy(object.data() + *offset, &config, sizeof config);
  return {};
}

Result<merlon_filter_config> read_config(Bytes object) {
  const auto offset = find_config(object);
  if (!offset) {
    return std::unexpected(offset.error());
  }
  merlon_filter_config config;
  std::memcpy(&config, object.data() + *offset, sizeof config);
  return config;
}

Result<std::string> prepare_filter(const FilterOptions& options) {
  // The path goes into a comma separated list of DPDK's.
  if (options.runtime_directory.empty() || options.runtime_directory.contains(',')) {
    return fail(ErrorCode::invalid_argument,
                "runtime directory \"{}\" of the BPF filter: must be named, and without commas",
                options.runtime_directory);
  }
  const auto config = make_config(options.port, options.addresses);
  if (!config) {
    return in("BPF filter", config.error());
  }
  auto object = read_file(options.object_path, kObjectSizeMax);
  if (!object) {
    return in("BPF filter", object.error());
  }
  auto done = patch_object(*object, *config);
  if (done) {
    done = check_object(*object);
  }
  if (!done) {
    return in(fmt::format("BPF filter {}", options.object_path), done.error());
  }
  const std::string path = fmt::format("{}/merlon-xdp-filter-{}-{:016x}.o",
                                       options.runtime_directory, options.port, digest(*object));
  done = make_directories(options.runtime_directory);
  if (done) {
    done = write_file_durably(path, *object, 0600);
  }
  if (!done) {
    return in("BPF filter", done.error());
  }
  return path;
}

std::string_view reason_name(uint32_t reason) {
  constexpr std::string_view kNames[] = {
#define MERLON_X(name, text) #name,
      MERLON_FILTER_REASONS(MERLON_X)
#undef MERLON_X
  };
  return kNames[reason];
}

std::string_view explain_reason(uint32_t reason) {
  constexpr std::string_view kTexts[] = {
#define MERLON_X(name, text) text,
      MERLON_FILTER_REASONS(MERLON_X)
#undef MERLON_X
  };
  return kTexts[reason];
}

}  // namespace merlon::xdp

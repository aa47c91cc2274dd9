// SPDX-License-Identifier: Apache-2.0
// Configured copies of the filter's object file. Needs no privilege.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/dataplane/xdp/loaded.h"

namespace merlon::xdp::tests {
namespace {

using ::merlon::tests::TemporaryDirectory;
using testing::HasSubstr;

std::vector<uint8_t> object() {
  return read_file(MERLON_XDP_FILTER, 1 << 20).value();
}

TEST(FilterObject, IsBuiltForPort53AndAnyAddress) {
  const auto config = read_config(object());
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->port, __builtin_bswap16(53));
  EXPECT_EQ(config->v4_count, 0);
  EXPECT_EQ(config->v6_count, 0);
}

TEST(FilterObject, CarriesWhatWasPrepared) {
  const TemporaryDirectory folder;
  const auto path = prepare_filter({.object_path = MERLON_XDP_FILTER,
                                    .port = 5300,
                                    .addresses = addresses_of({"192.0.2.1", "2001:db8::1"}),
                                    .runtime_directory = folder.path() + "/not/there/yet"});
  ASSERT_TRUE(path) << path.error().message;
  EXPECT_THAT(*path, HasSubstr(folder.path() + "/not/there/yet/merlon-xdp-filter-5300-"));
  const auto bytes = read_file(*path, 1 << 20).value();
  const auto config = read_config(bytes);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->port, __builtin_bswap16(5300));
  ASSERT_EQ(config->v4_count, 1);
  ASSERT_EQ(config->v6_count, 1);
  const uint8_t v4[4] = {192, 0, 2, 1};
  const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  EXPECT_EQ(std::memcmp(config->v4, v4, 4), 0);
  EXPECT_EQ(std::memcmp(config->v6[0], v6, 16), 0);
  struct stat status{};
  ASSERT_EQ(::stat(path->c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST(FilterObject, DiffersFromTheBuiltOneInItsSettingsOnly) {
  auto patched = object();
  const auto built = object();
  ASSERT_TRUE(patch_object(patched, make_config(853, addresses_of({"10.1.2.3"})).value()));
  ASSERT_EQ(patched.size(), built.size());
  size_t first = 0;
  size_t last = 0;
  for (size_t i = 0; i < built.size(); ++i) {
    if (patched[i] != built[i]) {
      first = first == 0 ? i : first;
      last = i;
    }
  }
  EXPECT_GT(last, first);
  EXPECT_LE(last - first, sizeof(merlon_filter_config));
}

TEST(FilterObject, OfEqualSettingsIsOneFile) {
  const TemporaryDirectory folder;
  const FilterOptions options{.object_path = MERLON_XDP_FILTER,
                              .port = 53,
                              .addresses = addresses_of({"192.0.2.1"}),
                              .runtime_directory = folder.path()};
  const auto first = prepare_filter(options);
  const auto again = prepare_filter(options);
  ASSERT_TRUE(first && again);
  EXPECT_EQ(*first, *again);
  FilterOptions other = options;
  other.addresses = addresses_of({"192.0.2.2"});
  const auto second = prepare_filter(other);
  ASSERT_TRUE(second);
  EXPECT_NE(*first, *second);
  const auto entries = std::filesystem::directory_iterator(folder.path());
  EXPECT_EQ(std::distance(begin(entries), end(entries)), 2);
}

TEST(FilterObject, RefusesSettingsThatItCannotCarry) {
  const TemporaryDirectory folder;
  FilterOptions options{.object_path = MERLON_XDP_FILTER, .runtime_directory = folder.path()};
  options.port = 0;
  EXPECT_THAT(prepare_filter(options).error().message, HasSubstr("port 0"));
  options.port = 53;
  for (int i = 0; i <= MERLON_FILTER_ADDRESSES_MAX; ++i) {
    options.addresses.push_back(address::Address::v4(0x0a000000u + static_cast<uint32_t>(i)));
  }
  EXPECT_THAT(prepare_filter(options).error().message, HasSubstr("more than 64 IPv4 addresses"));
  options.addresses.resize(MERLON_FILTER_ADDRESSES_MAX);
  EXPECT_TRUE(prepare_filter(options));
  for (int i = 0; i <= MERLON_FILTER_ADDRESSES_MAX; ++i) {
    options.addresses.push_back(address::Address::v6(static_cast<unsigned>(i) + 10u));
  }
  EXPECT_THAT(prepare_filter(options).error().message, HasSubstr("more than 64 IPv6 addresses"));
  options.addresses.clear();
  options.runtime_directory = folder.path() + "/a,b";
  EXPECT_THAT(prepare_filter(options).error().message, HasSubstr("without commas"));
  options.runtime_directory = "";
  EXPECT_EQ(prepare_filter(options).error().code, ErrorCode::invalid_argument);
}

TEST(FilterObject, RefusesFilesThatAreNotTheFilter) {
  const TemporaryDirectory folder;
  const auto refusal = [&folder](const std::string& path) {
    const auto prepared =
        prepare_filter({.object_path = path, .runtime_directory = folder.path() + "/out"});
    EXPECT_FALSE(prepared);
    return prepared ? Error{} : prepared.error();
  };
  EXPECT_EQ(refusal(folder.path() + "/nothing.o").code, ErrorCode::not_found);
  const auto written = [&folder](const std::vector<uint8_t>& bytes) {
    const std::string path = folder.path() + "/given.o";
    EXPECT_TRUE(write_file_durably(path, bytes));
    return path;
  };
  EXPECT_THAT(refusal(written({})).message, HasSubstr("not a BPF object"));
  EXPECT_THAT(refusal("/proc/self/exe").message,
              testing::AnyOf(HasSubstr("BPF object"), HasSubstr("more than the limit")));
  // The settings' first bytes tell the version of their layout.
  auto bytes = object();
  const std::string_view magic(MERLON_FILTER_MAGIC);
  auto at = std::search(bytes.begin(), bytes.end(), magic.begin(), magic.end());
  ASSERT_NE(at, bytes.end());
  *(at + 7) = '9';
  EXPECT_THAT(refusal(written(bytes)).message, HasSubstr("this version of the data plane"));
  // A section of another name.
  bytes = object();
  const std::string_view section(MERLON_FILTER_SECTION);
  const auto find_section = [&] {
    return std::search(bytes.begin(), bytes.end(), section.begin(), section.end());
  };
  ASSERT_NE(find_section(), bytes.end());
  for (at = find_section(); at != bytes.end(); at = find_section()) {
    *(at + 3) = 'X';
  }
  EXPECT_THAT(refusal(written(bytes)).message, HasSubstr("not Merlon's filter"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() + "/out"));
}

TEST(FilterObject, IsRefusedWhereverItWasCut) {
  const auto whole = object();
  const auto config = make_config(53, {}).value();
  for (size_t size = 0; size < whole.size(); size += size < 128 ? 1 : 97) {
    auto part = whole;
    part.resize(size);
    EXPECT_FALSE(patch_object(part, config)) << size;
  }
}

TEST(FilterObject, WithADamagedByteInItsHeadersIsPatchedWithinItsBounds) {
  const auto whole = object();
  const auto config = make_config(53, {}).value();
  constexpr uint8_t kValues[] = {0x00, 0x7f, 0xff};
  // The ELF header and the section table behind everything else.
  for (size_t i = 0; i < 64; ++i) {
    for (const uint8_t value : kValues) {
      auto damaged = whole;
      damaged[i] = value;
      const auto done = patch_object(damaged, config);
      EXPECT_TRUE(done || done.error().code == ErrorCode::corruption);
    }
  }
  for (size_t i = whole.size() - 64 * 29; i < whole.size(); ++i) {
    auto damaged = whole;
    damaged[i] = 0xff;
    const auto done = patch_object(damaged, config);
    EXPECT_TRUE(done || done.error().code == ErrorCode::corruption);
  }
}

TEST(FilterObject, NamesEveryCounter) {
  for (uint32_t reason = 0; reason < merlon_reason_count; ++reason) {
    EXPECT_FALSE(reason_name(reason).empty());
    EXPECT_GT(explain_reason(reason).size(), reason_name(reason).size());
  }
  EXPECT_EQ(reason_name(merlon_reason_no_socket), "no_socket");
}

}  // namespace
}  // namespace merlon::xdp::tests

# SPDX-License-Identifier: Apache-2.0
# Third-party libraries, all from Debian 12 (tools/setup installs them).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(RocksDB REQUIRED)
find_package(CURL REQUIRED)
find_package(OpenSSL REQUIRED)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(uring REQUIRED IMPORTED_TARGET liburing)
pkg_check_modules(fstrm REQUIRED IMPORTED_TARGET libfstrm)
pkg_check_modules(bpf REQUIRED IMPORTED_TARGET libbpf)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
pkg_check_modules(httplib REQUIRED IMPORTED_TARGET cpp-httplib)

# DPDK: its pkg-config file names every library there is; these are those that we call. Drivers are
# loaded at run time.
pkg_check_modules(libdpdk REQUIRED libdpdk)
add_library(dpdk::dpdk INTERFACE IMPORTED)
target_include_directories(dpdk::dpdk SYSTEM INTERFACE ${libdpdk_INCLUDE_DIRS})
# Its -march would undo MERLON_CPU; its headers need no more than this of it.
list(TRANSFORM libdpdk_CFLAGS_OTHER REPLACE "^-march=.*" "-msse4.2")
string(JOIN " " libdpdk_flags ${libdpdk_CFLAGS_OTHER})
target_compile_options(dpdk::dpdk INTERFACE "SHELL:${libdpdk_flags}")
foreach(part eal ethdev mbuf mempool ring net kvargs)
  find_library(dpdk_${part} rte_${part} HINTS ${libdpdk_LIBRARY_DIRS} REQUIRED)
  target_link_libraries(dpdk::dpdk INTERFACE "${dpdk_${part}}")
endforeach()

if(MERLON_BUILD_TESTS)
  find_package(GTest REQUIRED)
endif()
if(MERLON_BUILD_BENCH)
  find_package(benchmark REQUIRED)
endif()

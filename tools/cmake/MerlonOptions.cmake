# SPDX-License-Identifier: Apache-2.0
# Options say what a tool or a machine needs; no option turns a feature of the product on or off.
option(MERLON_WERROR "Treat warnings as errors (the presets turn it on)" OFF)
option(MERLON_BUILD_TESTS "Build the tests" ON)
option(MERLON_BUILD_BENCH "Build the benchmarks" ON)
option(MERLON_FUZZ "Build the libFuzzer targets with coverage (needs clang)" OFF)
set(MERLON_SANITIZE "" CACHE STRING "Sanitizers, e.g. address,undefined or thread")

# One processor for every file: inline functions that are compiled for different ones would be
# merged by the linker, and the one that it keeps may be the wrong one. Programs check it at their
# start (zones/base/cpu.cc). For older machines: -DMERLON_CPU=x86-64, which is complete, and slower.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(MERLON_CPU "x86-64-v3" CACHE STRING
      "Processor to build for: x86-64-v3 (from 2013 on, with AES), x86-64 (any), or another -march")
  set(cpu_options -march=${MERLON_CPU})
  if(MERLON_CPU MATCHES "^x86-64-v[34]$")
    list(APPEND cpu_options -maes)
  endif()
  add_compile_options(${cpu_options})
  # What the compiler makes of it, for the check at start.
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} ${cpu_options} -dM -E -x c++ /dev/null
                  OUTPUT_VARIABLE macros RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "MERLON_CPU: the compiler does not know -march=${MERLON_CPU}")
  endif()
  set(MERLON_CPU_WANTS "")
  foreach(feature sse4.2 popcnt avx avx2 bmi bmi2 fma aes)
    string(TOUPPER "__${feature}__" macro)
    string(REPLACE "." "_" macro "${macro}")
    if(macros MATCHES "#define ${macro} ")
      string(APPEND MERLON_CPU_WANTS "${feature} ")
    endif()
  endforeach()
  string(STRIP "${MERLON_CPU_WANTS}" MERLON_CPU_WANTS)
endif()

add_library(merlon_flags INTERFACE)
add_library(merlon::flags ALIAS merlon_flags)
target_include_directories(merlon_flags INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_options(merlon_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Wold-style-cast -Woverloaded-virtual -Wnull-dereference -Wdouble-promotion
  -fno-omit-frame-pointer -fstack-protector-strong)
if(MERLON_WERROR)
  target_compile_options(merlon_flags INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these inside the standard library's own inlined code.
  target_compile_options(merlon_flags INTERFACE
    -Wno-null-dereference -Wno-stringop-overflow -Wno-stringop-overread -Wno-array-bounds
    -Wno-restrict -Wno-maybe-uninitialized -Wno-free-nonheap-object -Wno-dangling-pointer)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # libstdc++ 12's std::stable_sort uses what it declares deprecated itself; g++ tells of our own.
  target_compile_options(merlon_flags INTERFACE -Wno-deprecated-declarations)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  target_compile_definitions(merlon_flags INTERFACE _FORTIFY_SOURCE=2)
else()
  target_compile_definitions(merlon_flags INTERFACE MERLON_DEBUG_CHECKS=1)
endif()

# The shared library and the data plane neither throw nor use run-time type information.
add_library(merlon_flags_fastpath INTERFACE)
add_library(merlon::flags_fastpath ALIAS merlon_flags_fastpath)
target_link_libraries(merlon_flags_fastpath INTERFACE merlon::flags)
target_compile_options(merlon_flags_fastpath INTERFACE -fno-exceptions -fno-rtti)

if(MERLON_SANITIZE)
  add_compile_options(-fsanitize=${MERLON_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${MERLON_SANITIZE})
  if(MERLON_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize=vptr)
    add_link_options(-fno-sanitize=vptr)
  endif()
endif()
if(MERLON_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "MERLON_FUZZ needs clang: use the fuzz preset")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

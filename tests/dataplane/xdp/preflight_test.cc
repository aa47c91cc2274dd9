// SPDX-License-Identifier: Apache-2.0
// The preflight report on real interfaces, and the subcommand as users call it.
#include "dataplane/xdp/preflight.h"

#include <gmock/gmock.h>
#include <sys/wait.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "tests/dataplane/xdp/network.h"

namespace merlon::xdp::tests {
namespace {

using ::merlon::tests::TemporaryDirectory;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

struct Ran {
  int status = -1;
  std::string output;
};

Ran run(const std::string& arguments) {
  Ran ran;
  FILE* pipe =
      ::popen((std::string(MERLON_DATAPLANE) + " preflight " + arguments + " 2>&1").c_str(), "r");
  if (pipe == nullptr) {
    return ran;
  }
  char buffer[4096];
  size_t size = 0;
  while ((size = std::fread(buffer, 1, sizeof buffer, pipe)) > 0) {
    ran.output.append(buffer, size);
  }
  const int status = ::pclose(pipe);
  ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

class PreflightTest : public testing::Test {
 protected:
  std::string write_config(const std::string& text) {
    const std::string path = folder_.path() + "/merlon.toml";
    EXPECT_TRUE(write_file_durably(path, as_bytes("[dataplane]\n" + text + "\n")));
    return path;
  }
  static Bytes as_bytes(const std::string& text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
  }
  TemporaryDirectory folder_;
};

TEST_F(PreflightTest, AVethHasNativeModeWithCopy) {
  MERLON_ENTER_OWN_NETWORK();
  const InterfaceFacts facts = examine_interface("mer0", Trials::all);
  EXPECT_NE(facts.index, 0u);
  EXPECT_TRUE(facts.is_up);
  EXPECT_FALSE(facts.is_loopback);
  EXPECT_EQ(facts.driver, "veth");
  EXPECT_EQ(facts.mtu, 1500u);
  EXPECT_EQ(facts.queue_count, 2u);
  EXPECT_EQ(facts.support.native.answer, Answer::yes) << facts.support.native.why;
  EXPECT_EQ(facts.support.copy.answer, Answer::yes) << facts.support.copy.why;
  EXPECT_EQ(facts.support.zero_copy.answer, Answer::no);
  EXPECT_FALSE(facts.support.zero_copy.why.empty());
  EXPECT_EQ(choose_mode(examine_host(), facts).mode, Mode::native_copy);
  // Nothing stays behind.
  EXPECT_EQ(query_attached("mer0")->owner, Owner::nobody);
}

TEST_F(PreflightTest, AskingAloneAgreesWithTryingWhereTheKernelTells) {
  MERLON_ENTER_OWN_NETWORK();
  const InterfaceFacts facts = examine_interface("mer0", Trials::none);
  if (!facts.xdp_features) {
    GTEST_SKIP() << "this kernel does not tell xdp-features (since 6.3)";
  }
  EXPECT_EQ(facts.support.native.answer, Answer::yes);
  EXPECT_EQ(facts.support.zero_copy.answer, Answer::no);
  EXPECT_EQ(facts.support.copy.answer, Answer::unknown);
  EXPECT_EQ(ask_xdp_features(0x7ffffff0), std::nullopt);
  EXPECT_EQ(choose_mode(examine_host(), facts).mode, Mode::native_copy);
}

TEST_F(PreflightTest, ZeroCopyIsTriedWhereTheKernelDoesNotTell) {
  MERLON_ENTER_OWN_NETWORK();
  const Support support = try_out(
      {.interface_index = ::if_nametoindex("mer0"), .queue = 1, .zero_copy = ZeroCopyTrial::yes});
  EXPECT_EQ(support.native.answer, Answer::yes);
  EXPECT_EQ(support.zero_copy.answer, Answer::no);
  EXPECT_THAT(support.zero_copy.why, HasSubstr("queue 1"));
}

TEST_F(PreflightTest, ATrialLeavesTheQueuesFree) {
  MERLON_ENTER_OWN_NETWORK();
  ASSERT_EQ(choose_mode(examine_host(), examine_interface("mer0", Trials::all)).mode,
            Mode::native_copy);
  for (const uint32_t queue : {0u, 1u}) {
    TrialSocket socket = TrialSocket::create().value();
    const auto done =
        socket.bind({.interface_index = ::if_nametoindex("mer0"), .queue = queue, .flags = 0});
    EXPECT_TRUE(done) << done.error().message;
  }
}

TEST_F(PreflightTest, LoopbackIsForSockets) {
  MERLON_ENTER_OWN_NETWORK();
  const InterfaceFacts facts = examine_interface("lo", Trials::all);
  EXPECT_TRUE(facts.is_loopback);
  EXPECT_EQ(facts.support.native.answer, Answer::no);
  EXPECT_EQ(facts.support.generic.answer, Answer::yes) << facts.support.generic.why;
  EXPECT_EQ(choose_mode(examine_host(), facts).mode, Mode::sockets);
  EXPECT_EQ(query_attached("lo")->owner, Owner::nobody);
}

TEST_F(PreflightTest, AnInterfaceWithoutNativeModeIsGeneric) {
  MERLON_ENTER_OWN_NETWORK();
  if (shell("ip link add mer7 type dummy 2>/dev/null || "
            "ip link add mer7 link mer1 type macvlan 2>/dev/null") != 0 ||
      shell("ip link set mer7 up") != 0) {
    GTEST_SKIP() << "this kernel has neither dummy nor macvlan interfaces";
  }
  const InterfaceFacts facts = examine_interface("mer7", Trials::all);
  EXPECT_EQ(facts.support.native.answer, Answer::no);
  const Choice choice = choose_mode(examine_host(), facts);
  EXPECT_EQ(choice.mode, Mode::generic) << choice.why;
  shell("ip link del mer7");
}

TEST_F(PreflightTest, ALargeMtuOfThePeerIsReported) {
  MERLON_ENTER_OWN_NETWORK();
  ASSERT_EQ(shell("ip link set mer0 mtu 9000 && ip link set mer1 mtu 9000"), 0);
  const InterfaceFacts facts = examine_interface("mer0", Trials::all);
  const Choice choice = choose_mode(examine_host(), facts);
  EXPECT_EQ(choice.mode, Mode::sockets) << choice.why;
  EXPECT_THAT(choice.why, HasSubstr("refuses it"));
  EXPECT_THAT(to_text(facts, choice), HasSubstr("ip link set dev mer0 mtu"));
}

TEST_F(PreflightTest, ADownInterfaceAndAMissingOneSaySo) {
  MERLON_ENTER_OWN_NETWORK();
  ASSERT_EQ(shell("ip link set mer0 down"), 0);
  const auto report = preflight({.interfaces = {"mer0", "mer9", "a-name-that-is-far-too-long"}});
  ASSERT_TRUE(report);
  ASSERT_EQ(report->interfaces.size(), 3u);
  EXPECT_THAT(report->interfaces[0].choice.why, HasSubstr("is down"));
  EXPECT_THAT(report->interfaces[1].choice.why, HasSubstr("no interface mer9"));
  EXPECT_THAT(report->interfaces[2].choice.why, HasSubstr("no interface a-name"));
  EXPECT_FALSE(report->can_run);
}

TEST_F(PreflightTest, AnAttachedProgramIsNamedAndNotDisturbed) {
  MERLON_ENTER_OWN_NETWORK();
  const auto path =
      prepare_filter({.object_path = MERLON_XDP_FILTER, .runtime_directory = folder_.path()});
  const AttachedFilter filter(path.value(), "mer0", XDP_FLAGS_DRV_MODE);
  ASSERT_EQ(filter.error(), 0);
  const uint32_t id = query_attached("mer0")->program_id;
  const Ran ran = run("mer0");
  EXPECT_EQ(ran.status, 0) << ran.output;
  EXPECT_THAT(ran.output, HasSubstr("merlon_filter"));
  EXPECT_THAT(ran.output, HasSubstr("left behind"));
  EXPECT_THAT(ran.output, HasSubstr("native copy"));
  EXPECT_EQ(query_attached("mer0")->program_id, id);
  EXPECT_TRUE(detach_stale("mer0"));
}

TEST_F(PreflightTest, TheCommandSaysWhatAndWhyAndExitsAccordingly) {
  MERLON_ENTER_OWN_NETWORK();
  const Ran good = run("mer0");
  EXPECT_EQ(good.status, 0) << good.output;
  for (const char* text :
       {"Host", "kernel", "CAP_NET_ADMIN", "locked memory", "huge pages", "io_uring",
        "Interface mer0: native copy", "because", "receive queues", "Verdict", "Ready."}) {
    EXPECT_THAT(good.output, HasSubstr(text));
  }
  const Ran bad = run("mer0 lo");
  EXPECT_EQ(bad.status, 1) << bad.output;
  EXPECT_THAT(bad.output, HasSubstr("Interface lo: sockets"));
  EXPECT_THAT(bad.output, HasSubstr("AF_XDP cannot be used on every interface named"));
  const Ran all = run("");
  EXPECT_EQ(all.status, 0) << all.output;
  EXPECT_THAT(all.output, HasSubstr("Interface mer1"));
  EXPECT_THAT(all.output, Not(HasSubstr("Interface lo")));
  EXPECT_EQ(query_attached("mer1")->owner, Owner::nobody);
}

TEST_F(PreflightTest, TheJsonFormHoldsTheSame) {
  MERLON_ENTER_OWN_NETWORK();
  const Ran ran = run("--json mer0 mer9");
  EXPECT_EQ(ran.status, 1);
  const json report = json::parse(ran.output, nullptr, false);
  ASSERT_FALSE(report.is_discarded()) << ran.output;
  EXPECT_EQ(report["schema_version"], 1);
  EXPECT_EQ(report["can_run"], false);
  EXPECT_TRUE(report["engine"].is_null());
  EXPECT_EQ(report["host"]["capabilities"]["net_admin"], true);
  EXPECT_GT(report["host"]["memory_total_kib"], 0);
  ASSERT_EQ(report["interfaces"].size(), 2u);
  const json& first = report["interfaces"][0];
  EXPECT_EQ(first["name"], "mer0");
  EXPECT_EQ(first["mode"], "native copy");
  EXPECT_EQ(first["native"]["answer"], "yes");
  EXPECT_EQ(first["attached"]["owner"], "nobody");
  EXPECT_EQ(first["queue_count"], 2);
  EXPECT_EQ(report["interfaces"][1]["exists"], false);
  EXPECT_EQ(report["interfaces"][1]["mode"], "sockets");
}

TEST_F(PreflightTest, SocketEnginesAlwaysRun) {
  for (const char* engine : {"auto", "io_uring", "mmsg"}) {
    const auto report = preflight(
        {.config = write_config(fmt::format("engine = \"{}\"", engine)), .interfaces = {"lo"}});
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->engine, engine);
    EXPECT_TRUE(report->can_run) << to_text(*report);
    EXPECT_THAT(to_text(*report), HasSubstr(fmt::format("engine, {}, can run", engine)));
  }
}

TEST_F(PreflightTest, TheDpdkEngineNeedsEveryPort) {
  MERLON_ENTER_OWN_NETWORK();
  const std::string filter = fmt::format("dpdk_xdp_program = \"{}\"\n", MERLON_XDP_FILTER);
  const auto verdict = [&](const std::string& ports, const std::string& more) {
    const auto report = preflight(
        {.config = write_config("engine = \"dpdk\"\n" + more + "dpdk_ports = [" + ports + "]")});
    EXPECT_TRUE(report) << report.error().message;
    return *report;
  };
  EXPECT_TRUE(verdict("\"af_xdp:mer0\"", filter).can_run);
  EXPECT_TRUE(verdict("\"af_xdp:mer0,busy_budget=0\", \"af_xdp:mer1\"", filter).can_run);
  EXPECT_EQ(verdict("\"af_xdp:mer0\", \"af_xdp:mer1\"", filter).interfaces.size(), 2u);
  const auto missing = verdict("\"af_xdp:mer0\", \"af_xdp:mer9\"", filter);
  EXPECT_FALSE(missing.can_run);
  EXPECT_THAT(to_text(missing), HasSubstr("af_xdp:mer9"));
  EXPECT_THAT(to_text(missing), HasSubstr("CANNOT RUN"));
  const auto no_filter =
      verdict("\"af_xdp:mer0\"", "dpdk_xdp_program = \"/nonexistent/filter.o\"\n");
  EXPECT_FALSE(no_filter.can_run);
  EXPECT_THAT(to_text(no_filter), HasSubstr("/nonexistent/filter.o: cannot be read"));
  const auto card = verdict("\"ffff:1f.7\"", "");
  EXPECT_FALSE(card.can_run);
  EXPECT_THAT(to_text(card), HasSubstr("no such PCI device"));
  EXPECT_TRUE(verdict("\"net_tap0,iface=dns0\"", "").can_run);
  if (examine_host().huge_2m.free + examine_host().huge_1g.free == 0) {
    EXPECT_FALSE(verdict("\"net_tap0\"", "dpdk_huge_pages = \"yes\"\n").can_run);
    EXPECT_TRUE(verdict("\"net_tap0\"", "dpdk_huge_pages = \"no\"\n").can_run);
  }
}

TEST_F(PreflightTest, ABadConfigurationIsAnErrorOfItsOwn) {
  const Ran ran = run("--config " + write_config("engine = \"warp\""));
  EXPECT_EQ(ran.status, 2);
  EXPECT_THAT(ran.output, HasSubstr("warp"));
  EXPECT_EQ(run("--config /nonexistent/merlon.toml").status, 2);
}

TEST_F(PreflightTest, TheHostIsDescribed) {
  const HostFacts host = examine_host();
  EXPECT_FALSE(host.kernel.empty());
  EXPECT_GT(host.memory_total_kib, host.memory_available_kib);
  EXPECT_GT(host.cpu_count, 0u);
  EXPECT_TRUE(host.io_uring_works || !host.io_uring_error.empty());
}

}  // namespace
}  // namespace merlon::xdp::tests

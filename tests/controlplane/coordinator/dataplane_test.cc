// SPDX-License-Identifier: Apache-2.0
// What the coordinator tells a data plane, and what it makes of the answers.
#include "tests/controlplane/coordinator/fixture.h"
#include "tests/support/fake_dataplane.h"

namespace merlon::coordinator {
namespace {

using testing::HasSubstr;
using tests::FakeDataplane;

class TellDataplane : public CoordinatorTest {
 protected:
  TellDataplane() {
    close();
    options_.dataplane_socket = directory_.path() + "/dataplane.sock";
    open();
  }
  std::string error_with(const std::string& reply) {
    const FakeDataplane server(options_.dataplane_socket,
                               [&](int, const std::string&) { return reply; });
    const std::string path = "45.1.1." + std::to_string(++count_);
    write_feed("mine", path + "\n");
    if (count_ == 1) {
      EXPECT_GOOD(coordinator_->add_feed(definition("mine", "file://" + feed_path("mine"))));
    }
    EXPECT_GOOD(coordinator_->refresh_feed("mine"));
    const auto built = coordinator_->build_snapshot();
    EXPECT_GOOD(built);
    EXPECT_EQ(server.asked, 1);
    EXPECT_EQ(built->generation, served());  // whatever the data plane says
    return built->dataplane_error;
  }
  std::string word() { return coordinator_->status()->dataplane; }

  int count_ = 0;
};

TEST_F(TellDataplane, LoadIsAskedForAndItsAnswerShown) {
  EXPECT_EQ(error_with("{\"schema_version\":1,\"generation\":1}\n"), "");
}

TEST_F(TellDataplane, UnchangedBuildTellsAgain) {
  EXPECT_EQ(error_with("{\"generation\":1}\n"), "");
  const FakeDataplane server(options_.dataplane_socket, [&](int, const std::string&) {
    return std::string("{\"generation\":1}\n");
  });
  const auto built = coordinator_->build_snapshot();
  EXPECT_FALSE(built->changed);
  EXPECT_EQ(built->dataplane_error, "");
  EXPECT_EQ(server.asked, 1);
}

TEST_F(TellDataplane, StatusSaysWhatItSaysNow) {
  std::string reply;
  const FakeDataplane server(options_.dataplane_socket, [&](int, const std::string& command) {
    EXPECT_EQ(command, "status");
    return reply + "\n";
  });
  reply = R"({"generation":7,"last_load_error":""})";
  EXPECT_EQ(word(), "serving generation 7");
  reply = R"({"generation":7,"last_load_error":"segment 9f: bad"})";
  EXPECT_EQ(word(), "serving generation 7; segment 9f: bad");
  reply = R"({"generation":0,"last_load_error":"nothing is published yet"})";
  EXPECT_EQ(word(), "serving nothing; nothing is published yet");
  for (const char* odd : {"{}", "[]", R"({"generation":"7","last_load_error":""})",
                          R"({"generation":7,"last_load_error":7})", "garbage \x01\xff"}) {
    reply = odd;
    EXPECT_THAT(word(), HasSubstr("not an answer to status")) << odd;
    EXPECT_EQ(word().find('\xff'), std::string::npos);
  }
}

TEST_F(TellDataplane, EveryOddAnswerIsAnErrorAndNoneHarms) {
  EXPECT_EQ(error_with("{\"error\":{\"code\":\"corruption\",\"message\":\"segment 9f: bad\"}}\n"),
            "segment 9f: bad");
  for (const char* reply :
       {"{\"error\":{\"message\":42}}\n", "{\"error\":\"text\"}\n", "{\"error\":null}\n",
        "{\"generation\":\"four\"}\n", "{\"generation\":-1}\n", "{\"generation\":99}\n", "{}\n",
        "[]\n", "garbage \x01\xff\n", "\n", ""}) {
    const std::string error = error_with(reply);
    EXPECT_NE(error, "") << reply;
    EXPECT_EQ(error.find('\xff'), std::string::npos);
  }
  EXPECT_LT(error_with(std::string(100'000, 'x') + "\n").size(), 400u);
}

TEST_F(TellDataplane, AbsentDataplaneDoesNotStopThePublishing) {
  EXPECT_EQ(publish_feed("mine", "45.1.2.3\n"), 1u);
  EXPECT_THAT(word(), HasSubstr("is merlon-dataplane running?"));
  EXPECT_FALSE(coordinator_->dataplane("status").has_value());
}

TEST_F(TellDataplane, RollbackIsTold) {
  publish_feed("mine", "45.1.2.3\n");
  publish_feed("mine", "45.1.2.4\n");
  const FakeDataplane server(options_.dataplane_socket, [&](int, const std::string& command) {
    EXPECT_EQ(command, "load");
    return std::string("{\"generation\":1}\n");
  });
  EXPECT_EQ(coordinator_->rollback_snapshot()->dataplane_error, "");
  EXPECT_EQ(server.asked, 1);
}

TEST_F(TellDataplane, StatusAndStatsArePassedThrough) {
  const FakeDataplane server(options_.dataplane_socket, [&](int, const std::string& command) {
    return "{\"asked\":\"" + command + "\"}\n";
  });
  EXPECT_EQ(coordinator_->dataplane("stats").value(), "{\"asked\":\"stats\"}");
}

TEST_F(TellDataplane, StopDoesNotWaitForADataplaneThatHangs) {
  EXPECT_GOOD(coordinator_->start());
  FakeDataplane* self = nullptr;
  FakeDataplane server(options_.dataplane_socket, [&self](int, const std::string&) {
    while (!self->stopping) {
      std::this_thread::sleep_for(5ms);
    }
    return std::string();
  });
  self = &server;
  EXPECT_GOOD(coordinator_->add_device(device("edge", "20.1.1.1")));
  ASSERT_TRUE(eventually([&] { return server.asked == 1; }));
  EXPECT_EQ(slot_->get()->access()->view.subjects().size(), 1u);  // TCP serves it already
  const auto start = std::chrono::steady_clock::now();
  coordinator_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);
}

TEST_F(CoordinatorTest, NoDataplaneConfiguredIsSaid) {
  publish_feed("mine", "45.1.2.3\n");
  EXPECT_EQ(coordinator_->status()->dataplane, "none configured");
  EXPECT_FAILS(coordinator_->dataplane("status"), unsupported, HasSubstr("dataplane_socket"));
}

}  // namespace
}  // namespace merlon::coordinator

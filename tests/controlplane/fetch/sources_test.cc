// SPDX-License-Identifier: Apache-2.0
// TAXII collections, MISP feeds and enclosures, against a small server on loopback.
#include <gtest/gtest.h>
#include <httplib.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "controlplane/feeds/parse.h"
#include "controlplane/fetch/fetch.h"
#include "controlplane/fetch/kept.h"
#include "controlplane/fetch/misp.h"
#include "controlplane/fetch/rss.h"
#include "controlplane/fetch/taxii.h"
#include "tests/support/snapshot_fixture.h"
#include "zones/base/bytes.h"

namespace merlon::fetch {
namespace {

using httplib::Request;
using httplib::Response;
using Outcome = FetchResult::Outcome;

constexpr std::string_view kUuid1 = "11111111-1111-4111-8111-111111111111";
constexpr std::string_view kUuid2 = "22222222-2222-4222-8222-222222222222";
constexpr std::string_view kUuid3 = "33333333-3333-4333-8333-333333333333";

std::string indicator(int number, std::string_view address, std::string_view modified,
                      std::string_view more = "") {
  return fmt::format(
      R"({{"type":"indicator","id":"indicator--{}","modified":"{}","pattern_type":"stix",)"
      R"("pattern":"[ipv4-addr:value = '{}']"{}}})",
      number, modified, address, more);
}

std::string misp_event(std::string_view address) {
  return fmt::format(R"({{"Event": {{"info": "x",
  "Attribute": [{{"type": "ip-dst", "to_ids": true, "value": "{}"}}]}}}})",
                     address);
}

class Sources : public testing::Test {
 protected:
  void SetUp() override {
    for (const auto& [server, port] :
         {std::pair(&server_, &port_), std::pair(&other_, &other_port_)}) {
      server->Get(".*", [this, port = port](const Request& request, Response& response) {
        const std::lock_guard lock(mutex_);
        asked_.push_back(request.target);
        headers_[request.path] = request.headers;
        const auto page = pages_.find((port == &other_port_ ? "other:" : "") + request.path);
        if (page == pages_.end()) {
          response.status = 404;
        } else {
          page->second(request, response);
        }
      });
      *port = server->bind_to_any_port("127.0.0.1");
      ASSERT_GT(*port, 0);
      threads_.emplace_back([server = server] { server->listen_after_bind(); });
      while (!server->is_running()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
  }
  void TearDown() override {
    server_.stop();
    other_.stop();
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }

  using Page = std::function<void(const Request&, Response&)>;
  void put(const std::string& path, Page page) {
    const std::lock_guard lock(mutex_);
    pages_[path] = std::move(page);
  }
  void put(const std::string& path, const std::string& body, const std::string& etag = "") {
    put(path, [body, etag](const Request& request, Response& response) {
      if (!etag.empty() && request.get_header_value("If-None-Match") == etag) {
        response.status = 304;
        return;
      }
      if (!etag.empty()) {
        response.set_header("ETag", etag);
      }
      response.set_content(body, "text/plain");
    });
  }
  // What was asked since the last time.
  std::vector<std::string> asked() {
    const std::lock_guard lock(mutex_);
    return std::exchange(asked_, {});
  }
  std::string header(const std::string& path, const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = headers_[path].find(name);
    return found == headers_[path].end() ? "" : found->second;
  }
  std::string url(std::string_view scheme, std::string_view path) const {
    return fmt::format("{}+http://127.0.0.1:{}{}", scheme, port_, path);
  }
  FetchRequest request(std::string_view scheme, std::string_view path) const {
    return {.url = url(scheme, path),
            .timeout_s = 10,
            .hosts = Hosts::any,
            .directory = folder_.path() + "/feed"};
  }
  FetchRequest taxii() const { return request("taxii", "/api/collections/c1/"); }
  FetchRequest misp() const { return request("misp", "/misp/"); }
  void put_manifest(const std::string& text) { put("/misp/manifest.json", text); }
  void put_event(std::string_view uuid, const std::string& text) {
    put(fmt::format("/misp/{}.json", uuid), text);
  }
  static std::string manifest(const std::vector<std::pair<std::string_view, int>>& events) {
    std::string text = "{";
    for (const auto& [uuid, timestamp] : events) {
      text += fmt::format(R"({}"{}": {{"timestamp": "{}", "info": "x"}})",
                          text.size() > 1 ? ", " : "", uuid, timestamp);
    }
    return text + "}";
  }

  tests::TemporaryDirectory folder_;
  httplib::Server server_;
  httplib::Server other_;
  int port_ = 0;
  int other_port_ = 0;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::map<std::string, Page> pages_;
  std::vector<std::string> asked_;
  std::map<std::string, httplib::Headers> headers_;
};

std::string message_of(const Result<FetchResult>& result) {
  return result ? "succeeded" : result.error().message;
}

// The addresses of a result, as the feed's parser reads them.
std::vector<std::string> addresses_in(const Result<FetchResult>& result, std::string_view format) {
  if (!result) {
    return {result.error().message};
  }
  const auto feed =
      feeds::parse_feed(result->body, format, feeds::kContentSizeMax, feeds::Belief::accepted);
  if (!feed) {
    return {feed.error().message};
  }
  std::vector<std::string> addresses;
  for (const auto& prefix : feed->set.v4) {
    addresses.push_back(address::to_text_v4(prefix.bits));
  }
  return addresses;
}

using Addresses = std::vector<std::string>;
using Asked = std::vector<std::string>;
const std::string kObjects = "/api/collections/c1/objects/";

// Two pages, and what is new after the second date.
void serve_collection(const Request& request, Response& response) {
  const std::string next = request.get_param_value("next");
  const std::string after = request.get_param_value("added_after");
  std::string objects;
  std::string date = "2026-01-01T00:00:00.000Z";
  std::string more = R"(,"more":true,"next":"p 2&x=1")";
  if (after == "2026-01-02T00:00:00.000Z") {
    objects = indicator(1, "45.1.1.9", "2026-01-03T00:00:00Z") + "," +
              indicator(2, "45.1.1.2", "2026-01-03T00:00:00Z", R"(,"revoked":true)") + "," +
              indicator(3, "45.1.1.8", "2025-01-01T00:00:00Z");  // older than what is known
    date = "2026-01-03T00:00:00.000Z";
    more = "";
  } else if (!after.empty()) {
    objects = "";
    date = "";
    more = "";
  } else if (next.empty()) {
    objects = indicator(1, "45.1.1.1", "2026-01-01T00:00:00Z") + "," +
              indicator(2, "45.1.1.2", "2026-01-01T00:00:00Z");
  } else {
    objects = indicator(3, "45.1.1.3", "2026-01-02T00:00:00.5Z");
    date = "2026-01-02T00:00:00.000Z";
    more = R"(,"more":false)";
  }
  if (!date.empty()) {
    response.set_header("X-TAXII-Date-Added-Last", date);
  }
  response.set_content(fmt::format(R"({{"objects":[{}]{}}})", objects, more),
                       "application/taxii+json;version=2.1");
}

TEST_F(Sources, TaxiiComesPageByPageAndThenWhatIsNewAlone) {
  put(kObjects, serve_collection);
  FetchRequest asking = taxii();
  const auto first = fetch(asking);
  EXPECT_EQ(addresses_in(first, "stix2"), (Addresses{"45.1.1.1", "45.1.1.2", "45.1.1.3"}));
  EXPECT_EQ(asked(), (Asked{kObjects, kObjects + "?next=p%202%26x%3D1"}));
  EXPECT_EQ(header(kObjects, "Accept"), "application/taxii+json;version=2.1");
  asking.etag = first->etag;
  const auto second = fetch(asking);
  EXPECT_EQ(addresses_in(second, "stix2"), (Addresses{"45.1.1.3", "45.1.1.9"}));
  EXPECT_EQ(asked(), (Asked{kObjects + "?added_after=2026-01-02T00%3A00%3A00.000Z"}));
  asking.etag = second->etag;
  const auto third = fetch(asking);
  ASSERT_TRUE(third) << message_of(third);
  EXPECT_EQ(third->outcome, Outcome::not_modified);
  EXPECT_EQ(asked(), (Asked{kObjects + "?added_after=2026-01-03T00%3A00%3A00.000Z"}));
  // Content that was not believed is there again.
  asking.etag.clear();
  EXPECT_EQ(addresses_in(fetch(asking), "stix2"), (Addresses{"45.1.1.3", "45.1.1.9"}));
}

TEST_F(Sources, TaxiiBeginsAnewWithoutAFolderWithADamagedOneAndWithAnotherUrl) {
  put(kObjects, serve_collection);
  FetchRequest asking = taxii();
  ASSERT_TRUE(fetch(asking));
  EXPECT_EQ(asked().size(), 2u);
  {
    std::fstream kept(asking.directory + "/kept");
    kept.seekp(100);
    kept << "#";
  }
  EXPECT_EQ(addresses_in(fetch(asking), "stix2").size(), 3u);
  EXPECT_EQ(asked().size(), 2u);
  asking.url += "?match[type]=indicator";
  EXPECT_EQ(addresses_in(fetch(asking), "stix2").size(), 3u);
  EXPECT_EQ(asked().front(), kObjects + "?match[type]=indicator");
  asking.directory.clear();
  ASSERT_TRUE(fetch(asking));
  EXPECT_EQ(asked().size(), 2u);
}

TEST_F(Sources, TaxiiThatRepeatsItsPageIsEnded) {
  put(kObjects, std::string(R"({"more":true,"next":"same","objects":[]})"));
  const auto result = fetch(taxii());
  EXPECT_NE(message_of(result).find("repeats the same next page"), std::string::npos);
  EXPECT_EQ(asked().size(), 2u);
  put(kObjects, std::string(R"({"more":true,"objects":[]})"));
  EXPECT_NE(message_of(fetch(taxii())).find("there is more, and not where"), std::string::npos);
}

TEST_F(Sources, TaxiiStaysWithItsHost) {
  put(kObjects, [this](const Request&, Response& response) {
    response.set_redirect(fmt::format("http://127.0.0.1:{}/x", other_port_));
  });
  put("other:/x", std::string(R"({"objects":[]})"));
  EXPECT_NE(message_of(fetch(taxii())).find("redirected to another host"), std::string::npos);
  EXPECT_EQ(asked(), Asked{kObjects});
  put(kObjects,
      fmt::format(R"({{"more":true,"next":"http://127.0.0.1:{}/x","objects":[]}})", other_port_));
  EXPECT_FALSE(fetch(taxii()));
  for (const std::string& target : asked()) {
    EXPECT_TRUE(target.starts_with(kObjects)) << target;
  }
}

TEST_F(Sources, TaxiiStatusesSayWhatToDo) {
  const std::map<int, std::string> kMeanings = {{401, "wants credentials"},
                                                {403, "may not read this collection"},
                                                {404, "no such collection"},
                                                {406, "does not speak TAXII 2.1"},
                                                {416, "TAXII 2.0"},
                                                {429, "too many requests"},
                                                {500, "HTTP 500"}};
  for (const auto& [status, meaning] : kMeanings) {
    put(kObjects, [status = status](const Request&, Response& response) {
      response.status = status;
      response.set_header("Retry-After", "7");
    });
    Advice advice;
    const auto result = fetch(taxii(), &advice);
    EXPECT_NE(message_of(result).find(meaning), std::string::npos) << message_of(result);
    EXPECT_EQ(advice.retry_after_s, 7);
    EXPECT_EQ(result.error().code == ErrorCode::busy, status == 429);
  }
  put(kObjects, std::string("<html>Sorry</html>"));
  EXPECT_NE(message_of(fetch(taxii())).find("no TAXII 2.1 envelope"), std::string::npos);
  put(kObjects, std::string(R"({"title":"error"})"));
  EXPECT_NE(message_of(fetch(taxii())).find("no TAXII 2.1 envelope"), std::string::npos);
}

TEST_F(Sources, TaxiiGoesOnWhereItWasInterrupted) {
  put(kObjects, [](const Request& request, Response& response) {
    const std::string next = request.get_param_value("next");
    const std::string after = request.get_param_value("added_after");
    if (next == "3") {
      response.status = 503;
      return;
    }
    const int page = next == "2" ? 2 : after.empty() ? 1 : 3;
    response.set_header("X-TAXII-Date-Added-Last", fmt::format("2026-01-0{}T00:00:00Z", page));
    response.set_content(
        fmt::format(R"({{"objects":[{}],"more":{},"next":"{}"}})",
                    indicator(page, fmt::format("45.1.1.{}", page), "2026-01-01T00:00:00Z"),
                    page < 3, page + 1),
        "application/json");
  });
  const auto broken = fetch(taxii());
  EXPECT_NE(message_of(broken).find("goes on from where"), std::string::npos);
  asked();
  EXPECT_EQ(addresses_in(fetch(taxii()), "stix2").size(), 3u);
  // One date may be on two pages, so only what a later date has followed is complete.
  EXPECT_EQ(asked(), (Asked{kObjects + "?added_after=2026-01-01T00%3A00%3A00Z"}));
}

TEST_F(Sources, TaxiiIsHeldToTheSizeLimitOverAllPages) {
  put(kObjects, serve_collection);
  FetchRequest asking = taxii();
  asking.size_max_bytes = 400;
  EXPECT_NE(message_of(fetch(asking)).find("larger than 400 bytes"), std::string::npos);
}

TEST_F(Sources, PrivateHostsAreRefusedUnlessAllowed) {
  put(kObjects, serve_collection);
  put_manifest("{}");
  put("/rss", std::string("<rss/>"));
  for (FetchRequest asking : {taxii(), misp(), request("rss", "/rss")}) {
    asking.hosts = Hosts::public_only;
    EXPECT_NE(message_of(fetch(asking)).find("not a public address"), std::string::npos);
  }
  EXPECT_TRUE(asked().empty());
}

TEST_F(Sources, MispFetchesEventsThatChangedAndForgetsThoseThatAreGone) {
  put_manifest(manifest({{kUuid1, 10}, {kUuid2, 20}}));
  put_event(kUuid1, misp_event("45.2.1.1"));
  put_event(kUuid2, misp_event("45.2.1.2"));
  FetchRequest asking = misp();
  const auto first = fetch(asking);
  EXPECT_EQ(addresses_in(first, "misp"), (Addresses{"45.2.1.1", "45.2.1.2"}));
  EXPECT_EQ(asked().size(), 3u);
  asking.etag = first->etag;
  EXPECT_EQ(fetch(asking)->outcome, Outcome::not_modified);
  EXPECT_EQ(asked(), Asked{"/misp/manifest.json"});
  put_manifest(manifest({{kUuid2, 21}, {kUuid3, 5}}));
  put_event(kUuid2, misp_event("45.2.1.22"));
  put_event(kUuid3, misp_event("45.2.1.3"));
  EXPECT_EQ(addresses_in(fetch(asking), "misp"), (Addresses{"45.2.1.3", "45.2.1.22"}));
  EXPECT_EQ(asked(), (Asked{"/misp/manifest.json", fmt::format("/misp/{}.json", kUuid2),
                            fmt::format("/misp/{}.json", kUuid3)}));
}

TEST_F(Sources, MispManifestThatDidNotChangeIsNotSentAgain) {
  put("/misp/manifest.json", manifest({{kUuid1, 10}}), "\"m1\"");
  put_event(kUuid1, misp_event("45.2.1.1"));
  ASSERT_TRUE(fetch(misp()));
  asked();
  EXPECT_EQ(addresses_in(fetch(misp()), "misp"), Addresses{"45.2.1.1"});
  EXPECT_EQ(header("/misp/manifest.json", "If-None-Match"), "\"m1\"");
  EXPECT_EQ(asked().size(), 1u);
}

TEST_F(Sources, OneBrokenMispEventIsNamedAndCostsNothingElse) {
  put_manifest(manifest({{kUuid1, 10}, {kUuid2, 20}, {kUuid3, 30}}));
  put_event(kUuid1, misp_event("45.2.1.1"));
  put_event(kUuid2, R"({"Event": {"Attri)");
  const auto result = fetch(misp());
  EXPECT_EQ(addresses_in(result, "misp"), Addresses{"45.2.1.1"});
  ASSERT_EQ(result->notes.size(), 2u);
  EXPECT_NE(result->notes[0].find(kUuid3), std::string::npos) << result->notes[0];
  EXPECT_NE(result->notes[1].find(kUuid2), std::string::npos) << result->notes[1];
  asked();
  // Asked for again, and an old copy stays in force until there is a good one.
  put_event(kUuid2, misp_event("45.2.1.2"));
  put_event(kUuid3, misp_event("45.2.1.3"));
  EXPECT_EQ(addresses_in(fetch(misp()), "misp").size(), 3u);
  EXPECT_EQ(asked().size(), 3u);
  put_manifest(manifest({{kUuid1, 11}}));
  put_event(kUuid1, "null");
  EXPECT_EQ(addresses_in(fetch(misp()), "misp"), Addresses{"45.2.1.1"});
  put_manifest(manifest({{kUuid2, 99}}));
  put_event(kUuid2, "[]");
  FetchRequest fresh = misp();
  fresh.directory.clear();
  EXPECT_NE(message_of(fetch(fresh)).find("none of 1 events"), std::string::npos);
}

TEST_F(Sources, MispFileNamesAreMadeOfUuidsOnly) {
  const std::string inner = folder_.path() + "/misp/";
  std::filesystem::create_directories(inner);
  std::ofstream(folder_.path() + "/secret.json") << misp_event("45.2.9.9");
  std::ofstream(inner + "manifest.json")
      << manifest({{"../secret", 10}, {"..%2fsecret", 10}, {kUuid1, 10}, {"", 10}});
  std::ofstream(inner + std::string(kUuid1) + ".json") << misp_event("45.2.1.1");
  FetchRequest asking = misp();
  asking.url = "misp+file://" + inner;
  const auto result = fetch(asking);
  EXPECT_EQ(addresses_in(result, "misp"), Addresses{"45.2.1.1"});
  ASSERT_EQ(result->notes.size(), 1u);
  EXPECT_NE(result->notes[0].find("3 entries"), std::string::npos) << result->notes[0];
  asking.etag = result->etag;
  EXPECT_EQ(fetch(asking)->outcome, Outcome::not_modified);
}

TEST_F(Sources, MispIsHeldToItsLimits) {
  put_manifest(manifest({{kUuid1, 10}, {kUuid2, 20}}));
  put_event(kUuid1, misp_event("45.2.1.1"));
  put_event(kUuid2, misp_event("45.2.1.2"));
  FetchRequest asking = misp();
  asking.size_max_bytes = misp_event("45.2.1.1").size() * 3 / 2 + 40;
  EXPECT_NE(message_of(fetch(asking)).find("larger than"), std::string::npos);
  std::string many = "{";
  for (size_t i = 0; i < kMispEventsMax + 5; ++i) {
    many += fmt::format(R"({}"{:08x}-1111-4111-8111-111111111111": {{"timestamp": {}}})",
                        i == 0 ? "" : ",", i, i + 1);
  }
  const auto read = read_misp_manifest(many + "}");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->events.size(), kMispEventsMax);
  EXPECT_EQ(read->refused_count, 5u);
  EXPECT_EQ(read->events.front().timestamp, static_cast<int64_t>(kMispEventsMax) + 5);
  put_manifest("<html>");
  EXPECT_NE(message_of(fetch(misp())).find("no MISP manifest"), std::string::npos);
  asking.url += "events";
  EXPECT_NE(message_of(fetch(asking)).find("end the URL with a slash"), std::string::npos);
}

std::string rss(const std::string& items) {
  return "<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>x</title>" + items +
         "</channel></rss>";
}

TEST_F(Sources, EnclosuresOfTheNewestEntriesAreTheContent) {
  const std::string item =
      "<item><pubDate>{}</pubDate><enclosure url=\"{}\" type=\"text/plain\"/></item>";
  put("/rss", rss(fmt::format(fmt::runtime(item), "Thu, 01 Jan 2026 00:00:00 GMT", "old.txt") +
                  "<item><title>45.3.9.9</title></item>" +
                  fmt::format(fmt::runtime(item), "Sat, 03 Jan 2026 00:00:00 GMT", "/new.txt") +
                  fmt::format(fmt::runtime(item), "Fri, 02 Jan 2026 00:00:00 GMT", "mid.txt") +
                  "<item><enclosure url=\"x.mp3\" type=\"audio/mpeg\"/></item>"));
  put("/new.txt", std::string("45.3.1.3"));
  put("/mid.txt", std::string("45.3.1.2\n"));
  put("/old.txt", std::string("45.3.1.1\n"));
  FetchRequest asking = request("rss", "/rss#entries=2");
  const auto result = fetch(asking);
  ASSERT_TRUE(result) << message_of(result);
  EXPECT_EQ(as_text(result->body), "45.3.1.3\n45.3.1.2\n");
  EXPECT_EQ(asked(), (Asked{"/rss", "/new.txt", "/mid.txt"}));
  asking.etag = result->etag;
  EXPECT_EQ(fetch(asking)->outcome, Outcome::not_modified);
  EXPECT_EQ(asked(), Asked{"/rss"});
  asking.url = url("rss", "/rss#entries=0");
  EXPECT_NE(message_of(fetch(asking)).find("#entries=1"), std::string::npos);
}

TEST_F(Sources, EnclosureOnAnotherHostGetsNoCredentials) {
  const std::string secret = folder_.path() + "/secret";
  std::ofstream(secret) << "hidden\n";
  std::filesystem::permissions(secret, std::filesystem::perms::owner_read);
  put("/atom", fmt::format("<feed xmlns=\"http://www.w3.org/2005/Atom\"><entry><updated>2026-01-01T"
                           "00:00:00Z</updated><link rel=\"enclosure\" href=\"http://127.0.0.1:{}/l"
                           "\"/><link rel=\"enclosure\" href=\"/own\"/><link href=\"/page\"/>"
                           "</entry></feed>",
                           other_port_));
  put("other:/l", std::string("45.3.1.1\n"));
  put("/own", std::string("45.3.1.2\n"));
  FetchRequest asking = request("rss", "/atom");
  asking.credentials = "header X-Key file:" + secret;
  const auto result = fetch(asking);
  ASSERT_TRUE(result) << message_of(result);
  EXPECT_EQ(as_text(result->body), "45.3.1.1\n45.3.1.2\n");
  EXPECT_EQ(header("/atom", "X-Key"), "hidden");
  EXPECT_EQ(header("/own", "X-Key"), "hidden");
  EXPECT_EQ(header("/l", "X-Key"), "");
}

TEST_F(Sources, DocumentWithoutEnclosuresIsItselfTheContent) {
  const std::string document = rss("<item><title>hxxp://45.3.1[.]7/a</title></item>");
  put("/rss", document, "\"r1\"");
  for (int i = 0; i < 2; ++i) {  // the second time by 304
    const auto result = fetch(request("rss", "/rss"));
    ASSERT_TRUE(result) << message_of(result);
    EXPECT_EQ(as_text(result->body), document);
  }
}

TEST_F(Sources, BadDocumentsAndEnclosuresSaySo) {
  put("/rss",
      std::string("<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;\">]><rss>&c;</rss>"));
  EXPECT_NE(message_of(fetch(request("rss", "/rss"))).find("entities"), std::string::npos);
  put("/rss", std::string("<rss><channel><item></rss>"));
  EXPECT_NE(message_of(fetch(request("rss", "/rss"))).find("malformed XML"), std::string::npos);
  const std::string gone = "<item><enclosure url=\"/gone\"/></item>";
  put("/rss", rss(gone));
  EXPECT_NE(message_of(fetch(request("rss", "/rss"))).find("HTTP 404"), std::string::npos);
  put("/rss", rss(gone + "<item><enclosure url=\"/here\"/></item>" +
                  "<item><enclosure url=\"file:///etc/passwd\"/></item>"));
  put("/here", std::string("45.3.1.1\n"));
  const auto result = fetch(request("rss", "/rss"));
  ASSERT_TRUE(result) << message_of(result);
  EXPECT_EQ(as_text(result->body), "45.3.1.1\n");
  EXPECT_EQ(result->notes.size(), 1u);
}

TEST(Kept, DamageAnywhereIsAnEmptyOne) {
  Kept kept;
  kept.facts = {{"a", "b"}, {"empty", ""}};
  kept.items = {{"k", {.version = "1", .text = "two\nlines"}}, {"", {.version = "", .text = ""}}};
  const std::string text = write_kept("https://h/", kept);
  const Kept read = read_kept("https://h/", text);
  EXPECT_EQ(read.facts, kept.facts);
  ASSERT_EQ(read.items.size(), 2u);
  EXPECT_EQ(read.items.at("k").text, "two\nlines");
  EXPECT_TRUE(read_kept("https://other/", text).items.empty());
  for (size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_TRUE(read_kept("https://h/", damaged).items.empty()) << i;
    EXPECT_TRUE(read_kept("https://h/", text.substr(0, i)).items.empty()) << i;
  }
}

TEST(TaxiiPage, NestingAndWrongTypesAreHarmless) {
  EXPECT_FALSE(read_taxii_page(std::string(100'000, '[')));
  EXPECT_FALSE(read_taxii_page("{\"objects\":[{\"id\":\"a--1\",\"x\":" + std::string(200, '[') +
                               std::string(200, ']') + "}]}"));
  const auto page =
      read_taxii_page(R"({"objects":[1,"x",[{"id":"a--1"}],{"id":7},{"id":"a--2"},{"id":"../x"}],)"
                      R"("more":1,"next":5})");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->objects.size(), 1u);
  EXPECT_EQ(page->nameless_count, 2u);
  EXPECT_FALSE(page->more);
  EXPECT_EQ(page->next, "5");
  EXPECT_TRUE(read_taxii_page("{}"));
}

}  // namespace
}  // namespace merlon::fetch

// SPDX-License-Identifier: Apache-2.0
// What is taken out of feeds, what is doubted, and the operator's word against the doubt.
#include <algorithm>
#include <array>

#include "controlplane/api/route.h"

namespace merlon::api {

Json to_json(const FeedSafety& safety) {
  Json examples = Json::array();
  for (const TakenOut& one : safety.examples) {
    examples.push_back(
        Json{{"entry", one.entry}, {"protected_by", one.protected_by}, {"why", one.why}});
  }
  Json reasons = Json::object();
  for (const auto& [reason, count] : safety.by_reason) {
    reasons[reason] = count;
  }
  Json held = nullptr;
  if (safety.held_at != 0) {
    held = Json{{"at", time_to_json(safety.held_at)}, {"reason", safety.held_reason}};
  }
  return Json{{"feed", safety.feed},
              {"trust", safety.trust},
              {"taken_out_count", safety.taken_out4 + safety.taken_out6 + safety.taken_out_domains},
              {"taken_out4_count", safety.taken_out4},
              {"taken_out6_count", safety.taken_out6},
              {"taken_out_domain_count", safety.taken_out_domains},
              {"taken_out_by_reason", std::move(reasons)},
              {"taken_out_examples", std::move(examples)},
              {"taken_out_at", time_to_json(safety.taken_out_at)},
              {"stale", safety.stale},
              {"same_as", safety.same_as},
              {"quarantine_count", safety.quarantines},
              {"held", std::move(held)}};
}

Json to_json(const FeedsReport& report) {
  Json feeds = Json::array();
  for (const FeedValue& feed : report.feeds) {
    feeds.push_back(Json{{"feed", feed.feed},
                         {"size", feed.size},
                         {"unique", feed.unique},
                         {"sampled_shared", feed.sampled_shared},
                         {"sampled_first", feed.sampled_first},
                         {"lead_s", feed.lead_s},
                         {"age_s", feed.age_s},
                         {"retention_s", feed.retention_s},
                         {"sampled_withdrawn", feed.sampled_withdrawn},
                         {"safety", to_json(feed.safety)}});
  }
  return Json{{"feeds", std::move(feeds)}, {"shared", report.shared}};
}

namespace {

// "a,b": the feeds to report on.
Result<Json> feeds_report(const Arguments& a) {
  std::vector<std::string> ids;
  const std::string text = a.query("feeds");
  for (size_t from = 0; from < text.size();) {
    const size_t comma = std::min(text.find(',', from), text.size());
    ids.push_back(text.substr(from, comma - from));
    from = comma + 1;
  }
  return wrap("report", a.operations.feeds_report(ids));
}

constexpr auto kRoutes = std::to_array<Route>({
    {"GET", "/v1/feeds/report", Takes::nothing, "feeds?", 200, feeds_report},
    {"GET", "/v1/feeds/{id}/safety", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("safety", a.operations.feed_safety(a.captured[0])))},
    {"POST", "/v1/feeds/{id}/accept", Takes::nothing, "", 200,
     MERLON_HANDLE(wrap("refresh", a.operations.accept_feed(a.captured[0])))},
});

}  // namespace

std::span<const Route> safety_routes() {
  return kRoutes;
}

}  // namespace merlon::api

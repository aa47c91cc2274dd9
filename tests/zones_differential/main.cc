// SPDX-License-Identifier: Apache-2.0
// merlon-zones-differential: the same zones in NSD and in Merlon, the same questions to both, and
// every difference in rcode, AA, answer, authority (and glue of referrals) by name. Exits 1 when
// there is one that is not in the table of those that are meant (differences.cc), 77 without NSD.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "tests/support/seed.h"
#include "tests/support/snapshot_fixture.h"
#include "tests/zones_differential/differences.h"
#include "tests/zones_differential/served.h"
#include "zones/base/file.h"

namespace merlon::differential {
namespace {

constexpr size_t kWindow = 64;
constexpr size_t kZonesPerBatch = 40;

struct Options {
  size_t pairs = 60'000;
  uint64_t seed = 0;
  size_t examples = 3;
  std::string dataplane;
  std::string keep;  // a folder for the zones of differences
};

struct RealZone {
  const char* file;
  const char* apex;
};
// Those that NSD 4.6 takes: it does not know all of lots-rr-types.example.com, and wants no second
// SOA record in root-servers.net, be it the same.
constexpr RealZone kRealZones[] = {
    {"arpa.zone", "arpa."},
    {"flags.zone", "flags."},
    {"records.zone", "records."},
    {"ripe.net.zone", "ripe.net."},
    {"root-2005.zone", "."},
    {"root-2011-signed.zone", "."},
    {"root-2014-signed.zone", "."},
    {"root-2021-unsigned.zone", "."},
    {"svcb-test-vectors.zone", "test-vectors."},
    {"uri.arpa.zone", "uri.arpa."},
};

struct Count {
  size_t times = 0;
  bool allowed = false;
  std::vector<std::string> examples;
};

class Comparison {
 public:
  explicit Comparison(const Options& options) : options_(options), random_(options.seed) {}

  Status run();
  int report() const;

 private:
  Result<std::vector<ZoneFile>> generate(const std::string& directory, size_t batch);
  Status compare_batch(const std::vector<ZoneFile>& files, size_t pairs);
  Status ask_window(const std::vector<Question>& questions, Connection& nsd, const Served& served,
                    const DataPlane* plane);
  void count(const Question& question, const Difference& difference, const Answer& nsd,
             const Answer& merlon);

  const Options& options_;
  Random random_;
  std::map<std::string, Count> differences_;
  std::vector<std::string> batch_files_;
  size_t pairs_ = 0;
  size_t udp_ = 0;
  size_t truncated_ = 0;
  size_t zones_ = 0;
  uint16_t next_id_ = 1;
};

std::string real_zones() {
  const char* data = std::getenv("MERLON_TEST_DATA");
  return std::string(data != nullptr ? data : "../shared/data") + "/dns/zones";
}

Result<std::vector<ZoneFile>> Comparison::generate(const std::string& directory, size_t batch) {
  std::vector<ZoneFile> files;
  for (size_t i = 0; i < kZonesPerBatch; ++i) {
    const std::string apex = fmt::format("z{}-{}.test.", batch, i);
    const auto name = name::Name::from_text(apex);
    files.push_back({*name, fmt::format("{}/{}zone", directory, apex)});
    const std::string text = generate_zone(apex, random_);
    if (auto done = write_file_durably(files.back().path, as_bytes(text)); !done) {
      return std::unexpected(done.error());
    }
  }
  return files;
}

void Comparison::count(const Question& question, const Difference& difference, const Answer& nsd,
                       const Answer& merlon) {
  if (difference.name.empty()) {
    return;
  }
  Count& count = differences_[difference.name];
  count.allowed = difference.allowed;
  ++count.times;
  if (count.examples.size() < options_.examples) {
    count.examples.push_back(
        fmt::format("{} type {}{}\n NSD\n{} Merlon\n{}", question.name.to_text(), question.type,
                    question.dnssec_ok ? " DO" : "", nsd.to_text(), merlon.to_text()));
  }
}

Status Comparison::ask_window(const std::vector<Question>& questions, Connection& nsd,
                              const Served& served, const DataPlane* plane) {
  std::vector<std::vector<uint8_t>> queries;
  for (const Question& question : questions) {
    queries.push_back(make_query(question, next_id_++));
  }
  const HasName has_name = [&served](const std::string& owner) { return served.has_name(owner); };
  const auto theirs = nsd.ask(queries);
  if (!theirs) {
    return in("NSD", theirs.error());
  }
  for (size_t i = 0; i < questions.size(); ++i) {
    ++pairs_;
    const auto nsd_answer = read_answer((*theirs)[i], questions[i]);
    const auto merlon_answer = read_answer(served.answer(queries[i]), questions[i]);
    if (!nsd_answer || !merlon_answer) {
      return fail(ErrorCode::internal, "{} type {}: {}: {}", questions[i].name.to_text(),
                  questions[i].type, nsd_answer ? "Merlon" : "NSD",
                  nsd_answer ? merlon_answer.error().message : nsd_answer.error().message);
    }
    count(questions[i], compare(*nsd_answer, *merlon_answer, has_name), *nsd_answer,
          *merlon_answer);
    if (plane == nullptr) {
      continue;
    }
    const auto message = plane->ask(queries[i]);
    const auto by_udp = message ? read_answer(*message, questions[i])
                                : Result<Answer>(std::unexpected(message.error()));
    if (!by_udp) {
      return in("data plane", by_udp.error());
    }
    ++udp_;
    if (by_udp->truncated) {
      ++truncated_;
      continue;
    }
    Difference difference = compare(*merlon_answer, *by_udp, has_name);
    difference.name = difference.name.empty() ? "" : "over UDP: " + difference.name;
    count(questions[i], difference, *merlon_answer, *by_udp);
  }
  return {};
}

Status Comparison::compare_batch(const std::vector<ZoneFile>& files, size_t pairs) {
  const tests::TemporaryDirectory directory;
  const auto served = Served::load(files);
  if (!served) {
    return in("Merlon", served.error());
  }
  const auto nsd = tests::start_nsd(directory.path(), files);
  if (!nsd) {
    return std::unexpected(nsd.error());
  }
  std::unique_ptr<DataPlane> plane;
  if (!options_.dataplane.empty()) {
    auto started = DataPlane::start(options_.dataplane, *served, directory.path());
    if (!started) {
      return in("data plane", started.error());
    }
    plane = std::move(*started);
  }
  auto connection = Connection::open(nsd->port, 10'000);
  if (!connection) {
    return in("NSD", connection.error());
  }
  zones_ += files.size();
  for (const zonefile::ZoneData& zone : served->zones()) {
    const auto questions = generate_questions(zone, pairs / files.size() + 1, random_);
    for (size_t at = 0; at < questions.size(); at += kWindow) {
      const std::vector<Question> window(
          questions.begin() + static_cast<ptrdiff_t>(at),
          questions.begin() + static_cast<ptrdiff_t>(std::min(at + kWindow, questions.size())));
      if (auto done = ask_window(window, **connection, *served, plane.get()); !done) {
        return done;
      }
    }
  }
  return {};
}

Status Comparison::run() {
  const std::string folder = real_zones();
  const bool has_real = std::filesystem::is_directory(folder);
  const size_t for_real = has_real ? options_.pairs / 3 : 0;
  for (const RealZone& zone : kRealZones) {
    if (!has_real) {
      break;
    }
    const std::string path = std::filesystem::absolute(folder + "/" + zone.file).string();
    if (auto done = compare_batch({{*name::Name::from_text(zone.apex), path}},
                                  for_real / std::size(kRealZones) + 1);
        !done) {
      return in(zone.file, done.error());
    }
  }
  for (size_t batch = 0; pairs_ < options_.pairs; ++batch) {
    const tests::TemporaryDirectory directory;
    auto files = generate(directory.path(), batch);
    if (!files) {
      return std::unexpected(files.error());
    }
    const size_t pairs = std::min<size_t>(options_.pairs - pairs_, kZonesPerBatch * 300);
    if (auto done = compare_batch(*files, pairs); !done) {
      return in("generated zones", done.error());
    }
    if (!options_.keep.empty() && !differences_.empty()) {
      std::filesystem::copy(directory.path(), options_.keep,
                            std::filesystem::copy_options::recursive |
                                std::filesystem::copy_options::overwrite_existing);
    }
  }
  return {};
}

int Comparison::report() const {
  size_t bad = 0;
  for (const auto& [name, count] : differences_) {
    bad += count.allowed ? 0 : count.times;
    fmt::print("{} {:6} x {}\n", count.allowed ? "meant " : "BAD   ", count.times, name);
    for (const std::string& example : count.examples) {
      fmt::print("{}{}\n", count.allowed ? "" : "", count.allowed ? "" : example);
    }
  }
  fmt::print("{} pairs over {} zones, {} of them also over UDP ({} truncated): {} differences\n",
             pairs_, zones_, udp_, truncated_, bad);
  return bad == 0 ? 0 : 1;
}

}  // namespace
}  // namespace merlon::differential

int main(int argc, char** argv) {
  using merlon::differential::Comparison;
  merlon::differential::Options options;
  CLI::App app("Merlon's answers against NSD's, record by record");
  app.add_option("--pairs", options.pairs, "(zone, question) pairs")->capture_default_str();
  app.add_option("--seed", options.seed, "of the zones and questions");
  app.add_option("--examples", options.examples, "shown of each difference")->capture_default_str();
  app.add_option("--dataplane", options.dataplane, "a merlon-dataplane to ask over UDP as well");
  app.add_option("--keep", options.keep, "a folder for generated zones with differences");
  CLI11_PARSE(app, argc, argv);
  if (options.seed == 0) {
    options.seed = merlon::test::seed_for("merlon-zones-differential");
  }
  Comparison comparison(options);
  const auto start = std::chrono::steady_clock::now();
  const auto done = comparison.run();
  if (!done && done.error().code == merlon::ErrorCode::not_found) {
    fmt::print("skipped: {}\n", done.error().message);
    return 77;
  }
  const int result = comparison.report();
  fmt::print("{}", merlon::differential::explain_allowed());
  fmt::print("{:.1f} s\n",
             std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  if (!done) {
    fmt::print(stderr, "{}\n", done.error().message);
    return 1;
  }
  return result;
}

// SPDX-License-Identifier: Apache-2.0
// The operator's zones: every `<apex>.zone` of a folder, and those that the configuration names.
// Each is read, compiled and kept; a zone whose files did not change is not read again, one that is
// refused keeps its last good segment in force and does not hold up the others, one that is gone
// goes. Thread-safe; loads do not overlap.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/compile/zone_signer.h"
#include "controlplane/zonefile/transfer.h"
#include "controlplane/zonefile/zone_data.h"
#include "zones/base/error.h"
#include "zones/name/name.h"
#include "zones/snapshot/hash.h"

namespace merlon::zonefile {

enum class Signing : uint8_t { as_it_came, signed_by_us };

// One zone as it is configured.
struct ZoneSource {
  name::Name apex;
  std::string file{};     // either this
  std::string primary{};  // or this, as Primary::from_text reads it
  std::string account{};  // who sees it; "": every registered device
  Signing signing = Signing::as_it_came;
};

// "<apex> file=PATH" or "<apex> primary=ADDRESS[:PORT]", then "account=NAME" and "sign" as wanted.
// Errors: invalid_argument.
Result<ZoneSource> parse_source(std::string_view text);

struct ZoneSetOptions {
  std::string directory{};            // of <apex>.zone; "": none
  std::vector<ZoneSource> sources{};  // they go before the directory's files
  uint64_t size_max = 2ull << 30;     // of one zone's text
  uint32_t transfer_timeout_ms = 20'000;
  unsigned threads = 2;
};

enum class ZoneHealth : uint8_t {
  good,
  kept,     // refused; the segment of the last good version stays in force
  refused,  // and there is none
};
std::string_view to_string(ZoneHealth health);

struct ZoneReport {
  std::string apex;
  std::string source;  // path or primary
  std::string account;
  ZoneHealth health = ZoneHealth::refused;
  std::string error;               // file, line and reason; "" when good
  std::vector<std::string> notes;  // what was mended, with file and line
  uint32_t serial = 0;             // of what is in force
  uint64_t record_count = 0;
  uint64_t size_bytes = 0;  // of the segment
  bool is_signed = false;
  int64_t loaded = 0;  // Unix seconds: when what is in force was read
};

struct ZoneSegment {
  name::Name apex;
  std::shared_ptr<const std::vector<uint8_t>> bytes;
  snapshot::ContentHash hash;
};

struct LoadContext {
  int64_t now = 0;         // Unix seconds
  uint32_t tier_mask = 0;  // of zones without an account
  compile::ZoneSigner* signer = nullptr;
  // The number of an account, 0 when there is none. May be empty when no source has an account.
  std::function<uint32_t(const std::string&)> account_number{};
  // Names that are not the operator's to fill: the suffix of the lists and what is below it.
  std::function<bool(const name::Name&)> is_reserved{};
  // Zones that we sign are compiled again although their files are the same.
  enum class Signatures : uint8_t { keep, renew } signatures = Signatures::keep;
  // Whether primaries are asked whose zone's refresh time has not come.
  enum class Transfers : uint8_t { when_due, all } transfers = Transfers::when_due;
  const std::atomic<bool>* stop = nullptr;
};

struct LoadReport {
  uint64_t zones = 0;    // that there are, good or not
  uint64_t changed = 0;  // whose segment is another one now, or gone
  uint64_t read = 0;     // whose files or primary had something new, good or not
  uint64_t refused = 0;
  std::string error;  // of the folder; its zones stay as they are
};

class ZoneSet {
 public:
  explicit ZoneSet(ZoneSetOptions options);
  ~ZoneSet();

  // What was in force before a restart, should the zone be refused now. Before the first load().
  void adopt(const name::Name& apex, std::vector<uint8_t> segment);
  LoadReport load(const LoadContext& context);

  std::vector<ZoneSegment> segments() const;  // in canonical order of apexes
  std::vector<ZoneReport> reports() const;    // the same order

 private:
  struct Zone;
  using Zones = std::map<name::Name, std::shared_ptr<Zone>>;

  Result<std::vector<ZoneSource>> find_sources() const;
  // Each source once, with what is known of it. Zones that are gone are not among them.
  Zones plan(const std::vector<ZoneSource>& sources, const Zones& before,
             const LoadContext& context) const;
  void take_adopted(Zones& zones);
  void load_all(const Zones& zones, const LoadContext& context) const;
  static bool is_up_to_date(const Zone& zone, const LoadContext& context);
  void load_zone(Zone& zone, const LoadContext& context) const;
  static void confirm(Zone& zone, int64_t now);
  static void refuse(Zone& zone, std::string error, int64_t now);
  Result<std::shared_ptr<Zone>> read(const Zone& zone, const LoadContext& context) const;
  Result<ZoneData> read_source(const Zone& zone, const LoadContext& context) const;

  const ZoneSetOptions options_;
  std::mutex load_mutex_;
  mutable std::mutex mutex_;  // the members below
  Zones zones_;
  std::map<name::Name, std::vector<uint8_t>> adopted_;
};

}  // namespace merlon::zonefile

// SPDX-License-Identifier: Apache-2.0
// Where addresses are: country and autonomous system, of databases in MaxMind's format (MMDB).
//
// A database is walked once and kept as sorted ranges. The file is not mapped afterwards, so that
// it can be replaced or cut off at any time; and the addresses of a country are a filter away.
// Which keys are read: country.iso_code or country_code; autonomous_system_number and
// autonomous_system_organization. A Geo is immutable, and readable from any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "zones/address/range_set.h"
#include "zones/base/error.h"

namespace merlon::enrich {

struct GeoOptions {
  std::string country_file{};  // "": none
  std::string asn_file{};
  bool empty() const { return country_file.empty() && asn_file.empty(); }
};

struct Place {
  std::string country{};  // ISO 3166, two letters; "": not known
  uint32_t asn = 0;       // 0: not known
  std::string organisation{};
  bool operator==(const Place&) const = default;
};

// One database as ranges with the number of what lies there.
class GeoTable {
 public:
  enum class Kind : uint8_t { country, asn };
  // Errors: not_found, io, corruption (no such database, or one that loops), unsupported (no
  // entry has the keys above).
  static Result<GeoTable> load(const std::string& path, Kind kind);

  const Place* find(const address::Address& address) const;  // nullptr: not known
  template <class Wanted>
  address::IpSet addresses_where(Wanted&& wanted) const {
    std::vector<bool> chosen(places_.size());
    for (size_t i = 0; i < places_.size(); ++i) {
      chosen[i] = wanted(places_[i]);
    }
    return {collect(ranges4_, chosen), collect(ranges6_, chosen)};
  }
  size_t range_count() const { return ranges4_.size() + ranges6_.size(); }

 private:
  template <class Bits>
  struct Entry {
    Bits first;
    Bits last;
    uint32_t place;
  };
  template <class Bits>
  static address::RangeSet<Bits> collect(const std::vector<Entry<Bits>>& entries,
                                         const std::vector<bool>& chosen) {
    std::vector<address::Range<Bits>> ranges;
    for (const Entry<Bits>& entry : entries) {
      if (chosen[entry.place]) {
        ranges.push_back({entry.first, entry.last});
      }
    }
    return address::RangeSet<Bits>::from_unsorted(std::move(ranges));
  }
  friend class Walk;

  std::vector<Entry<address::Bits4>> ranges4_;  // sorted and disjoint
  std::vector<Entry<address::Bits6>> ranges6_;
  std::vector<Place> places_;
};

class Geo {
 public:
  Geo() = default;  // knows nothing
  static Result<Geo> load(const GeoOptions& options);

  bool has_countries() const { return countries_.range_count() != 0; }
  bool has_asns() const { return asns_.range_count() != 0; }
  Place place_of(const address::Address& address) const;
  // What lies in one of the countries (when any is named) and in one of the systems (likewise).
  // Errors: unsupported when there is no database to say so.
  Result<address::IpSet> addresses_of(std::span<const std::string> countries,
                                      std::span<const uint32_t> asns) const;

 private:
  GeoTable countries_;
  GeoTable asns_;
};

}  // namespace merlon::enrich

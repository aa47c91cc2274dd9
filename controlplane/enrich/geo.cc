// SPDX-License-Identifier: Apache-2.0
#include "controlplane/enrich/geo.h"

#include <maxminddb.h>

#include <algorithm>
#include <map>
#include <memory>
#include <tuple>
#include <unordered_map>

namespace merlon::enrich {
namespace {

using address::Bits4;
using address::Bits6;

struct Close {
  void operator()(MMDB_s* database) const {
    MMDB_close(database);
    delete database;
  }
};
using Database = std::unique_ptr<MMDB_s, Close>;

Result<Database> open(const std::string& path) {
  auto raw = std::make_unique<MMDB_s>();
  const int status = MMDB_open(path.c_str(), MMDB_MODE_MMAP, raw.get());
  if (status != MMDB_SUCCESS) {
    return fail(status == MMDB_FILE_OPEN_ERROR ? ErrorCode::not_found
                : status == MMDB_IO_ERROR      ? ErrorCode::io
                                               : ErrorCode::corruption,
                "{}: {}", path, MMDB_strerror(status));
  }
  return Database(raw.release());
}

bool value_at(MMDB_entry_s entry, const char* const* path, MMDB_entry_data_s& out) {
  return MMDB_aget_value(&entry, &out, path) == MMDB_SUCCESS && out.has_data;
}

std::string text_at(const MMDB_entry_s& entry, const char* const* path) {
  MMDB_entry_data_s value{};
  return value_at(entry, path, value) && value.type == MMDB_DATA_TYPE_UTF8_STRING
             ? std::string(value.utf8_string, value.data_size)
             : std::string();
}

uint32_t number_at(const MMDB_entry_s& entry, const char* const* path) {
  MMDB_entry_data_s value{};
  if (!value_at(entry, path, value)) {
    return 0;
  }
  return value.type == MMDB_DATA_TYPE_UINT32   ? value.uint32
         : value.type == MMDB_DATA_TYPE_UINT16 ? value.uint16
                                               : 0;
}

bool is_country(const std::string& text) {
  return text.size() == 2 && std::ranges::all_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
}

Place read_place(const MMDB_entry_s& entry, GeoTable::Kind kind) {
  static constexpr const char* kCountry[] = {"country", "iso_code", nullptr};
  static constexpr const char* kCountryCode[] = {"country_code", nullptr};
  static constexpr const char* kNumber[] = {"autonomous_system_number", nullptr};
  static constexpr const char* kOrganisation[] = {"autonomous_system_organization", nullptr};
  Place place;
  if (kind == GeoTable::Kind::asn) {
    place.asn = number_at(entry, kNumber);
    place.organisation = text_at(entry, kOrganisation);
    return place;
  }
  for (const char* const* path : {&kCountry[0], &kCountryCode[0]}) {
    if (std::string text = text_at(entry, path); is_country(text)) {
      place.country = std::move(text);
      break;
    }
  }
  return place;
}

}  // namespace

// Of all nodes, in the order of addresses. What is stored twice (IPv4 below ::/96 and as 6to4, as
// Teredo and as mapped addresses, for which databases point to the same nodes) is taken once.
class Walk {
 public:
  Walk(const MMDB_s& database, GeoTable::Kind kind, GeoTable& into)
      : database_(database), kind_(kind), into_(into) {}

  // False: the tree is damaged.
  bool go() {
    const int width = database_.metadata.ip_version == 4 ? 32 : 128;
    return visit(0, 0, 0, width);
  }

 private:
  bool visit(uint32_t number, Bits6 bits, int depth, int width) {
    // A tree without loops has no more nodes than this, whatever points to what.
    if (depth >= width || ++visited_ > uint64_t{database_.metadata.node_count} * 8 + 1024) {
      return false;
    }
    if (width == 128 && bits != 0 && number == database_.ipv4_start_node.node_value) {
      return true;  // IPv4 again
    }
    MMDB_search_node_s node{};
    if (MMDB_read_node(&database_, number, &node) != MMDB_SUCCESS) {
      return false;
    }
    const Bits6 right = bits | Bits6{1} << (width - depth - 1);
    return follow(node.left_record_type, node.left_record, node.left_record_entry, bits, depth + 1,
                  width) &&
           follow(node.right_record_type, node.right_record, node.right_record_entry, right,
                  depth + 1, width);
  }

  bool follow(uint8_t type, uint64_t record, const MMDB_entry_s& entry, Bits6 bits, int depth,
              int width) {
    switch (type) {
      case MMDB_RECORD_TYPE_SEARCH_NODE:
        return visit(static_cast<uint32_t>(record), bits, depth, width);
      case MMDB_RECORD_TYPE_EMPTY:
        return true;
      case MMDB_RECORD_TYPE_DATA:
        add(entry, bits, depth, width);
        return true;
      default:
        return false;
    }
  }

  void add(const MMDB_entry_s& entry, Bits6 bits, int depth, int width) {
    const uint32_t place = number_of(entry);
    if (place == kNowhere) {
      return;
    }
    const int host = width - depth;
    const Bits6 last = bits | (host == 128 ? ~Bits6{0} : (Bits6{1} << host) - 1);
    if (width == 32 || (depth >= 96 && (bits >> 32) == 0)) {
      put(into_.ranges4_, static_cast<Bits4>(bits), static_cast<Bits4>(last), place);
    } else {
      put(into_.ranges6_, bits, last, place);
    }
  }

  template <class Bits>
  static void put(auto& ranges, Bits first, Bits last, uint32_t place) {
    if (!ranges.empty() && ranges.back().place == place &&
        static_cast<Bits>(ranges.back().last + 1) == first) {
      ranges.back().last = last;
    } else {
      ranges.push_back({first, last, place});
    }
  }

  uint32_t number_of(const MMDB_entry_s& entry) {
    const auto known = place_of_offset_.find(entry.offset);
    if (known != place_of_offset_.end()) {
      return known->second;
    }
    const Place place = read_place(entry, kind_);
    uint32_t number = kNowhere;
    if (!place.country.empty() || place.asn != 0) {
      const auto [at, added] =
          number_of_place_.try_emplace({place.country, place.asn, place.organisation},
                                       static_cast<uint32_t>(into_.places_.size()));
      if (added) {
        into_.places_.push_back(place);
      }
      number = at->second;
    }
    place_of_offset_.emplace(entry.offset, number);
    return number;
  }

  static constexpr uint32_t kNowhere = UINT32_MAX;
  const MMDB_s& database_;
  const GeoTable::Kind kind_;
  GeoTable& into_;
  uint64_t visited_ = 0;
  std::unordered_map<uint32_t, uint32_t> place_of_offset_;
  std::map<std::tuple<std::string, uint32_t, std::string>, uint32_t> number_of_place_;
};

Result<GeoTable> GeoTable::load(const std::string& path, Kind kind) {
  const auto database = open(path);
  if (!database) {
    return std::unexpected(database.error());
  }
  GeoTable table;
  if (!Walk(**database, kind, table).go()) {
    return fail(ErrorCode::corruption, "{}: the tree of networks is damaged; get it again", path);
  }
  if (table.range_count() == 0) {
    return fail(ErrorCode::unsupported, "{}: a {} database, in which no network has {}", path,
                (*database)->metadata.database_type,
                kind == Kind::asn ? "an autonomous_system_number" : "a country code");
  }
  return table;
}

const Place* GeoTable::find(const address::Address& address) const {
  const auto look = [this](const auto& ranges, auto bits) -> const Place* {
    const auto at =
        std::ranges::lower_bound(ranges, bits, {}, [](const auto& entry) { return entry.last; });
    return at == ranges.end() || at->first > bits ? nullptr : &places_[at->place];
  };
  return address.family == address::Family::v4 ? look(ranges4_, static_cast<Bits4>(address.bits))
                                               : look(ranges6_, address.bits);
}

Result<Geo> Geo::load(const GeoOptions& options) {
  Geo geo;
  for (const auto& [path, kind, table] :
       {std::tuple(&options.country_file, GeoTable::Kind::country, &geo.countries_),
        std::tuple(&options.asn_file, GeoTable::Kind::asn, &geo.asns_)}) {
    if (path->empty()) {
      continue;
    }
    auto loaded = GeoTable::load(*path, kind);
    if (!loaded) {
      return std::unexpected(loaded.error());
    }
    *table = std::move(*loaded);
  }
  return geo;
}

Place Geo::place_of(const address::Address& address) const {
  Place place;
  if (const Place* found = countries_.find(address)) {
    place.country = found->country;
  }
  if (const Place* found = asns_.find(address)) {
    place.asn = found->asn;
    place.organisation = found->organisation;
  }
  return place;
}

Result<address::IpSet> Geo::addresses_of(std::span<const std::string> countries,
                                         std::span<const uint32_t> asns) const {
  if ((!countries.empty() && !has_countries()) || (!asns.empty() && !has_asns())) {
    return fail(ErrorCode::unsupported, "no database knows {}: set {}",
                countries.empty() || has_countries() ? "autonomous systems" : "countries",
                countries.empty() || has_countries() ? "geo_asn_file" : "geo_country_file");
  }
  address::IpSet in_countries = countries_.addresses_where([&](const Place& place) {
    return std::ranges::find(countries, place.country) != countries.end();
  });
  if (asns.empty()) {
    return in_countries;
  }
  address::IpSet in_systems = asns_.addresses_where(
      [&](const Place& place) { return std::ranges::find(asns, place.asn) != asns.end(); });
  return countries.empty() ? in_systems : in_countries.intersected(in_systems);
}

}  // namespace merlon::enrich

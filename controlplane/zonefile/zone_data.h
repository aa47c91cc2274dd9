// SPDX-License-Identifier: Apache-2.0
// A zone as plain RRsets, checked: one SOA and NS records at the apex, nothing outside, nothing
// beside a CNAME (RFC 2181 section 10.1) or below a DNAME (RFC 6672 section 2.4). Packed: a record
// takes its bytes and 32 more. Where each came from is kept for messages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "zones/base/error.h"
#include "zones/name/name.h"

namespace merlon::zonefile {

struct Place {
  uint32_t file = 0;  // number in files
  uint32_t line = 0;
};

// A file that was read, as it was then: the zone is the same as long as all of them are.
struct FileState {
  std::string path;
  int64_t modified_ns = 0;
  uint64_t size = 0;
  uint64_t inode = 0;
  bool operator==(const FileState&) const = default;
};

class ZoneData {
 public:
  struct Rrset {
    uint32_t owner = 0;
    uint32_t first = 0;  // of its records
    uint32_t count = 0;
    uint32_t ttl = 0;
    uint16_t type = 0;
    uint16_t covers = 0;  // what RRSIG records cover, 0 for others
    uint8_t owner_size = 0;
    Place place;  // of its first record
  };

  const name::Name& apex() const { return apex_; }  // folded
  uint32_t serial() const;
  // In canonical order of owners, then by type, then by what is covered; records as they came.
  const std::vector<Rrset>& rrsets() const { return rrsets_; }
  size_t record_count() const { return records_.size(); }
  Bytes owner_of(const Rrset& rrset) const {  // folded wire form
    return {bytes_.data() + rrset.owner, rrset.owner_size};
  }
  // REQUIRES: i < rrset.count. Names in it are as written, uncompressed.
  Bytes data_of(const Rrset& rrset, size_t i) const {
    const Data& data = records_[rrset.first + i];
    return {bytes_.data() + data.offset, data.size};
  }
  // The RRset of the apex; nullptr when there is none.
  const Rrset* at_apex(uint16_t type) const;
  // What was mended or left out, each with its place; the first hundred.
  const std::vector<std::string>& notes() const { return notes_; }
  const std::vector<FileState>& files() const { return files_; }
  // "zone.db:12"; "record 12" of a transfer.
  std::string place_text(Place place) const;

 private:
  friend class ZoneAssembler;
  struct Data {
    uint32_t offset = 0;
    uint16_t size = 0;
  };

  name::Name apex_;
  std::vector<uint8_t> bytes_;
  std::vector<Rrset> rrsets_;
  std::vector<Data> records_;
  std::vector<std::string> notes_;
  std::vector<FileState> files_;
};

// Collects records and checks them. The first fault ends it.
class ZoneAssembler {
 public:
  struct Record {
    Bytes owner;  // wire form, any case
    uint16_t type = 0;
    uint32_t ttl = 0;
    Bytes data;
    Place place;
  };

  explicit ZoneAssembler(const name::Name& apex);

  const name::Name& apex() const { return zone_.apex_; }
  // Files have numbers in the order in which they are added.
  uint32_t add_file(FileState file);
  void note(Place place, std::string_view text);
  // Errors: invalid_argument (outside the zone, a type that no zone holds).
  Status add(const Record& record);
  size_t record_count() const { return raw_.size(); }
  // Groups the records into RRsets and checks the zone. Leaves nothing in the assembler.
  Result<ZoneData> finish();
  // An error of code invalid_argument at a place.
  std::unexpected<Error> fault(Place place, std::string_view text) const;

 private:
  struct Raw {
    uint32_t owner = 0;
    uint32_t data = 0;
    uint32_t ttl = 0;
    Place place;
    uint16_t size = 0;
    uint16_t type = 0;
    uint16_t covers = 0;
    uint8_t owner_size = 0;
  };

  Bytes owner_of(const Raw& raw) const { return {zone_.bytes_.data() + raw.owner, raw.owner_size}; }
  Bytes data_of(const Raw& raw) const { return {zone_.bytes_.data() + raw.data, raw.size}; }
  std::string owner_text(Bytes owner) const;
  void sort();
  // raw_[first .. end) are one RRset.
  void add_rrset(size_t first, size_t end);
  std::vector<size_t> without_duplicates(size_t first, size_t end);
  Status check_apex() const;
  Status check_nsec3_parameters() const;
  Status check_names();
  Status check_node(size_t first, size_t end) const;
  void drop_orphan_signatures();

  ZoneData zone_;
  std::vector<Raw> raw_;
};

}  // namespace merlon::zonefile

// SPDX-License-Identifier: Apache-2.0
// Keys on disk, readable by their owner only:
//   <directory>/<apex>/state.json      which keys there are, and what each does
//   <directory>/<apex>/key-<id>.pem    PKCS#8
//   <directory>/known/<apex>           this zone has had keys: a lost directory is noticed rather
//                                      than replaced by keys that nobody trusts
// A key is written before the state that names it, and removed after the state that does not, so a
// crash leaves at most a file that nothing refers to.
#pragma once

#include <string>
#include <vector>

#include "controlplane/dnssec/keys.h"
#include "controlplane/dnssec/rollover.h"
#include "zones/base/error.h"
#include "zones/name/name.h"

namespace merlon::dnssec {

// Calls for one zone must not overlap.
class KeyStore {
 public:
  // Errors: io; invalid_argument when others may read the directory.
  static Result<KeyStore> open(const std::string& directory);

  const std::string& directory() const { return directory_; }
  std::string zone_directory(const name::Name& apex) const;

  // Errors: not_found for a zone that never had keys; conflict when it had some and they are gone;
  // invalid_argument (permissions too wide), corruption, io.
  Result<ZoneKeys> load(const name::Name& apex) const;
  // Generates what has no public key yet (no two with one tag), writes it, then the state, then
  // removes the files of keys that the state has no more. Errors: io.
  Status save(const name::Name& apex, ZoneKeys& zone) const;
  // Errors: as load(), with the key named.
  Result<PrivateKey> read_key(const name::Name& apex, const KeyState& key) const;

  // Zones with keys, in no order; what cannot be read is left out.
  std::vector<name::Name> zones() const;

 private:
  explicit KeyStore(std::string directory) : directory_(std::move(directory)) {}
  std::string key_path(const name::Name& apex, uint32_t id) const;
  Status generate_missing(const name::Name& apex, ZoneKeys& zone) const;
  void remove_unused(const name::Name& apex, const ZoneKeys& zone) const;

  std::string directory_;
};

// A name as the name of a file: what is not a letter, digit, "-", "_" or "." becomes %XX, and what
// would be too long is shortened by a hash.
std::string file_name_of(const name::Name& apex);

}  // namespace merlon::dnssec

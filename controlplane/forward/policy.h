// SPDX-License-Identifier: Apache-2.0
// What an account's policy says of names and of addresses in answers: its response policy zones
// (draft-vixie-dns-rpz, controlplane/compile/rpz.h), read where they lie in the snapshot. The zones
// of an account are asked in the order of their names, and the first with a rule decides. Nobody
// else's zone is ever looked at: zones are found by the account's number.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "controlplane/dns/snapshot_slot.h"
#include "controlplane/forward/records.h"
#include "zones/address/address.h"
#include "zones/name/name.h"
#include "zones/snapshot/snapshot.h"

namespace merlon::forward {

// By device number, which of its account's policies; "" or absent: all of them.
struct DevicePolicies {
  std::unordered_map<uint32_t, std::string> by_device;
};
using DevicePoliciesPointer = std::shared_ptr<const DevicePolicies>;

enum class PolicyAction : uint8_t {
  none,
  passthru,
  drop,
  tcp_only,
  nxdomain,
  nodata,
  garden,
  data
};
std::string_view to_string(PolicyAction action);
inline constexpr size_t kPolicyActionCount = static_cast<size_t>(PolicyAction::data) + 1;

struct Match {
  PolicyAction action = PolicyAction::none;
  const snapshot::LoadedZone* zone = nullptr;
  const snapshot::Node* node = nullptr;
  name::Name garden{};  // whose answer is given; without the wildcard
  uint32_t ttl_s = 0;   // of the garden's alias
};

// Address triggers of one zone. Immutable.
class AddressTriggers {
 public:
  AddressTriggers(const snapshot::LoadedZone& zone, const snapshot::IndexKey& key);

  // The node of the longest prefix that holds the address; nullptr: none.
  const snapshot::Node* find(const address::Address& address) const;
  size_t size() const { return v4_.size() + v6_.size(); }

 private:
  template <class Bits>
  struct Entry {
    address::Range<Bits> range;
    uint32_t parent = UINT32_MAX;  // the next wider one around it
    const snapshot::Node* node = nullptr;
  };
  template <class Bits>
  using Table = std::vector<Entry<Bits>>;

  template <class Bits>
  static void arrange(Table<Bits>& table);
  template <class Bits>
  static const snapshot::Node* find_in(const Table<Bits>& table, Bits bits);

  Table<address::Bits4> v4_;
  Table<address::Bits6> v6_;
};

struct PolicyZone {
  std::string name{};  // the policy's, as in its apex
  std::shared_ptr<const snapshot::LoadedZone> zone{};
};

// The policy zones of one snapshot. Used by one thread.
class PolicyIndex {
 public:
  explicit PolicyIndex(const name::Name& suffix) : suffix_(suffix) {}

  // Of the account's zones those that the device uses.
  std::vector<const PolicyZone*> zones_for(const dns::SnapshotPointer& snapshot,
                                           const snapshot::Subject& subject,
                                           const DevicePolicies* devices);
  Match match_name(const dns::SnapshotPointer& snapshot,
                   const std::vector<const PolicyZone*>& zones, const name::Name& name) const;
  // `name` is whose answer holds the address.
  Match match_address(const dns::SnapshotPointer& snapshot,
                      const std::vector<const PolicyZone*>& zones, const name::Name& name,
                      const address::Address& address);
  // Lets go of snapshots.
  void forget() { generations_.clear(); }

 private:
  struct Generation {
    dns::SnapshotPointer snapshot;
    std::unordered_map<uint32_t, std::vector<PolicyZone>> by_account;
  };
  struct Triggers {
    std::weak_ptr<const snapshot::LoadedZone> zone;
    std::unique_ptr<AddressTriggers> table;
  };

  const Generation& generation_of(const dns::SnapshotPointer& snapshot);
  const AddressTriggers& triggers_of(const PolicyZone& zone, const snapshot::IndexKey& key);

  const name::Name suffix_;
  std::vector<std::unique_ptr<Generation>> generations_;  // the newest last
  std::unordered_map<const snapshot::LoadedZone*, Triggers> triggers_;
};

// The zone's SOA, for the additional section, as resolvers with a policy zone say which it was.
void add_policy_soa(const snapshot::LoadedZone& zone, Records& out);
// Local data: the records of the asked type with this owner. False: there are none.
bool add_local_data(const Match& match, const name::Name& owner, uint16_t type, Records& out);

}  // namespace merlon::forward

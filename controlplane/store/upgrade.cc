// SPDX-License-Identifier: Apache-2.0
// Databases of older versions become ones of this program's, in one batch: a process that is killed
// meanwhile leaves the old version, and the next start begins again.
#include <map>

#include "controlplane/store/store_impl.h"

namespace merlon::store {

// Version 1 knew accounts as names with numbers only. Those that devices name become records; a
// name that a shared list has too stays, for its devices must go on being answered; until one of
// the two is gone it is refused lists and policies (check_account_name).
Status Store::Impl::upgrade() {
  if (database->schema_version() == kSchemaVersion) {
    return {};
  }
  rocksdb::WriteBatch batch;
  // Version 3 reads what version 2 wrote as it is: a history without earlier intervals, entries
  // that do not age. Only the older program must not read what this one writes.
  if (database->schema_version() == 2) {
    put_number(batch, database->column(Column::meta), kSchemaKey, kSchemaVersion);
    return database->write(batch, Durability::synced);
  }
  rocksdb::ColumnFamilyHandle* meta = database->column(Column::meta);
  rocksdb::ColumnFamilyHandle* devices = database->column(Column::devices);
  std::map<std::string, Account> accounts;
  const auto walked = for_each_in(
      *database, Column::devices, "0", "~",
      [&](std::string_view name, std::string_view record) -> Status {
        const auto device = decode_device(record);
        if (!device) {
          return in(fmt::format("store {}: device {}", database->path(), name), device.error());
        }
        Account& account = accounts[device->account];
        if (account.number == 0 || device->created < account.created) {
          account.created = device->created;
        }
        account.name = device->account;
        account.number = device->account_number;
        const auto put =
            batch.Put(devices, device_of_account_key(device->account_number) + device->name,
                      rocksdb::Slice());
        return put.ok() ? Status{} : database->failed(put);
      });
  if (!walked) {
    return walked;
  }
  for (const auto& [name, account] : accounts) {
    if (auto put = put_account(batch, account); !put) {
      return put;
    }
    if (const auto removed = batch.Delete(meta, known_account_key(name)); !removed.ok()) {
      return database->failed(removed);
    }
  }
  put_number(batch, meta, kSchemaKey, kSchemaVersion);
  return database->write(batch, Durability::synced);
}

}  // namespace merlon::store

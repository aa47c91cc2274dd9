// SPDX-License-Identifier: Apache-2.0
// Devices: who may ask.
#include "controlplane/store/rules.h"
#include "controlplane/store/store_impl.h"

namespace merlon::store {
namespace {

constexpr char kSourceKeyMark = '/';

std::string source_key(const address::AnyPrefix& source) {
  return kSourceKeyMark + indicator_key(source);
}

std::string device_of_account(const Device& device) {
  return device_of_account_key(device.account_number) + device.name;
}

}  // namespace

Status Store::Impl::check_source_free(const Device& device) const {
  std::vector<std::string> keys;
  keys.reserve(device.sources.size());
  for (const address::AnyPrefix& source : device.sources) {
    keys.push_back(source_key(source));
  }
  const auto owners = database->get_many(Column::devices, keys);
  if (!owners) {
    return std::unexpected(owners.error());
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    if ((*owners)[i]) {
      return fail(ErrorCode::conflict, "source {} belongs to device {}; remove it there first",
                  address::to_text(device.sources[i]), *(*owners)[i]);
    }
  }
  return {};
}

Result<Device> Store::Impl::load_device(const std::string& name,
                                        const rocksdb::ReadOptions& options) const {
  const auto text = database->get(Column::devices, name, options);
  if (!text) {
    return std::unexpected(text.error());
  }
  // What begins with '/' or '.' would be a source's or an account's entry.
  if (!*text || name < "0") {
    return fail(ErrorCode::not_found, "there is no device {}", name);
  }
  auto device = decode_device(**text);
  if (!device) {
    return in(fmt::format("store {}: device {}", database->path(), name), device.error());
  }
  return device;
}

Status Store::Impl::put_device(rocksdb::WriteBatch& batch, const Device& device) const {
  const auto text = encode_device(device);
  if (!text) {
    return std::unexpected(text.error());
  }
  rocksdb::ColumnFamilyHandle* devices = database->column(Column::devices);
  auto put = batch.Put(devices, slice(device.name), slice(*text));
  if (put.ok()) {
    put = batch.Put(devices, device_of_account(device), rocksdb::Slice());
  }
  for (size_t i = 0; put.ok() && i < device.sources.size(); ++i) {
    put = batch.Put(devices, source_key(device.sources[i]), slice(device.name));
  }
  return put.ok() ? Status{} : database->failed(put);
}

Status Store::Impl::delete_device(rocksdb::WriteBatch& batch, const Device& device) const {
  rocksdb::ColumnFamilyHandle* devices = database->column(Column::devices);
  auto removed = batch.Delete(devices, slice(device.name));
  if (removed.ok()) {
    removed = batch.Delete(devices, device_of_account(device));
  }
  for (size_t i = 0; removed.ok() && i < device.sources.size(); ++i) {
    removed = batch.Delete(devices, source_key(device.sources[i]));
  }
  return removed.ok() ? Status{} : database->failed(removed);
}

Result<Device> Store::add_device(Device device, int64_t now) {
  if (auto good = check_device(device); !good) {
    return in("add device", good.error());
  }
  const std::lock_guard lock(impl_->writing);
  const auto present = impl_->database->get(Column::devices, device.name);
  if (!present) {
    return std::unexpected(present.error());
  }
  if (*present) {
    return fail(ErrorCode::conflict, "add device: there is a device {} already", device.name);
  }
  if (auto free = impl_->check_source_free(device); !free) {
    return in(fmt::format("add device {}", device.name), free.error());
  }
  rocksdb::WriteBatch batch;
  Impl::Numbers numbers = impl_->next;
  std::vector<Change> changes{{.kind = Change::Kind::devices}};
  auto account = impl_->load_account(device.account);
  if (!account && account.error().code == ErrorCode::not_found) {
    Account made;
    made.name = device.account;
    made.created = now;
    account = impl_->make_account(std::move(made), numbers, batch);
    changes.push_back({.kind = Change::Kind::account, .account = account ? account->number : 0});
  }
  if (!account) {
    return in(fmt::format("add device {}", device.name), account.error());
  }
  device.created = now;
  device.number = numbers.device++;
  device.account_number = account->number;
  put_number(batch, impl_->database->column(Column::meta), kNextDeviceKey, numbers.device);
  if (auto put = impl_->put_device(batch, device); !put) {
    return in("add device", put.error());
  }
  if (auto written = impl_->commit(batch, std::move(changes)); !written) {
    return std::unexpected(written.error());
  }
  impl_->next = numbers;
  return device;
}

Status Store::remove_device(const std::string& name) {
  const std::lock_guard lock(impl_->writing);
  const auto device = impl_->load_device(name);
  if (!device) {
    return in("remove device", device.error());
  }
  rocksdb::WriteBatch batch;
  if (auto deleted = impl_->delete_device(batch, *device); !deleted) {
    return deleted;
  }
  return impl_->commit(batch, {{.kind = Change::Kind::devices}});
}

Result<std::vector<Device>> Store::devices() const {
  const Database& database = *impl_->database;
  std::vector<Device> devices;
  // Names begin with a digit or a letter; the other keys with what is below.
  const auto walked = for_each_in(
      database, Column::devices, "0", "~",
      [&](std::string_view name, std::string_view record) -> Status {
        auto device = decode_device(record);
        if (!device) {
          return in(fmt::format("store {}: device {}", database.path(), name), device.error());
        }
        devices.push_back(std::move(*device));
        return {};
      });
  if (!walked) {
    return std::unexpected(walked.error());
  }
  return devices;
}

Result<std::vector<Device>> Store::Impl::load_devices_of(uint32_t account) const {
  const View view(*database);
  const std::string first = device_of_account_key(account);
  std::vector<Device> devices;
  const auto walked = for_each_in(
      *database, Column::devices, first, end_of(first),
      [&](std::string_view key, std::string_view) -> Status {
        auto device = load_device(std::string(key.substr(first.size())), view.options());
        if (!device) {
          return std::unexpected(device.error());
        }
        devices.push_back(std::move(*device));
        return {};
      },
      view.options());
  if (!walked) {
    return std::unexpected(walked.error());
  }
  return devices;
}

Result<std::vector<Device>> Store::devices_of(const std::string& account) const {
  const auto found = impl_->load_account(account);
  if (!found) {
    return std::unexpected(found.error());
  }
  return impl_->load_devices_of(found->number);
}

}  // namespace merlon::store

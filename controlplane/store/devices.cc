// SPDX-License-Identifier: Apache-2.0
// Devices: who may ask.
#include "controlplane/store/rules.h"
#include "controlplane/store/store_impl.h"

namespace merlon::store {
namespace {

// Keys of the column: a name, and indexes that begin with what no name does.
constexpr char kSourceKeyMark = '/';
constexpr char kTokenKeyMark = '+';

std::string source_key(const address::AnyPrefix& source) {
  return kSourceKeyMark + indicator_key(source);
}

std::string token_key(const std::string& digest) {
  return kTokenKeyMark + digest;
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
    if ((*owners)[i] && *(*owners)[i] != device.name) {
      return fail(ErrorCode::conflict, "source {} belongs to device {}; remove it there first",
                  address::to_text(device.sources[i]), *(*owners)[i]);
    }
  }
  return {};
}

Status Store::Impl::check_dns_policy(const Device& device) const {
  if (device.dns_policy.empty()) {
    return {};
  }
  const auto policy = load_policy(device.account, device.dns_policy);
  if (!policy && policy.error().code != ErrorCode::not_found) {
    return std::unexpected(policy.error());
  }
  if (!policy || policy->kind != PolicyKind::dns) {
    return fail(ErrorCode::invalid_argument,
                "account {} has no DNS policy {}; `merlonctl policy list {}` shows what there is",
                device.account, device.dns_policy, device.account);
  }
  return {};
}

Result<Device> Store::Impl::load_device(const std::string& name,
                                        const rocksdb::ReadOptions& options) const {
  const auto text = database->get(Column::devices, name, options);
  if (!text) {
    return std::unexpected(text.error());
  }
  // What begins with '/', '+' or '.' would be an entry of an index.
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
  if (put.ok() && !device.token_digest.empty()) {
    put = batch.Put(devices, token_key(device.token_digest), slice(device.name));
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
  if (removed.ok() && !device.token_digest.empty()) {
    removed = batch.Delete(devices, token_key(device.token_digest));
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
  if (auto known = impl_->check_dns_policy(device); !known) {
    return in(fmt::format("add device {}", device.name), known.error());
  }
  rocksdb::WriteBatch batch;
  Impl::Numbers numbers = impl_->next;
  std::vector<Change> changes;
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
  changes.push_back({.kind = Change::Kind::devices, .account = account->number});
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

Result<Device> Store::replace_device(const Device& device) {
  if (auto good = check_device(device); !good) {
    return in("change device", good.error());
  }
  const std::string context = fmt::format("change device {}", device.name);
  const std::lock_guard lock(impl_->writing);
  const auto stored = impl_->load_device(device.name);
  if (!stored) {
    return in("change device", stored.error());
  }
  if (device.account != stored->account) {
    return fail(ErrorCode::invalid_argument,
                "{}: it is of account {}; remove it and add it to {} to move it", context,
                stored->account, device.account);
  }
  Device made = device;
  made.created = stored->created;
  made.number = stored->number;
  made.account_number = stored->account_number;
  if (made == *stored) {
    return made;
  }
  if (auto free = impl_->check_source_free(made); !free) {
    return in(context, free.error());
  }
  if (auto known = impl_->check_dns_policy(made); !known) {
    return in(context, known.error());
  }
  // What the index holds of it before goes first: a batch is applied in its order.
  rocksdb::WriteBatch batch;
  if (auto deleted = impl_->delete_device(batch, *stored); !deleted) {
    return in(context, deleted.error());
  }
  if (auto put = impl_->put_device(batch, made); !put) {
    return in(context, put.error());
  }
  if (auto written =
          impl_->commit(batch, {{.kind = Change::Kind::devices, .account = made.account_number}});
      !written) {
    return std::unexpected(written.error());
  }
  return made;
}

Result<Device> Store::device(const std::string& name) const {
  return impl_->load_device(name);
}

Result<Device> Store::device_by_token(const std::string& digest) const {
  const View view(*impl_->database);
  const auto name = impl_->database->get(Column::devices, token_key(digest), view.options());
  if (!name) {
    return std::unexpected(name.error());
  }
  if (!*name) {
    return fail(ErrorCode::not_found, "no device has this token");
  }
  return impl_->load_device(**name, view.options());
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
  return impl_->commit(batch, {{.kind = Change::Kind::devices, .account = device->account_number}});
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

// SPDX-License-Identifier: Apache-2.0
// Backups by RocksDB's own engine: a directory of backups that share the files they have in common,
// made while the store is in use. A restore checks every byte, works beside the place it is for and
// takes that with one rename, so that a killed one leaves nothing half done.
#include <fmt/format.h>
#include <rocksdb/utilities/backup_engine.h>
#include <sys/stat.h>

#include <cerrno>
#include <charconv>
#include <filesystem>

#include "controlplane/store/store_impl.h"

namespace merlon::store {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kBackupsKept = 7;
constexpr std::string_view kSchemaMark = "merlon schema ";

std::unexpected<Error> backup_failed(const std::string& directory,
                                     const rocksdb::IOStatus& status) {
  const ErrorCode code = status.IsCorruption() ? ErrorCode::corruption
                         : status.IsNotFound() ? ErrorCode::not_found
                                               : ErrorCode::io;
  return fail(code, "backups in {}: {}", directory, status.ToString());
}

BackupInfo info_of(const rocksdb::BackupInfo& backup) {
  BackupInfo info{.id = backup.backup_id,
                  .created = backup.timestamp,
                  .size_bytes = backup.size,
                  .schema_version = 0};
  const std::string& mark = backup.app_metadata;
  if (mark.starts_with(kSchemaMark)) {
    std::from_chars(mark.data() + kSchemaMark.size(), mark.data() + mark.size(),
                    info.schema_version);
  }
  return info;
}

// Backups hold what the store holds, keys of devices too.
Status prepare_directory(const std::string& directory, const std::string& store) {
  if (directory.empty() || directory.front() != '/') {
    return fail(ErrorCode::invalid_argument,
                "backup: \"{}\" is not an absolute path; the server makes the backup on its disk",
                directory);
  }
  std::error_code error;
  const fs::path wanted = fs::weakly_canonical(directory, error);
  const fs::path own = fs::weakly_canonical(store, error);
  if (!error &&
      std::mismatch(own.begin(), own.end(), wanted.begin(), wanted.end()).first == own.end()) {
    return fail(ErrorCode::invalid_argument, "backup: {} is inside the store itself", directory);
  }
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return in(fmt::format("backup: {}", directory),
              fail_errno("create the directory", errno).error());
  }
  return {};
}

}  // namespace

Result<BackupInfo> Store::backup(const std::string& directory, int64_t now) {
  if (auto prepared = prepare_directory(directory, impl_->database->path()); !prepared) {
    return std::unexpected(prepared.error());
  }
  rocksdb::BackupEngineOptions options(directory);
  rocksdb::BackupEngine* opened = nullptr;
  auto status = rocksdb::BackupEngine::Open(rocksdb::Env::Default(), options, &opened);
  if (!status.ok()) {
    return backup_failed(directory, status);
  }
  const std::unique_ptr<rocksdb::BackupEngine> engine(opened);
  rocksdb::CreateBackupOptions create;
  create.flush_before_backup = true;  // contents are not in the log
  rocksdb::BackupID id = 0;
  status = engine->CreateNewBackupWithMetadata(
      create, impl_->database->rocks(), fmt::format("{}{}", kSchemaMark, kSchemaVersion), &id);
  if (status.ok()) {
    status = engine->VerifyBackup(id);
  }
  if (status.ok()) {
    status = engine->PurgeOldBackups(kBackupsKept);
  }
  if (!status.ok()) {
    return backup_failed(directory, status);
  }
  rocksdb::BackupInfo made;
  if (const auto known = engine->GetBackupInfo(id, &made); !known.ok()) {
    return fail(ErrorCode::io, "backups in {}: {}", directory, known.ToString());
  }
  BackupInfo info = info_of(made);
  info.created = now;
  return info;
}

Result<BackupInfo> Store::restore(const std::string& directory, const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    return fail(ErrorCode::not_found, "restore: there is no directory {}", directory);
  }
  if (fs::exists(path, error) && !fs::is_empty(path, error)) {
    return fail(ErrorCode::conflict,
                "restore: {} holds a store already; move it away first, so that nothing is lost",
                path);
  }
  rocksdb::BackupEngineReadOnly* opened = nullptr;
  auto status = rocksdb::BackupEngineReadOnly::Open(
      rocksdb::Env::Default(), rocksdb::BackupEngineOptions(directory), &opened);
  if (!status.ok()) {
    return backup_failed(directory, status);
  }
  const std::unique_ptr<rocksdb::BackupEngineReadOnly> engine(opened);
  rocksdb::BackupInfo newest;
  if (const auto known = engine->GetLatestBackupInfo(&newest); !known.ok()) {
    return fail(ErrorCode::not_found, "restore: {} holds no backup that is whole: {}", directory,
                known.ToString());
  }
  const BackupInfo info = info_of(newest);
  if (info.schema_version > kSchemaVersion) {
    return fail(
        ErrorCode::unsupported,
        "restore: backup {} was written with schema version {}, this program knows versions "
        "up to {}; run the newer program",
        info.id, info.schema_version, kSchemaVersion);
  }
  status = engine->VerifyBackup(info.id, true);
  if (!status.ok()) {
    return backup_failed(directory, status);
  }
  const std::string beside = path + ".restoring";
  fs::remove_all(beside, error);
  status = engine->RestoreDBFromBackup(info.id, beside, beside);
  if (!status.ok()) {
    return backup_failed(directory, status);
  }
  fs::permissions(beside, fs::perms::owner_all, error);
  fs::remove(path, error);  // when it is an empty directory
  fs::rename(beside, path, error);
  if (error) {
    return fail(ErrorCode::io, "restore: rename {} to {}: {}", beside, path, error.message());
  }
  return info;
}

}  // namespace merlon::store

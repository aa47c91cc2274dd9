// SPDX-License-Identifier: Apache-2.0
// Texts that others keep about feeds: in `meta`, "note/" kind "/" id. They change nothing that is
// compiled, so the revision stays.
#include "controlplane/store/store_impl.h"

namespace merlon::store {
namespace {

std::string note_key(std::string_view kind, std::string_view id) {
  return fmt::format("note/{}/{}", kind, id);
}

}  // namespace

Status Store::set_note(std::string_view kind, const std::string& id, std::string_view text) {
  const std::lock_guard lock(impl_->writing);
  Database& database = *impl_->database;
  rocksdb::WriteBatch batch;
  const std::string key = note_key(kind, id);
  const auto done = text.empty() ? batch.Delete(database.column(Column::meta), key)
                                 : batch.Put(database.column(Column::meta), key, slice(text));
  return done.ok() ? database.write(batch, Durability::process) : database.failed(done);
}

Result<std::string> Store::note(std::string_view kind, const std::string& id) const {
  auto text = impl_->database->get(Column::meta, note_key(kind, id));
  if (!text) {
    return std::unexpected(text.error());
  }
  return text->value_or("");
}

}  // namespace merlon::store

// SPDX-License-Identifier: Apache-2.0
// What feeds sent last, in pieces of a mebibyte under feed number(4) piece(4), and which generation
// was served when. Contents are large and come back by themselves, so they stay out of the log.
#include <algorithm>
#include <charconv>

#include "controlplane/store/store_impl.h"

namespace merlon::store {
namespace {

constexpr size_t kPieceBytes = 1 << 20;
constexpr uint32_t kPiecesMax = Store::kContentKeptMax / kPieceBytes;

std::string piece_key(uint32_t feed_number, uint32_t piece) {
  return big_endian(feed_number) + big_endian(piece);
}

}  // namespace

rocksdb::Status delete_content(const Database& database, rocksdb::WriteBatch& batch,
                               uint32_t feed_number) {
  rocksdb::Status done;
  for (uint32_t piece = 0; done.ok() && piece < kPiecesMax; ++piece) {
    done = batch.Delete(database.column(Column::contents), piece_key(feed_number, piece));
  }
  return done;
}

Status Store::keep_content(const std::string& id, std::string_view content) {
  const std::lock_guard lock(impl_->writing);
  const auto feed = impl_->load_feed(id, {});
  if (!feed) {
    return in("keep content", feed.error());
  }
  rocksdb::WriteBatch batch;
  auto put = delete_content(*impl_->database, batch, feed->number);
  if (content.size() <= kContentKeptMax) {
    uint32_t piece = 0;
    for (; put.ok() && !content.empty(); ++piece) {
      const std::string_view part = content.substr(0, kPieceBytes);
      put = batch.Put(impl_->database->column(Column::contents), piece_key(feed->number, piece),
                      slice(part));
      content.remove_prefix(part.size());
    }
  }
  if (!put.ok()) {
    return impl_->database->failed(put);
  }
  return impl_->database->write(batch, Durability::lazy);
}

Result<std::string> Store::content_of(const std::string& id) const {
  const View view(*impl_->database);
  const auto feed = impl_->load_feed(id, view.options());
  if (!feed) {
    return std::unexpected(feed.error());
  }
  std::string content;
  rocksdb::ReadOptions options = view.options();
  options.fill_cache = false;
  const auto walked = for_each_in(
      *impl_->database, Column::contents, big_endian(feed->number), big_endian(feed->number + 1),
      [&content](std::string_view, std::string_view piece) -> Status {
        content += piece;
        return {};
      },
      options);
  if (!walked) {
    return std::unexpected(walked.error());
  }
  return content;
}

Status Store::note_generation(uint64_t generation, int64_t now) {
  const std::lock_guard lock(impl_->writing);
  rocksdb::WriteBatch batch;
  put_number(batch, impl_->database->column(Column::meta), generation_key(to_stored_time(now)),
             generation);
  return impl_->database->write(batch, Durability::process);
}

Result<GenerationAt> Store::generation_at(int64_t time) const {
  const Database& database = *impl_->database;
  const std::unique_ptr<rocksdb::Iterator> at(
      database.rocks()->NewIterator({}, database.column(Column::meta)));
  GenerationAt found;
  const auto is_ours = [&] {
    return at->Valid() && at->key().starts_with(slice(kGenerationPrefix));
  };
  const auto time_of_key = [&](uint32_t& out) {
    const std::string_view key = at->key().ToStringView();
    return parse_big_endian(key.substr(std::min(key.size(), kGenerationPrefix.size())), out);
  };
  uint32_t when = 0;
  at->Seek(slice(kGenerationPrefix));
  if (is_ours()) {
    if (!time_of_key(when)) {
      return database.damaged("a time of a generation is malformed");
    }
    found.known_from = when;
  }
  at->SeekForPrev(generation_key(to_stored_time(time)));
  if (is_ours()) {
    const std::string_view text = at->value().ToStringView();
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), found.generation);
    if (parsed.ec != std::errc{} || !time_of_key(when)) {
      return database.damaged("a generation's entry is malformed");
    }
    found.since = when;
  }
  if (!at->status().ok()) {
    return database.failed(at->status());
  }
  return found;
}

}  // namespace merlon::store

// SPDX-License-Identifier: Apache-2.0
#include "controlplane/fetch/mailbox.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <optional>
#include <system_error>

#include "controlplane/feeds/parse.h"
#include "controlplane/fetch/descriptor.h"
#include "controlplane/fetch/kept.h"
#include "controlplane/fetch/local.h"
#include "controlplane/fetch/mail.h"
#include "controlplane/fetch/transfer.h"

namespace merlon::fetch {
namespace {

constexpr size_t kMailsMax = 200'000;  // in a folder
constexpr size_t kPiece = 1 << 20;

struct Where {
  std::string path;
  MailFilter filter;
};

// scheme:///path?from=..&subject=..
Result<Where> where_of(const std::string& url) {
  Where where;
  const size_t question = std::min(url.find('?'), url.size());
  const auto path = path_of(url.substr(0, question));
  if (!path) {
    return std::unexpected(path.error());
  }
  where.path = *path;
  std::string_view rest = std::string_view(url).substr(question);
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view option = rest.substr(0, rest.find('&'));
    rest.remove_prefix(option.size());
    const size_t equal = option.find('=');
    const std::string_view name = option.substr(0, equal);
    // As a path's, its %XX are characters.
    const auto value =
        path_of(fmt::format("mbox:///{}", equal == option.npos ? "" : option.substr(equal + 1)));
    std::string* target = name == "from"      ? &where.filter.from
                          : name == "subject" ? &where.filter.subject
                                              : nullptr;
    if (target == nullptr || !value || value->size() < 2) {
      return fail(ErrorCode::invalid_argument,
                  "fetch {}: behind the ? there may be from=ADDRESS or from=@DOMAIN, and "
                  "subject=TEXT, with & between them and %XX for special characters",
                  url_for_display(url));
    }
    *target = value->substr(1);
  }
  return where;
}

std::unexpected<Error> no_mail(const FetchRequest& request, const MailFilter& filter) {
  const bool any = filter.from.empty() && filter.subject.empty();
  return fail(ErrorCode::not_found, "fetch {}: no mail in it{}{}{}", url_for_display(request.url),
              any ? "" : " that fits the filter:",
              filter.from.empty() ? "" : " from " + feeds::printable(filter.from, 80),
              filter.subject.empty() ? "" : " about " + feeds::printable(filter.subject, 80));
}

Status open_failed(const FetchRequest& request, int error) {
  const std::string url = url_for_display(request.url);
  return error == ENOENT ? fail(ErrorCode::not_found, "fetch {}: no such mailbox", url)
                         : fail_errno(fmt::format("fetch {}: open", url), error);
}

Status in_time(const FetchRequest& request, Deadline deadline) {
  const bool stopped = request.stop != nullptr && *request.stop;
  if (!stopped && std::chrono::steady_clock::now() < deadline) {
    return {};
  }
  return fail(stopped ? ErrorCode::busy : ErrorCode::io, "fetch {}: {}",
              url_for_display(request.url),
              stopped ? "given up because we stop"
                      : "not read within the time limit; move old mails out of it");
}

// Bytes of a file; fewer at its end.
Result<std::vector<uint8_t>> read_at(int fd, uint64_t offset, uint64_t size,
                                     const FetchRequest& request) {
  std::vector<uint8_t> bytes(size);
  size_t filled = 0;
  while (filled < size) {
    const ssize_t n =
        ::pread(fd, bytes.data() + filled, size - filled, static_cast<off_t>(offset + filled));
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      return fail_errno(fmt::format("fetch {}: read", url_for_display(request.url)), errno);
    }
    if (n == 0) {
      break;
    }
    filled += static_cast<size_t>(n);
  }
  bytes.resize(filled);
  return bytes;
}

// The mail there, when it fits the filter; nullopt when not.
Result<std::optional<std::vector<uint8_t>>> read_if_wanted(int fd, MboxIndex::Span span,
                                                           const MailFilter& filter,
                                                           const FetchRequest& request) {
  const uint64_t size = span.end - span.begin;
  const auto start = read_at(fd, span.begin, std::min<uint64_t>(size, kMailHeadMax), request);
  if (!start) {
    return std::unexpected(start.error());
  }
  const MailHead head = read_mail_head(*start);
  if (!matches(head, filter)) {
    return std::nullopt;
  }
  if (size > request.size_max_bytes) {
    return fail(ErrorCode::invalid_argument,
                "fetch {}: the mail \"{}\" of {} from {} has {} bytes, more than {} (size limit); "
                "raise the feed's size_max_bytes if this is right",
                url_for_display(request.url), feeds::printable(head.subject, 80),
                feeds::printable(head.date, 40), feeds::printable(head.from, 80), size,
                request.size_max_bytes);
  }
  auto whole = read_at(fd, span.begin, size, request);
  return whole ? Result<std::optional<std::vector<uint8_t>>>(std::move(*whole))
               : std::unexpected(whole.error());
}

Result<FetchResult> content_of(Bytes mail, const FetchRequest& request) {
  const std::string url = url_for_display(request.url);
  auto parts = read_mail_parts(mail);
  if (!parts) {
    return in(fmt::format("fetch {}: the mail \"{}\"", url,
                          feeds::printable(read_mail_head(mail).subject, 80)),
              parts.error());
  }
  if (parts->size() == 1) {
    return as_result(std::move(parts->front().bytes), {}, request);
  }
  std::string text;
  for (const MailPart& part : *parts) {
    if (auto added = append_part(part.bytes, request.size_max_bytes, url, text); !added) {
      return in(fmt::format("fetch {}: {}", url, feeds::printable(part.name, 80)), added.error());
    }
  }
  return as_result(std::vector<uint8_t>(text.begin(), text.end()), {}, request);
}

Result<std::vector<MboxIndex::Span>> index_of(int fd, const FetchRequest& request,
                                              Deadline deadline) {
  MboxIndex index;
  for (uint64_t offset = 0;;) {
    if (auto going = in_time(request, deadline); !going) {
      return std::unexpected(going.error());
    }
    const auto piece = read_at(fd, offset, kPiece, request);
    if (!piece) {
      return std::unexpected(piece.error());
    }
    if (piece->empty()) {
      break;
    }
    index.feed(as_text(*piece));
    offset += piece->size();
  }
  return index.finish();
}

struct Delivered {
  int64_t time = 0;
  std::string path;
};

// Newest first. A file's name begins with the time of its delivery.
Result<std::vector<Delivered>> delivered_in(const Where& where, const FetchRequest& request) {
  std::vector<Delivered> mails;
  std::error_code error;
  for (const char* part : {"/new", "/cur"}) {
    for (std::filesystem::directory_iterator item(where.path + part, error), end;
         !error && item != end; item.increment(error)) {
      const std::string name = item->path().filename().string();
      Delivered mail{.time = 0, .path = item->path().string()};
      std::from_chars(name.data(), name.data() + name.size(), mail.time);
      if (!name.starts_with('.')) {
        mails.push_back(std::move(mail));
      }
      if (mails.size() > kMailsMax) {
        return fail(ErrorCode::invalid_argument, "fetch {}: more than {} mails; move old ones out",
                    url_for_display(request.url), kMailsMax);
      }
    }
    if (error) {
      return fail(
          error == std::errc::no_such_file_or_directory ? ErrorCode::not_found : ErrorCode::io,
          "fetch {}: {}{}: {}; a maildir has new and cur", url_for_display(request.url), where.path,
          part, error.message());
    }
  }
  std::sort(mails.begin(), mails.end(), [](const Delivered& a, const Delivered& b) {
    return std::pair(a.time, a.path) > std::pair(b.time, b.path);
  });
  return mails;
}

}  // namespace

Result<FetchResult> fetch_mbox(const FetchRequest& request) {
  const Deadline deadline = deadline_of(request);
  const auto where = where_of(request.url);
  if (!where) {
    return std::unexpected(where.error());
  }
  const Descriptor file(::open(where->path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) {
    return std::unexpected(open_failed(request, errno).error());
  }
  struct stat info{};
  if (::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return fail(ErrorCode::invalid_argument,
                "fetch {}: not a regular file; for a folder of mails use maildir://",
                url_for_display(request.url));
  }
  // Who delivers into it holds this lock, and the last mail is not whole.
  struct flock lock{};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(file.get(), F_SETLK, &lock) != 0 && (errno == EAGAIN || errno == EACCES)) {
    return fail(ErrorCode::busy, "fetch {}: a mail is being delivered; try again later",
                url_for_display(request.url));
  }
  const auto mails = index_of(file.get(), request, deadline);
  if (!mails) {
    return std::unexpected(mails.error());
  }
  if (mails->empty() && info.st_size > 0) {
    return fail(ErrorCode::invalid_argument,
                "fetch {}: not an mbox file: no line begins with \"From \"",
                url_for_display(request.url));
  }
  for (auto span = mails->rbegin(); span != mails->rend(); ++span) {
    if (auto going = in_time(request, deadline); !going) {
      return std::unexpected(going.error());
    }
    const auto mail = read_if_wanted(file.get(), *span, where->filter, request);
    if (!mail) {
      return std::unexpected(mail.error());
    }
    if (*mail) {
      return content_of(**mail, request);
    }
  }
  return no_mail(request, where->filter);
}

Result<FetchResult> fetch_maildir(const FetchRequest& request) {
  const Deadline deadline = deadline_of(request);
  const auto where = where_of(request.url);
  if (!where) {
    return std::unexpected(where.error());
  }
  const auto mails = delivered_in(*where, request);
  if (!mails) {
    return std::unexpected(mails.error());
  }
  for (const Delivered& delivered : *mails) {
    if (auto going = in_time(request, deadline); !going) {
      return std::unexpected(going.error());
    }
    const Descriptor file(
        ::open(delivered.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
    struct stat info{};
    if (file.get() < 0 || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
      continue;  // moved from new to cur at this moment, or no mail
    }
    const auto mail =
        read_if_wanted(file.get(), {.begin = 0, .end = static_cast<uint64_t>(info.st_size)},
                       where->filter, request);
    if (!mail) {
      return std::unexpected(mail.error());
    }
    if (*mail) {
      return content_of(**mail, request);
    }
  }
  return no_mail(request, where->filter);
}

}  // namespace merlon::fetch

// SPDX-License-Identifier: Apache-2.0
#include "controlplane/fetch/mail.h"

#include <gmime/gmime.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace merlon::fetch {
namespace {

// GMime builds a tree of all parts, so their number is looked at first: a border begins with --.
constexpr size_t kBordersMax = 50'000;
constexpr size_t kPartsMax = 100;

struct Unref {
  void operator()(void* object) const { g_object_unref(object); }
};
struct Free {
  void operator()(char* text) const { g_free(text); }
};
template <class T>
using Object = std::unique_ptr<T, Unref>;
using Text = std::unique_ptr<char, Free>;

template <class To, class From>
To* as(From* object) {
  return reinterpret_cast<To*>(object);
}

void initialise_once() {
  static const bool kDone = [] {
    g_mime_init();
    return true;
  }();
  (void)kDone;
}

Object<GMimeMessage> parse(Bytes mail) {
  initialise_once();
  const Object<GMimeStream> stream(
      g_mime_stream_mem_new_with_buffer(as_text(mail).data(), mail.size()));
  const Object<GMimeParser> parser(g_mime_parser_new_with_stream(stream.get()));
  g_mime_parser_set_format(parser.get(), GMIME_FORMAT_MESSAGE);
  return Object<GMimeMessage>(g_mime_parser_construct_message(parser.get(), nullptr));
}

std::string text_or_empty(const char* text) {
  return text == nullptr ? "" : text;
}

std::string folded(const std::string& text) {
  const Text valid(g_utf8_make_valid(text.data(), static_cast<gssize>(text.size())));
  const Text fold(g_utf8_casefold(valid.get(), -1));
  return fold.get();
}

enum class Kind : uint8_t { attachment, text, html, other };

Kind kind_of(GMimePart* part) {
  GMimeContentType* type = g_mime_object_get_content_type(as<GMimeObject>(part));
  const auto is = [&](const char* major, const char* minor) {
    return type != nullptr && g_mime_content_type_is_type(type, major, minor) != 0;
  };
  if (is("image", "*") || is("audio", "*") || is("video", "*") ||
      is("application", "pgp-signature") || is("application", "pgp-keys") ||
      is("application", "pkcs7-signature") || is("application", "x-pkcs7-signature") ||
      is("text", "calendar") || is("text", "vcard")) {
    return Kind::other;
  }
  if (g_mime_part_is_attachment(part) != 0 || g_mime_part_get_filename(part) != nullptr) {
    return Kind::attachment;
  }
  if (type == nullptr || is("text", "plain")) {
    return Kind::text;
  }
  return is("text", "html") ? Kind::html : is("text", "*") ? Kind::text : Kind::attachment;
}

MailPart read_part(GMimePart* part) {
  MailPart read;
  read.name = text_or_empty(g_mime_part_get_filename(part));
  GMimeDataWrapper* content = g_mime_part_get_content(part);
  if (content == nullptr) {
    return read;
  }
  const Object<GMimeStream> out(g_mime_stream_mem_new());
  g_mime_data_wrapper_write_to_stream(content, out.get());
  const GByteArray* bytes = g_mime_stream_mem_get_byte_array(as<GMimeStreamMem>(out.get()));
  if (bytes->len > 0) {
    read.bytes.assign(bytes->data, bytes->data + bytes->len);
  }
  return read;
}

size_t count_borders(std::string_view text) {
  size_t count = 0;
  for (size_t at = text.find("\n--"); at != text.npos; at = text.find("\n--", at + 1)) {
    ++count;
  }
  return count;
}

}  // namespace

MailHead read_mail_head(Bytes mail) {
  const std::string_view all = as_text(mail).substr(0, kMailHeadMax);
  const size_t end = std::min(all.find("\n\n"), all.find("\n\r\n"));
  std::string head(all.substr(0, end));
  head += "\n\n";
  MailHead read;
  const auto message = parse(as_bytes(head));
  if (!message) {
    return read;
  }
  InternetAddressList* from = g_mime_message_get_from(message.get());
  if (from != nullptr && internet_address_list_length(from) > 0) {
    InternetAddress* first = internet_address_list_get_address(from, 0);
    if (INTERNET_ADDRESS_IS_MAILBOX(first) != 0) {
      read.from =
          text_or_empty(internet_address_mailbox_get_addr(as<InternetAddressMailbox>(first)));
    }
  }
  read.subject = text_or_empty(g_mime_message_get_subject(message.get()));
  read.date = text_or_empty(g_mime_object_get_header(as<GMimeObject>(message.get()), "Date"));
  return read;
}

bool matches(const MailHead& head, const MailFilter& filter) {
  const std::string from = folded(head.from);
  const std::string wanted = folded(filter.from);
  const bool sender =
      wanted.empty() || from == wanted || (wanted.starts_with('@') && from.ends_with(wanted));
  return sender && folded(head.subject).find(folded(filter.subject)) != std::string::npos;
}

Result<std::vector<MailPart>> read_mail_parts(Bytes mail) {
  if (count_borders(as_text(mail)) > kBordersMax) {
    return fail(ErrorCode::invalid_argument,
                "more than {} lines begin with --, as borders of parts", kBordersMax);
  }
  const auto message = parse(mail);
  if (!message) {
    return fail(ErrorCode::invalid_argument, "no mail");
  }
  std::vector<MailPart> attachments;
  std::vector<MailPart> texts;
  std::vector<MailPart> pages;
  const std::unique_ptr<GMimePartIter, decltype(&g_mime_part_iter_free)> parts(
      g_mime_part_iter_new(as<GMimeObject>(message.get())), &g_mime_part_iter_free);
  for (bool more = g_mime_part_iter_is_valid(parts.get()) != 0; more;
       more = g_mime_part_iter_next(parts.get()) != 0) {
    GMimeObject* object = g_mime_part_iter_get_current(parts.get());
    if (object == nullptr || GMIME_IS_PART(object) == 0) {
      continue;
    }
    const Kind kind = kind_of(as<GMimePart>(object));
    auto& where = kind == Kind::attachment ? attachments : kind == Kind::text ? texts : pages;
    if (kind == Kind::other) {
      continue;
    }
    if (where.size() == kPartsMax) {
      return fail(ErrorCode::invalid_argument, "more than {} parts of one kind", kPartsMax);
    }
    where.push_back(read_part(as<GMimePart>(object)));
  }
  auto& found = !attachments.empty() ? attachments : !texts.empty() ? texts : pages;
  if (found.empty()) {
    return fail(ErrorCode::invalid_argument, "neither an attachment nor a text in it");
  }
  return std::move(found);
}

void MboxIndex::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t newline = bytes.find('\n');
    const std::string_view line = bytes.substr(0, newline);
    const size_t taken = std::min(line.size(), sizeof head_ - head_size_);
    std::memcpy(head_ + head_size_, line.data(), taken);
    head_size_ += taken;
    line_blank_ = line_blank_ && line.find_first_not_of('\r') == line.npos;
    offset_ += line.size();
    if (newline == bytes.npos) {
      return;
    }
    ++offset_;
    end_line();
    bytes.remove_prefix(newline + 1);
  }
}

void MboxIndex::end_line() {
  if (after_blank_ && std::string_view(head_, head_size_) == "From ") {
    if (!mails_.empty()) {
      mails_.back().end = line_begin_;
    }
    mails_.push_back({.begin = offset_, .end = offset_});
  }
  after_blank_ = line_blank_;
  line_blank_ = true;
  head_size_ = 0;
  line_begin_ = offset_;
}

const std::vector<MboxIndex::Span>& MboxIndex::finish() {
  if (!mails_.empty()) {
    mails_.back().end = offset_;
  }
  return mails_;
}

}  // namespace merlon::fetch

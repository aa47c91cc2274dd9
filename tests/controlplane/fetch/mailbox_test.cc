// SPDX-License-Identifier: Apache-2.0
#include "controlplane/fetch/mailbox.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "controlplane/fetch/mail.h"
#include "tests/support/snapshot_fixture.h"
#include "zones/base/bytes.h"

namespace merlon::fetch {
namespace {

using Outcome = FetchResult::Outcome;

std::string mail(std::string_view from, std::string_view subject, std::string_view rest) {
  return fmt::format("From: {}\nSubject: {}\nDate: Thu, 01 Jan 2026 00:00:00 +0000\n{}", from,
                     subject, rest);
}

// "45.4.1.1\n45.4.1.2\n" in base64 beside a text and a picture.
constexpr std::string_view kMultipart =
    "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\n\npreamble\n"
    "--b\nContent-Type: text/plain\n\nHello 45.4.9.9\n"
    "--b\nContent-Type: text/plain; name=\"list.txt\"\nContent-Transfer-Encoding: base64\n"
    "Content-Disposition: attachment; filename=\"list.txt\"\n\nNDUuNC4xLjEKNDUuNC4xLjIK\n"
    "--b\nContent-Type: image/png; name=\"a.png\"\nContent-Transfer-Encoding: base64\n\nAAAA\n"
    "--b--\n";

class Mailbox : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
    std::ofstream(path(name), std::ios::binary) << text;
  }
  FetchRequest mbox(const std::string& query = "") const {
    return {.url = "mbox://" + path("box") + query};
  }
  FetchRequest maildir(const std::string& query = "") const {
    return {.url = "maildir://" + path("dir") + query};
  }
  tests::TemporaryDirectory folder_;
};

std::string body_of(const Result<FetchResult>& result) {
  return result ? std::string(as_text(result->body)) : result.error().message;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_F(Mailbox, LastMailOfAnMboxGivesItsAttachment) {
  const std::string line = "From list@x.example Thu Jan  1 00:00:00 2026\n";
  write("box", line + mail("a@x.example", "one", "\n45.4.2.1\nFrom the middle of a text\n\n") +
                   line + mail("b@x.example", "two", kMultipart) + "\n");
  const auto result = fetch(mbox());
  EXPECT_EQ(body_of(result), "45.4.1.1\n45.4.1.2\n");
  FetchRequest again = mbox();
  again.etag = result->etag;
  EXPECT_EQ(fetch(again)->outcome, Outcome::not_modified);
  EXPECT_TRUE(has(body_of(fetch(mbox("?from=a@x.example"))), "45.4.2.1\nFrom the middle"));
}

TEST_F(Mailbox, FilterTellsOneListFromOthers) {
  write("dir/cur/100.a:2,S",
        mail("Lists <LISTS@x.example>", "Daily =?utf-8?q?Bl=C3=B6cklist?=", "\n45.4.1.1\n"));
  write("dir/new/200.b", mail("lists@x.example.evil.example", "Daily", "\n45.4.6.6\n"));
  write("dir/new/150.c", mail("news@x.example", "News", "\n45.4.1.2\n"));
  EXPECT_EQ(body_of(fetch(maildir())), "45.4.6.6\n");
  EXPECT_EQ(body_of(fetch(maildir("?from=lists@x.example"))), "45.4.1.1\n");
  EXPECT_EQ(body_of(fetch(maildir("?from=@x.example"))), "45.4.1.2\n");
  EXPECT_EQ(body_of(fetch(maildir("?subject=bl%C3%B6ck&from=@x.example"))), "45.4.1.1\n");
  const auto none = fetch(maildir("?from=nobody@x.example"));
  EXPECT_TRUE(has(body_of(none), "from nobody@x.example"));
  EXPECT_EQ(none.error().code, ErrorCode::not_found);
  EXPECT_TRUE(has(body_of(fetch(maildir("?to=x"))), "there may be from=ADDRESS"));
}

TEST_F(Mailbox, MailAboveTheLimitIsRefusedByName) {
  write("dir/cur/1.a", mail("a@x.example", "small", "\n45.4.1.1\n"));
  write("dir/new/2.b", mail("a@x.example", "the huge list", "\n" + std::string(2000, 'x')));
  FetchRequest asking = maildir();
  asking.size_max_bytes = 1000;
  const auto result = fetch(asking);
  EXPECT_TRUE(has(body_of(result), "the mail \"the huge list\"")) << body_of(result);
  EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
}

TEST_F(Mailbox, WhatIsNoMailboxSaysSo) {
  EXPECT_EQ(fetch(mbox()).error().code, ErrorCode::not_found);
  write("box", "45.4.1.1\n");
  EXPECT_TRUE(has(body_of(fetch(mbox())), "not an mbox file"));
  EXPECT_EQ(fetch(maildir()).error().code, ErrorCode::not_found);
  std::filesystem::create_directories(path("dir/cur"));
  std::filesystem::create_directories(path("dir/new"));
  EXPECT_TRUE(has(body_of(fetch(maildir())), "no mail in it"));
  std::filesystem::create_symlink("/etc/passwd", path("dir/new/9.x"));
  EXPECT_TRUE(has(body_of(fetch(maildir())), "no mail in it"));
  EXPECT_TRUE(has(body_of(fetch({.url = "mbox://" + folder_.path()})), "use maildir://"));
}

TEST(Mail, PartsAreUnpackedAndSeveralAttachmentsAreAllThere) {
  const auto quoted = read_mail_parts(as_bytes(mail(
      "a@x", "s",
      "Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n45=2E4.=\n1.1\n")));
  ASSERT_TRUE(quoted);
  EXPECT_EQ(as_text(quoted->front().bytes), "45.4.1.1\n");
  const std::string part =
      "--b\nContent-Type: text/csv\nContent-Disposition: attachment; filename=x\n\n{}\n";
  const auto several = read_mail_parts(as_bytes(
      mail("a@x", "s", "Content-Type: multipart/mixed; boundary=b\n\n") +
      fmt::format(fmt::runtime(part), 1) + fmt::format(fmt::runtime(part), 2) + "--b--\n"));
  ASSERT_TRUE(several);
  EXPECT_EQ(several->size(), 2u);
  const auto html = read_mail_parts(
      as_bytes(mail("a@x", "s",
                    "Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: "
                    "text/html\n\n<p>x</p>\n--b--\n")));
  ASSERT_TRUE(html);
  EXPECT_EQ(as_text(html->front().bytes), "<p>x</p>");
}

TEST(Mail, DeepAndManyPartsAreHarmless) {
  std::string deep;
  for (int i = 0; i < 20'000; ++i) {
    deep += fmt::format("Content-Type: multipart/mixed; boundary=b{}\n\n--b{}\n", i, i);
  }
  (void)read_mail_parts(as_bytes(deep));
  std::string many = "Content-Type: multipart/mixed; boundary=b\n\n";
  for (int i = 0; i < 60'000; ++i) {
    many += "--b\n\nx\n";
  }
  EXPECT_FALSE(read_mail_parts(as_bytes(many)));
  EXPECT_FALSE(read_mail_parts({}).has_value() && !read_mail_parts({})->front().bytes.empty());
}

TEST(Mail, IndexIsTheSameHoweverTheBytesCome) {
  const std::string text = "From a\nx: 1\n\nFrom the text\r\n\r\nFrom b\n\nFrom\n\nFrom c";
  std::vector<MboxIndex::Span> whole;
  for (size_t piece = text.size(); piece > 0; --piece) {
    MboxIndex index;
    for (size_t at = 0; at < text.size(); at += piece) {
      index.feed(std::string_view(text).substr(at, piece));
    }
    const auto& spans = index.finish();
    if (piece == text.size()) {
      whole = spans;
      EXPECT_EQ(spans.size(), 3u);
    }
    ASSERT_EQ(spans.size(), whole.size());
    for (size_t i = 0; i < spans.size(); ++i) {
      EXPECT_EQ(spans[i].begin, whole[i].begin);
      EXPECT_EQ(spans[i].end, whole[i].end);
    }
  }
}

}  // namespace
}  // namespace merlon::fetch

// SPDX-License-Identifier: Apache-2.0
#include "controlplane/fetch/credentials.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/support/snapshot_fixture.h"

namespace merlon::fetch {
namespace {

TEST(Credentials, EachFormIsRead) {
  EXPECT_TRUE(parse_credentials("")->empty());
  const auto header = parse_credentials("header X-Api-Key file:/k/x");
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->header_name, "X-Api-Key");
  EXPECT_EQ(header->header_file, "/k/x");
  const auto both = parse_credentials("basic joe file:/k/p; certificate /k/c.pem /k/k.pem");
  ASSERT_TRUE(both.has_value());
  EXPECT_EQ(both->user, "joe");
  EXPECT_EQ(both->password_file, "/k/p");
  EXPECT_EQ(both->certificate_file, "/k/c.pem");
  EXPECT_EQ(both->key_file, "/k/k.pem");
  const auto key =
      parse_credentials("key joe /k/id; host SHA256:uNiVztksCsDhcc0u9e8BrscJMx1AbVxxzAVPHAWAVPQ");
  ASSERT_TRUE(key.has_value());
  EXPECT_EQ(key->key_file, "/k/id");
  EXPECT_EQ(key->host_key, "uNiVztksCsDhcc0u9e8BrscJMx1AbVxxzAVPHAWAVPQ");
}

TEST(Credentials, SecretInTheDefinitionIsRefusedAndNotShown) {
  for (const char* text : {"header X-Api-Key hunter2", "basic joe hunter2", "hunter2",
                           "header X-Api-Key file:hunter2", "basic joe:hunter2"}) {
    const auto parsed = parse_credentials(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_argument);
    if (std::string_view(text) != "hunter2") {
      EXPECT_EQ(parsed.error().message.find("hunter2"), std::string::npos)
          << parsed.error().message;
    }
  }
}

TEST(Credentials, HeadersThatFrameARequestAndBrokenFormsAreRefused) {
  for (const char* text :
       {"header Host file:/k", "header content-length file:/k", "header A:B file:/k",
        "header X file:", "certificate c.pem /k", "certificate /c k", "key joe id", "host MD5:aa",
        "host SHA256:short", "header X file:/a extra", "basic joe"}) {
    EXPECT_FALSE(parse_credentials(text).has_value()) << text;
  }
}

TEST(Secret, IsReadOnlyFromAFileThatNobodyElseMayRead) {
  const tests::TemporaryDirectory folder;
  const std::string path = folder.path() + "/key";
  std::ofstream(path) << "s3cret\nnot this\n";
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  const auto open = read_secret(path);
  ASSERT_FALSE(open.has_value());
  EXPECT_NE(open.error().message.find("chmod 600"), std::string::npos);
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  EXPECT_EQ(*read_secret(path), "s3cret");
  EXPECT_EQ(read_secret(path + "x").error().code, ErrorCode::not_found);
  std::ofstream(path) << "\n";
  EXPECT_FALSE(read_secret(path).has_value());
  std::ofstream(path) << std::string("a\tb");
  EXPECT_FALSE(read_secret(path).has_value());
  EXPECT_FALSE(read_secret(folder.path()).has_value());
}

}  // namespace
}  // namespace merlon::fetch

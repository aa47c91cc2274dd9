// SPDX-License-Identifier: Apache-2.0
#include "zones/snapshot/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/snapshot_fixture.h"
#include "zones/base/file.h"
#include "zones/snapshot/directory.h"

namespace merlon::snapshot {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const SigningKey& key() {
  static const SigningKey shared = tests::fixed_signing_key();
  return shared;
}

const tests::Fixture& fixture() {
  static const tests::Fixture shared = tests::make_fixture({.basic_count = 3, .basic1_count = 2});
  return shared;
}

std::string good_text() {
  return fixture().manifest(42).render(key());
}

// Signs again what was edited, so that the checks behind the signature are reached.
std::string resign(std::string body) {
  const auto signature = tests::sign(as_bytes(body), key());
  return body + "signature ed25519 " + to_hex(key().public_key) + " " + to_hex(signature) + "\n";
}

std::string unsigned_part(const std::string& text) {
  return text.substr(0, text.find("signature "));
}

std::string error_of(const std::string& text, const PublicKey& trusted = key().public_key) {
  const auto manifest = Manifest::parse(text, trusted);
  return manifest ? "" : manifest.error().message;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at) + 1;
    lines.push_back(text.substr(at, end - at));
    at = end;
  }
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) {
    text += line;
  }
  return text;
}

TEST(Manifest, ReadsWhatWasWritten) {
  const auto manifest = Manifest::parse(good_text(), key().public_key);
  ASSERT_TRUE(manifest.has_value()) << manifest.error().message;
  EXPECT_EQ(manifest->generation, 42u);
  EXPECT_EQ(manifest->created, 1790000000);
  EXPECT_EQ(manifest->segments, fixture().manifest(42).segments);
  EXPECT_EQ(manifest->render(key()), good_text());
}

TEST(Manifest, ApexIsWrittenFolded) {
  Manifest manifest = fixture().manifest(1);
  for (ManifestSegment& segment : manifest.segments) {
    if (segment.kind == SegmentKind::zone) {
      segment.apex = *name::Name::from_text("MIXED.Case.");
      break;
    }
  }
  manifest.normalise();
  EXPECT_EQ(error_of(manifest.render(key())), "");
}

TEST(Manifest, NormaliseSortsAndDropsRepeats) {
  Manifest manifest = fixture().manifest(7);
  const std::vector<ManifestSegment> sorted = manifest.segments;
  std::reverse(manifest.segments.begin(), manifest.segments.end());
  manifest.segments.push_back(manifest.segments.front());
  manifest.normalise();
  EXPECT_EQ(manifest.segments, sorted);
}

TEST(ManifestCorruption, EveryByteOfEveryLine) {
  const std::string good = good_text();
  size_t line = 1;
  for (size_t at = 0; at < good.size(); ++at) {
    for (const char change : {'\x01', '\x20'}) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ change);
      const std::string error = error_of(bad);
      EXPECT_THAT(error, StartsWith("manifest line ")) << at;
    }
    line += good[at] == '\n' ? 1u : 0u;
  }
  EXPECT_EQ(line, lines_of(good).size() + 1);
}

TEST(ManifestCorruption, TruncationAtEveryLength) {
  const std::string good = good_text();
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_THAT(error_of(good.substr(0, size)), StartsWith("manifest line ")) << size;
  }
}

TEST(ManifestCorruption, EachLineLostSwappedOrRepeated) {
  const std::vector<std::string> good = lines_of(good_text());
  for (size_t i = 0; i < good.size(); ++i) {
    std::vector<std::string> lost = good;
    lost.erase(lost.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_NE(error_of(joined(lost)), "") << i;
    std::vector<std::string> twice = good;
    twice.insert(twice.begin() + static_cast<std::ptrdiff_t>(i), good[i]);
    EXPECT_NE(error_of(joined(twice)), "") << i;
    if (i + 1 < good.size()) {
      std::vector<std::string> swapped = good;
      std::swap(swapped[i], swapped[i + 1]);
      EXPECT_NE(error_of(joined(swapped)), "") << i;
    }
  }
}

TEST(ManifestCorruption, SignatureIsNeededAndLast) {
  const std::string good = good_text();
  const size_t lines = lines_of(good).size();
  EXPECT_EQ(error_of(unsigned_part(good)),
            fmt::format("manifest line {}: ends without a signature", lines));
  EXPECT_EQ(error_of(good + "x"),
            fmt::format("manifest line {}: 1 bytes behind the signature", lines));
  EXPECT_EQ(error_of(good + good),
            fmt::format("manifest line {}: {} bytes behind the signature", lines, good.size()));
  std::string damaged = good;
  damaged[damaged.size() - 2] = damaged[damaged.size() - 2] == '0' ? '1' : '0';
  EXPECT_EQ(error_of(damaged),
            fmt::format("manifest line {}: signature does not match the content", lines));
}

TEST(ManifestCorruption, AnotherKeyIsRefusedAndNamed) {
  const SigningKey other = SigningKey::generate();
  const std::string text = fixture().manifest(42).render(other);
  const auto manifest = Manifest::parse(text, key().public_key);
  ASSERT_FALSE(manifest.has_value());
  EXPECT_EQ(manifest.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(manifest.error().message, HasSubstr(to_hex(other.public_key)));
  EXPECT_THAT(manifest.error().message, HasSubstr(to_hex(key().public_key)));
  // Another key's signature under our name.
  std::string forged = text;
  const size_t at = forged.find(to_hex(other.public_key));
  forged.replace(at, 64, to_hex(key().public_key));
  EXPECT_THAT(error_of(forged), HasSubstr("signature does not match the content"));
}

// Signed by the right key and still not a manifest.
TEST(ManifestCorruption, SignedNonsenseIsNamed) {
  const std::string body = unsigned_part(good_text());
  const std::vector<std::string> good = lines_of(body);  // line i + 1 at [i]; bodies at [3]
  const auto with_line = [&](size_t line, std::string text) {
    std::vector<std::string> lines = good;
    lines[line - 1] = text + "\n";
    return error_of(resign(joined(lines)));
  };
  ASSERT_EQ(error_of(resign(body)), "");
  EXPECT_EQ(with_line(1, "merlon-manifest 2.0"), "manifest line 1: not \"merlon-manifest 1.0\"");
  for (const char* text : {"generation", "generation 0", "generation 042", "generation -1",
                           "generation 1 2", "generation 99999999999999999999", "Generation 1"}) {
    EXPECT_EQ(with_line(2, text), "manifest line 2: no generation") << text;
  }
  for (const char* text : {"created -1", "created -0", "created 1x", "created ", "created 01"}) {
    EXPECT_EQ(with_line(3, text), "manifest line 3: no creation time") << text;
  }
  const std::string hash(64, 'a');
  EXPECT_EQ(with_line(4, "segment bodies " + hash + " 1"),
            "manifest line 4: not a segment line: \"segment bodies " + hash + " 1\"");
  EXPECT_THAT(with_line(4, "segment nothing " + hash + " 1 -"), HasSubstr("not a segment line"));
  for (const std::string& text :
       {"segment bodies " + std::string(63, 'a') + " 1 -",
        "segment bodies " + std::string(64, 'A') + " 1 -", "segment bodies " + hash + " 01 -",
        "segment bodies " + hash + " 17179869185 -", "segment bodies " + hash + "  -"}) {
    EXPECT_EQ(with_line(4, text), "manifest line 4: bad hash or size") << text;
  }
  EXPECT_EQ(with_line(4, "segment bodies " + hash + " 1 a."),
            "manifest line 4: only zones have an apex");
  EXPECT_EQ(with_line(4, "segment zone " + hash + " 1 A."), "manifest line 4: bad apex \"A.\"");
  EXPECT_EQ(with_line(4, "segment zone " + hash + " 1 a"), "manifest line 4: bad apex \"a\"");
  EXPECT_EQ(with_line(4, "segment zone " + hash + " 1 -"), "manifest line 4: bad apex \"-\"");
  EXPECT_EQ(with_line(4, "comment"), "manifest line 4: unknown word \"comment\"");
  EXPECT_EQ(with_line(4, ""), "manifest line 4: unknown word \"\"");
  std::vector<std::string> reordered = good;
  std::swap(reordered[3], reordered[4]);
  EXPECT_EQ(error_of(resign(joined(reordered))), "manifest line 5: segments are out of order");
  std::vector<std::string> repeated = good;
  repeated.insert(repeated.begin() + 4, good[3]);
  EXPECT_EQ(error_of(resign(joined(repeated))), "manifest line 5: segments are out of order");
  std::vector<std::string> no_access = good;
  no_access.pop_back();
  EXPECT_EQ(error_of(resign(joined(no_access))),
            fmt::format("manifest line {}: 0 access segments instead of one", good.size()));
  std::vector<std::string> two_access = good;
  two_access.push_back("segment access " + std::string(64, 'f') + " 1 -\n");
  EXPECT_EQ(error_of(resign(joined(two_access))),
            fmt::format("manifest line {}: 2 access segments instead of one", good.size() + 2));
}

TEST(SigningKeyFile, IsCreatedWithMode0600AndReused) {
  const tests::TemporaryDirectory folder;
  const std::string path = folder.path() + "/manifest.key";
  const auto created = SigningKey::load_or_create(path);
  ASSERT_TRUE(created.has_value()) << created.error().message;
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  const auto again = SigningKey::load_or_create(path);
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_EQ(again->secret_key, created->secret_key);
  EXPECT_EQ(again->public_key, created->public_key);
  EXPECT_EQ(error_of(fixture().manifest(1).render(*again), created->public_key), "");
}

TEST(SigningKeyFile, ReadableByOthersIsRefused) {
  const tests::TemporaryDirectory folder;
  const std::string path = folder.path() + "/manifest.key";
  ASSERT_TRUE(SigningKey::load_or_create(path).has_value());
  for (const unsigned mode : {0640u, 0604u, 0644u, 0620u}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    const auto key = SigningKey::load_or_create(path);
    ASSERT_FALSE(key.has_value());
    EXPECT_EQ(key.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(key.error().message, HasSubstr("chmod 600"));
  }
}

TEST(SigningKeyFile, DamageIsSeen) {
  const tests::TemporaryDirectory folder;
  const std::string path = folder.path() + "/manifest.key";
  const std::string good = to_hex(key().secret_key);
  const std::string flipped_seed = (good[0] == '0' ? "1" : "0") + good.substr(1);
  const std::string flipped_public = good.substr(0, 127) + (good[127] == '0' ? "1" : "0");
  for (const std::string& text : {std::string(), good.substr(1), good + "00", std::string(128, 'x'),
                                  flipped_seed, flipped_public}) {
    ASSERT_TRUE(write_file_durably(path, as_bytes(text), 0600).has_value());
    const auto loaded = SigningKey::load_or_create(path);
    ASSERT_FALSE(loaded.has_value()) << text;
    EXPECT_EQ(loaded.error().code, ErrorCode::corruption) << text;
  }
}

TEST(SigningKeyFile, AStalePartialFileLendsNothing) {
  const tests::TemporaryDirectory folder;
  const std::string path = folder.path() + "/secret";
  // What a crashed process of the same id may have left, for any number it used.
  for (int n = 0; n < 2000; ++n) {
    const std::string partial = fmt::format("{}.partial-{}-{}", path, ::getpid(), n);
    ASSERT_EQ(::symlink("/dev/null", partial.c_str()), 0);
  }
  ASSERT_TRUE(SigningKey::load_or_create(path).has_value());
  EXPECT_TRUE(std::filesystem::is_regular_file(std::filesystem::symlink_status(path)));
  EXPECT_TRUE(SigningKey::load_or_create(path).has_value());
}

TEST(PublicKey, IsHexOf32Bytes) {
  EXPECT_EQ(*parse_public_key(to_hex(key().public_key) + "\n"), key().public_key);
  EXPECT_FALSE(parse_public_key("abc").has_value());
}

TEST(Directory, CurrentNamesAGeneration) {
  const tests::TemporaryDirectory folder;
  const Directory directory(folder.path());
  EXPECT_EQ(directory.current().error().code, ErrorCode::not_found);
  ASSERT_TRUE(write_file_durably(directory.current_path(), as_bytes("17\n")).has_value());
  EXPECT_EQ(*directory.current(), 17u);
  for (const std::string text : {"", "\n", "17", "017\n", "0\n", "-1\n", "17\n\n", "17 \n", "x\n",
                                 "99999999999999999999\n"}) {
    ASSERT_TRUE(write_file_durably(directory.current_path(), as_bytes(text)).has_value());
    const auto current = directory.current();
    ASSERT_FALSE(current.has_value()) << text;
    EXPECT_EQ(current.error().message,
              directory.current_path() + " at offset 0: does not name a generation");
  }
}

TEST(Directory, ListsGenerationsInOrder) {
  const tests::TemporaryDirectory folder;
  const Directory directory(folder.path());
  EXPECT_TRUE(directory.generations()->empty());
  for (const uint64_t generation : {10u, 9u, 100u}) {
    ASSERT_TRUE(fixture().write_directory(folder.path(), generation, key()).has_value());
  }
  ASSERT_TRUE(write_file_durably(directory.manifests_path() + "/07.manifest", {}).has_value());
  ASSERT_TRUE(write_file_durably(directory.manifests_path() + "/notes.txt", {}).has_value());
  EXPECT_EQ(*directory.generations(), (std::vector<uint64_t>{9, 10, 100}));
}

TEST(Directory, ManifestOfAnotherGenerationIsRefused) {
  const tests::TemporaryDirectory folder;
  const Directory directory(folder.path());
  ASSERT_TRUE(fixture().write_directory(folder.path(), 5, key()).has_value());
  EXPECT_EQ(directory.manifest(5, key().public_key)->generation, 5u);
  std::filesystem::rename(directory.manifest_path(5), directory.manifest_path(6));
  EXPECT_EQ(directory.manifest(5, key().public_key).error().code, ErrorCode::not_found);
  EXPECT_EQ(directory.manifest(6, key().public_key).error().message,
            directory.manifest_path(6) + ": manifest line 2: is generation 5");
}

}  // namespace
}  // namespace merlon::snapshot

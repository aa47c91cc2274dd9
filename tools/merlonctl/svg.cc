// SPDX-License-Identifier: Apache-2.0
#include "tools/merlonctl/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "tools/merlonctl/table.h"

namespace merlon::merlonctl {
namespace {

constexpr int kCell = 18;
constexpr int kLabel = 190;  // room for a feed's name
constexpr int kTop = 150;    // for the slanted names and the title
constexpr int kBar = 150;
constexpr int kGap = 24;
constexpr size_t kNameShown = 26;

std::string escaped_text(std::string_view text) {
  std::string out;
  for (const char c : printable(text.substr(0, kNameShown))) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

double share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

// White over amber to dark red; the root shows small shares, too.
std::string colour_of(double value) {
  const double x = std::sqrt(std::clamp(value, 0.0, 1.0));
  const auto mix = [x](double from, double middle, double to) {
    const double mixed =
        x < 0.5 ? from + (middle - from) * 2 * x : middle + (to - middle) * (2 * x - 1);
    return static_cast<int>(std::lround(mixed));
  };
  return fmt::format("#{:02x}{:02x}{:02x}", mix(250, 240, 120), mix(250, 170, 12),
                     mix(247, 60, 24));
}

struct Bars {
  std::string_view title;
  std::string_view colour;
  std::vector<double> values{};  // 0..1
  std::vector<std::string> labels{};
};

std::string draw_bars(const Bars& bars, int x) {
  std::string out =
      fmt::format("<text x='{}' y='{}' class='h'>{}</text>\n", x, kTop - 10, bars.title);
  for (size_t i = 0; i < bars.values.size(); ++i) {
    const int y = kTop + static_cast<int>(i) * kCell;
    const double width = std::clamp(bars.values[i], 0.0, 1.0) * (kBar - 50);
    out += fmt::format(
        "<rect x='{}' y='{}' width='{:.1f}' height='{}' fill='{}'/>"
        "<text x='{:.1f}' y='{}'>{}</text>\n",
        x, y + 3, width, kCell - 6, bars.colour, x + width + 4, y + 13, bars.labels[i]);
  }
  return out;
}

std::string draw_cells(const Json& report) {
  const Json& feeds = report.at("feeds");
  std::string out;
  for (size_t i = 0; i < feeds.size(); ++i) {
    const std::string name = escaped_text(feeds[i].at("feed").get<std::string>());
    const int y = kTop + static_cast<int>(i) * kCell;
    const int x = kLabel + static_cast<int>(i) * kCell;
    out +=
        fmt::format("<text x='{}' y='{}' text-anchor='end'>{}</text>\n", kLabel - 6, y + 13, name);
    out += fmt::format("<text transform='translate({},{}) rotate(-55)'>{}</text>\n", x + 11,
                       kTop - 6, name);
    const auto whole = feeds[i].at("size").get<uint64_t>();
    for (size_t j = 0; j < feeds.size(); ++j) {
      const auto both = report.at("shared")[i][j].get<uint64_t>();
      const double part = share(both, whole);
      const std::string fill = i == j ? "#d8dade" : colour_of(part);
      out += fmt::format(
          "<rect x='{}' y='{}' width='{}' height='{}' fill='{}'><title>{} of {}: {:.1f} % are in "
          "{}</title></rect>\n",
          kLabel + static_cast<int>(j) * kCell, y, kCell - 1, kCell - 1, fill, both, name,
          100 * part, escaped_text(feeds[j].at("feed").get<std::string>()));
    }
  }
  return out;
}

}  // namespace

std::string feeds_svg(const Json& report) {
  const Json& feeds = report.at("feeds");
  Bars alone{.title = "brings alone", .colour = "#2a6f97"};
  Bars trust{.title = "trust", .colour = "#5a8f3c"};
  Bars first{.title = "listed it first", .colour = "#8a5a9e"};
  for (const Json& feed : feeds) {
    const double part = share(feed.at("unique").get<uint64_t>(), feed.at("size").get<uint64_t>());
    alone.values.push_back(part);
    alone.labels.push_back(fmt::format("{:.0f} %", 100 * part));
    const int points = feed.at("safety").at("trust").get<int>();
    trust.values.push_back(points / 100.0);
    trust.labels.push_back(fmt::format("{}", points));
    const auto sampled = feed.at("sampled_shared").get<uint64_t>();
    const double early = share(feed.at("sampled_first").get<uint64_t>(), sampled);
    first.values.push_back(early);
    first.labels.push_back(sampled == 0 ? "-" : fmt::format("{:.0f} %", 100 * early));
  }
  const int cells = static_cast<int>(feeds.size()) * kCell;
  const int bars = kLabel + cells + kGap + 60;
  const int width = bars + 3 * kBar + kGap;
  const int height = kTop + cells + 40;
  std::string out = fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='{0}' height='{1}' viewBox='0 0 {0} {1}'>\n"
      "<style>text{{font:11px sans-serif;fill:#222}}.h{{font-weight:bold}}"
      ".t{{font:bold 15px sans-serif}}</style>\n"
      "<rect width='{0}' height='{1}' fill='white'/>\n"
      "<text x='12' y='22' class='t'>Feeds beside each other</text>\n",
      width, height);
  out += draw_cells(report);
  out += draw_bars(alone, bars);
  out += draw_bars(trust, bars + kBar);
  out += draw_bars(first, bars + 2 * kBar);
  out += fmt::format(
      "<text x='{}' y='{}'>share of the row's feed that the column's lists, too: "
      "</text>\n",
      12, kTop + cells + 24);
  for (int i = 0; i <= 10; ++i) {
    out += fmt::format("<rect x='{}' y='{}' width='16' height='12' fill='{}'/>\n", 320 + i * 16,
                       kTop + cells + 14, colour_of(i / 10.0));
  }
  out += fmt::format("<text x='{}' y='{}'>0 to 100 %</text>\n</svg>\n", 504, kTop + cells + 24);
  return out;
}

}  // namespace merlon::merlonctl

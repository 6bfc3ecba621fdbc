#include "messages/did_you_mean.hpp"

#include <algorithm>
#include <numeric>

namespace belay {

namespace {

/// Levenshtein's distance: insertions, deletions and replacements of single bytes.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    auto diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const auto replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

} // namespace

std::optional<std::string>
did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  constexpr std::size_t length_max = 128;
  if (word.size() > length_max) {
    return std::nullopt;
  }
  auto best = std::max<std::size_t>(1, (word.size() + 1) / 3) + 1;
  std::optional<std::string> result;
  for (const auto& candidate : candidates) {
    const auto edits = distance(word, candidate);
    if (edits < best) {
      best = edits;
      result = candidate;
    }
  }
  return result;
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates) {
  if (const auto near = did_you_mean(word, candidates)) {
    return "; did you mean '" + *near + "'?";
  }
  if (candidates.empty()) {
    return "; there are none";
  }
  std::string text = "; known are";
  for (const auto& candidate : candidates) {
    text += " " + candidate;
  }
  return text;
}

} // namespace belay

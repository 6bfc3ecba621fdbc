// A private authority for tests, and a wait for what another thread says.
#pragma once

#include "actors/gate/certificates.hpp"
#include "actors/gate/tls_context.hpp"
#include "tests/support/scratch_directory.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace belay::tests {

inline timestamp_ms wall_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
           std::chrono::system_clock::now().time_since_epoch())
    .count();
}

class authority {
public:
  authority() {
    // Made long ago, so that certificates can have expired.
    const auto no = gates::make_authority(
      directory(), {.days = 3'650 + 100, .now = wall_now() - 100LL * 24 * 3'600 * 1'000});
    REQUIRE_FALSE(no);
  }

  [[nodiscard]] std::filesystem::path directory() const {
    return scratch_.path() / "ca";
  }

  /// `now` of the request is the present when it is 0.
  [[nodiscard]] std::optional<refusal>
  try_issue(const std::filesystem::path& to, gates::certificate_request x) const {
    if (x.now == 0) {
      x.now = wall_now();
    }
    return gates::issue_certificate(directory(), to, x);
  }

  [[nodiscard]] gates::tls_files issue(const gates::certificate_request& x) const {
    const auto to = scratch_.path() / ("issued-" + std::to_string(++issued_));
    const auto no = try_issue(to, x);
    REQUIRE((no ? no->text : std::string{}).empty());
    return gates::tls_files_in(to);
  }

private:
  scratch_directory scratch_;
  mutable int issued_ = 0;
};

/// Collects words of another thread.
class mailbox {
public:
  void put(const std::string& word) {
    const std::lock_guard guard{mutex_};
    words_.push_back(word);
    changed_.notify_all();
  }

  /// Waits for the next word; fails the test when there is none in half a minute.
  std::string take() {
    std::unique_lock guard{mutex_};
    const auto came = changed_.wait_for(guard, std::chrono::seconds{30},
                                        [this] { return taken_ < words_.size(); });
    if (!came) {
      FAIL("nothing was said");
    }
    return words_[taken_++];
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> words_;
  std::size_t taken_ = 0;
};

} // namespace belay::tests

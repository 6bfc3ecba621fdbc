// The threads of `belay top` that wait for the node, so that the screen never does.
#pragma once

#include "actors/node/client.hpp"
#include "app/top/model.hpp"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace belay::app::top {

/// What is new since it was last taken.
struct news {
  std::optional<answer> got;
  std::optional<lost_link> lost;
  /// What came of wishes.
  std::vector<std::string> said;
};

/// Returns this program's clock in milliseconds; it never goes back.
[[nodiscard]] std::int64_t steady_ms();

/// Looks at a node again and again, and does what is wished for beside that. A lost node is
/// connected to again. Of answers that nobody has taken the latest is kept.
class fetcher {
public:
  /// Connects, or throws within a time of its own.
  using connector = std::function<std::unique_ptr<actors::client>()>;

  /// Connects first, and throws what that throws.
  fetcher(connector connect, std::chrono::milliseconds interval, const question& first);
  /// Waits for requests under way: `stop` first.
  ~fetcher();
  fetcher(const fetcher&) = delete;
  fetcher& operator=(const fetcher&) = delete;

  /// Readable when there is news.
  [[nodiscard]] int descriptor() const {
    return bell_;
  }
  [[nodiscard]] news take();
  /// From now on asks this; at once.
  void ask(const question& next);
  void act(const wish& wanted);
  /// Ends the threads. Returns false when one of them still waits for the node after this time.
  [[nodiscard]] bool stop(std::chrono::milliseconds patience);

private:
  void look_on(std::promise<void> connected);
  void look_again_and_again();
  void act_on();
  void reconnect();
  void end();
  void ring() const;
  /// Waits for the next turn; false at the end.
  bool next_turn();

  connector connect_;
  std::chrono::milliseconds interval_;
  int bell_;
  std::mutex mutex_;
  std::condition_variable changed_;
  /// Made and ended by the thread that looks: a client ends at once only on its maker's thread.
  std::shared_ptr<actors::client> client_;
  /// Earlier ones that a request under way may still hold; of the thread that looks.
  std::vector<std::shared_ptr<actors::client>> retired_;
  std::uint64_t connection_ = 1;
  question asks_;
  bool asked_anew_ = false;
  std::deque<wish> wishes_;
  news news_;
  bool stopping_ = false;
  int running_ = 2;
  std::thread looks_;
  std::thread acts_;
};

} // namespace belay::app::top

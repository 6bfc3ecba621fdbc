#include "app/top/fetcher.hpp"

#include "app/top/source.hpp"

#include <stdexcept>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

namespace belay::app::top {

namespace {

/// An exception must not end the program while it has the terminal.
checked<answer> safe_look(actors::client& client, const question& asked) {
  try {
    return look(client, asked);
  } catch (const std::exception& x) {
    return refusal{ec::bad_request, x.what()};
  }
}

std::string safe_act(actors::client& client, const wish& wanted) {
  try {
    return top::act(client, wanted);
  } catch (const std::exception& x) {
    return x.what();
  }
}

} // namespace

std::int64_t steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
           std::chrono::steady_clock::now().time_since_epoch())
    .count();
}

fetcher::fetcher(connector connect, std::chrono::milliseconds interval, const question& first)
  : connect_{std::move(connect)},
    interval_{interval},
    bell_{eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)},
    asks_{first} {
  if (bell_ < 0) {
    throw std::runtime_error{"no eventfd"};
  }
  std::promise<void> promised;
  auto connected = promised.get_future();
  acts_ = std::thread{[this] { act_on(); }};
  looks_ = std::thread{
    [this, promised = std::move(promised)]() mutable { look_on(std::move(promised)); }};
  try {
    connected.get();
  } catch (...) {
    end();
    throw;
  }
}

fetcher::~fetcher() {
  end();
}

void fetcher::end() {
  static_cast<void>(stop(std::chrono::milliseconds{0}));
  looks_.join();
  acts_.join();
  close(bell_);
}

news fetcher::take() {
  std::uint64_t rung = 0;
  static_cast<void>(!read(bell_, &rung, sizeof rung));
  const std::lock_guard lock{mutex_};
  return std::exchange(news_, {});
}

void fetcher::ask(const question& next) {
  const std::lock_guard lock{mutex_};
  asks_ = next;
  asked_anew_ = true;
  changed_.notify_all();
}

void fetcher::act(const wish& wanted) {
  const std::lock_guard lock{mutex_};
  wishes_.push_back(wanted);
  changed_.notify_all();
}

bool fetcher::stop(std::chrono::milliseconds patience) {
  std::unique_lock lock{mutex_};
  stopping_ = true;
  changed_.notify_all();
  return changed_.wait_for(lock, patience, [this] { return running_ == 0; });
}

void fetcher::ring() const {
  const std::uint64_t one = 1;
  static_cast<void>(!write(bell_, &one, sizeof one));
}

bool fetcher::next_turn() {
  std::unique_lock lock{mutex_};
  changed_.wait_for(lock, interval_, [this] { return stopping_ || asked_anew_; });
  asked_anew_ = false;
  return !stopping_;
}

void fetcher::reconnect() {
  std::shared_ptr<actors::client> made;
  std::optional<lost_link> no;
  try {
    made = connect_();
  } catch (const std::exception& x) {
    no = {x.what(), steady_ms()};
  }
  std::unique_lock lock{mutex_};
  if (no) {
    news_.lost = std::move(no);
  } else {
    // Whoever acts may still hold the old one; it ends with us.
    retired_.push_back(std::exchange(client_, std::move(made)));
    ++connection_;
    asked_anew_ = true;
  }
  lock.unlock();
  ring();
  std::erase_if(retired_, [](const auto& x) { return x.use_count() == 1; });
}

void fetcher::look_on(std::promise<void> connected) {
  try {
    std::shared_ptr<actors::client> made = connect_();
    const std::lock_guard lock{mutex_};
    client_ = std::move(made);
    connected.set_value();
  } catch (...) {
    connected.set_exception(std::current_exception());
  }
  if (client_) {
    look_again_and_again();
  }
  std::unique_lock lock{mutex_};
  changed_.wait(lock, [this] { return stopping_ && running_ == 1; });
  lock.unlock();
  client_.reset();
  retired_.clear();
  lock.lock();
  running_ = 0;
  changed_.notify_all();
}

void fetcher::look_again_and_again() {
  do {
    std::unique_lock lock{mutex_};
    const auto client = client_;
    const auto asked = asks_;
    const auto connection = connection_;
    lock.unlock();
    auto got = safe_look(*client, asked);
    lock.lock();
    if (got) {
      got->at_ms = steady_ms();
      got->connection = connection;
      news_.got = std::move(*got);
      news_.lost.reset();
      lock.unlock();
      ring();
      continue;
    }
    news_.got.reset();
    news_.lost = {got.why().text, steady_ms()};
    lock.unlock();
    ring();
    reconnect();
  } while (next_turn());
}

void fetcher::act_on() {
  std::unique_lock lock{mutex_};
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !wishes_.empty(); });
    if (stopping_) {
      break;
    }
    const auto wanted = wishes_.front();
    wishes_.pop_front();
    const auto client = client_;
    lock.unlock();
    auto said = safe_act(*client, wanted);
    lock.lock();
    news_.said.push_back(std::move(said));
    asked_anew_ = true; // What came of it is to be seen.
    changed_.notify_all();
    lock.unlock();
    ring();
    lock.lock();
  }
  --running_;
  changed_.notify_all();
}

} // namespace belay::app::top

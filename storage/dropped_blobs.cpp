#include "storage/dropped_blobs.hpp"

#include <algorithm>

namespace belay::storage {

namespace {

/// Files that one call deletes at least, if there are as many: a few milliseconds' worth.
constexpr std::size_t step_names = 1'000;
/// The part of the names that one call takes when that is more, so that they cannot pile up.
constexpr std::size_t step_part = 16;

} // namespace

void dropped_blobs::add(const std::set<std::string>& names, std::uint64_t transaction) {
  for (const auto& name : names) {
    if (waiting_.size() < names_max_) {
      waiting_.push_back({transaction, name});
      last_[name] = transaction;
    } else {
      last_.erase(name);
      doubtful_.set(blob_store::folder_of(name));
      doubtful_since_ = transaction;
    }
  }
}

void dropped_blobs::release() {
  release_some(std::max(step_names, waiting_.size() / step_part), 1);
}

void dropped_blobs::release_all() {
  release_some(waiting_.size(), doubtful_.size());
}

void dropped_blobs::doubt_all() {
  doubtful_.set();
  // A reader from before a crash may have been left over.
  doubtful_since_ = transaction{env_, transaction::mode::read}.number();
}

void dropped_blobs::forget() {
  waiting_.clear();
  last_.clear();
  doubtful_.reset();
}

void dropped_blobs::release_some(std::size_t names, std::size_t folders) {
  if (waiting_.empty() && doubtful_.none()) {
    return;
  }
  try {
    const auto oldest = env_.readers().oldest;
    const transaction txn{env_, transaction::mode::read};
    for (; names > 0 && !waiting_.empty() && waiting_.front().transaction <= oldest; --names) {
      const auto x = std::move(waiting_.front());
      waiting_.pop_front();
      const auto last = last_.find(x.name);
      if (last == last_.end() || last->second != x.transaction) {
        continue;
      }
      last_.erase(last);
      // Names follow from contents: the same text may have been kept again since.
      if (!txn.get(tables_.blob, x.name)) {
        blobs_.remove(x.name);
      }
    }
    if (!waiting_.empty() || doubtful_since_ > oldest) {
      return;
    }
    for (std::size_t i = 0; i < doubtful_.size() && folders > 0; ++i) {
      if (doubtful_.test(i)) {
        look_through(i, txn);
        doubtful_.reset(i);
        --folders;
      }
    }
  } catch (const error&) {
    // No slot for a reader, for one: nothing depends on this, the next call tries again.
  }
}

void dropped_blobs::look_through(std::size_t folder, const transaction& txn) const {
  for (const auto& name : blobs_.names_in(folder)) {
    if (!txn.get(tables_.blob, name)) {
      blobs_.remove(name);
    }
  }
}

} // namespace belay::storage

#include "actors/workflow/join.hpp"

namespace belay::workflows {

class join::end_of_branch : public waiter {
public:
  void wake() override {
    owner->ended(index);
  }
  [[nodiscard]] const void* all_of() const override {
    return owner->until_ == kind::all ? owner : nullptr;
  }

  join* owner = nullptr;
  std::size_t index = 0;
};

join::join(kind until, std::vector<branch_base*> branches)
  : until_{until}, branches_{std::move(branches)}, ends_(branches_.size()) {}

join::~join() = default;

bool join::begin(runnable& parent) {
  parent_ = &parent;
  beginning_ = true;
  const auto fork = ++parent.where->forks;
  for (std::size_t i = 0; i < branches_.size() && !decided_; ++i) {
    ends_[i].owner = this;
    ends_[i].index = i;
    if (!branches_[i]->begin(parent, fork, i, ends_[i])) {
      ended(i);
    }
  }
  beginning_ = false;
  return !decided_;
}

void join::ended(std::size_t index) {
  order_.push_back(index);
  if (decided_ || (until_ == kind::all && order_.size() < branches_.size())) {
    return;
  }
  decided_ = true;
  if (until_ == kind::any) {
    drop_losers(index);
  }
  if (!beginning_) {
    parent_->wake();
  }
}

void join::drop_losers(std::size_t winner) {
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    if (i != winner) {
      ends_[i].stop_waiting();
      branches_[i]->drop();
    }
  }
}

} // namespace belay::workflows

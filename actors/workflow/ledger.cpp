#include "actors/workflow/ledger.hpp"

#include <algorithm>

namespace belay::workflows {

const char* name_of_kind(effect_kind kind) {
  switch (kind) {
    case effect_kind::step:
      return "step";
    case effect_kind::call:
      return "call";
    case effect_kind::start:
      return "start";
    case effect_kind::child:
      return "child";
    case effect_kind::signal:
      return "signal";
    case effect_kind::timer:
      return "timer";
    case effect_kind::emit:
      return "emit";
    case effect_kind::now:
      return "now";
    case effect_kind::patch:
      return "patch";
    case effect_kind::attach:
      return "attach";
    case effect_kind::cancel:
      return "cancel";
  }
  return "unknown";
}

std::string describe(const journal_entry& x) {
  auto text
    = std::string{name_of_kind(x.kind)} + " \"" + x.name + "\" #" + std::to_string(x.ordinal);
  return text + (x.scope.empty() ? " in the main line" : " in branch \"" + x.scope + "\"");
}

ledger::ledger(std::vector<journal_entry> recorded, const engine_limits& limits) : limits_{limits} {
  std::sort(recorded.begin(), recorded.end(),
            [](const auto& a, const auto& b) { return a.number < b.number; });
  for (auto& one : recorded) {
    last_number_ = std::max(last_number_, one.number);
    last_done_ = std::max(last_done_, one.done);
    if (one.kind == effect_kind::cancel) {
      cancel_ = std::move(one);
      continue;
    }
    interrupted_ = interrupted_ || (is_interruptible(one.kind) && one.result == interrupted_text);
    ++left_;
    recorded_[one.scope].push_back(std::move(one));
  }
  recorded_done_ = last_done_;
}

ledger::place ledger::enter(operation& asked) {
  const auto branch = recorded_.find(asked.entry.scope);
  if (branch == recorded_.end()) {
    if (last_number_ >= limits_.journal_max) {
      return place::full;
    }
    number(asked.entry);
    return place::fresh;
  }
  auto& next = branch->second.front();
  const auto same_place = next.kind == asked.entry.kind && next.name == asked.entry.name
                          && next.ordinal == asked.entry.ordinal;
  if (!same_place) {
    mismatch_ = "the code asks for " + describe(asked.entry) + ", but the journal has "
                + describe(next) + " in that place (entry " + std::to_string(next.number) + ")";
    return place::mismatch;
  }
  if (next.input_hash != asked.entry.input_hash) {
    mismatch_ = "the code asks for " + describe(asked.entry) + " with the input hash "
                + asked.entry.input_hash + ", but the journal has it with the input hash "
                + next.input_hash + " (entry " + std::to_string(next.number) + ")";
    return place::mismatch;
  }
  asked.entry = std::move(next);
  asked.committed = asked.has_result();
  --left_;
  branch->second.pop_front();
  if (branch->second.empty()) {
    recorded_.erase(branch);
  }
  return place::recorded;
}

void ledger::number(journal_entry& entry) {
  entry.number = ++last_number_;
}

std::optional<std::string> ledger::left_over() const {
  const journal_entry* first = nullptr;
  for (const auto& [path, entries] : recorded_) {
    if (first == nullptr || entries.front().number < first->number) {
      first = &entries.front();
    }
  }
  if (first == nullptr) {
    return std::nullopt;
  }
  return describe(*first) + " (entry " + std::to_string(first->number) + ")";
}

bool ledger::is_next(const std::string& scope, effect_kind kind, const std::string& name) const {
  const auto branch = recorded_.find(scope);
  return branch != recorded_.end() && branch->second.front().kind == kind
         && branch->second.front().name == name;
}

void ledger::forget_branch(const std::string& path) {
  auto at = recorded_.lower_bound(path);
  while (at != recorded_.end() && at->first.starts_with(path)) {
    if (at->first.size() == path.size() || at->first[path.size()] == '/') {
      left_ -= at->second.size();
      at = recorded_.erase(at);
    } else {
      ++at;
    }
  }
}

void ledger::finish(operation& x, std::string result) {
  x.entry.result = std::move(result);
  x.entry.done = ++last_done_;
}

void ledger::mark(const operation_ptr& x, bool urgent) {
  urgent_ = urgent_ || urgent;
  if (dirty_.emplace(x->entry.number, x).second && carries_value(x->entry.kind)) {
    ++values_dirty_;
  }
}

void ledger::add_child(registration x) {
  children_bytes_ += x.input.size();
  extras_.children.push_back(std::move(x));
}

void ledger::add_event(journal_event x) {
  extras_.events.push_back(std::move(x));
}

void ledger::add_attachment(attachment x) {
  extras_.attachments.push_back(std::move(x));
}

void ledger::set_status(std::string x) {
  extras_.status = std::move(x);
}

bool ledger::is_dirty() const {
  return !dirty_.empty() || !extras_.empty();
}

bool ledger::is_large() const {
  return extras_.children.size() >= limits_.batch_children_max
         || children_bytes_ >= limits_.batch_bytes_max;
}

journal_batch ledger::take() {
  auto batch = std::exchange(extras_, {});
  batch.entries.reserve(dirty_.size());
  for (auto& [number, x] : dirty_) {
    batch.entries.push_back(x->entry);
    if (x->has_result()) {
      results_taken_.push_back(std::move(x));
    }
  }
  dirty_.clear();
  children_bytes_ = 0;
  urgent_ = false;
  values_taken_ += std::exchange(values_dirty_, 0);
  return batch;
}

std::vector<operation_ptr> ledger::committed() {
  values_taken_ = 0;
  return std::exchange(results_taken_, {});
}

} // namespace belay::workflows

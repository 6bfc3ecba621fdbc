// A seeded mix of operations on a store, and what of it was acknowledged.
#pragma once

#include "storage/store.hpp"
#include "tests/support/registrations.hpp"

#include <map>
#include <random>

namespace belay::tests {

/// What the store said of a process when an operation on it was answered.
struct acknowledged {
  event_seq seq = 0;
  bool finished = false;
  bool pruned = false;
  /// Entries that its journal had, and bytes attached to it.
  std::uint64_t entries = 0;
  std::uint64_t attachments = 0;
};

using acknowledgements = std::map<std::string, acknowledged>;

/// Steps through processes named by a prefix and a number; every tenth text is long enough for a
/// file of its own.
class workload {
public:
  workload(std::uint64_t seed, std::string prefix) : random_{seed}, prefix_{std::move(prefix)} {}

  /// Applies one batch; returns what it changed, as acknowledged.
  acknowledgements step(storage::store& store) {
    now_ += 10;
    std::vector<operation> batch;
    for (auto left = 1 + random_() % 6; left > 0; --left) {
      batch.push_back(next());
    }
    const auto result = store.apply(batch, {now_, [this] { return random_() | 1U; }});
    acknowledgements changed;
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (const auto* made = std::get_if<registered_list>(&result.answers[i])) {
        ids.push_back(made->items.front().id);
        known_.push_back(made->items.front().id);
      } else if (const auto* rows = std::get_if<claimed_list>(&result.answers[i])) {
        for (const auto& row : rows->items) {
          held_.push_back(row.held);
          ids.push_back(row.held.id);
        }
      } else if (const auto* one = std::get_if<complete_request>(&batch[i])) {
        ids.push_back(one->held.id);
      } else if (const auto* event = std::get_if<append_request>(&batch[i])) {
        ids.push_back(event->id);
      } else if (const auto* journal = std::get_if<journal_request>(&batch[i])) {
        ids.push_back(journal->held.id);
      } else if (const auto* wait = std::get_if<park_request>(&batch[i])) {
        ids.push_back(wait->held.id);
      } else if (std::holds_alternative<prune_report>(result.answers[i])) {
        ids.insert(ids.end(), known_.begin(), known_.end());
      }
    }
    for (const auto& id : ids) {
      const auto view = store.get(id);
      auto& x = changed[id];
      x.pruned = !view && view.why().code == ec::pruned;
      x.seq = view ? view->last_seq : 0;
      x.finished = view && view->state == process_state::finished;
      x.entries = view ? view->journal_entries : 0;
      x.attachments = view ? view->attachments.size() : 0;
      if (!x.finished && x.entries > 0) {
        journaled_[id] = x.entries;
      }
    }
    return changed;
  }

private:
  std::string text() {
    return "\""
           + std::string(random_() % 10 == 0 ? 3'000 + random_() % 3'000 : random_() % 200, 'x')
           + std::to_string(random_()) + "\"";
  }

  /// What a workflow leaves behind: entries that follow on the last, a child, bytes, a status.
  operation journal(const lease& held) {
    journal_request x;
    x.held = held;
    const auto first = journaled_[held.id] + 1;
    for (auto number = first; number < first + 1 + random_() % 3; ++number) {
      x.entries.push_back(
        {number, effect_kind::now, "", "n", static_cast<std::uint32_t>(number), "", 0, text()});
    }
    if (random_() % 4 == 0) {
      const auto bytes = text() + '\0';
      x.attachments.push_back({"sha256:" + hash_hex(bytes), "file", bytes});
      x.status = text();
    }
    if (random_() % 8 == 0) {
      auto child = make_declaring(prefix_ + std::to_string(++number_), {"step"});
      child.parent = held.id;
      x.children.push_back(std::move(child));
    }
    x.events.push_back({first, "step", text()});
    return x;
  }

  operation park(const lease& held) {
    park_request x{held, {wait_kind::timer, "", 0, now_ + 200}};
    x.also.push_back({wait_kind::signal, "go", 1, 0});
    if (!known_.empty()) {
      x.also.push_back({wait_kind::child, known_[random_() % known_.size()], 0, 0});
    }
    return x;
  }

  operation next() {
    switch (random_() % 13) {
      case 10:
      case 11:
        return held_.empty() ? operation{expire_request{}} : journal(held_.back());
      case 12:
        if (!held_.empty()) {
          const auto held = held_.back();
          held_.pop_back();
          return park(held);
        }
        return expire_request{};
      case 0:
      case 1:
      case 2: {
        auto x = make_declaring(prefix_ + std::to_string(++number_), {"step", "signal.go"});
        x.label = std::to_string(random_());
        return register_request{{std::move(x)}};
      }
      case 3:
      case 4:
        return claim_request{{"w", 1}, {"fake"}, {}, 3, 1'000'000};
      case 5:
      case 6:
        if (!held_.empty()) {
          const auto held = held_.back();
          held_.pop_back();
          return complete_request{held, make_success(text())};
        }
        return expire_request{};
      case 7:
        if (!held_.empty()) {
          return renew_request{held_.back(), 1'000'000};
        }
        return expire_request{};
      case 8:
        if (!known_.empty()) {
          return append_request{known_[random_() % known_.size()], "step", text(), "", false, {}};
        }
        return expire_request{};
      default:
        if (random_() % 10 == 0) {
          return prune_request{.before = now_, .max = 2};
        }
        return expire_request{};
    }
  }

  std::mt19937_64 random_;
  std::string prefix_;
  int number_ = 0;
  timestamp_ms now_ = 1'790'000'000'000;
  std::vector<lease> held_;
  std::vector<std::string> known_;
  std::map<std::string, std::uint64_t> journaled_;
};

/// Returns what is missing of what was acknowledged; later changes may be there too.
inline std::vector<std::string> missing(const storage::store& store, const acknowledgements& all) {
  std::vector<std::string> found;
  for (const auto& [id, x] : all) {
    const auto view = store.get(id);
    const auto pruned = !view && view.why().code == ec::pruned;
    if (pruned) {
      continue;
    }
    if (!view || x.pruned) {
      found.push_back(id + (x.pruned ? " should be pruned" : " is gone"));
    } else if (view->last_seq < x.seq) {
      found.push_back(id + " lost events");
    } else if (view->journal_entries < x.entries || view->attachments.size() < x.attachments) {
      found.push_back(id + " lost entries of its journal, or attachments");
    } else if (x.finished
               && (view->state != process_state::finished || view->outcome_json.empty())) {
      found.push_back(id + " lost its outcome");
    }
  }
  return found;
}

} // namespace belay::tests

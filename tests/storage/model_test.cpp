// The store against the model: random operations, restarts in between, every answer compared.
//
// BELAY_MODEL_OPS sets the number of operations, BELAY_MODEL_SEED the seed. A failure prints the
// seed and the shortest sequence of steps that was found to fail.
#include "tests/storage/model.hpp"

#include "messages/inspect_json.hpp"
#include "tests/support/store_fixture.hpp"

#include <cstdlib>
#include <random>

using namespace belay;
using tests::model;

namespace {

constexpr duration_ms model_ttl = 10'000;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name); // NOLINT(concurrency-mt-unsafe): one thread
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// Makes one operation from a seed and what the model knows.
class generator {
public:
  generator(std::uint64_t seed, const model& known, timestamp_ms now,
            const std::vector<lease>& leases)
    : random_{seed}, model_{known}, now_{now}, leases_{leases} {}

  operation next() {
    // Weights: what moves processes on comes often, what ends or forgets them seldom.
    static const std::vector<std::pair<int, operation (generator::*)()>> choices{
      {14, &generator::enroll},  {14, &generator::claim},      {8, &generator::renew},
      {3, &generator::release},  {14, &generator::append},     {14, &generator::complete},
      {3, &generator::cancel},   {1, &generator::enlist},      {1, &generator::make_void},
      {6, &generator::expire},   {9, &generator::park},        {4, &generator::observe},
      {1, &generator::transfer}, {1, &generator::forget},      {2, &generator::retarget},
      {5, &generator::take},     {5, &generator::settle_wake}, {2, &generator::reference},
      {3, &generator::settle},   {1, &generator::abandon},     {3, &generator::requeue},
      {2, &generator::again},    {1, &generator::prune},       {4, &generator::compact},
      {16, &generator::journal}, {2, &generator::queue}};
    static const int total = [] {
      int sum = 0;
      for (const auto& choice : choices) {
        sum += choice.first;
      }
      return sum;
    }();
    auto pick = static_cast<int>(below(static_cast<std::uint64_t>(total)));
    for (const auto& [weight, make] : choices) {
      pick -= weight;
      if (pick < 0) {
        return (this->*make)();
      }
    }
    return expire();
  }

private:
  std::uint64_t below(std::uint64_t bound) {
    return random_() % bound;
  }

  bool chance(std::uint64_t percent) {
    return below(100) < percent;
  }

  std::string id() {
    return "p" + std::to_string(below(24));
  }

  std::string session() {
    return "s" + std::to_string(below(3));
  }

  outcome result() {
    switch (below(5)) {
      case 0:
        return make_failure(failure_class::execution, "c", "m", chance(70));
      case 1:
        return make_cancelled("c");
      default:
        return make_success(std::to_string(below(3)));
    }
  }

  [[nodiscard]] bool is_live(const lease& x) const {
    const auto found = model_.rows.find(x.row);
    return found != model_.rows.end() && found->second.lease
           && found->second.lease->fence == x.fence && found->second.lease->expires_at > now_;
  }

  /// Mostly a live lease, sometimes an old one.
  lease held() {
    if (leases_.empty()) {
      return {row_id{1}, "p0", {"w0", 1}, {1, 1}, fencing_token{0}, 1, 2};
    }
    const auto recent = std::min<std::size_t>(leases_.size(), 60);
    std::vector<lease> live;
    std::copy_if(leases_.end() - static_cast<std::ptrdiff_t>(recent), leases_.end(),
                 std::back_inserter(live), [this](const lease& x) { return is_live(x); });
    if (!live.empty() && chance(85)) {
      return live[below(live.size())];
    }
    return leases_[leases_.size() - 1 - below(std::min<std::size_t>(recent, 12))];
  }

  operation enroll() {
    register_request x;
    for (auto left = 1 + below(2); left > 0; --left) {
      x.items.push_back(one_process());
    }
    return x;
  }

  registration one_process() {
    auto one = tests::make_registration(id());
    one.priority = static_cast<std::int32_t>(below(3));
    one.queue = chance(70) ? "default" : "q" + std::to_string(below(2));
    one.concurrency_key = chance(40) ? "k" + std::to_string(below(2)) : "";
    one.traceparent = chance(10) ? "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" : "";
    one.retry.attempts = static_cast<std::uint32_t>(1 + below(3));
    one.retry.backoff_ms = 0;
    one.event_types = {{"signal.go", "true", ""}, {"step", "true", "{}"}};
    one.due_at = chance(20) ? now_ + static_cast<timestamp_ms>(below(5'000)) : 0;
    one.attempts_max = chance(15) ? 2 : 0;
    one.rule = chance(15) ? recovery_rule::owner_bound : recovery_rule::rerunnable;
    if (chance(15)) {
      one.input = R"({"metadata":null,"type":"external"})";
      one.kind = "external";
      one.rule = recovery_rule::externally_owned;
    }
    if (chance(50)) {
      one.wake_session = session();
    }
    if (chance(30)) {
      one.observers = {session()};
    }
    if (chance(35)) {
      one.parent = id();
      one.close = static_cast<close_policy>(1 + below(3));
      if (one.parent == one.id) {
        one.parent.clear();
        one.close = close_policy::cancel;
      }
    }
    return one;
  }

  operation queue() {
    queue_request x;
    x.queue = chance(3) ? "no queue" : chance(50) ? "default" : "q" + std::to_string(below(3));
    if (chance(50)) { // No bound most of the time, or little happens.
      x.paused = x.concurrency_max = x.per_key_max = x.rate = 0;
      return x;
    }
    const auto maybe = [this](std::int64_t& to, std::uint64_t bound) {
      if (chance(30)) {
        to = static_cast<std::int64_t>(below(bound));
      }
    };
    maybe(x.paused, 2);
    maybe(x.concurrency_max, 4);
    maybe(x.per_key_max, 3);
    if (chance(20)) {
      x.rate = static_cast<std::int64_t>(below(5));
      x.rate_period_ms = static_cast<std::int64_t>(below(3) * 1'000);
    }
    maybe(x.burst, 3);
    if (x.paused == 1 && chance(60)) {
      x.paused = 0;
    }
    return x;
  }

  operation claim() {
    const auto name = "w" + std::to_string(below(2));
    const auto known = model_.incarnations.find(name);
    auto incarnation = known == model_.incarnations.end() ? 1 : known->second;
    if (chance(5) && incarnation > 1) {
      --incarnation;
    }
    const auto max = static_cast<std::uint32_t>(1 + below(4));
    if (chance(60)) {
      return claim_request{{name, incarnation}, {"fake"}, {}, max, model_ttl};
    }
    grant_request x;
    x.ttl = model_ttl;
    x.claimants.push_back({{name, incarnation}, {"fake"}, {}, max, max, below(3)});
    const auto other = name == "w0" ? "w1" : "w0";
    const auto last = model_.incarnations.find(other);
    x.claimants.push_back({{other, last == model_.incarnations.end() ? 1 : last->second},
                           {chance(90) ? "fake" : "nobody"},
                           {},
                           static_cast<std::uint32_t>(below(3)),
                           2,
                           below(1U << 24U)});
    return x;
  }

  operation renew() {
    return renew_request{held(), model_ttl};
  }

  operation release() {
    return release_request{held(), "r", chance(60)};
  }

  operation append() {
    append_request x;
    x.fenced = chance(25);
    x.held = held();
    x.id = x.fenced && chance(90) ? x.held.id : id();
    const std::vector<std::string> types{"signal.go", "signal.go", "step", "step", "note"};
    x.type = types[below(types.size())];
    x.payload = std::to_string(below(2));
    x.key = chance(40) ? "k" + std::to_string(below(3)) : "";
    return x;
  }

  operation complete() {
    return complete_request{held(), result()};
  }

  operation cancel() {
    return cancel_request{id(), "r" + std::to_string(below(2)), chance(20)};
  }

  operation enlist() {
    const auto name = "w" + std::to_string(below(2));
    if (chance(70)) {
      return enlist_request{name};
    }
    const auto known = model_.incarnations.find(name);
    return enlist_request{name, known == model_.incarnations.end() ? 1 : known->second - below(2)};
  }

  operation make_void() {
    return void_request{{"w" + std::to_string(below(2)), 1 + below(3)}, "down"};
  }

  operation expire() {
    return expire_request{100'000};
  }

  wait_condition condition() {
    wait_condition until;
    switch (below(4)) {
      case 0:
        until = {wait_kind::timer, "", 0, now_ + 1 + static_cast<timestamp_ms>(below(8'000))};
        break;
      case 1:
        until = {wait_kind::child, id(), 0, 0};
        break;
      default:
        until = {wait_kind::signal, "go", 1 + below(4), 0};
    }
    if (chance(30) && until.deadline == 0) {
      until.deadline = now_ + 1 + static_cast<timestamp_ms>(below(8'000));
    }
    return until;
  }

  operation park() {
    park_request x{held(), condition()};
    if (chance(25)) {
      for (auto left = 1 + below(3); left > 0; --left) {
        x.also.push_back(condition());
      }
    } else if (chance(30)) {
      // So many of some processes.
      x.until = {wait_kind::child, id(), 0, 0};
      for (auto left = 1 + below(3); left > 0; --left) {
        x.also.push_back({wait_kind::child, id(), 0, 0});
      }
      x.needed = below(x.also.size() + 3);
    }
    return x;
  }

  journal_entry entry(std::uint64_t number) {
    journal_entry x;
    x.number = number;
    x.kind = chance(10) ? effect_kind::cancel : static_cast<effect_kind>(1 + below(10));
    x.name = "n" + std::to_string(number);
    x.ordinal = 1;
    x.done = chance(50) ? number : 0;
    x.result = std::to_string(below(2));
    return x;
  }

  /// Entries that follow on the last one, or bring some up to date.
  std::vector<journal_entry> entries(const std::vector<journal_entry>& stored) {
    std::vector<journal_entry> all;
    for (const auto& one : stored) {
      if (chance(20)) {
        all.push_back(one);
        if (chance(50)) {
          all.back().done = one.number;
          all.back().result = std::to_string(below(2));
        }
      }
    }
    auto next = stored.size() + (chance(5) ? 2 : 1);
    for (auto left = below(3); left > 0; --left) {
      all.push_back(entry(next++));
    }
    if (all.size() > 1 && chance(3)) {
      std::swap(all.front(), all.back());
    }
    return all;
  }

  operation journal() {
    journal_request x;
    x.held = held();
    const auto* process = model_.find(x.held.id);
    x.entries = entries(process == nullptr ? std::vector<journal_entry>{} : process->journal);
    for (const auto& one : x.entries) {
      if (one.kind == effect_kind::emit && chance(70)) {
        const std::vector<std::string> types{"step", "step", "note", "signal.go", "signal.no"};
        x.events.push_back({one.number, types[below(types.size())], "1"});
      }
    }
    if (chance(2)) {
      x.events.push_back({99, "step", "1"});
    }
    for (auto left = chance(30) ? 1 + below(2) : 0; left > 0; --left) {
      auto child = one_process();
      child.parent = chance(97) ? x.held.id : child.parent;
      if (child.parent != child.id) {
        x.children.push_back(std::move(child));
      }
    }
    if (chance(15)) {
      const auto bytes = std::string(1 + below(5), '\0') + (chance(20) ? long_text() : "");
      x.attachments.push_back({"sha256:" + hash_hex(chance(95) ? bytes : ""), "a", bytes});
    }
    if (chance(20)) {
      x.status = chance(20) ? long_text() : std::to_string(below(3));
    }
    return x;
  }

  /// Long enough for a file of its own.
  std::string long_text() {
    return "\"" + std::string(3'000 + below(2), 'x') + "\"";
  }

  operation observe() {
    return observe_request{id(), session(), chance(65), ""};
  }

  operation transfer() {
    transfer_request x{session(), session(), {}, ""};
    for (auto left = 1 + below(2); left > 0; --left) {
      x.ids.push_back(id());
    }
    return x;
  }

  operation forget() {
    return forget_session_request{session()};
  }

  operation retarget() {
    return retarget_request{id(), chance(80) ? session() : "", ""};
  }

  operation take() {
    return take_wakes_request{session(), static_cast<std::uint32_t>(1 + below(3)), 5'000};
  }

  operation settle_wake() {
    settle_wake_request x;
    if (model_.wakes.empty()) {
      x.id = wake_id{99'999'999};
    } else {
      auto one = model_.wakes.begin();
      std::advance(one, static_cast<std::ptrdiff_t>(below(model_.wakes.size())));
      x.id = wake_id{one->first};
      x.token = chance(90) ? one->second.token : 1;
    }
    x.verdict = static_cast<wake_verdict>(1 + below(5));
    return x;
  }

  operation reference() {
    return external_ref_request{id(), "b", "r" + std::to_string(below(2)), ""};
  }

  operation settle() {
    settle_request x;
    x.id = id();
    x.by = static_cast<authority>(1 + below(3));
    x.result = x.by == authority::reconciled_abandon ? make_abandoned("a") : result();
    return x;
  }

  operation abandon() {
    return abandon_request{id(), "me", "r" + std::to_string(below(2))};
  }

  operation requeue() {
    return requeue_request{id(), chance(60)};
  }

  operation again() {
    return again_request{id(), id()};
  }

  operation prune() {
    prune_request x;
    x.before = now_ + 1 - static_cast<timestamp_ms>(below(20'000));
    x.max = static_cast<std::uint32_t>(1 + below(5));
    x.dry_run = chance(15);
    if (chance(30)) {
      x.outcomes = {static_cast<outcome_kind>(1 + below(4))};
    }
    return x;
  }

  operation compact() {
    return compact_request{now_ - static_cast<timestamp_ms>(below(20'000)), 0,
                           static_cast<std::uint32_t>(1 + below(12))};
  }

  std::mt19937_64 random_;
  const model& model_;
  timestamp_ms now_;
  const std::vector<lease>& leases_;
};

/// Of why a row goes on: by what. The model says it in other words than the store.
std::string why_of(const std::string& woken) {
  const auto facts = nlohmann::json::parse(woken, nullptr, false);
  return facts.is_object() ? "by " + facts.at("by").get<std::string>() : woken;
}

/// What an answer says, without what only the store can choose: tokens, texts, times of writing.
struct gist_of {
  std::string operator()(const refusal& no) const {
    return "refused " + to_string(no.code);
  }
  std::string operator()(const registered_list& list) const {
    return to_json(list).dump();
  }
  std::string operator()(const claimed_list& list) const {
    std::string text = "claimed";
    for (const auto& row : list.items) {
      text += " " + row.held.id + "#" + std::to_string(static_cast<std::uint64_t>(row.held.fence))
              + "/" + std::to_string(row.attempt) + "/" + std::to_string(row.interruptions) + "/"
              + std::to_string(row.failures) + (row.cancel_requested ? "!" : "")
              + (row.journaled ? "j" : "") + "@" + std::to_string(row.held.expires_at)
              + why_of(row.woken);
    }
    return text;
  }
  std::string operator()(const grant_list& all) const {
    std::string text = "granted";
    for (std::size_t i = 0; i < all.each.size(); ++i) {
      text += " " + (*this)(all.each[i]) + " turn " + std::to_string(all.turns[i]);
    }
    text += " again " + std::to_string(all.again_at);
    return text;
  }
  std::string operator()(const lease& held) const {
    return "lease " + held.id + "@" + std::to_string(held.expires_at);
  }
  std::string operator()(const event& one) const {
    return "event " + std::to_string(one.seq) + " " + one.type;
  }
  std::string operator()(const wake_list& list) const {
    std::string text = "wakes";
    for (const auto& one : list.wakes) {
      text += " " + std::to_string(static_cast<std::uint64_t>(one.id)) + "/"
              + std::to_string(one.attempts);
    }
    return text;
  }
  std::string operator()(const completion& one) const {
    return "completion " + std::to_string(static_cast<int>(one.status)) + "@"
           + std::to_string(one.retry_at);
  }
  std::string operator()(const auto& other) const {
    return to_json(other).dump();
  }
};

std::string gist(const answer& x) {
  return std::visit(gist_of{}, x);
}

std::string gist(const process_view& x) {
  std::string text = x.id + " " + to_string(x.state);
  if (x.state == process_state::finished) {
    text += "/" + to_string(x.ended) + "@" + std::to_string(x.finished_at);
  }
  const auto add = [&text](const char* name, auto number) {
    text += std::string{" "} + name + "=" + std::to_string(static_cast<std::uint64_t>(number));
  };
  add("row", x.row);
  add("attempt", x.attempt);
  add("failures", x.failures);
  add("interruptions", x.interruptions);
  add("fence", x.fence);
  add("seq", x.last_seq);
  add("change", x.change);
  add("cancel", x.cancel_requested);
  add("kill", x.kill_requested);
  add("expires", x.lease_expires_at);
  add("first", x.first_fence);
  add("waits", x.waiting.until.kind);
  add("also", x.waiting.also.size());
  add("journal", x.journal_entries);
  text += " holder=" + x.holder.name + " first=" + x.first_owner.name + " wake=" + x.wake_session;
  for (const auto& session : x.observers) {
    text += " observed=" + session;
  }
  text += " status=" + x.status_json;
  for (const auto& one : x.attachments) {
    text += " attached=" + one.ref + "/" + one.name;
  }
  return text;
}

/// The same of a process of the model.
std::string gist(const model::process& x) {
  process_view view;
  view.id = x.what.id;
  view.state = x.state;
  view.ended = x.ended ? x.ended->kind : outcome_kind::success;
  view.finished_at = x.finished_at;
  view.row = x.row;
  view.attempt = x.attempt;
  view.failures = x.failures;
  view.interruptions = x.interruptions;
  view.fence = x.fence;
  view.last_seq = x.events.size();
  view.change = x.change;
  view.cancel_requested = x.cancel;
  view.kill_requested = x.kill;
  view.lease_expires_at = x.lease ? x.lease->expires_at : 0;
  view.first_fence = x.first_fence;
  if (x.state == process_state::waiting) {
    view.waiting.until.kind = x.wait->all.front().kind;
    view.waiting.also.assign(x.wait->all.begin() + 1, x.wait->all.end());
  }
  view.holder.name = x.lease ? x.lease->owner : "";
  view.first_owner.name = x.first_owner;
  view.wake_session = x.wake_session;
  view.observers = {x.observers.begin(), x.observers.end()};
  view.status_json = x.status;
  view.journal_entries = x.journal.size();
  for (const auto& [ref, name] : x.attachments) {
    view.attachments.push_back({ref, name, 0});
  }
  return gist(view);
}

/// Runs steps on a fresh store and a fresh model. Each step is a seed: for a batch of operations, a
/// stretch of time, or a restart.
class trial {
public:
  explicit trial(const std::filesystem::path& base) {
    static int number = 0;
    options_.directory = base / ("run" + std::to_string(++number));
    options_.interruptions_max = tests::model_interruptions_max;
    options_.wake_attempts_max = tests::model_wake_attempts_max;
    options_.wake_age_max = tests::model_wake_age_max;
    options_.events_max = tests::model_events_max;
    options_.journal_max = tests::model_journal_max;
    options_.attachments_max = tests::model_attachments_max;
    open();
  }

  ~trial() {
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(options_.directory, ignored);
  }

  trial(const trial&) = delete;
  trial& operator=(const trial&) = delete;

  /// Returns what differed, or nothing.
  std::optional<std::string> run(const std::vector<std::uint64_t>& steps) {
    std::size_t number = 0;
    for (const auto seed : steps) {
      if (auto differs = step(seed)) {
        return differs;
      }
      if (++number % 500 == 0) {
        if (auto differs = compare_all(number % 4'000 == 0)) {
          return differs;
        }
      }
    }
    return compare_all(true);
  }

  [[nodiscard]] std::uint64_t operations() const {
    return operations_;
  }

  /// How often an operation was answered how: "park_receipt", "journal_request refused overloaded".
  [[nodiscard]] const std::map<std::string, std::uint64_t>& answered() const {
    return answered_;
  }

private:
  void open() {
    store_.reset();
    store_ = std::make_unique<storage::store>(options_);
  }

  std::optional<std::string> step(std::uint64_t seed) {
    std::mt19937_64 random{seed};
    now_ += static_cast<timestamp_ms>(random() % 3 == 0 ? random() % 4'000 : random() % 20);
    if (random() % 1'000 == 0) {
      open();
    }
    std::vector<operation> batch;
    for (auto left = 1 + random() % 6; left > 0; --left) {
      batch.push_back(generator{random(), model_, now_, leases_}.next());
    }
    const auto real = store_->apply(batch, {now_, [this] { return ++bits_; }});
    operations_ += batch.size();
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const auto expected = gist(model_.apply(batch[i], now_));
      const auto got = gist(real.answers[i]);
      if (expected != got) {
        return "operation " + std::to_string(batch[i].index()) + " at " + std::to_string(now_)
               + "\n  expected " + expected + "\n  got      " + got;
      }
      note(batch[i], real.answers[i]);
      model_.learn(real.answers[i]);
      if (const auto* rows = std::get_if<claimed_list>(&real.answers[i])) {
        keep_leases(*rows);
      } else if (const auto* granted = std::get_if<grant_list>(&real.answers[i])) {
        for (const auto& each : granted->each) {
          keep_leases(each);
        }
      }
    }
    model_.end_batch();
    if (leases_.size() > 1'000) {
      leases_.erase(leases_.begin(), leases_.begin() + 900);
    }
    return std::nullopt;
  }

  void keep_leases(const claimed_list& rows) {
    for (const auto& row : rows.items) {
      leases_.push_back(row.held);
    }
  }

  void note(const operation& asked, const answer& got) {
    const auto word = std::to_string(asked.index()) + " ";
    const auto* no = std::get_if<refusal>(&got);
    ++answered_[word + (no == nullptr ? "done" : to_string(no->code))];
    if (const auto* rows = std::get_if<claimed_list>(&got)) {
      for (const auto& row : rows->items) {
        ++answered_["woken " + why_of(row.woken)];
      }
    } else if (const auto* parked = std::get_if<park_receipt>(&got)) {
      ++answered_[parked->woken ? "parked and woken" : "parked"];
    }
  }

  std::optional<std::string> compare_all(bool scan) {
    for (const auto& [row, x] : model_.rows) {
      const auto view = store_->get(x.what.id);
      const auto expected = gist(x);
      const auto got = view ? gist(*view) : to_string(view.why().code);
      if (expected != got) {
        return "process\n  expected " + expected + "\n  got      " + got;
      }
      const auto page = store_->events_after(x.what.id, 0, 1'000);
      for (std::size_t i = 0; i < page->events.size(); ++i) {
        if (page->events[i].type != x.events[i]) {
          return "event " + std::to_string(i + 1) + " of " + x.what.id + ": expected " + x.events[i]
                 + ", got " + page->events[i].type;
        }
      }
      if (!(store_->journal_after(x.what.id, 0, 1'000)->entries == x.journal)) {
        return "the journal of " + x.what.id + " is another";
      }
    }
    for (const auto& [id, x] : model_.tombstones) {
      if (const auto view = store_->get(id); view || view.why().code != ec::pruned) {
        return "'" + id + "' should be pruned";
      }
    }
    wakes_query query;
    query.settled = true;
    query.limit = 1'000'000;
    const auto wakes = store_->wakes(query).wakes;
    if (wakes.size() != model_.wakes.size()) {
      return "wakes: expected " + std::to_string(model_.wakes.size()) + ", got "
             + std::to_string(wakes.size());
    }
    for (const auto& x : wakes) {
      if (model_.wakes.at(static_cast<std::uint64_t>(x.id)).state != x.state) {
        return "wake " + std::to_string(static_cast<std::uint64_t>(x.id)) + " is "
               + to_string(x.state);
      }
    }
    std::uint64_t total = 0;
    for (const auto& [word, number] : store_->counts().by_state) {
      total += number;
    }
    if (total != model_.rows.size()) {
      return "counters: expected " + std::to_string(model_.rows.size()) + ", got "
             + std::to_string(total);
    }
    if (auto differs = compare_queues()) {
      return differs;
    }
    if (scan) {
      for (const auto& finding : store_->check()) {
        return "scan: " + finding;
      }
    }
    return std::nullopt;
  }

  std::optional<std::string> compare_queues() {
    std::map<std::string, queue_view> expected;
    for (const auto& [name, x] : model_.queues) {
      expected[name].limits = x.limits;
    }
    for (const auto& [row, x] : model_.rows) {
      auto& queue = expected[x.what.queue];
      queue.running += x.state == process_state::running ? 1 : 0;
      queue.waiting += x.state == process_state::waiting ? 1 : 0;
      queue.quarantined += x.state == process_state::quarantined ? 1 : 0;
      if (x.state == process_state::ready) {
        const auto due = x.due_at <= now_;
        ++(due ? queue.ready : queue.delayed);
        if (due && (queue.oldest_ready_at == 0 || x.due_at < queue.oldest_ready_at)) {
          queue.oldest_ready_at = x.due_at;
        }
      }
    }
    for (const auto& [at, number] : model_.failed) {
      expected[at.first].failed_last_hour += at.second > now_ / 60'000 - 60 ? number : 0;
    }
    std::string text;
    for (auto& [name, x] : expected) {
      text += queue_text(name, x);
    }
    std::string got;
    for (auto& x : store_->queues(now_).queues) {
      x.ready += x.blocked; // Who stands aside is known once somebody has met it.
      got += queue_text(x.name, x);
    }
    return text == got ? std::nullopt
                       : std::optional{"queues\n  expected " + text + "\n  got      " + got};
  }

  static std::string queue_text(const std::string& name, queue_view x) {
    x.name = name;
    x.blocked = 0;
    x.next_claim_at = 0;
    const auto empty
      = x.ready + x.delayed + x.running + x.waiting + x.quarantined + x.failed_last_hour == 0
        && x.limits == queue_limits{};
    return empty ? "" : to_json(x).dump();
  }

  storage::options options_;
  std::unique_ptr<storage::store> store_;
  model model_;
  std::vector<lease> leases_;
  timestamp_ms now_ = tests::start;
  std::uint64_t bits_ = 0;
  std::uint64_t operations_ = 0;
  std::map<std::string, std::uint64_t> answered_;
};

/// Drops steps as long as the rest still fails.
std::vector<std::uint64_t>
shrunk(std::vector<std::uint64_t> steps, const std::filesystem::path& base) {
  constexpr int tries_max = 300;
  auto tries = 0;
  for (auto chunk = std::max<std::size_t>(steps.size() / 2, 1); chunk > 0; chunk /= 2) {
    for (std::size_t at = 0; at < steps.size() && ++tries < tries_max;) {
      auto fewer = steps;
      const auto first = fewer.begin() + static_cast<std::ptrdiff_t>(at);
      fewer.erase(first, first + static_cast<std::ptrdiff_t>(std::min(chunk, steps.size() - at)));
      if (trial{base}.run(fewer)) {
        steps = std::move(fewer);
      } else {
        at += chunk;
      }
    }
  }
  return steps;
}

/// A place in memory where there is one: what is tested here is not the disk.
std::filesystem::path fast_place(const std::filesystem::path& otherwise) {
  std::string pattern = "/dev/shm/belay-model-XXXXXX";
  return mkdtemp(pattern.data()) == nullptr ? otherwise : std::filesystem::path{pattern};
}

} // namespace

TEST_CASE("model: every answer and the final state are the model's",
          "[storage][model][s5-170][s5-159][s5-166][s5-177][s5-370][s5-371][s5-372][s5-380]") {
  const auto wanted = from_environment("BELAY_MODEL_OPS", 200'000);
  const auto seed = from_environment("BELAY_MODEL_SEED", 830);
  constexpr std::size_t steps_of_one = 8'000;
  const tests::scratch_directory scratch;
  const auto base = fast_place(scratch.path());
  std::uint64_t done = 0;
  std::map<std::string, std::uint64_t> answered;
  for (std::uint64_t round = 0; done < wanted; ++round) {
    std::mt19937_64 random{seed + round};
    std::vector<std::uint64_t> steps(steps_of_one);
    for (auto& step : steps) {
      step = random();
    }
    trial run{base};
    if (auto differs = run.run(steps)) {
      WARN("seed " << seed + round << ": " << *differs << "\nlooking for fewer steps");
      const auto shortest = shrunk(steps, base);
      std::string list;
      constexpr std::size_t shown_max = 40;
      for (std::size_t i = 0; i < shortest.size() && shortest.size() <= shown_max; ++i) {
        list += std::to_string(shortest[i]) + " ";
      }
      FAIL_CHECK("seed " << seed + round << ": " << *differs << "\nshrunk to " << shortest.size()
                         << " steps: " << list << "\n"
                         << *trial{base}.run(shortest));
      break;
    }
    done += run.operations();
    for (const auto& [word, number] : run.answered()) {
      answered[word] += number;
    }
  }
  std::filesystem::remove_all(base);
  // What is never tried is not compared.
  const auto index_of = [](const operation& x) { return std::to_string(x.index()); };
  const auto journal = index_of(journal_request{});
  const auto park = index_of(park_request{});
  std::string list;
  for (const auto& [word, number] : answered) {
    list += word + ": " + std::to_string(number) + "\n";
  }
  INFO(list);
  for (const auto& word :
       {journal + " done", journal + " bad_request", journal + " overloaded",
        journal + " lease_superseded", journal + " registration_conflict", park + " done",
        park + " bad_request", park + " unknown_process", std::string{"parked"},
        std::string{"parked and woken"}, std::string{"woken by cancel"},
        std::string{"woken by child"}, std::string{"woken by signal"},
        std::string{"woken by timer"}, std::string{"woken by deadline"}}) {
    CHECK(answered[word] > 0);
  }
  CHECK(done >= wanted);
  WARN("operations compared: " << done << ", journaled: " << answered[journal + " done"]
                               << ", parked: " << answered[park + " done"]
                               << ", woken by cancel: " << answered["woken by cancel"]);
}

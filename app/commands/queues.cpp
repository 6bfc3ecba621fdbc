// belay queues, queue pause | resume | limit: what stands in each queue, and how it is worked off.
#include "messages/queues.hpp"

#include "app/commands/commands.hpp"
#include "messages/time.hpp"

#include <nlohmann/json.hpp>

namespace belay::app {

namespace {

std::string rate_text(const queue_limits& x) {
  return x.rate == 0 ? "-" : std::to_string(x.rate) + "/" + format_duration(x.rate_period_ms);
}

std::string bound_text(std::uint32_t bound) {
  return bound == 0 ? "-" : std::to_string(bound);
}

nlohmann::json limits_json(const queue_limits& x) {
  return {
    {"paused", x.paused}, {"concurrency_max", x.concurrency_max}, {"per_key_max", x.per_key_max},
    {"rate", x.rate},     {"rate_period_ms", x.rate_period_ms},   {"burst", x.burst}};
}

nlohmann::json queue_json(const queue_view& x, timestamp_ms now) {
  nlohmann::json result{{"name", x.name},
                        {"ready", x.ready},
                        {"blocked", x.blocked},
                        {"delayed", x.delayed},
                        {"running", x.running},
                        {"waiting", x.waiting},
                        {"quarantined", x.quarantined},
                        {"failed_last_hour", x.failed_last_hour},
                        {"oldest_ready_at", nullptr},
                        {"oldest_ready_age_ms", 0},
                        {"estimated", x.estimated},
                        {"next_claim_at", nullptr},
                        {"limits", limits_json(x.limits)}};
  if (x.oldest_ready_at != 0) {
    result["oldest_ready_at"] = format_time(x.oldest_ready_at);
    result["oldest_ready_age_ms"] = std::max<duration_ms>(0, now - x.oldest_ready_at);
  }
  if (x.next_claim_at != 0) {
    result["next_claim_at"] = format_time(x.next_claim_at);
  }
  return result;
}

exit_code list_queues(const common_options& common) {
  const auto list = expect(connect(common)->queues());
  if (common.quiet) {
    return exit_code::success;
  }
  if (common.format == output_format::json) {
    for (const auto& x : list.queues) {
      print_line(queue_json(x, list.now).dump());
    }
    return exit_code::success;
  }
  text_table table{{"QUEUE", "READY", "BLOCKED", "DELAYED", "RUNNING", "WAITING", "FAILED/1H",
                    "OLDEST", "LIMIT", "PER KEY", "RATE", ""}};
  for (const auto& x : list.queues) {
    const auto about
      = [&x](std::uint64_t n) { return (x.estimated ? "~" : "") + std::to_string(n); };
    table.add({x.name, about(x.ready), about(x.blocked), about(x.delayed),
               std::to_string(x.running), std::to_string(x.waiting),
               std::to_string(x.failed_last_hour), age(x.oldest_ready_at, list.now),
               bound_text(x.limits.concurrency_max), bound_text(x.limits.per_key_max),
               rate_text(x.limits), x.limits.paused ? "paused" : ""});
  }
  table.print();
  return exit_code::success;
}

exit_code configure(const common_options& common, const queue_request& request) {
  // What is wrong is said without a node.
  if (const auto checked = changed_limits({}, request);
      !checked
      && (request.rate == queue_request::unchanged
          || request.rate_period_ms != queue_request::unchanged)) {
    throw command_failure{exit_code::usage, checked.why().text};
  }
  const auto now = expect(connect(common)->configure(request));
  if (common.quiet) {
    return exit_code::success;
  }
  if (common.format == output_format::json) {
    auto text = limits_json(now.limits);
    text["queue"] = request.queue;
    text["known"] = now.known;
    print_line(text.dump());
    return exit_code::success;
  }
  if (!now.known) {
    print_error("note: nothing was ever registered in queue '" + request.queue + "'");
  }
  print_line(request.queue + "  " + (now.limits.paused ? "paused" : "open") + ", at once "
             + bound_text(now.limits.concurrency_max) + ", per key "
             + bound_text(now.limits.per_key_max) + ", rate " + rate_text(now.limits)
             + (now.limits.burst == 0 ? "" : ", burst " + std::to_string(now.limits.burst)));
  return exit_code::success;
}

/// Reads a number, or "none" for 0.
std::int64_t read_bound(const std::string& flag, const std::string& text) {
  if (text.empty()) {
    return queue_request::unchanged;
  }
  if (text == "none") {
    return 0;
  }
  constexpr std::size_t digits_max = 9;
  const auto is_number
    = text.size() <= digits_max && text.find_first_not_of("0123456789") == std::string::npos;
  const auto number = is_number ? std::stoll(text) : 0;
  if (number == 0) {
    throw command_failure{exit_code::usage,
                          flag + ": '" + text
                            + "' is not acceptable, expected a whole number from 1 to 1000000, or "
                              "none; `belay queue pause` stops a queue"};
  }
  return number;
}

/// Reads "100/s", "100/10s" or "none".
void read_rate(const std::string& text, queue_request& to) {
  if (text.empty()) {
    return;
  }
  if (text == "none") {
    to.rate = 0;
    return;
  }
  const auto slash = text.find('/');
  auto period = slash == std::string::npos ? std::string{} : text.substr(slash + 1);
  if (!period.empty() && period.find_first_of("0123456789") == std::string::npos) {
    period = "1" + period;
  }
  const auto length = parse_duration(period);
  const auto count = text.substr(0, slash);
  if (!length || count.empty() || count.find_first_not_of("0123456789") != std::string::npos) {
    throw command_failure{exit_code::usage, "--rate: '" + text
                                              + "' is not acceptable, expected a number and a "
                                                "period such as 100/s, 5/10m, or none"};
  }
  to.rate = read_bound("--rate", count);
  to.rate_period_ms = *length;
}

struct limit_options {
  queue_request request;
  std::string concurrency;
  std::string per_key;
  std::string rate;
  std::string burst;
};

exit_code limit(const common_options& common, limit_options x) {
  auto& request = x.request;
  request.concurrency_max = read_bound("--concurrency", x.concurrency);
  request.per_key_max = read_bound("--per-key", x.per_key);
  request.burst = x.burst == "auto" ? 0 : read_bound("--burst", x.burst);
  read_rate(x.rate, request);
  if (x.concurrency.empty() && x.per_key.empty() && x.rate.empty() && x.burst.empty()) {
    throw command_failure{exit_code::usage,
                          "queue limit needs at least one of --concurrency, --per-key, --rate and "
                          "--burst; `belay queues` shows the bounds"};
  }
  return configure(common, request);
}

void add_switch(CLI::App& queue, common_options& common, command_action& action, bool pause) {
  auto& command = *queue.add_subcommand(pause ? "pause" : "resume",
                                        pause ? "Claim nothing of a queue; what runs goes on"
                                              : "Claim from a paused queue again");
  add_common(command, common);
  auto request = std::make_shared<queue_request>();
  request->paused = pause ? 1 : 0;
  command.add_option("QUEUE", request->queue, "Name of the queue")->type_name("QUEUE")->required();
  command.callback([&common, &action, request] {
    action = [&common, request] { return configure(common, *request); };
  });
}

} // namespace

void add_queue_commands(CLI::App& app, common_options& common, command_action& action) {
  auto& list = *app.add_subcommand("queues", "List the queues: what stands in them, their bounds");
  add_common(list, common);
  list.footer("BLOCKED: due, but as many with its concurrency key run as --per-key allows.\n"
              "~ marks estimates: there are more due rows than one answer counts.\n"
              "Example: belay queues");
  list.callback([&common, &action] { action = [&common] { return list_queues(common); }; });

  auto& queue = *app.add_subcommand("queue", "Pause, resume or bound a queue");
  queue.require_subcommand(1);
  add_switch(queue, common, action, true);
  add_switch(queue, common, action, false);
  auto& bound = *queue.add_subcommand("limit", "Bound what of a queue runs at once, or how often");
  auto x = std::make_shared<limit_options>();
  add_common(bound, common);
  bound.add_option("QUEUE", x->request.queue, "Name of the queue")->type_name("QUEUE")->required();
  bound.add_option("--concurrency", x->concurrency, "Most that run at once, or none")
    ->check(not_empty);
  bound
    .add_option("--per-key", x->per_key,
                "Most that run at once with the same concurrency key, or none")
    ->check(not_empty);
  bound
    .add_option("--rate", x->rate, "Most claims in a period, evenly spread, as in 100/s; or none")
    ->check(not_empty);
  bound
    .add_option("--burst", x->burst,
                "Claims at once after a quiet time; auto: what a tenth of a second allows")
    ->check(not_empty);
  bound.footer("What is not named stays as it is. Bounds are kept in the store.\n"
               "Example: belay queue limit mail --concurrency 20 --per-key 1 --rate 100/s");
  bound.callback([&common, &action, x] { action = [&common, x] { return limit(common, *x); }; });
}

} // namespace belay::app

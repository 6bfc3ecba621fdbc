// The exporter and where it writes: bounds, repetitions, what is lost.
#include "actors/trace/exporter.hpp"

#include "actors/trace/file_sink.hpp"
#include "actors/trace/http_sink.hpp"
#include "tests/support/captured_log.hpp"
#include "tests/support/scratch_directory.hpp"
#include "tests/trace/collector.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>

using namespace belay;
using namespace belay::tracing;
using nlohmann::json;

namespace {

constexpr duration_ms long_ms = 3'600'000;

span named(const std::string& name) {
  span x;
  x.name = name;
  return x;
}

/// What a sink was given, and what it says to it.
struct record {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<json> lines;
  std::vector<delivery> answers;
  /// Set: `write` waits for it.
  std::shared_future<void> gate;
};

class recorder : public sink {
public:
  explicit recorder(std::shared_ptr<record> to) : to_{std::move(to)} {}

  sent write(const std::string& line, const std::function<bool()>& /*hurry*/) override {
    {
      const std::lock_guard guard{to_->mutex};
      to_->lines.push_back(json::parse(line));
      to_->changed.notify_all();
    }
    if (to_->gate.valid()) {
      to_->gate.wait();
    }
    const std::lock_guard guard{to_->mutex};
    if (to_->answers.empty()) {
      return {};
    }
    const auto what = to_->answers.front();
    to_->answers.erase(to_->answers.begin());
    return {what, "because"};
  }

  [[nodiscard]] std::string name() const override {
    return "recorder";
  }

private:
  std::shared_ptr<record> to_;
};

void wait_for(record& x, std::size_t lines) {
  std::unique_lock guard{x.mutex};
  x.changed.wait(guard, [&] { return x.lines.size() >= lines; });
}

std::vector<std::string> names_in(const json& line) {
  std::vector<std::string> names;
  for (const auto& x : line["resourceSpans"][0]["scopeSpans"][0]["spans"]) {
    names.push_back(x["name"]);
  }
  return names;
}

std::string file_text(const std::filesystem::path& path) {
  std::ifstream in{path};
  return {std::istreambuf_iterator<char>{in}, {}};
}

bool never() {
  return false;
}

} // namespace

TEST_CASE("exporter: what is left is written at the end, in batches", "[trace]") {
  const auto seen = std::make_shared<record>();
  {
    exporter x{std::make_unique<recorder>(seen),
               {},
               {.queue_max = 100, .batch_max = 2, .flush_interval_ms = long_ms}};
    for (const auto* name : {"a", "b", "c"}) {
      x.add(named(name));
    }
    wait_for(*seen, 1); // A full batch does not wait for the interval.
  }
  REQUIRE(seen->lines.size() == 2);
  CHECK(names_in(seen->lines[0]) == std::vector<std::string>{"a", "b"});
  CHECK(names_in(seen->lines[1]) == std::vector<std::string>{"c"});
}

TEST_CASE("exporter: a full queue drops spans, counts them, and makes nobody wait", "[trace]") {
  const tests::captured_log out{{}};
  const auto seen = std::make_shared<record>();
  std::promise<void> open;
  seen->gate = open.get_future().share();
  {
    exporter x{
      std::make_unique<recorder>(seen),
      {},
      {.queue_max = 3, .batch_max = 1, .flush_interval_ms = 1, .shutdown_timeout_ms = long_ms}};
    x.add(named("taken"));
    wait_for(*seen, 1);
    for (auto i = 0; i < 10; ++i) {
      x.add(named("more"));
    }
    CHECK(x.dropped() == 7);
    open.set_value();
  }
  CHECK(seen->lines.size() == 4);
  auto lines = out.lines();
  REQUIRE(lines.size() == 3); // The first, the second, the fourth.
  const auto last = json::parse(lines.back());
  CHECK(last.at("event") == "spans.dropped");
  CHECK(last.at("dropped") == 4);
  CHECK(last.at("why") == "the queue is full (trace.queue_max)");
}

TEST_CASE("exporter: a batch that is not taken is tried again, so often and no more", "[trace]") {
  const tests::captured_log out{{}};
  const auto seen = std::make_shared<record>();
  constexpr auto again = delivery::again;
  seen->answers = {again, again, delivery::done, again, again, again, delivery::refused};
  {
    exporter x{std::make_unique<recorder>(seen),
               {},
               {.batch_max = 1,
                .flush_interval_ms = 1,
                .retries = 2,
                .retry_min_ms = 1,
                .retry_max_ms = 1,
                .shutdown_timeout_ms = long_ms}};
    x.add(named("first"));
    wait_for(*seen, 3);
    x.add(named("second"));
    wait_for(*seen, 6);
    x.add(named("third"));
    x.add(named("fourth"));
    wait_for(*seen, 8);
    CHECK(x.dropped() == 2);
  }
  std::string all;
  for (const auto& line : seen->lines) {
    all += names_in(line)[0] + " ";
  }
  CHECK(all == "first first first second second second third fourth ");
}

TEST_CASE("exporter: it ends in time although nobody takes anything", "[trace]") {
  const tests::captured_log out{{}};
  const auto seen = std::make_shared<record>();
  seen->answers = {delivery::again};
  auto x = std::make_unique<exporter>(std::make_unique<recorder>(seen), resource{},
                                      export_policy{.batch_max = 1,
                                                    .flush_interval_ms = 1,
                                                    .retries = 9,
                                                    .retry_min_ms = long_ms,
                                                    .retry_max_ms = long_ms,
                                                    .shutdown_timeout_ms = 0});
  x->add(named("first"));
  x->add(named("second"));
  wait_for(*seen, 1);
  x.reset(); // The pause is an hour long: the test's own time limit says that it was left.
  CHECK(seen->lines.size() == 1);
  CHECK(out.lines().size() == 2);
}

TEST_CASE("trace file: lines are appended, and one old file is kept", "[trace]") {
  const tests::scratch_directory scratch;
  const auto path = scratch.path() / "spans";
  std::ofstream{path} << "old\nhalf";
  {
    file_sink x{path, 24};
    CHECK(x.write("11111111", never).what == delivery::done);
    CHECK(file_text(path) == "old\nhalf\n11111111\n");
    CHECK(x.write("22222222", never).what == delivery::done);
    CHECK(file_text(path) == "22222222\n");
    CHECK(file_text(scratch.path() / "spans.1") == "old\nhalf\n11111111\n");
    CHECK(x.write("33333333", never).what == delivery::done);
    CHECK(x.write("44444444", never).what == delivery::done);
    CHECK(file_text(path) == "44444444\n");
    CHECK(file_text(scratch.path() / "spans.1") == "22222222\n33333333\n");
    const auto large = x.write(std::string(24, 'x'), never);
    CHECK(large.what == delivery::refused);
    CHECK(large.why.find("trace.file_max") != std::string::npos);
  }
  file_sink again{path, 24};
  CHECK(again.write("5", never).what == delivery::done);
  CHECK(file_text(path) == "44444444\n5\n");
}

TEST_CASE("trace file: a full disk refuses lines", "[trace]") {
  file_sink x{"/dev/full", 1'000}; // Every write finds no space (full(4)).
  const auto no = x.write("line", never);
  CHECK(no.what == delivery::refused);
  CHECK(no.why.find("No space left") != std::string::npos);
}

TEST_CASE("collector: gets the line by POST, and its answer says what comes of it", "[trace]") {
  tests::collector there;
  http_sink x{there.url(), long_ms};
  CHECK(x.write("{\"a\":1}", never).what == delivery::done);
  const auto came = there.wait_for(std::size_t{1}).at(0);
  CHECK(came.head.rfind("POST /v1/traces HTTP/1.1\r\n", 0) == 0);
  CHECK(came.head.find("Content-Type: application/json") != std::string::npos);
  CHECK(came.head.find("Expect:") == std::string::npos);
  CHECK(came.body == "{\"a\":1}");
  for (const auto status : {429, 502, 503, 504}) {
    there.answer(status);
    CHECK(x.write("{}", never).what == delivery::again);
  }
  for (const auto status : {301, 400, 404, 500}) {
    there.answer(status);
    const auto no = x.write("{}", never);
    CHECK(no.what == delivery::refused);
    CHECK(no.why == "HTTP status " + std::to_string(status));
  }
}

TEST_CASE("collector: one that is not there, or does not answer, is tried again", "[trace]") {
  std::string gone;
  {
    const tests::collector there;
    gone = there.url();
  }
  http_sink nobody{gone, long_ms};
  CHECK(nobody.write("{}", never).what == delivery::again);

  // Listens, and never accepts.
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof at;
  REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&at), length) == 0);
  REQUIRE(listen(fd, 4) == 0);
  REQUIRE(getsockname(fd, reinterpret_cast<sockaddr*>(&at), &length) == 0);
  const auto silent = "http://127.0.0.1:" + std::to_string(ntohs(at.sin_port)) + "/v1/traces";
  CHECK(http_sink{silent, 20}.write("{}", never).what == delivery::again);
  CHECK(http_sink{silent, long_ms}.write("{}", [] { return true; }).what == delivery::again);
  close(fd);
}

TEST_CASE("collector: an address that is none is refused", "[trace]") {
  CHECK_FALSE(check_endpoint("http://127.0.0.1:4318/v1/traces"));
  CHECK_FALSE(check_endpoint("https://collector.example/v1/traces"));
  for (const auto* bad :
       {"127.0.0.1:4318", "file:///etc/passwd", "http://", "localhost", "ftp://x/"}) {
    const auto no = check_endpoint(bad);
    REQUIRE(no);
    CHECK(no->text.find(bad) != std::string::npos);
    CHECK(no->text.find("http://127.0.0.1:4318/v1/traces") != std::string::npos);
  }
}

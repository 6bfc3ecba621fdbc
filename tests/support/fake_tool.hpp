// A tool whose runs a test ends by hand.
#pragma once

#include "actors/running/tool.hpp"

#include <map>
#include <memory>
#include <vector>

namespace belay::tests {

/// One run of the fake tool, as the test sees it.
struct fake_run {
  running::run_info info;
  nlohmann::json args;
  running::run_callbacks callbacks;
  int cancels = 0;
  int kills = 0;
  /// Set when the process actor dropped the run.
  bool destroyed = false;
  /// Whether the run ends by itself when it is cancelled or killed.
  bool obeys_cancel = true;

  void finish(outcome result) {
    auto done = std::move(callbacks.finished);
    callbacks.finished = nullptr;
    if (done) {
      done(std::move(result));
    }
  }
};

class fake_tool {
public:
  /// Returns the tool under this name.
  [[nodiscard]] running::tool as_tool(const std::string& name) {
    return {name, nlohmann::json::object(),
            [this](const running::run_info& info, const nlohmann::json& args,
                   running::run_callbacks callbacks) -> std::unique_ptr<running::tool_run> {
              auto x = std::make_shared<fake_run>();
              x->info = info;
              x->args = args;
              x->callbacks = std::move(callbacks);
              x->obeys_cancel = obeys_cancel;
              runs.push_back(x);
              return std::make_unique<handle>(x);
            }};
  }

  [[nodiscard]] fake_run& last() {
    return *runs.back();
  }

  std::vector<std::shared_ptr<fake_run>> runs;
  bool obeys_cancel = true;

private:
  class handle : public running::tool_run {
  public:
    explicit handle(std::shared_ptr<fake_run> x) : x_{std::move(x)} {}

    ~handle() override {
      x_->destroyed = true;
      x_->callbacks = {};
    }

    void cancel() override {
      ++x_->cancels;
      if (x_->obeys_cancel) {
        x_->finish(make_cancelled("cancelled"));
      }
    }

    void kill() override {
      ++x_->kills;
      x_->finish(make_cancelled("killed"));
    }

  private:
    std::shared_ptr<fake_run> x_;
  };
};

} // namespace belay::tests

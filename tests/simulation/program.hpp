// Random programs for workflows: a tree of statements as JSON, which `play` (interpreter.hpp) runs.
//
//     {"retries": 2, "block": [{"do": "step", "at": "s1"}, {"do": "all", "at": "s2", ...}]}
//
// Every statement has a site of its own ("at"), which names its effects in the journal.
#pragma once

#include "tests/simulation/chance.hpp"

#include <nlohmann/json.hpp>

namespace belay::simulation {

using json = nlohmann::json;

/// The names of the signals that programs wait for.
inline constexpr std::initializer_list<const char*> signal_names{"a", "b"};

class program_maker {
public:
  /// The result of a calm program does not depend on what comes first: no races, no time-outs, and
  /// signals in its main line only.
  program_maker(chance& random, bool calm) : random_{random}, calm_{calm} {}

  /// Makes the program of the root with this number; it may await those before it.
  json root(std::size_t number);

private:
  json block(std::size_t length);
  json statement();
  json leaf();
  json whole(bool is_root);
  json call();
  json tool_child();
  json workflow_child();
  json children();
  json branches();
  json guarded();
  json with_undo();
  json wait();
  json site(const char* what);
  std::int64_t pause();
  std::string close(bool awaited);

  chance& random_;
  bool calm_;
  std::size_t root_ = 0;
  std::size_t sites_ = 0;
  std::size_t depth_ = 0;
  /// Inside a join, and in what is awaited from there.
  bool joined_ = false;
  /// Nothing that is made now may fail.
  bool safe_ = false;
  /// In what is run to put things right: over in a few seconds, and never fails.
  bool undoing_ = false;
  bool in_child_ = false;
};

} // namespace belay::simulation

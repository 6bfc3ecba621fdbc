// The state of `belay top`, and what keys and answers make of it. Pure: no terminal, no node, no
// clock.
#pragma once

#include "app/explanation.hpp"
#include "app/top/text.hpp"
#include "messages/actor_view.hpp"
#include "messages/membership.hpp"
#include "messages/process_view.hpp"
#include "messages/queues.hpp"

#include <array>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace belay::app::top {

enum class pane { processes, queues, nodes, actors };
inline constexpr std::array<pane, 4> panes{pane::processes, pane::queues, pane::nodes,
                                           pane::actors};
[[nodiscard]] std::string to_string(pane x);

/// What is asked of the node for one frame.
struct question {
  /// Rises with each change of what is shown: tells an answer to an earlier question.
  std::uint64_t number = 0;
  pane shown = pane::processes;
  list_query list;
  /// The process that is open; empty: none.
  process_id opened;
};

struct opened_process {
  process_view process;
  explanation said;
  /// The last ones, oldest first.
  std::vector<event> events;
};

/// One look at a node.
struct answer {
  question asked;
  /// The node's name, and its time when it was looked at.
  std::string node;
  timestamp_ms now = 0;
  /// When this program had it, on a clock that never goes back.
  std::int64_t at_ms = 0;
  /// Rises with each new connection: between two of them counts are not compared.
  std::uint64_t connection = 0;
  process_counts counts;
  bool nearly_full = false;
  bool commit_failed = false;
  std::uint64_t pruned = 0;
  std::uint64_t claims = 0;
  std::vector<node_info> nodes;
  /// What the pane shows, each with its own refusal.
  std::optional<process_page> processes;
  std::optional<queue_list> queues;
  std::optional<actor_tree> actors;
  std::optional<opened_process> opened;
  std::string refused;
  /// From asking for the counts to having them.
  double count_ms = 0;
};

/// Why there is no answer, as long as there is none.
struct lost_link {
  std::string why;
  std::int64_t at_ms = 0;
};

struct key {
  enum class code {
    character,
    up,
    down,
    left,
    right,
    page_up,
    page_down,
    home,
    end,
    enter,
    escape,
    backspace,
    /// Ctrl-U: what was typed goes.
    clear_line,
    tab,
    back_tab,
  };
  code what = code::character;
  char32_t letter = 0;
};

/// What a key makes the program do.
struct wish {
  enum class kind { none, quit, ask, cancel, retry, pause, resume };
  kind what = kind::none;
  /// Of a process, or the name of a queue.
  std::string id;
};

enum class mode { list, filter, confirm, opened, help };
/// `listed`: as the registry lists them, newest first.
enum class order { listed, age, attempts, owner, kind, lease };
[[nodiscard]] std::string to_string(order x);

/// Where one is in a list. The row is kept by its name while rows move.
struct place {
  std::string id;
  std::size_t index = 0;
  /// First row that is shown.
  std::size_t first = 0;
};

/// What a filter says: part goes to the registry, the owner is looked for in the page.
struct filter {
  list_query list;
  std::string owner;
};

/// Reads "nightly- queue=q kind=exec owner=w1 team=x": a word alone is the beginning of an id; id,
/// kind, queue, owner, state, title, definition, origin and parent are themselves, any other key a
/// label. Refuses (`bad_request`) two of the same.
[[nodiscard]] checked<filter> parse_filter(const std::string& text);

struct model {
  pane shown = pane::processes;
  mode now_in = mode::list;
  /// Which processes: a word of `list_query::state`.
  std::string state = "running";
  order sorted_by = order::listed;
  bool reversed = false;
  /// What is typed, by pane; that of the processes is applied as `applied` says.
  std::array<std::string, panes.size()> filters;
  filter applied;
  /// What stands in the line while a filter is typed.
  std::string typed;
  std::array<place, panes.size()> places;
  /// Cursors of the pages before, and rows on them.
  std::vector<std::pair<row_id, std::size_t>> pages;
  question asks;

  std::optional<answer> last;
  std::optional<lost_link> lost;
  /// This program's clock, for how long there has been no answer.
  std::int64_t clock_ms = 0;
  std::int64_t interval_ms = 1'000;
  /// Per second, newest last.
  std::deque<double> registered;
  std::deque<double> started;
  std::deque<double> finished;
  std::deque<double> count_ms;

  wish pending;
  std::string pending_text;
  /// Shown until the next key, or for a few looks.
  std::string said;
  int said_for = 0;
  std::size_t opened_first = 0;
};

/// The state to begin with: the processes that run.
[[nodiscard]] model make_model(std::int64_t interval_ms);

/// One row of a pane: by its name it is found again.
[[nodiscard]] std::vector<std::string> row_names(const model& x);
/// The processes of the page as they are shown: filtered by owner, sorted.
[[nodiscard]] std::vector<const process_view*> shown_processes(const model& x);
[[nodiscard]] std::vector<const queue_view*> shown_queues(const model& x);
[[nodiscard]] std::vector<const node_info*> shown_nodes(const model& x);
[[nodiscard]] std::vector<const actor_view*> shown_actors(const model& x);

/// Rows that the list of a pane has on a screen.
[[nodiscard]] std::size_t list_rows(const screen& on);

/// Rows before this page.
[[nodiscard]] std::size_t rows_before(const model& x);

[[nodiscard]] wish update(model& x, const key& pressed, const screen& on);
/// Takes an answer in; one to an earlier question only as far as it is the same whatever was asked.
void receive(model& x, answer got, const screen& on);
void receive(model& x, lost_link why);
/// What came of a wish.
void receive(model& x, std::string said);

} // namespace belay::app::top

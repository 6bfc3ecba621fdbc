// The parts of the view that differ from pane to pane; the inside of view.hpp.
#pragma once

#include "app/top/model.hpp"

namespace belay::app::top {

/// What is listed, in which order, under which filter.
[[nodiscard]] std::string list_title(const model& x);
/// How much of it is shown, and what is not.
[[nodiscard]] std::string list_note(const model& x);
/// The heads of the columns, and up to so many rows.
[[nodiscard]] std::vector<line> list_lines(const model& x, const screen& on, std::size_t rows);
/// Lines of the screen around those of the process that is open.
inline constexpr int opened_around = 3;
/// All that is known of the process that is open.
[[nodiscard]] std::vector<line> opened_lines(const model& x, const screen& on);
[[nodiscard]] std::vector<line> help_lines(const screen& on);

} // namespace belay::app::top

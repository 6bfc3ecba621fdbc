// What `belay top` shows: from the state of model.hpp to lines. Pure.
#pragma once

#include "app/top/model.hpp"

namespace belay::app::top {

/// Smallest terminal that is drawn for.
inline constexpr int columns_min = 80;
inline constexpr int rows_min = 24;

/// Draws a frame: exactly as many lines as the screen has rows, none longer than it has columns.
/// A screen that is too small gets a message.
[[nodiscard]] std::vector<line> draw(const model& x, const screen& on);

/// Draws what stands above and in the list, for a file: as many lines as there are.
[[nodiscard]] std::vector<line> draw_once(const model& x, const screen& on);

} // namespace belay::app::top

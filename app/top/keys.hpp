// What keys do to the state of `belay top`; the inside of model.hpp.
#pragma once

#include "app/top/model.hpp"

namespace belay::app::top {

/// Keeps the selected row, wherever it has moved to, and has it on the screen.
void follow_rows(model& x, const screen& on);

} // namespace belay::app::top

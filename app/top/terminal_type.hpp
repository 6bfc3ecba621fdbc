#pragma once

namespace belay::app::top {

/// Whether `TERM` names a terminal whose cursor can be moved: on one that is not known, or on
/// TERM=dumb, a screen would be written over itself. Looks it up and changes nothing, while newterm
/// writes to the terminal first and keeps what it took for one it does not know.
bool can_move_cursor();

} // namespace belay::app::top

// The one workflow of a simulated world: it runs the program that it is given as its argument.
#pragma once

#include "tests/simulation/program.hpp"
#include "tests/simulation/world.hpp"

namespace belay::simulation {

/// Offers the workflow "play" and the tool "work" on a node, both acting on a world.
void offer(testing::node& node, world& seen);

} // namespace belay::simulation

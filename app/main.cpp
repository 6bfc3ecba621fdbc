// The belay program.
#include "app/command_line.hpp"

int main(int argc, char** argv) {
  return belay::app::run_command_line(argc, argv);
}

// The one file that is compiled again at each commit.
#include "app/version.hpp"
#include "belay_commit.hpp"

namespace belay::app {

std::string commit() {
  return BELAY_COMMIT;
}

std::string commit_date() {
  return BELAY_COMMIT_DATE;
}

} // namespace belay::app

// The least that a program can be started with.
#pragma once

#include <sys/stat.h>

namespace belay::tests {

/// As long as it lives, whatever is made without a word about its mode may be read by everybody.
class open_umask {
public:
  open_umask() : before_{umask(0)} {}

  ~open_umask() {
    umask(before_);
  }

  open_umask(const open_umask&) = delete;
  open_umask& operator=(const open_umask&) = delete;

private:
  mode_t before_;
};

} // namespace belay::tests

// Who may read and write the files of a store.
#pragma once

#include <sys/types.h>

namespace belay::storage {

/// Their owner alone.
inline constexpr mode_t file_mode = 0600;
inline constexpr mode_t folder_mode = 0700;

} // namespace belay::storage

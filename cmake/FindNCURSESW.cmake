# Finds ncurses with wide characters, which ships no CMake config in Debian. Target: NCURSESW::NCURSESW.
find_path(NCURSESW_INCLUDE_DIR ncurses.h)
find_library(NCURSESW_LIBRARY ncursesw)
mark_as_advanced(NCURSESW_INCLUDE_DIR NCURSESW_LIBRARY)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(NCURSESW REQUIRED_VARS NCURSESW_LIBRARY NCURSESW_INCLUDE_DIR)
if(NCURSESW_FOUND AND NOT TARGET NCURSESW::NCURSESW)
  add_library(NCURSESW::NCURSESW UNKNOWN IMPORTED)
  set_target_properties(NCURSESW::NCURSESW PROPERTIES
    IMPORTED_LOCATION "${NCURSESW_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${NCURSESW_INCLUDE_DIR}")
endif()

# Finds libuv, which ships no CMake config in Debian. Target: UV::UV.
find_path(UV_INCLUDE_DIR uv.h)
find_library(UV_LIBRARY uv)
mark_as_advanced(UV_INCLUDE_DIR UV_LIBRARY)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(UV REQUIRED_VARS UV_LIBRARY UV_INCLUDE_DIR)
if(UV_FOUND AND NOT TARGET UV::UV)
  add_library(UV::UV UNKNOWN IMPORTED)
  set_target_properties(UV::UV PROPERTIES
    IMPORTED_LOCATION "${UV_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES "${UV_INCLUDE_DIR}")
endif()

# cmake --install: the program, the libraries with their headers below include/belay, and what
# find_package(belay) needs.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set_target_properties(belay_options PROPERTIES EXPORT_NAME options)
install(TARGETS belay)
install(TARGETS belay_options belay_messages belay_storage belay_actors belay_app
  EXPORT belayTargets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY messages storage actors DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/belay"
  FILES_MATCHING PATTERN "*.hpp")
install(DIRECTORY app DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/belay"
  FILES_MATCHING PATTERN "*.hpp" PATTERN commands EXCLUDE)

set(config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/belay")
install(EXPORT belayTargets NAMESPACE belay:: DESTINATION "${config_dir}")
configure_package_config_file(cmake/belayConfig.cmake.in
  "${CMAKE_BINARY_DIR}/belayConfig.cmake" INSTALL_DESTINATION "${config_dir}")
write_basic_package_version_file("${CMAKE_BINARY_DIR}/belayConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/belayConfig.cmake" "${CMAKE_BINARY_DIR}/belayConfigVersion.cmake"
  cmake/FindCAF.cmake cmake/FindLMDB.cmake cmake/FindUV.cmake
  cmake/FindNCURSESW.cmake cmake/FindUTF8PROC.cmake
  DESTINATION "${config_dir}")

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
  cmake/FindPrometheusCore.cmake cmake/FindMicrohttpd.cmake
  cmake/FindNCURSESW.cmake cmake/FindUTF8PROC.cmake
  DESTINATION "${config_dir}")

# Manual pages and completion scripts, made by the program itself from what it knows of its commands.
set(made "${CMAKE_BINARY_DIR}/made")
add_custom_command(OUTPUT "${made}/stamp"
  COMMAND "${CMAKE_COMMAND}" -E rm -rf "${made}"
  COMMAND belay manual "${made}"
  COMMAND "${CMAKE_COMMAND}" -E touch "${made}/stamp"
  DEPENDS belay COMMENT "Writing manual pages and completion scripts" VERBATIM)
add_custom_target(belay_made ALL DEPENDS "${made}/stamp")
set(share "${CMAKE_INSTALL_DATAROOTDIR}")
install(DIRECTORY "${made}/" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1"
  FILES_MATCHING PATTERN "*.1")
install(DIRECTORY "${made}/" DESTINATION "${CMAKE_INSTALL_MANDIR}/man5"
  FILES_MATCHING PATTERN "*.5")
install(FILES "${made}/belay.bash" DESTINATION "${share}/bash-completion/completions" RENAME belay)
install(FILES "${made}/belay.zsh" DESTINATION "${share}/zsh/site-functions" RENAME _belay)
install(FILES "${made}/belay.fish" DESTINATION "${share}/fish/vendor_completions.d")
install(FILES conf/belay.toml DESTINATION "${share}/doc/belay")

# The unit names the program where it is installed, which --prefix may say only at that time.
install(FILES conf/systemd/belay.service DESTINATION lib/systemd/system)
install(CODE [[
  set(unit "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/lib/systemd/system/belay.service")
  file(READ "${unit}" text)
  string(REPLACE "/usr/bin/belay" "${CMAKE_INSTALL_PREFIX}/bin/belay" text "${text}")
  file(WRITE "${unit}" "${text}")
]])
install(FILES conf/systemd/belay.sysusers DESTINATION lib/sysusers.d RENAME belay.conf)

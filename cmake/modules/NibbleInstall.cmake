# cmake --install gives a package for find_package(Nibble).
include(CMakePackageConfigHelpers)

get_property(tools GLOBAL PROPERTY NIBBLE_TOOLS)
install(TARGETS Nibble ${tools} EXPORT NibbleTargets
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/nibble ${PROJECT_BINARY_DIR}/include/nibble
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h" PATTERN "*.td" PATTERN "*.h.inc" PATTERN "CMakeFiles" EXCLUDE)
set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/nibble)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/NibbleConfig.cmake.in
  ${PROJECT_BINARY_DIR}/NibbleConfig.cmake INSTALL_DESTINATION ${config_dir}
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_BINDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/NibbleConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/NibbleConfig.cmake
  ${PROJECT_BINARY_DIR}/NibbleConfigVersion.cmake DESTINATION ${config_dir})
install(EXPORT NibbleTargets NAMESPACE Nibble:: DESTINATION ${config_dir})

# The Python wheel: the compiler, and what it and compiled models need of ours.
# LLVM's libraries are taken where they were found.
set(wheel Nibble nibble-compile nibble-run nibble_runtime nibble_runtime_shared)
add_custom_target(nibble-python DEPENDS ${wheel})
install(TARGETS ${wheel}
  RUNTIME DESTINATION bin COMPONENT python EXCLUDE_FROM_ALL
  LIBRARY DESTINATION lib COMPONENT python EXCLUDE_FROM_ALL
  ARCHIVE DESTINATION lib COMPONENT python EXCLUDE_FROM_ALL)
if(SKBUILD)
  # A wheel has no symbolic links: versions in file names would make copies.
  foreach(library Nibble nibble_runtime_shared)
    set_property(TARGET ${library} PROPERTY VERSION)
    set_property(TARGET ${library} PROPERTY SOVERSION)
  endforeach()
endif()

# Thin wrappers, so that a room's CMakeLists.txt is a list of its files.

# nibble_add_library(name sources... [DEPENDS targets...] [INCLUDES dirs...])
# An object library with the project's precompiled header. All of them make
# libNibble.so: a plugin and a tool must share one copy of every TypeID.
function(nibble_add_library name)
  cmake_parse_arguments(ARG "NO_PCH" "" "DEPENDS;INCLUDES;DEFINITIONS" ${ARGN})
  add_library(${name} OBJECT ${ARG_UNPARSED_ARGUMENTS})
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti> ${NIBBLE_NO_EXCEPTIONS})
  if(ARG_INCLUDES)
    target_include_directories(${name} PRIVATE ${ARG_INCLUDES})
  endif()
  if(ARG_DEFINITIONS)
    target_compile_definitions(${name} PRIVATE ${ARG_DEFINITIONS})
  endif()
  if(NOT ARG_NO_PCH)
    target_precompile_headers(${name} REUSE_FROM NibblePCH)
  endif()
  # Generated headers are few and small: every room waits for all of them.
  add_dependencies(${name} nibble-headers ${ARG_DEPENDS})
  set_property(GLOBAL APPEND PROPERTY NIBBLE_OBJECT_LIBS ${name})
endfunction()

# nibble_tablegen(TD file OUT prefix TARGET name GENERATORS "ext=-gen-x" ...)
# Generated files land beside the .td in the build tree.
function(nibble_tablegen target td)
  set(LLVM_TARGET_DEFINITIONS ${td})
  foreach(pair ${ARGN})
    string(FIND "${pair}" "=" pos)
    string(SUBSTRING "${pair}" 0 ${pos} out)
    math(EXPR pos "${pos} + 1")
    string(SUBSTRING "${pair}" ${pos} -1 gen)
    string(REPLACE " " ";" gen "${gen}")
    mlir_tablegen(${out} ${gen})
  endforeach()
  add_public_tablegen_target(${target})
  set_property(GLOBAL APPEND PROPERTY NIBBLE_TABLEGEN_TARGETS ${target})
endfunction()

# nibble_add_passes(target Passes.td CppNamePrefix): declarations of a room's passes.
function(nibble_add_passes target td name)
  nibble_tablegen(${target} ${td}
    "${name}.h.inc=-gen-pass-decls -name ${name}")
endfunction()

# Executables use the library's precompiled header, so they need its code model.
function(nibble_use_pch name)
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE -fPIC)
  target_precompile_headers(${name} REUSE_FROM NibblePCH)
endfunction()

# nibble_add_tool(name sources... [LIBS libs...])
function(nibble_add_tool name)
  cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti> ${NIBBLE_NO_EXCEPTIONS})
  nibble_use_pch(${name})
  add_dependencies(${name} nibble-headers)
  target_link_libraries(${name} PRIVATE Nibble MLIR LLVM ${ARG_LIBS})
  # Plugins resolve symbols against the tool's copy of the shared libraries.
  set_target_properties(${name} PROPERTIES ENABLE_EXPORTS ON
    INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}:${LLVM_INSTALL_PREFIX}/lib")
  set_property(GLOBAL APPEND PROPERTY NIBBLE_TOOLS ${name})
endfunction()

# nibble_add_unittest(name sources... [LIBS libs...]): a GoogleTest executable.
function(nibble_add_unittest name)
  cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti> ${NIBBLE_NO_EXCEPTIONS})
  nibble_use_pch(${name})
  add_dependencies(${name} nibble-headers)
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test/unit)
  target_link_libraries(${name} PRIVATE Nibble MLIR LLVM GTest::gtest_main ${ARG_LIBS})
  set_property(GLOBAL APPEND PROPERTY NIBBLE_UNITTESTS ${name})
endfunction()

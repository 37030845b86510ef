# Wasmtime's C API: headers to compile against, and a library that programs
# open when the first SmartModule is used; nothing links it.
#
# scripts/wasmtime says where it is (and fetches the pinned version once).
# The library gets a place beside the programs, in the build tree as where
# they are installed, because that is where they look: ../lib/fluvio-c/.

execute_process(COMMAND ${CMAKE_SOURCE_DIR}/scripts/wasmtime
    OUTPUT_VARIABLE FLV_WASMTIME_DIR OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE result)
if(NOT result EQUAL 0)
    message(FATAL_ERROR "scripts/wasmtime found no Wasmtime (see above)")
endif()
file(STRINGS ${FLV_WASMTIME_DIR}/include/wasmtime.h line
    REGEX "^#define WASMTIME_VERSION \"")
string(REGEX REPLACE ".*\"(.*)\".*" "\\1" FLV_WASMTIME_VERSION "${line}")
message(STATUS "Wasmtime ${FLV_WASMTIME_VERSION}: ${FLV_WASMTIME_DIR}")

cmake_path(SET FLV_WASMTIME_HERE NORMALIZE
    ${FLV_BIN_DIR}/../lib/fluvio-c/libwasmtime.so)
cmake_path(GET FLV_WASMTIME_HERE PARENT_PATH dir)
file(MAKE_DIRECTORY ${dir})
file(REAL_PATH ${FLV_WASMTIME_DIR}/lib/libwasmtime.so library)
execute_process(COMMAND ${CMAKE_COMMAND} -E compare_files
    ${library} ${FLV_WASMTIME_HERE} RESULT_VARIABLE differs ERROR_QUIET)
if(differs)
    file(REMOVE ${FLV_WASMTIME_HERE})
    file(CREATE_LINK ${library} ${FLV_WASMTIME_HERE} COPY_ON_ERROR)
endif()

# From the folder of the installed programs to the installed library.
cmake_path(SET libdir /prefix/${CMAKE_INSTALL_LIBDIR}/fluvio-c)
cmake_path(RELATIVE_PATH libdir BASE_DIRECTORY
    /prefix/${CMAKE_INSTALL_BINDIR} OUTPUT_VARIABLE FLV_WASMTIME_INSTALLED)
install(FILES ${FLV_WASMTIME_HERE}
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/fluvio-c)

add_library(flv_wasmtime INTERFACE)
target_include_directories(flv_wasmtime SYSTEM INTERFACE
    ${FLV_WASMTIME_DIR}/include)
target_compile_definitions(flv_wasmtime INTERFACE
    FLV_WASMTIME_INSTALLED="${FLV_WASMTIME_INSTALLED}/libwasmtime.so")
target_link_libraries(flv_wasmtime INTERFACE ${CMAKE_DL_LIBS})
# Tests run from anywhere in the build tree; products carry no path of it.
if(FLV_TESTS)
    target_compile_definitions(flv_wasmtime INTERFACE
        FLV_WASMTIME_BUILD="${FLV_WASMTIME_HERE}")
endif()

# How rooms, programs and tests of this tree are declared.

find_package(PkgConfig REQUIRED)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

add_library(flv_flags INTERFACE)
target_compile_definitions(flv_flags INTERFACE _GNU_SOURCE
    FLV_VERSION="${PROJECT_VERSION}")
target_compile_options(flv_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wvla -Wformat=2
    -Wmissing-prototypes -Wstrict-prototypes -Wundef -fvisibility=hidden
    -fno-common -fstack-protector-strong -fstack-clash-protection)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    target_compile_options(flv_flags INTERFACE -fcf-protection)
endif()
# Addresses of functions are settled and read-only before main().
target_link_options(flv_flags INTERFACE -Wl,-z,relro,-z,now)
target_include_directories(flv_flags INTERFACE
    ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src)
# A program loads the libraries that it uses, not all that its rooms know.
target_link_options(flv_flags INTERFACE -Wl,--as-needed)
if(FLV_WERROR)
    target_compile_options(flv_flags INTERFACE -Werror)
endif()
if(FLV_SANITIZE)
    target_compile_options(flv_flags INTERFACE -fsanitize=${FLV_SANITIZE}
        -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(flv_flags INTERFACE -fsanitize=${FLV_SANITIZE})
else()
    # Needs optimization, and sanitizers watch more than it does.
    target_compile_definitions(flv_flags INTERFACE
        $<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:_FORTIFY_SOURCE=2>)
endif()
if(FLV_FUZZ)
    target_compile_options(flv_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
# Assertions are for bugs and stay in release builds.
foreach(kind RELEASE RELWITHDEBINFO MINSIZEREL)
    string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_${kind} "${CMAKE_C_FLAGS_${kind}}")
endforeach()

# Targets to build a part of the tree: all programs, all tests of one label.
add_custom_target(programs)
function(flv_part part name)
    if(NOT TARGET ${part})
        add_custom_target(${part})
    endif()
    add_dependencies(${part} ${name})
endfunction()

# flv_room(NAME [ROOMS room...] [PKG pkg-config modules...] [LIBS targets...])
# One static library per folder. ROOMS are the rooms it may know. A check
# program links the whole room against exactly that list, so that a symbol
# from anywhere else does not link.
function(flv_room name)
    cmake_parse_arguments(R "" "" "ROOMS;PKG;LIBS" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
    list(FILTER sources EXCLUDE REGEX "/main\\.c$")
    add_library(flv_${name} STATIC ${sources})
    target_link_libraries(flv_${name} PUBLIC flv_flags)
    foreach(room ${R_ROOMS})
        target_link_libraries(flv_${name} PUBLIC flv_${room})
    endforeach()
    foreach(pkg ${R_PKG})
        string(MAKE_C_IDENTIFIER ${pkg} id)
        if(NOT TARGET PkgConfig::${id})
            pkg_check_modules(${id} REQUIRED IMPORTED_TARGET GLOBAL ${pkg})
        endif()
        target_link_libraries(flv_${name} PUBLIC PkgConfig::${id})
    endforeach()
    target_link_libraries(flv_${name} PUBLIC ${R_LIBS})
    set_target_properties(flv_${name} PROPERTIES FLV_PKG "${R_PKG}")
    if(NOT FLV_TESTS)
        return()
    endif()
    file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/link_${name}.c
        CONTENT "int main(void)\n{\n    return 0;\n}\n")
    add_executable(link_${name} ${CMAKE_CURRENT_BINARY_DIR}/link_${name}.c)
    target_link_libraries(link_${name} PRIVATE
        -Wl,--whole-archive flv_${name} -Wl,--no-whole-archive)
endfunction()

# flv_program(NAME SOURCES... LIBS...) puts a program into the bin folder.
function(flv_program name)
    cmake_parse_arguments(P "" "" "SOURCES;LIBS" ${ARGN})
    add_executable(${name} ${P_SOURCES})
    target_link_libraries(${name} PRIVATE ${P_LIBS} flv_flags)
    set_target_properties(${name} PROPERTIES
        RUNTIME_OUTPUT_DIRECTORY ${FLV_BIN_DIR})
    flv_part(programs ${name})
    set_property(GLOBAL APPEND PROPERTY FLV_PROGRAMS ${name})
    install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# flv_test(NAME LIBS... [SOURCES...] [TIMEOUT s] [LABEL l]): one cmocka
# program, NAME.c plus SOURCES, run alone with a time limit. The target
# tests-LABEL builds all programs of a label.
function(flv_test name)
    cmake_parse_arguments(T "" "TIMEOUT;LABEL" "SOURCES;LIBS" ${ARGN})
    if(NOT TARGET PkgConfig::cmocka)
        pkg_check_modules(cmocka REQUIRED IMPORTED_TARGET GLOBAL cmocka)
    endif()
    if(NOT T_TIMEOUT)
        set(T_TIMEOUT 60)
    endif()
    if(NOT T_LABEL)
        set(T_LABEL unit)
    endif()
    add_executable(${name} ${name}.c ${T_SOURCES})
    target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/unit)
    target_link_libraries(${name} PRIVATE ${T_LIBS} flv_flags PkgConfig::cmocka)
    target_compile_definitions(${name} PRIVATE
        FLV_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    flv_part(tests-${T_LABEL} ${name})
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT ${T_TIMEOUT}
        LABELS ${T_LABEL} ENVIRONMENT "CMOCKA_MESSAGE_OUTPUT=TAP")
endfunction()

# flv_fuzz(NAME LIBS...): tests/fuzz/NAME.c defines LLVMFuzzerTestOneInput.
# With FLV_FUZZ it becomes a fuzzer; otherwise a program that replays
# tests/fuzz/corpus/NAME/ as an ordinary test.
function(flv_fuzz name)
    cmake_parse_arguments(F "" "" "LIBS" ${ARGN})
    set(corpus ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name})
    if(FLV_FUZZ)
        add_executable(${name} ${name}.c)
        target_link_libraries(${name} PRIVATE ${F_LIBS} flv_flags)
        target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    else()
        add_executable(${name} ${name}.c ${CMAKE_SOURCE_DIR}/tests/fuzz/replay.c)
        target_link_libraries(${name} PRIVATE ${F_LIBS} flv_flags)
        add_test(NAME ${name} COMMAND ${name} ${corpus})
        set_tests_properties(${name} PROPERTIES TIMEOUT 120 LABELS fuzz)
    endif()
endfunction()

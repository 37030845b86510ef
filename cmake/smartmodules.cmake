# SmartModules in C become NAME.wasm in the folder smartmodules beside that of
# the programs, and are built with these. This takes Debian's clang-14 and
# lld-14; without them a build has no example modules, and tests cannot be
# built.
find_program(FLV_WASM_CC NAMES clang-14 clang)
find_program(FLV_WASM_LD NAMES wasm-ld-14 wasm-ld)
cmake_path(SET FLV_SMARTMODULES_DIR NORMALIZE ${FLV_BIN_DIR}/../smartmodules)
add_custom_target(smartmodules)
flv_part(programs smartmodules)

# flv_smartmodule(NAME): NAME.c in this folder.
function(flv_smartmodule name)
    if(NOT FLV_WASM_CC OR NOT FLV_WASM_LD)
        if(FLV_TESTS)
            message(FATAL_ERROR "The tests need clang-14 and lld-14 to build "
                "SmartModules: run scripts/bootstrap wasm, or configure with "
                "-DFLV_TESTS=OFF.")
        endif()
        return()
    endif()
    file(GLOB headers ${CMAKE_SOURCE_DIR}/include/fluvio/smartmodule*.h)
    set(out ${FLV_SMARTMODULES_DIR}/${name}.wasm)
    add_custom_command(OUTPUT ${out}
        COMMAND ${CMAKE_COMMAND} -E make_directory ${FLV_SMARTMODULES_DIR}
        COMMAND ${FLV_WASM_CC} --target=wasm32 -std=c11 -O2 -mbulk-memory
            -nostdlib -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror
            -I${CMAKE_SOURCE_DIR}/include -fuse-ld=${FLV_WASM_LD}
            -Wl,--no-entry,--stack-first,--strip-all
            -o ${out} ${CMAKE_CURRENT_SOURCE_DIR}/${name}.c
        DEPENDS ${name}.c ${headers}
        COMMENT "Building SmartModule ${name}.wasm" VERBATIM)
    add_custom_target(smartmodule-${name} ALL DEPENDS ${out})
    add_dependencies(smartmodules smartmodule-${name})
endfunction()

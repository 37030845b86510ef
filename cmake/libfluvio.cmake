# libfluvio: what a C or C++ program needs to be a client. libfluvio.so has
# exactly the functions of the installed headers, named one by one in
# libfluvio.map; libfluvio.a is the same for those who link all into one file.
# Before 1.0 a minor version may change the binary interface: its number is
# part of the soname.

set(LIBFLUVIO_ABI ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
foreach(room base loop wire client sync)
    list(APPEND objects $<TARGET_OBJECTS:flv_${room}>)
    set_target_properties(flv_${room} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_compile_options(flv_${room} PRIVATE -fno-semantic-interposition)
    get_target_property(modules flv_${room} FLV_PKG)
    list(APPEND packages ${modules})
endforeach()
# Who links the archive names the libraries behind it; OpenSSL is opened at run
# time, where TLS is spoken.
list(REMOVE_ITEM packages openssl)
foreach(package ${packages})
    string(MAKE_C_IDENTIFIER ${package} id)
    list(APPEND private ${${id}_LDFLAGS})
endforeach()
list(REMOVE_DUPLICATES private)
list(JOIN private " " LIBFLUVIO_LIBS_PRIVATE)
file(RELATIVE_PATH LIBFLUVIO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" LIBFLUVIO_PREFIX "${LIBFLUVIO_PREFIX}")

add_library(libfluvio SHARED ${objects})
target_link_libraries(libfluvio PRIVATE flv_sync)
target_link_options(libfluvio PRIVATE
    -Wl,--version-script=${CMAKE_SOURCE_DIR}/cmake/libfluvio.map
    -Wl,-Bsymbolic-functions -Wl,-z,defs)
set_target_properties(libfluvio PROPERTIES LINKER_LANGUAGE C
    OUTPUT_NAME fluvio VERSION ${PROJECT_VERSION} SOVERSION ${LIBFLUVIO_ABI}
    LINK_DEPENDS ${CMAKE_SOURCE_DIR}/cmake/libfluvio.map)
add_library(libfluvio_static STATIC ${objects})
set_target_properties(libfluvio_static PROPERTIES LINKER_LANGUAGE C
    OUTPUT_NAME fluvio)

configure_file(cmake/fluvio.pc.in fluvio.pc @ONLY)
install(TARGETS libfluvio
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT lib
    NAMELINK_COMPONENT dev)
install(TARGETS libfluvio_static
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/fluvio.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)

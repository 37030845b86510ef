# libfluvio.a: what a C program needs to be a client, in one archive, with
# fluvio.pc for pkg-config. A program makes its loop with <fluvio/loop.h>.

foreach(room base loop wire client)
    list(APPEND objects $<TARGET_OBJECTS:flv_${room}>)
    get_target_property(modules flv_${room} FLV_PKG)
    list(APPEND LIBFLUVIO_REQUIRES ${modules})
endforeach()
list(JOIN LIBFLUVIO_REQUIRES " " LIBFLUVIO_REQUIRES)
file(RELATIVE_PATH LIBFLUVIO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" LIBFLUVIO_PREFIX "${LIBFLUVIO_PREFIX}")

add_library(libfluvio STATIC ${objects})
set_target_properties(libfluvio PROPERTIES LINKER_LANGUAGE C
    OUTPUT_NAME fluvio)
configure_file(cmake/fluvio.pc.in fluvio.pc @ONLY)
install(TARGETS libfluvio ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    COMPONENT dev)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/fluvio.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)
install(FILES src/loop/loop.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/fluvio
    COMPONENT dev)

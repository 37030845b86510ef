# `make deb`: fluvio-c is all a machine needs, fluvio-c-dev what C programs
# that are clients or connectors are built with, libfluvioVERSION what those
# need to run. The last file to be included.

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME fluvio-c)
set(CPACK_PACKAGE_CONTACT "${FLV_CONTACT}")
set(CPACK_PACKAGE_VENDOR fluvio-c)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Smart Connectors for durable streams")
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE
    OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_COMPONENTS_ALL runtime lib dev)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)

set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME fluvio-c)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
# What is opened when TLS is spoken or HTTP is served, nothing links.
set(CPACK_DEBIAN_RUNTIME_PACKAGE_DEPENDS
    "ca-certificates, libssl3, libmicrohttpd12")
set(CPACK_DEBIAN_RUNTIME_DESCRIPTION
"Sources and sinks that move records between outside systems and durable
topics, with WebAssembly SmartModules on the way. Server, command line,
manager, connectors, and the WebAssembly engine; speaks the wire protocol of
Fluvio.")
set(CPACK_DEBIAN_LIB_PACKAGE_NAME libfluvio${LIBFLUVIO_ABI})
set(CPACK_DEBIAN_LIB_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIB_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_LIB_PACKAGE_DEPENDS "ca-certificates, libssl3")
set(CPACK_DEBIAN_LIB_PACKAGE_CONTROL_EXTRA
    ${CMAKE_SOURCE_DIR}/packaging/deb/triggers)
set(CPACK_DEBIAN_LIB_DESCRIPTION
"Shared library of the C client: producer, consumer and administration of
durable topics, blocking or on an event loop.")
set(CPACK_DEBIAN_DEV_PACKAGE_NAME fluvio-c-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS
    "libfluvio${LIBFLUVIO_ABI} (= ${PROJECT_VERSION}-1), libc6-dev")
# Of the static library.
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS "libuv1-dev, zlib1g-dev, liblz4-dev, \
libsnappy-dev, libzstd-dev, libisal-dev")
set(CPACK_DEBIAN_DEV_DESCRIPTION
"Headers and static library of libfluvio, the C client, with a file for
pkg-config, and the headers of connectors.")
include(CPack)

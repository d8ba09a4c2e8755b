# cmake --install: both libraries, the public headers, the CMake package and the pkg-config file, all relocatable.
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/cotangent)

install(FILES cotangent.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/cotangent)
install(DIRECTORY ${rooms} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/cotangent FILES_MATCHING
        PATTERN "*.hpp" PATTERN "*_internal.hpp" EXCLUDE PATTERN "format.hpp" EXCLUDE PATTERN "kernels" EXCLUDE)
install(FILES tensor/kernels/elementwise.hpp tensor/kernels/optim.hpp
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/cotangent/tensor/kernels)

# The static library brings the libraries it needs along, so it is a component of its own.
install(TARGETS cotangent EXPORT cotangent-shared)
install(TARGETS cotangent_static EXPORT cotangent-static)
install(EXPORT cotangent-shared NAMESPACE cotangent:: DESTINATION ${package_dir})
install(EXPORT cotangent-static NAMESPACE cotangent:: DESTINATION ${package_dir})

configure_package_config_file(cmake/cotangent-config.cmake.in cotangent-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(cotangent-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/cotangent-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/cotangent-config-version.cmake cmake/FindOpenBLAS.cmake
        DESTINATION ${package_dir})

file(RELATIVE_PATH pkgconfig_to_prefix /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" pkgconfig_to_prefix "${pkgconfig_to_prefix}")
configure_file(cmake/cotangent.pc.in cotangent.pc.in @ONLY)
file(GENERATE OUTPUT cotangent.pc INPUT ${CMAKE_CURRENT_BINARY_DIR}/cotangent.pc.in)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/cotangent.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

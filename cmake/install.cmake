# cmake --install: the libraries, the public headers, the CMake package and the pkg-config file, all relocatable.
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/cotangent)

set(shelf cotangent.hpp)
set(installed_rooms ${rooms})
set(exports shared static)
set(pkgconfig_files cotangent)
if(COTANGENT_ZOO)
  list(APPEND shelf zoo.hpp)
  list(APPEND installed_rooms zoo)
  list(APPEND exports zoo-shared zoo-static)
  list(APPEND pkgconfig_files cotangent-zoo)
  install(TARGETS cotangent_zoo EXPORT cotangent-zoo-shared)
  install(TARGETS cotangent_zoo_static EXPORT cotangent-zoo-static)
endif()

install(FILES ${shelf} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/cotangent)
install(DIRECTORY ${installed_rooms} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/cotangent FILES_MATCHING
        PATTERN "*.hpp" PATTERN "*_internal.hpp" EXCLUDE PATTERN "format.hpp" EXCLUDE PATTERN "kernels" EXCLUDE)
install(FILES tensor/kernels/elementwise.hpp tensor/kernels/optim.hpp
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/cotangent/tensor/kernels)

# The static library brings the libraries it needs along, so it is a component of its own.
install(TARGETS cotangent EXPORT cotangent-shared)
install(TARGETS cotangent_static EXPORT cotangent-static)
foreach(export IN LISTS exports)
  install(EXPORT cotangent-${export} NAMESPACE cotangent:: DESTINATION ${package_dir})
endforeach()

configure_package_config_file(cmake/cotangent-config.cmake.in cotangent-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(cotangent-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/cotangent-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/cotangent-config-version.cmake cmake/FindOpenBLAS.cmake
        DESTINATION ${package_dir})

file(RELATIVE_PATH pkgconfig_to_prefix /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" pkgconfig_to_prefix "${pkgconfig_to_prefix}")
foreach(name IN LISTS pkgconfig_files)
  configure_file(cmake/${name}.pc.in ${name}.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

# SPDX-License-Identifier: Apache-2.0
# Tests of the stock plugins: each loads its plugin as the program does, into a fake host.
pkg_check_modules(LIBURING REQUIRED IMPORTED_TARGET liburing)
add_subdirectory(${CMAKE_SOURCE_DIR}/sdk/testing ${CMAKE_BINARY_DIR}/sdk/testing)

# alcor_plugin_test(PLUGIN NAME [SOURCES...] [LIBS...] [THREADED]): plugins/PLUGIN/test_NAME.c
function(alcor_plugin_test plugin name)
	cmake_parse_arguments(PARSE_ARGV 2 arg "THREADED" "" "SOURCES;LIBS")
	set(dir ${CMAKE_SOURCE_DIR}/plugins/${plugin})
	list(APPEND arg_SOURCES test_${name}.c)
	list(TRANSFORM arg_SOURCES PREPEND ${dir}/)
	if(arg_THREADED)
		set(threaded THREADED)
	endif()
	alcor_unit_test(test_plugin_${name} SOURCES ${arg_SOURCES} LIBS alcor_testing ${arg_LIBS}
		${threaded})
	add_dependencies(test_plugin_${name} ${plugin})
	target_compile_definitions(test_plugin_${name} PRIVATE
		PLUGIN_PATH="$<TARGET_FILE:${plugin}>" MANUAL_PATH="${dir}/alcor-${plugin}.7")
	# The plugin finds what a test puts in front of the C library.
	set_target_properties(test_plugin_${name} PROPERTIES ENABLE_EXPORTS ON)
endfunction()

alcor_plugin_test(uart uart)
alcor_plugin_test(virtio-blk blk SOURCES test_fixture.c LIBS PkgConfig::LIBURING THREADED)
alcor_plugin_test(virtio-blk blk_device SOURCES test_fixture.c LIBS PkgConfig::LIBURING THREADED)
alcor_plugin_test(virtio-rng rng)
alcor_plugin_test(pvpanic pvpanic)

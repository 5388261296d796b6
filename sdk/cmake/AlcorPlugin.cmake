# SPDX-License-Identifier: Apache-2.0
# alcor_add_plugin(NAME SOURCES... [LIBS...]): builds alcor-NAME.so, which exports the one entry
# function and leaves no symbol undefined.
set(_alcor_sdk_dir ${CMAKE_CURRENT_LIST_DIR}/..)

function(alcor_add_plugin name)
	cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LIBS")
	add_library(${name} MODULE ${arg_SOURCES})
	target_include_directories(${name} PRIVATE ${_alcor_sdk_dir}/include)
	target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
	target_link_libraries(${name} PRIVATE ${arg_LIBS})
	set_target_properties(${name} PROPERTIES
		PREFIX "" SUFFIX ".so" OUTPUT_NAME "alcor-${name}" C_VISIBILITY_PRESET hidden
		LIBRARY_OUTPUT_DIRECTORY "${ALCOR_PLUGIN_OUTPUT_DIR}")
	target_link_options(${name} PRIVATE
		-Wl,--version-script=${_alcor_sdk_dir}/cmake/plugin.map
		-Wl,-z,now -Wl,-z,relro)
	# The sanitizer runtimes stay undefined in a module by design.
	if(NOT ALCOR_SANITIZE)
		target_link_options(${name} PRIVATE -Wl,-z,defs)
	endif()
	install(TARGETS ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/alcor/plugins)
endfunction()

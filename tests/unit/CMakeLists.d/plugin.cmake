# SPDX-License-Identifier: Apache-2.0
# Discovery, loading and devices. The plugins are one source in many shapes.
set(ALCOR_TEST_PLUGIN_DIR ${CMAKE_BINARY_DIR}/tests/plugins)
set(alcor_test_variants
	good rival newer older
	abi needs rename nonote noentry nulldesc shortdesc descabi descname descversion nclaims stride
	claims noops shortops nocreate model params enum init undefined)
foreach(kind ${alcor_test_variants})
	add_library(test_variant_${kind} MODULE ${CMAKE_CURRENT_SOURCE_DIR}/plugins/variant.c)
	target_include_directories(test_variant_${kind} PRIVATE ${CMAKE_SOURCE_DIR}/sdk/include)
	target_compile_definitions(test_variant_${kind} PRIVATE _GNU_SOURCE KIND_${kind}
		VARIANT="${kind}")
	target_compile_options(test_variant_${kind} PRIVATE -Wno-unused)
	set_target_properties(test_variant_${kind} PROPERTIES PREFIX "" SUFFIX ".so"
		OUTPUT_NAME "alcor-${kind}" LIBRARY_OUTPUT_DIRECTORY ${ALCOR_TEST_PLUGIN_DIR})
	list(APPEND alcor_test_variant_targets test_variant_${kind})
endforeach()

alcor_unit_test(test_note SOURCES test_note.c LIBS alcor_plugin)
alcor_unit_test(test_registry SOURCES test_registry.c LIBS alcor_plugin)
foreach(test test_note test_registry)
	target_compile_definitions(${test} PRIVATE TEST_PLUGIN_DIR="${ALCOR_TEST_PLUGIN_DIR}")
	add_dependencies(${test} ${alcor_test_variant_targets})
endforeach()

alcor_unit_test(test_device SOURCES test_device.c test_device_script.c test_device_vm.c fake_hv.c
	LIBS alcor_plugin)
alcor_unit_test(test_device_svc SOURCES test_device_svc.c test_device_script.c test_device_vm.c
	fake_hv.c LIBS alcor_plugin)
alcor_unit_test(test_device_threads SOURCES test_device_threads.c test_device_vm.c fake_hv.c
	LIBS alcor_plugin THREADED)

add_subdirectory(${CMAKE_SOURCE_DIR}/tests/abi ${CMAKE_BINARY_DIR}/tests/abi)

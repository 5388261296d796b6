# SPDX-License-Identifier: Apache-2.0
alcor_unit_test(test_ctl SOURCES test_ctl.c test_device_vm.c fake_hv.c LIBS alcor_plugin THREADED)
alcor_plugin_test(virtio-balloon balloon SOURCES test_fixture.c)
alcor_plugin_test(virtio-balloon balloon_stats SOURCES test_fixture.c)

alcor_unit_test(test_balloon_vm SOURCES test_balloon_vm.c test_device_vm.c fake_hv.c
	LIBS alcor_plugin ${CMAKE_DL_LIBS} THREADED)
add_dependencies(test_balloon_vm virtio-balloon)
target_compile_definitions(test_balloon_vm PRIVATE PLUGIN_PATH="$<TARGET_FILE:virtio-balloon>")

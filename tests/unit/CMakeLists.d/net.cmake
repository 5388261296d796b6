# SPDX-License-Identifier: Apache-2.0
foreach(name net net_ctrl net_tap net_user)
	alcor_plugin_test(virtio-net ${name} SOURCES test_net_fixture.c)
endforeach()

# SPDX-License-Identifier: Apache-2.0
alcor_plugin_test(vsock vsock SOURCES test_fixture.c)
alcor_plugin_test(vsock vsock_close SOURCES test_fixture.c)
alcor_plugin_test(vsock vsock_data SOURCES test_fixture.c)

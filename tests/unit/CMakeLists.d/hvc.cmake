# SPDX-License-Identifier: Apache-2.0
# The virtio console, and the sinks that it shares with the serial port.
alcor_plugin_test(virtio-console hvc SOURCES test_fixture.c)
alcor_plugin_test(virtio-console hvc_control SOURCES test_fixture.c)
alcor_plugin_test(virtio-console hvc_sinks SOURCES test_fixture.c)
alcor_plugin_test(uart uart_sinks)

# SPDX-License-Identifier: Apache-2.0
alcor_plugin_test(virtio-fs fs SOURCES test_fixture.c THREADED)
alcor_plugin_test(virtio-fs fs_device SOURCES test_fixture.c THREADED)
alcor_plugin_test(virtio-fs fs_safety SOURCES test_fixture.c)

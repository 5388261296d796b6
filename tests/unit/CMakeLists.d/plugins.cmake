# SPDX-License-Identifier: Apache-2.0
# Tests of the stock plugins: each loads its plugin as the program does, into a fake host.
pkg_check_modules(LIBURING REQUIRED IMPORTED_TARGET liburing)

alcor_plugin_test(uart uart)
alcor_plugin_test(virtio-blk blk SOURCES test_fixture.c LIBS PkgConfig::LIBURING THREADED)
alcor_plugin_test(virtio-blk blk_device SOURCES test_fixture.c LIBS PkgConfig::LIBURING THREADED)
alcor_plugin_test(virtio-rng rng)
alcor_plugin_test(pvpanic pvpanic)

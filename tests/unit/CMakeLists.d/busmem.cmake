# SPDX-License-Identifier: Apache-2.0
alcor_unit_test(test_loop SOURCES test_loop.c LIBS alcor_util THREADED)
alcor_unit_test(test_bus SOURCES test_bus.c LIBS alcor_bus THREADED)
alcor_unit_test(test_mem SOURCES test_mem.c fake_hv.c LIBS alcor_mem)
alcor_unit_test(test_pci SOURCES test_pci.c fake_hv.c LIBS alcor_bus)
alcor_unit_test(test_pci_bar SOURCES test_pci_bar.c fake_hv.c LIBS alcor_bus THREADED)
alcor_unit_test(test_msix SOURCES test_msix.c fake_hv.c LIBS alcor_bus THREADED)

# SPDX-License-Identifier: Apache-2.0
alcor_unit_test(test_aml SOURCES test_aml.c LIBS alcor_board)
alcor_unit_test(test_acpi SOURCES test_acpi.c LIBS alcor_board)
alcor_unit_test(test_payload_linux SOURCES test_payload_linux.c LIBS alcor_payload)
alcor_unit_test(test_payload_pvh SOURCES test_payload_pvh.c LIBS alcor_payload)
alcor_unit_test(test_cpuid SOURCES test_cpuid.c LIBS alcor_board)
alcor_unit_test(test_board_memmap SOURCES test_board_memmap.c LIBS alcor_board)
alcor_unit_test(test_board SOURCES test_board.c LIBS alcor_board)
foreach(function hv_x86_phys_bits hv_irq_line hv_x86_start hv_x86_reset_irqchip
		hv_x86_supported_cpuid hv_x86_set_cpuid)
	target_link_options(test_board PRIVATE LINKER:--wrap=${function})
endforeach()

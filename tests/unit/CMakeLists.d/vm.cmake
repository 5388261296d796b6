# SPDX-License-Identifier: Apache-2.0
alcor_unit_test(test_escape SOURCES test_escape.c ${CMAKE_SOURCE_DIR}/core/vm/terminal.c)
alcor_unit_test(test_util SOURCES test_util.c LIBS alcor_util)
alcor_unit_test(test_console SOURCES test_console.c ${CMAKE_SOURCE_DIR}/core/vm/console.c
	${CMAKE_SOURCE_DIR}/core/vm/terminal.c LIBS alcor_util THREADED)
alcor_unit_test(test_hv SOURCES test_hv.c LIBS alcor_hv alcor_mem)

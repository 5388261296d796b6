# SPDX-License-Identifier: Apache-2.0
alcor_unit_test(test_value SOURCES test_value.c LIBS alcor_config)
alcor_unit_test(test_suggest SOURCES test_suggest.c LIBS alcor_config)
alcor_unit_test(test_params SOURCES test_params.c LIBS alcor_config)
alcor_unit_test(test_machine SOURCES test_machine.c LIBS alcor_config)
alcor_unit_test(test_options SOURCES test_options.c ${CMAKE_SOURCE_DIR}/core/cli/options.c
	LIBS alcor_config)

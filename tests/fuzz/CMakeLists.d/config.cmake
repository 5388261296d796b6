# SPDX-License-Identifier: Apache-2.0
alcor_fuzz_target(fuzz_value SOURCES fuzz_value.c LIBS alcor_config)

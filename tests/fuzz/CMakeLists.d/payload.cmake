# SPDX-License-Identifier: Apache-2.0
alcor_fuzz_target(fuzz_payload SOURCES fuzz_payload.c LIBS alcor_payload)

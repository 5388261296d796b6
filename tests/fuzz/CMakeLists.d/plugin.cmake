# SPDX-License-Identifier: Apache-2.0
alcor_fuzz_target(fuzz_note SOURCES fuzz_note.c LIBS alcor_plugin)

# SPDX-License-Identifier: Apache-2.0
alcor_fuzz_target(fuzz_vq SOURCES fuzz_vq.c LIBS alcor_virtio)

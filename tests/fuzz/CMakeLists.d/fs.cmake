# SPDX-License-Identifier: Apache-2.0
# The plugin is loaded as the program does it.
alcor_fuzz_target(fuzz_fuse SOURCES fuzz_fuse.c LIBS alcor_testing)
target_compile_options(virtio-fs PRIVATE -fsanitize=fuzzer-no-link)
add_dependencies(fuzz_fuse virtio-fs)
set_target_properties(fuzz_fuse PROPERTIES ENABLE_EXPORTS ON)
target_compile_definitions(fuzz_fuse PRIVATE PLUGIN_PATH="$<TARGET_FILE:virtio-fs>")

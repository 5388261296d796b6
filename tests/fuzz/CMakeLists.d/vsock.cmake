# SPDX-License-Identifier: Apache-2.0
# The plugin is loaded as the program does it; it takes the coverage counters from the executable.
alcor_fuzz_target(fuzz_vsock SOURCES fuzz_vsock.c LIBS alcor_testing)
target_compile_options(vsock PRIVATE -fsanitize=fuzzer-no-link)
target_compile_definitions(fuzz_vsock PRIVATE PLUGIN_PATH="$<TARGET_FILE:vsock>")
set_target_properties(fuzz_vsock PROPERTIES ENABLE_EXPORTS ON)
add_dependencies(fuzz_vsock vsock)

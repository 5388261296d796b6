# SPDX-License-Identifier: Apache-2.0
# The plugin is part of the program, so that it guides the fuzzer; the fake host finds it there.
set(plugins ${CMAKE_SOURCE_DIR}/plugins)
alcor_fuzz_target(fuzz_hvc
	SOURCES fuzz_hvc.c ${plugins}/virtio-console/control.c ${plugins}/virtio-console/hvc.c
		${plugins}/virtio-console/port.c ${plugins}/virtio-console/ports.c
		${plugins}/common/channel.c ${plugins}/common/endpoint.c ${plugins}/common/sink.c
	LIBS alcor_testing)
set_target_properties(fuzz_hvc PROPERTIES ENABLE_EXPORTS ON)

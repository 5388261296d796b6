# SPDX-License-Identifier: Apache-2.0
set(net_dir ${CMAKE_SOURCE_DIR}/plugins/virtio-net)
alcor_fuzz_target(fuzz_net SOURCES fuzz_net.c ${net_dir}/ctrl.c ${net_dir}/iov.c ${net_dir}/net.c
	${net_dir}/rx.c ${net_dir}/tx.c)
target_include_directories(fuzz_net PRIVATE ${net_dir} ${CMAKE_SOURCE_DIR}/sdk/include)
target_compile_definitions(fuzz_net PRIVATE _GNU_SOURCE)

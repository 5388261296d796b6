# SPDX-License-Identifier: Apache-2.0
alcor_unit_test(test_virtio_vq SOURCES test_virtio_vq.c test_virtio_driver.c LIBS alcor_virtio)
alcor_unit_test(test_virtio_bad SOURCES test_virtio_bad.c test_virtio_driver.c LIBS alcor_virtio)
alcor_unit_test(test_virtio_device SOURCES test_virtio_device.c test_virtio_driver.c
	LIBS alcor_virtio)
alcor_unit_test(test_virtio_threads SOURCES test_virtio_threads.c test_virtio_driver.c
	LIBS alcor_virtio THREADED)
alcor_unit_test(test_virtio_pci SOURCES test_virtio_pci.c test_virtio_driver.c LIBS alcor_virtio)

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alcor.console/1: character sinks. The host owns the terminal: raw while the guest runs, restored
 * in every way out, with the escape key (Ctrl-A) handled before a device sees input.
 */
#ifndef ALCOR_CONSOLE_H
#define ALCOR_CONSOLE_H

#include <alcor/plugin.h>

#define ALCOR_CONSOLE_ID "alcor.console/1"

struct alcor_console_port; /* an open sink */

struct alcor_console_ops {
	uint32_t struct_size;
	uint32_t reserved;
	/* [dev] Input; returns how many bytes were taken. The rest is kept, bounded, and offered
	 * again after input_ready(). */
	uint32_t (*input)(void *opaque, const uint8_t *data, uint32_t len);
	/* [dev] The user asked for a break condition (Ctrl-A b). May be NULL. */
	void (*input_break)(void *opaque);
	/* [dev] After write() took less than offered: there is room again. */
	void (*output_ready)(void *opaque);
};

struct alcor_console {
	uint32_t struct_size;
	/* [main] in create() or realize(). Both -1: standard input and output, which only one
	 * device may have (-EBUSY). Else descriptors of the plugin's, -1 for a direction that does
	 * not exist; the host duplicates them. */
	int (*open)(struct alcor_dev *dev, int in_fd, int out_fd,
		    const struct alcor_console_ops *ops, void *opaque,
		    struct alcor_console_port **ret_port);
	/* [any] Queues output without blocking; returns how many bytes there was room for. What is
	 * queued is written by a thread of the host's, in batches, and drained when the VM ends. */
	uint32_t (*write)(struct alcor_console_port *port, const uint8_t *data, uint32_t len);
	/* [any] The device can take input again. */
	void (*input_ready)(struct alcor_console_port *port);
};

#endif

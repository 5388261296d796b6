/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Character sinks behind alcor.console: input is read on the VM's main loop and offered to the
 * device, output is queued and written by a thread of the port. The terminal is raw from
 * console_start() to console_stop(), and put back by the fatal-signal handlers too.
 */
#ifndef ALCOR_CORE_VM_CONSOLE_H
#define ALCOR_CORE_VM_CONSOLE_H

#include <alcor/console.h>

#include "util/error.h"
#include "util/loop.h"

struct vm;
struct console;
struct console_port;

/* How a port reaches its device: the callbacks are run on the device's loop by @defer. */
struct console_client {
	const struct alcor_console_ops *ops; /* full size */
	void *opaque;
	/* [any] Runs @fn on the device's loop. */
	int (*defer)(void *defer_opaque, loop_fn *fn, void *opaque);
	void *defer_opaque;
};

int console_new(struct vm *vm, struct loop *main_loop, struct console **ret_console);
void console_free(struct console *console); /* NULL is fine */

/* [main] See <alcor/console.h>. */
int console_open(struct console *console, int in_fd, int out_fd,
		 const struct console_client *client, struct console_port **ret_port);
/* [main], the device's loop no longer runs: writes what is queued, for at most a second. */
void console_close(struct console_port *port);
uint32_t console_write(struct console_port *port, const uint8_t *data, uint32_t len);
void console_input_ready(struct console_port *port);

/* [main] Around the guest's run. */
int console_start(struct console *console, struct error *err);
void console_stop(struct console *console);
/* [main] The process was stopped and goes on: the terminal may have been changed meanwhile. */
void console_continue(struct console *console);

#endif

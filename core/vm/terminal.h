/* SPDX-License-Identifier: Apache-2.0 */
/* The process's terminal: raw mode that is always undone, and the escape key. [main] */
#ifndef ALCOR_CORE_VM_TERMINAL_H
#define ALCOR_CORE_VM_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Makes the terminal behind @fd raw when there is one and this process is in its foreground; it is
 * restored by terminal_restore(), at exit and by the fatal signals. True when it is raw now. */
bool terminal_make_raw(int fd);
void terminal_restore(void);

/* What the user asked for with the escape key, Ctrl-A. */
struct escape_ops {
	void (*quit)(void *opaque);
	void (*power_down)(void *opaque);
	void (*reset)(void *opaque);
	void (*send_break)(void *opaque);
	/* Properties of devices, by the name ID.NAME. */
	void (*list)(void *opaque);
	void (*get)(void *opaque, const char *name);
	void (*set)(void *opaque, const char *name, const char *value);
	void (*print)(void *opaque, const char *text);
};

struct escape {
	const struct escape_ops *ops;
	void *opaque;
	bool pending; /* the last character was Ctrl-A */
	bool monitor; /* input goes to the command prompt */
	char line[256];
	unsigned line_len;
};

/* Takes escape sequences and prompt input out of @data, in place; the length that is left. */
size_t escape_filter(struct escape *escape, uint8_t *data, size_t len);

#endif

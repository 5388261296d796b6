/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alcor.ctl/1: properties of a running device that the user can read and, some of them, set, under
 * the name ID.NAME (balloon0.target).
 */
#ifndef ALCOR_CTL_H
#define ALCOR_CTL_H

#include <alcor/plugin.h>

#define ALCOR_CTL_ID "alcor.ctl/1"

#define ALCOR_CTL_TEXT_MAX 128 /* with the NUL */

struct alcor_ctl_value {
	uint64_t number;	       /* U64, SIZE, BOOL (0 or 1) */
	char text[ALCOR_CTL_TEXT_MAX]; /* STR */
};

struct alcor_ctl_property {
	uint32_t struct_size;
	uint32_t type;	   /* ALCOR_PARAM_U64, SIZE, BOOL or STR */
	const char *name;  /* [a-z][a-z0-9-]*, at most 32 bytes */
	const char *help;  /* one line, lower case, no full stop */
	uint64_t min, max; /* of what is set: U64 and SIZE; max 0 means no bound */
	uint64_t index;	   /* passed to the callbacks: the plugin's own */
	/* [dev] Mandatory. *@ret_value is all zero before. -ENODATA: there is no value now. */
	int (*get)(void *opaque, uint64_t index, struct alcor_ctl_value *ret_value);
	/* [dev] NULL: read-only. The value was checked against type and bounds. */
	int (*set)(void *opaque, uint64_t index, const struct alcor_ctl_value *value);
};

struct alcor_ctl {
	uint32_t struct_size;
	/* [main] in realize(). Copied, but for the strings. -EEXIST: the name is taken. */
	int (*add)(struct alcor_dev *dev, const struct alcor_ctl_property *property, void *opaque);
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alcor.cfg/1: the values of a device's parameters.
 *
 * Values were parsed and checked against the claim's table before create() runs. Strings live until
 * destroy() has returned. Asking for a key that is not in the table, or for the wrong type, is a
 * programming error of the plugin: it is logged and answered with 0 or NULL.
 */
#ifndef ALCOR_CFG_H
#define ALCOR_CFG_H

#include <alcor/plugin.h>

#define ALCOR_CFG_ID "alcor.cfg/1"

struct alcor_cfg {
	uint32_t struct_size;
	/* [any] How often @key was given; a default counts as once. */
	uint32_t (*count)(struct alcor_dev *dev, const char *key);
	/* [any] STR, PATH, ENUM: the @index-th value, NULL when there are not so many. */
	const char *(*str)(struct alcor_dev *dev, const char *key, uint32_t index);
	/* [any] U64, SIZE, BOOL (0 or 1), ENUM (index of the choice), FD; 0 when absent. */
	uint64_t (*u64)(struct alcor_dev *dev, const char *key);
	/* [any] MAC: -ENOENT when absent. */
	int (*mac)(struct alcor_dev *dev, const char *key, uint8_t ret_mac[6]);
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Values of one option, parsed and checked against a table of `struct alcor_param`. */
#ifndef ALCOR_CORE_CONFIG_PARAMS_H
#define ALCOR_CORE_CONFIG_PARAMS_H

#include <alcor/plugin.h>

#include "config/value.h"

struct params;

/* A table: rows of @param_size bytes each (a plugin's may be older or newer than ours; what it does
 * not have reads as zero). */
struct param_table {
	const struct alcor_param *rows;
	uint32_t n;
	uint32_t param_size;
};
/* Row @index, copied into *@ret_row. */
void param_table_row(const struct param_table *table, uint32_t index, struct alcor_param *ret_row);

/* A bound of a U64 or SIZE row as users write it; returns @ret_text. */
const char *param_bound_text(const struct alcor_param *row, uint64_t bound,
			     char ret_text[VALUE_SIZE_TEXT]);

/*
 * Parses @text (may be empty). Keys of @common (may be NULL) are accepted beside those of @table.
 * Errors name the key, the column and, for an unknown key, the nearest right ones; a duplicate of a
 * key that is not REPEAT, a missing REQUIRED one and a value out of bounds are errors. @what names
 * the thing for messages ("blk/file").
 */
int params_parse(const char *what, const char *text, size_t base, const struct param_table *table,
		 const struct param_table *common, const struct objects *objects,
		 struct params **ret_params, struct error *err);
void params_free(struct params *params); /* NULL is fine */

static inline void params_cleanup(struct params **params)
{
	params_free(*params);
}
#define CLEANUP_PARAMS __attribute__((cleanup(params_cleanup)))

/* As in <alcor/cfg.h>; a key of no table, or of another type, gives 0 or NULL. */
bool params_given(const struct params *params, const char *key); /* not by default */
uint32_t params_count(const struct params *params, const char *key);
const char *params_str(const struct params *params, const char *key, uint32_t index);
uint64_t params_u64(const struct params *params, const char *key);
int params_mac(const struct params *params, const char *key, uint8_t ret_mac[6]);

#endif

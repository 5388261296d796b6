/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The value grammar of options: "key=value,key=value", with quoting, and `id_` objects.
 *
 * - Elements are separated by commas; a trailing comma is accepted, an empty element is not.
 * - An element without `=` is positional.
 * - A value may be quoted with "..." or '...': commas and equals signs inside are part of it; inside
 *   double quotes \" and \\ stand for " and \. A quote is one only at the start of a value.
 * - An unquoted value that begins with `id_` is replaced by the object's text, as it stands. Where
 *   a whole list is expected, value_deref_list() does that to the list: so objects nest.
 */
#ifndef ALCOR_CORE_CONFIG_VALUE_H
#define ALCOR_CORE_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

struct objects; /* named texts, `--object id_x,TEXT` */

int objects_new(struct objects **ret_objects);
void objects_free(struct objects *objects); /* NULL is fine */
/* @text is "id_name,anything" or "id_name". */
int objects_add(struct objects *objects, const char *text, struct error *err);
/* NULL when there is no such object; @objects may be NULL. */
const char *objects_get(const struct objects *objects, const char *id);

/* @text, or the text of the object that it names when it begins with `id_`; nothing is copied. The
 * second takes @text for a name only when it has no comma and no `=`. */
int value_deref(const char *text, const struct objects *objects, const char **ret_text,
		struct error *err);
int value_deref_list(const char *text, const struct objects *objects, const char **ret_text,
		     struct error *err);

struct value_item {
	char *key;	/* NULL: positional */
	char *value;	/* unquoted, objects replaced */
	size_t key_pos; /* 1-based columns in the text, for messages */
	size_t value_pos;
	bool from_object; /* @value is an object's text */
};

struct value_list {
	struct value_item *items;
	unsigned n;
};

/* Splits @text; columns start at @base + 1. */
int value_split(const char *text, size_t base, const struct objects *objects,
		struct value_list *ret_list, struct error *err);
void value_list_clear(struct value_list *list);

/* Scalars of the grammar. The text of an error says what is accepted. */
int value_bool(const char *text, bool *ret_value, struct error *err);
/* Decimal, 0x, 0o, 0b, and one suffix k m g t (either case) = binary multiples. */
int value_u64(const char *text, uint64_t *ret_value, struct error *err);
/* @value with the largest suffix that keeps it whole ("512M"); returns @ret_text. */
#define VALUE_SIZE_TEXT 24
const char *value_size_text(uint64_t value, char ret_text[VALUE_SIZE_TEXT]);
int value_mac(const char *text, uint8_t ret_mac[6], struct error *err);

#endif

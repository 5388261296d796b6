/* SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/overflow.h"

/* Cuts one text into items. */
struct splitter {
	const char *text, *p;
	size_t base;
	const struct objects *objects;
	struct value_list list;
	struct error *err;
};

static size_t column(const struct splitter *s, const char *at)
{
	return s->base + (size_t)(at - s->text) + 1;
}

/* The quoted value at s->p, which is moved behind the closing quote. */
static int take_quoted(struct splitter *s, char **ret_value)
{
	const char *start = s->p, quote = *s->p;
	CLEANUP_FREE char *value = malloc(strlen(start));
	size_t n = 0;

	if (!value)
		return error_errno(s->err, -ENOMEM, "parsing");
	for (s->p++; *s->p && *s->p != quote; s->p++) {
		if (quote == '"' && *s->p == '\\' && (s->p[1] == '"' || s->p[1] == '\\'))
			s->p++;
		value[n++] = *s->p;
	}
	if (!*s->p)
		return error_set(s->err, -EINVAL, "the quote at column %zu is not closed",
				 column(s, start));
	s->p++;
	if (*s->p && *s->p != ',')
		return error_set(s->err, -EINVAL,
				 "unexpected '%c' behind the closing quote, at column %zu", *s->p,
				 column(s, s->p));
	value[n] = '\0';
	*ret_value = TAKE_PTR(value);
	return 0;
}

/* The value at s->p, which is moved to the comma or end behind it. */
static int take_value(struct splitter *s, struct value_item *item)
{
	CLEANUP_FREE char *raw = NULL;
	const char *start = s->p, *text;
	int r;

	item->value_pos = column(s, start);
	if (*start == '"' || *start == '\'')
		return take_quoted(s, &item->value);
	s->p += strcspn(start, ",");
	raw = strndup(start, s->p - start);
	if (!raw)
		return error_errno(s->err, -ENOMEM, "parsing");
	r = value_deref(raw, s->objects, &text, s->err);
	if (r < 0) {
		error_prefix(s->err, "column %zu", item->value_pos);
		return r;
	}
	item->from_object = text != raw;
	item->value = item->from_object ? strdup(text) : TAKE_PTR(raw);
	return item->value ? 0 : error_errno(s->err, -ENOMEM, "parsing");
}

/* The element at s->p, which is moved to the comma or end behind it. */
static int take_item(struct splitter *s, struct value_item *item)
{
	size_t key_len = strcspn(s->p, "=,");

	item->key_pos = column(s, s->p);
	if (!*s->p || *s->p == ',')
		return error_set(s->err, -EINVAL, "empty element at column %zu", item->key_pos);
	if (*s->p != '"' && *s->p != '\'' && s->p[key_len] == '=') {
		if (!key_len)
			return error_set(s->err, -EINVAL, "'=' without a key at column %zu",
					 item->key_pos);
		item->key = strndup(s->p, key_len);
		if (!item->key)
			return error_errno(s->err, -ENOMEM, "parsing");
		s->p += key_len + 1;
	}
	return take_value(s, item);
}

static struct value_item *append_item(struct value_list *list)
{
	struct value_item *items = reallocarray(list->items, list->n + 1, sizeof(*items));

	if (!items)
		return NULL;
	list->items = items;
	items[list->n] = (struct value_item){ 0 };
	return &items[list->n++];
}

int value_split(const char *text, size_t base, const struct objects *objects,
		struct value_list *ret_list, struct error *err)
{
	struct splitter s = {
		.text = text, .p = text, .base = base, .objects = objects, .err = err
	};
	int r = 0;

	while (*s.p && r == 0) {
		struct value_item *item = append_item(&s.list);

		r = item ? take_item(&s, item) : error_errno(err, -ENOMEM, "parsing");
		if (r == 0 && *s.p == ',')
			s.p++;
	}
	if (r < 0) {
		value_list_clear(&s.list);
		return r;
	}
	*ret_list = s.list;
	return 0;
}

void value_list_clear(struct value_list *list)
{
	for (unsigned i = 0; i < list->n; i++) {
		free(list->items[i].key);
		free(list->items[i].value);
	}
	free(list->items);
	*list = (struct value_list){ 0 };
}

int value_bool(const char *text, bool *ret_value, struct error *err)
{
	bool on = !strcmp(text, "on") || !strcmp(text, "true");

	if (!on && strcmp(text, "off") && strcmp(text, "false"))
		return error_set(err, -EINVAL, "'%s' is none of on, off, true, false", text);
	*ret_value = on;
	return 0;
}

static unsigned digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

static unsigned take_radix(const char **p)
{
	unsigned radix = 10;

	if ((*p)[0] == '0')
		radix = (*p)[1] == 'x' ? 16 : (*p)[1] == 'o' ? 8 : (*p)[1] == 'b' ? 2 : 10;
	if (radix != 10)
		*p += 2;
	return radix;
}

static unsigned take_suffix(const char **p)
{
	static const char suffixes[] = "kKmMgGtT";
	const char *s = **p ? strchr(suffixes, **p) : NULL;

	if (!s)
		return 0;
	(*p)++;
	return 10 * (1 + (s - suffixes) / 2);
}

int value_u64(const char *text, uint64_t *ret_value, struct error *err)
{
	const char *p = text, *start;
	unsigned radix = take_radix(&p);
	bool overflow = false;
	uint64_t value = 0;

	for (start = p; digit(*p) < radix; p++)
		overflow |= mul_overflows(value, radix, &value) ||
			    add_overflows(value, digit(*p), &value);
	if (p > start)
		overflow |= mul_overflows(value, 1ull << take_suffix(&p), &value);
	if (p == start || *p)
		return error_set(err, -EINVAL,
				 "'%s' is not a number (decimal, 0x, 0o or 0b, and perhaps one of "
				 "the suffixes k, m, g, t)",
				 text);
	if (overflow)
		return error_set(err, -ERANGE, "%s does not fit into 64 bits", text);
	*ret_value = value;
	return 0;
}

const char *value_size_text(uint64_t value, char ret_text[VALUE_SIZE_TEXT])
{
	static const char suffixes[][2] = { "", "k", "M", "G", "T" };
	unsigned i = 0;

	for (; value && value % 1024 == 0 && i + 1 < ARRAY_SIZE(suffixes); i++)
		value /= 1024;
	snprintf(ret_text, VALUE_SIZE_TEXT, "%" PRIu64 "%s", value, suffixes[i]);
	return ret_text;
}

int value_mac(const char *text, uint8_t ret_mac[6], struct error *err)
{
	const char *p = text;
	uint8_t mac[6];

	for (unsigned i = 0; i < 6; i++) {
		unsigned value = digit(*p);

		if (value > 15)
			goto bad;
		if (digit(*++p) < 16)
			value = value * 16 + digit(*p++);
		mac[i] = value;
		if (i < 5 && *p++ != ':')
			goto bad;
	}
	if (*p)
		goto bad;
	memcpy(ret_mac, mac, sizeof(mac));
	return 0;
bad:
	return error_set(err, -EINVAL, "'%s' is not a MAC address, as in 52:54:00:12:34:56", text);
}

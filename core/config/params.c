/* SPDX-License-Identifier: Apache-2.0 */
#include "config/params.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/suggest.h"
#include "util/cleanup.h"
#include "util/overflow.h"

/* One row of a table and what was given for it. */
struct param {
	struct alcor_param row;
	bool given;
	uint32_t n;    /* values; a default counts as one */
	char **values; /* STR, PATH and ENUM */
	uint64_t u64;  /* the first value */
	uint8_t mac[6];
};

struct params {
	uint32_t n;
	struct param all[];
};

void param_table_row(const struct param_table *table, uint32_t index, struct alcor_param *ret_row)
{
	const char *row = (const char *)table->rows + (size_t)index * table->param_size;

	memset(ret_row, 0, sizeof(*ret_row));
	memcpy(ret_row, row, MIN(table->param_size, sizeof(*ret_row)));
}

void params_free(struct params *params)
{
	if (!params)
		return;
	for (uint32_t i = 0; i < params->n; i++) {
		for (uint32_t k = 0; params->all[i].values && k < params->all[i].n; k++)
			free(params->all[i].values[k]);
		free(params->all[i].values);
	}
	free(params);
}

static struct param *find(const struct params *params, const char *key)
{
	for (uint32_t i = 0; i < params->n; i++) {
		const struct param *p = &params->all[i];

		if (!strcmp(p->row.name, key) || (p->row.alias && !strcmp(p->row.alias, key)))
			return (struct param *)p;
	}
	return NULL;
}

static struct param *find_positional(const struct params *params)
{
	for (uint32_t i = 0; i < params->n; i++)
		if (params->all[i].row.flags & ALCOR_PARAM_POSITIONAL)
			return (struct param *)&params->all[i];
	return NULL;
}

/* Writes "; did you mean 'x'?", or all the keys there are when none is near. */
static void suggest_key(const struct params *params, const char *key, char *ret_text, size_t len)
{
	CLEANUP_FREE const char **words = calloc(2 * (size_t)params->n + 1, sizeof(*words));
	size_t n = 0, used;

	*ret_text = '\0';
	if (!words)
		return;
	for (uint32_t i = 0; i < params->n; i++) {
		if (params->all[i].row.flags & ALCOR_PARAM_DEPRECATED)
			continue;
		words[n++] = params->all[i].row.name;
		if (params->all[i].row.alias)
			words[n++] = params->all[i].row.alias;
	}
	suggest(key, words, n, ret_text, len);
	if (*ret_text || !n)
		return;
	used = snprintf(ret_text, len, "; it knows ");
	for (size_t i = 0; i < n && used < len; i++)
		used += snprintf(ret_text + used, len - used, "%s%s", i ? ", " : "", words[i]);
}

static int choice_index(const char *choices, const char *word, uint64_t *ret_index)
{
	size_t len = strlen(word);

	for (uint64_t i = 0; *choices; i++) {
		size_t n = strcspn(choices, "|");

		if (n == len && !memcmp(choices, word, n)) {
			*ret_index = i;
			return 0;
		}
		choices += choices[n] ? n + 1 : n;
	}
	return -ENOENT;
}

static int parse_enum(const struct alcor_param *row, const char *text, uint64_t *ret_index,
		      struct error *err)
{
	char list[256];

	if (choice_index(row->choices, text, ret_index) == 0)
		return 0;
	snprintf(list, sizeof(list), "%s", row->choices);
	for (char *p = list; (p = strchr(p, '|')); p++)
		*p = ' ';
	return error_set(err, -EINVAL, "'%s' is none of: %s", text, list);
}

const char *param_bound_text(const struct alcor_param *row, uint64_t bound,
			     char ret_text[VALUE_SIZE_TEXT])
{
	if (row->type == ALCOR_PARAM_SIZE)
		return value_size_text(bound, ret_text);
	snprintf(ret_text, VALUE_SIZE_TEXT, "%" PRIu64, bound);
	return ret_text;
}

static int parse_number(const struct alcor_param *row, const char *text, uint64_t *ret_value,
			struct error *err)
{
	char bound[VALUE_SIZE_TEXT];
	uint64_t value;
	int r = value_u64(text, &value, err);

	if (r < 0)
		return r;
	if (value < row->min)
		return error_set(err, -ERANGE, "%s is below the minimum, %s", text,
				 param_bound_text(row, row->min, bound));
	if (row->max && value > row->max)
		return error_set(err, -ERANGE, "%s is above the maximum, %s", text,
				 param_bound_text(row, row->max, bound));
	*ret_value = value;
	return 0;
}

/* Descriptors of alcor's own are close-on-exec; one that came through exec() cannot be. */
static int parse_fd(const char *text, uint64_t *ret_value, struct error *err)
{
	uint64_t value;
	int r = value_u64(text, &value, err), flags;

	if (r < 0)
		return r;
	flags = value <= INT_MAX ? fcntl((int)value, F_GETFD) : -1;
	if (flags < 0 || (flags & FD_CLOEXEC))
		return error_set(err, -EBADF, "%s is not an open, inherited descriptor", text);
	*ret_value = value;
	return 0;
}

static int parse_scalar(struct param *p, const char *text, struct error *err)
{
	uint64_t value = 0;
	bool on = false;
	int r = 0;

	switch (p->row.type) {
	case ALCOR_PARAM_STR:
		break;
	case ALCOR_PARAM_PATH:
		r = *text ? 0 : error_set(err, -EINVAL, "empty path");
		break;
	case ALCOR_PARAM_BOOL:
		r = value_bool(text, &on, err);
		value = on;
		break;
	case ALCOR_PARAM_U64:
	case ALCOR_PARAM_SIZE:
		r = parse_number(&p->row, text, &value, err);
		break;
	case ALCOR_PARAM_ENUM:
		r = parse_enum(&p->row, text, &value, err);
		break;
	case ALCOR_PARAM_MAC:
		r = value_mac(text, p->mac, err);
		break;
	case ALCOR_PARAM_FD:
		r = parse_fd(text, &value, err);
		break;
	}
	if (r == 0 && p->n == 0)
		p->u64 = value;
	return r;
}

static int add_value(struct param *p, const char *text, struct error *err)
{
	char **values;
	int r = parse_scalar(p, text, err);

	if (r < 0)
		return r;
	values = reallocarray(p->values, p->n + 1, sizeof(*values));
	if (!values)
		return error_errno(err, -ENOMEM, "parsing");
	p->values = values;
	values[p->n] = strdup(text);
	if (!values[p->n])
		return error_errno(err, -ENOMEM, "parsing");
	p->n++;
	return 0;
}

static int no_key(const char *what, const struct params *params, const struct value_item *item,
		  struct error *err)
{
	struct param *p = find_positional(params);
	char nearest[256];

	if (p && p->given)
		return error_set(err, -EINVAL,
				 "'%s' at column %zu has no key, and '%s' is given already",
				 item->value, item->key_pos, p->row.name);
	suggest_key(params, item->value, nearest, sizeof(nearest));
	return error_set(err, -EINVAL, "'%s' at column %zu is not of the form KEY=VALUE, for %s%s",
			 item->value, item->key_pos, what, nearest);
}

static int find_for_item(const char *what, const struct params *params,
			 const struct value_item *item, struct param **ret_param, struct error *err)
{
	char nearest[256];
	struct param *p;

	if (item->key) {
		p = find(params, item->key);
		if (!p) {
			suggest_key(params, item->key, nearest, sizeof(nearest));
			return error_set(err, -EINVAL, "unknown key '%s' for %s, at column %zu%s",
					 item->key, what, item->key_pos, nearest);
		}
	} else {
		if (find(params, item->value) && !item->from_object)
			return error_set(err, -EINVAL,
					 "key '%s' at column %zu has no value; write %s=VALUE",
					 item->value, item->key_pos, item->value);
		p = find_positional(params);
		if (!p || (p->given && !(p->row.flags & ALCOR_PARAM_REPEAT)))
			return no_key(what, params, item, err);
	}
	if (p->given && !(p->row.flags & ALCOR_PARAM_REPEAT))
		return error_set(err, -EINVAL, "key '%s' is given twice, again at column %zu",
				 p->row.name, item->key_pos);
	*ret_param = p;
	return 0;
}

static int parse_item(const char *what, const struct params *params, const struct value_item *item,
		      struct error *err)
{
	struct param *p;
	int r = find_for_item(what, params, item, &p, err);

	if (r < 0)
		return r;
	/* An object without text stands for "not given", where that is possible. */
	if (item->from_object && !*item->value && !(p->row.flags & ALCOR_PARAM_REQUIRED))
		return 0;
	r = add_value(p, item->value, err);
	if (r < 0) {
		error_prefix(err, "key '%s', column %zu", p->row.name, item->value_pos);
		return r;
	}
	p->given = true;
	return 0;
}

static int parse_list(const char *what, const char *text, size_t base,
		      const struct objects *objects, const struct params *params, struct error *err)
{
	struct value_list list = { 0 };
	const char *list_text;
	int r = value_deref_list(text, objects, &list_text, err);

	if (r < 0)
		return r;
	r = value_split(list_text, list_text == text ? base : 0, objects, &list, err);
	for (unsigned i = 0; i < list.n && r == 0; i++)
		r = parse_item(what, params, &list.items[i], err);
	value_list_clear(&list);
	if (r < 0 && list_text != text)
		error_prefix(err, "object '%s'", text);
	return r;
}

static int fill_missing(const char *what, const struct params *params, struct error *err)
{
	for (uint32_t i = 0; i < params->n; i++) {
		struct param *p = (struct param *)&params->all[i];
		int r = 0;

		if (p->given)
			continue;
		if (p->row.flags & ALCOR_PARAM_REQUIRED)
			return error_set(err, -EINVAL, "key '%s' is missing for %s", p->row.name,
					 what);
		if (p->row.dflt)
			r = add_value(p, p->row.dflt, err);
		if (r < 0) {
			error_prefix(err, "default of key '%s' of %s", p->row.name, what);
			return r;
		}
	}
	return 0;
}

/* Tables come from plugins, too: what the parser relies on is checked, not believed. */
static int add_rows(struct params *params, const char *what, const struct param_table *table,
		    struct error *err)
{
	for (uint32_t i = 0; table && i < table->n; i++) {
		struct alcor_param *row = &params->all[params->n].row;

		param_table_row(table, i, row);
		if (!row->name || row->type < ALCOR_PARAM_STR || row->type > ALCOR_PARAM_FD ||
		    (row->type == ALCOR_PARAM_ENUM && !row->choices))
			return error_set(err, -ENOEXEC, "parameter %u of %s is malformed", i, what);
		params->n++;
	}
	return 0;
}

int params_parse(const char *what, const char *text, size_t base, const struct param_table *table,
		 const struct param_table *common, const struct objects *objects,
		 struct params **ret_params, struct error *err)
{
	size_t n = (size_t)table->n + (common ? common->n : 0);
	CLEANUP_PARAMS struct params *params =
		calloc(1, sizeof(*params) + n * sizeof(struct param));
	int r;

	if (!params)
		return error_errno(err, -ENOMEM, "parsing");
	r = add_rows(params, what, table, err);
	if (r == 0)
		r = add_rows(params, what, common, err);
	if (r == 0)
		r = parse_list(what, text, base, objects, params, err);
	if (r == 0)
		r = fill_missing(what, params, err);
	if (r == 0)
		*ret_params = TAKE_PTR(params);
	return r;
}

bool params_given(const struct params *params, const char *key)
{
	const struct param *p = find(params, key);

	return p && p->given;
}

uint32_t params_count(const struct params *params, const char *key)
{
	const struct param *p = find(params, key);

	return p ? p->n : 0;
}

const char *params_str(const struct params *params, const char *key, uint32_t index)
{
	const struct param *p = find(params, key);

	if (!p || index >= p->n)
		return NULL;
	if (p->row.type != ALCOR_PARAM_STR && p->row.type != ALCOR_PARAM_PATH &&
	    p->row.type != ALCOR_PARAM_ENUM)
		return NULL;
	return p->values[index];
}

uint64_t params_u64(const struct params *params, const char *key)
{
	const struct param *p = find(params, key);

	return p ? p->u64 : 0;
}

int params_mac(const struct params *params, const char *key, uint8_t ret_mac[6])
{
	const struct param *p = find(params, key);

	if (!p || !p->n || p->row.type != ALCOR_PARAM_MAC)
		return -ENOENT;
	memcpy(ret_mac, p->mac, sizeof(p->mac));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/suggest.h"
#include "util/cleanup.h"

/* Whether @word begins with the long option @name, alone or with a value behind '='. */
static bool is_long(const char *name, const char *word)
{
	size_t n = name ? strlen(name) : 0;

	return n && !strncmp(word, name, n) && (!word[n] || word[n] == '=');
}

/* The option that @word names; *@ret_value is what stands behind the name, or NULL. */
static const struct option *find_option(const struct option_table *table, const char *word,
					const char **ret_value)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct option *o = &table->options[i];
		const char *value;

		if (is_long(o->name, word) || is_long(o->alias, word)) {
			value = strchr(word, '=');
			*ret_value = value ? value + 1 : NULL;
			return o;
		}
		if (o->short_name && word[0] == '-' && word[1] == o->short_name) {
			value = word[2] == '=' ? word + 3 : word + 2;
			*ret_value = word[2] ? value : NULL;
			return o;
		}
	}
	return NULL;
}

/* The one name that begins with @word, or NULL: options are not abbreviated, but tried to be. */
static const char *find_abbreviated(const struct option_table *table, const char *word)
{
	const char *found = NULL;
	size_t len = strlen(word);

	for (size_t i = 0; i < table->n; i++) {
		if (len < 4 || strncmp(table->options[i].name, word, len))
			continue;
		if (found)
			return NULL;
		found = table->options[i].name;
	}
	return found;
}

static int unknown_option(const struct option_table *table, const char *word, struct error *err)
{
	CLEANUP_FREE const char **words = calloc(2 * table->n + 1, sizeof(*words));
	CLEANUP_FREE char *name = strndup(word, strcspn(word, "="));
	const char *abbreviated;
	char nearest[128];
	size_t n = 0;

	if (!words || !name)
		return error_errno(err, -ENOMEM, "parsing");
	abbreviated = find_abbreviated(table, name);
	if (abbreviated)
		return error_set(err, -EINVAL, "unknown option '%s'; did you mean '%s'?", name,
				 abbreviated);
	for (size_t i = 0; i < table->n; i++) {
		words[n++] = table->options[i].name;
		if (table->options[i].alias)
			words[n++] = table->options[i].alias;
	}
	suggest(name, words, n, nearest, sizeof(nearest));
	if (*nearest)
		return error_set(err, -EINVAL, "unknown option '%s'%s", name, nearest);
	return error_set(err, -EINVAL, "unknown option '%s'; see '%s --help'", name,
			 table->command);
}

/* Whether the word that follows an option is its value. */
static bool is_value(const struct option_table *table, const struct option *option,
		     const char *word)
{
	const char *value;

	if (!word)
		return false;
	if (option->value_optional)
		return *word != '-';
	if (!strncmp(word, "--", 2))
		return !find_option(table, word, &value);
	/* "-x..." may well be a value; only an option and nothing else is taken for one. */
	return word[0] != '-' || !word[1] || word[2] || !find_option(table, word, &value);
}

static int add_use(struct option_list *list, const struct option *option, const char *value,
		   struct error *err)
{
	struct option_use *uses;

	if (!option->repeat && option_list_find(list, option->name))
		return error_set(err, -EINVAL, "%s is given twice", option->name);
	uses = reallocarray(list->uses, list->n + 1, sizeof(*uses));
	if (!uses)
		return error_errno(err, -ENOMEM, "parsing");
	list->uses = uses;
	uses[list->n++] = (struct option_use){ option, value };
	return 0;
}

/* Parses the option at **@argv, which is moved to the last word it takes. */
static int parse_option(const struct option_table *table, char ***argv, struct option_list *list,
			struct error *err)
{
	const char *word = **argv, *value = NULL;
	const struct option *option = find_option(table, word, &value);

	if (!option)
		return unknown_option(table, word, err);
	if (!option->arg && value)
		return error_set(err, -EINVAL, "%s takes no value", option->name);
	if (option->arg && !value && is_value(table, option, (*argv)[1]))
		value = *++*argv;
	if (option->arg && !value && !option->value_optional)
		return error_set(err, -EINVAL, "%s needs a value, %s %s", option->name,
				 option->name, option->arg);
	return add_use(list, option, value, err);
}

int options_parse(const struct option_table *table, char **argv, struct option_list *ret_list,
		  char ***ret_rest, struct error *err)
{
	struct option_list list = { 0 };
	int r = 0;

	for (; *argv && r == 0; argv++) {
		bool is_option = argv[0][0] == '-' && argv[0][1];

		if (!is_option && ret_rest)
			break;
		if (is_option)
			r = parse_option(table, &argv, &list, err);
		else
			r = error_set(err, -EINVAL, "unexpected argument '%s'; see '%s --help'",
				      *argv, table->command);
	}
	if (r < 0) {
		option_list_clear(&list);
		return r;
	}
	if (ret_rest)
		*ret_rest = argv;
	*ret_list = list;
	return 0;
}

void option_list_clear(struct option_list *list)
{
	free(list->uses);
	*list = (struct option_list){ 0 };
}

const struct option_use *option_list_find(const struct option_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->uses[i].option->name, name))
			return &list->uses[i];
	return NULL;
}

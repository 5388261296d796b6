/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/suggest.h"
#include "config/value.h"
#include "util/cleanup.h"

struct object {
	char *id, *text;
};

struct objects {
	struct object *all;
	size_t n;
};

int objects_new(struct objects **ret_objects)
{
	struct objects *objects = calloc(1, sizeof(*objects));

	if (!objects)
		return -ENOMEM;
	*ret_objects = objects;
	return 0;
}

void objects_free(struct objects *objects)
{
	if (!objects)
		return;
	for (size_t i = 0; i < objects->n; i++) {
		free(objects->all[i].id);
		free(objects->all[i].text);
	}
	free(objects->all);
	free(objects);
}

int objects_add(struct objects *objects, const char *text, struct error *err)
{
	size_t id_len = strcspn(text, ",");
	CLEANUP_FREE char *id = strndup(text, id_len);
	CLEANUP_FREE char *copy = strdup(text[id_len] ? text + id_len + 1 : "");
	struct object *all;

	if (!id || !copy)
		return error_errno(err, -ENOMEM, "parsing");
	if (strncmp(id, "id_", 3) || !id[3])
		return error_set(err, -EINVAL, "'%s' is not a name of the form id_NAME", id);
	if (strchr(id, '='))
		return error_set(err, -EINVAL, "'%s' holds a '='; write id_NAME,TEXT", id);
	if (objects_get(objects, id))
		return error_set(err, -EEXIST, "'%s' is defined twice", id);
	all = reallocarray(objects->all, objects->n + 1, sizeof(*all));
	if (!all)
		return error_errno(err, -ENOMEM, "parsing");
	objects->all = all;
	all[objects->n++] = (struct object){ TAKE_PTR(id), TAKE_PTR(copy) };
	return 0;
}

const char *objects_get(const struct objects *objects, const char *id)
{
	for (size_t i = 0; objects && i < objects->n; i++)
		if (!strcmp(objects->all[i].id, id))
			return objects->all[i].text;
	return NULL;
}

static int no_such_object(const char *id, const struct objects *objects, struct error *err)
{
	size_t n = objects ? objects->n : 0;
	CLEANUP_FREE const char **ids = calloc(n + 1, sizeof(*ids));
	char nearest[128] = "";

	for (size_t i = 0; ids && i < n; i++)
		ids[i] = objects->all[i].id;
	if (ids)
		suggest(id, ids, n, nearest, sizeof(nearest));
	return error_set(err, -ENOENT, "no object '%s'%s", id,
			 *nearest ? nearest : "; define it by --object, or quote the value");
}

int value_deref(const char *text, const struct objects *objects, const char **ret_text,
		struct error *err)
{
	const char *found = text;

	if (!strncmp(text, "id_", 3))
		found = objects_get(objects, text);
	if (!found)
		return no_such_object(text, objects, err);
	*ret_text = found;
	return 0;
}

int value_deref_list(const char *text, const struct objects *objects, const char **ret_text,
		     struct error *err)
{
	if (!strpbrk(text, ",="))
		return value_deref(text, objects, ret_text, err);
	*ret_text = text;
	return 0;
}

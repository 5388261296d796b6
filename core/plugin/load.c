/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin may be older or newer than this host: what it hands over is read with its own sizes and
 * strides and copied into structures of ours, where members that it does not have are zero.
 */
#include "plugin/load.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "plugin/note.h"
#include "util/overflow.h"

#define LOAD_ENTRY	"alcor_plugin_entry_1"
#define LOAD_PARAMS_MAX 256 /* of a claim */

/* What the first version of each structure has at least. */
#define SIZE_THROUGH(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))
#define DESC_SIZE_MIN		   SIZE_THROUGH(struct alcor_plugin, claim_size)
#define CLAIM_SIZE_MIN		   SIZE_THROUGH(struct alcor_claim, ops)
#define PARAM_SIZE_MIN		   SIZE_THROUGH(struct alcor_param, type)
#define OPS_SIZE_MIN		   SIZE_THROUGH(struct alcor_dev_ops, destroy)

/* The copies, in one allocation: what plugin->desc points to comes first. */
struct image {
	struct alcor_plugin desc;
	struct alcor_claim claims[NOTE_ENTRIES_MAX];
	struct alcor_dev_ops ops[NOTE_ENTRIES_MAX];
	struct alcor_param params[];
};

/* --- the file --- */

static int check_same_file(const struct plugin *plugin, const char *path, struct error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return error_errno(err, -errno, "stat");
	if (st.st_dev != plugin->dev || st.st_ino != plugin->ino)
		return error_set(err, -ESTALE, "the file was replaced since it was read");
	return 0;
}

/* dlerror() may span lines and starts with the path, which the caller adds. */
static int dl_failed(const struct plugin *plugin, struct error *err)
{
	const char *text = dlerror();
	size_t len = strlen(plugin->path);

	if (!text)
		text = "unknown error";
	if (!strncmp(text, plugin->path, len) && !strncmp(text + len, ": ", 2))
		text += len + 2;
	return error_set(err, -ENOEXEC, "cannot be loaded: %.*s", (int)strcspn(text, "\n"), text);
}

static int open_file(const struct plugin *plugin, void **ret_handle, struct error *err)
{
	struct link_map *map;
	void *handle;
	int ret;

	ret = check_same_file(plugin, plugin->path, err);
	if (ret)
		return ret;
	handle = dlopen(plugin->path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!handle || dlinfo(handle, RTLD_DI_LINKMAP, &map) < 0)
		return dl_failed(plugin, err);
	ret = check_same_file(plugin, map->l_name, err);
	if (ret)
		return ret;
	*ret_handle = handle;
	return 0;
}

/* --- the descriptor --- */

static bool equal(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

static int check_desc(const struct plugin *plugin, const struct alcor_plugin *desc,
		      struct error *err)
{
	if (!desc)
		return error_set(err, -ENOEXEC, "its descriptor is NULL");
	if (desc->struct_size < DESC_SIZE_MIN)
		return error_set(err, -ENOEXEC, "its descriptor is too short (%u bytes)",
				 desc->struct_size);
	if (desc->abi_major != ALCOR_ABI_MAJOR || desc->abi_minor != ALCOR_ABI_MINOR)
		return error_set(err, -ENOEXEC,
				 "its descriptor says ABI %u.%u, its note %s: rebuild it",
				 desc->abi_major, desc->abi_minor, plugin->abi);
	if (!equal(desc->name, plugin->name))
		return error_set(err, -ENOEXEC, "its descriptor is named '%s', its note '%s'",
				 desc->name ? desc->name : "", plugin->name);
	if (!equal(desc->version, plugin->version) || !equal(desc->license, plugin->license))
		return error_set(err, -ENOEXEC,
				 "version or license differ between its descriptor and its note");
	if (!desc->claims || desc->n_claims != plugin->n_claims)
		return error_set(err, -ENOEXEC, "its descriptor has %u claims, its note %u",
				 desc->claims ? desc->n_claims : 0, plugin->n_claims);
	if (desc->claim_size < CLAIM_SIZE_MIN)
		return error_set(err, -ENOEXEC, "its claims are too short (%u bytes)",
				 desc->claim_size);
	return 0;
}

static void copy_sized(void *to, size_t to_size, const void *from, size_t from_size)
{
	memset(to, 0, to_size);
	memcpy(to, from, MIN(to_size, from_size));
}

static void claim_at(const struct alcor_plugin *desc, unsigned index, struct alcor_claim *ret_claim)
{
	copy_sized(ret_claim, sizeof(*ret_claim),
		   (const char *)desc->claims + (size_t)index * desc->claim_size, desc->claim_size);
}

static bool note_has(const struct plugin *plugin, const struct alcor_claim *claim)
{
	unsigned i;

	for (i = 0; i < plugin->n_claims; i++)
		if (equal(claim->dev_class, plugin->claims[i].dev_class) &&
		    equal(claim->keyword, plugin->claims[i].keyword))
			return true;
	return false;
}

static int check_claim(const struct plugin *plugin, const struct alcor_claim *claim,
		       struct error *err)
{
	const struct alcor_dev_ops *ops = claim->ops;
	const char *what;

	if (!note_has(plugin, claim))
		return error_set(err, -ENOEXEC, "its claim %s/%s is not in its note",
				 claim->dev_class ? claim->dev_class : "",
				 claim->keyword ? claim->keyword : "");
	what = !ops					   ? "no callbacks" :
	       !claim->summary				   ? "no summary" :
	       ops->struct_size < OPS_SIZE_MIN		   ? "too short a table of callbacks" :
	       !ops->create || !ops->destroy		   ? "no create() or no destroy()" :
	       claim->thread_model > ALCOR_THREAD_PARALLEL ? "an unknown thread model" :
	       claim->n_params > LOAD_PARAMS_MAX	   ? "too many parameters" :
	       claim->n_params && !claim->params	   ? "no parameter table" :
	       claim->n_params && claim->param_size < PARAM_SIZE_MIN ? "too short parameters" :
								       NULL;
	if (what)
		return error_set(err, -ENOEXEC, "%s/%s has %s", claim->dev_class, claim->keyword,
				 what);
	return 0;
}

/* --- parameters --- */

static bool param_name_ok(const char *name)
{
	size_t i;

	if (!name || name[0] < 'a' || name[0] > 'z')
		return false;
	for (i = 0; name[i]; i++)
		if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') ||
		      name[i] == '_' || name[i] == '-'))
			return false;
	return true;
}

/* Names that the host answers itself. */
static bool param_reserved(const struct alcor_claim *claim, const char *name)
{
	return equal(name, "id") || ((claim->caps & ALCOR_CAP_VIRTIO) && equal(name, "packed"));
}

static bool param_clashes(const struct alcor_param *a, const struct alcor_param *b)
{
	return equal(a->name, b->name) || equal(a->name, b->alias) || equal(a->alias, b->name) ||
	       equal(a->alias, b->alias) || (a->flags & b->flags & ALCOR_PARAM_POSITIONAL);
}

/* @claim has its copied table; parameter @index against those before it. */
static int check_param(const struct alcor_claim *claim, unsigned index, struct error *err)
{
	const struct alcor_param *param = &claim->params[index];
	const char *what;
	unsigned i;

	what = !param_name_ok(param->name) || (param->alias && !param_name_ok(param->alias)) ?
		       "has a bad name" :
	       param_reserved(claim, param->name) || param_reserved(claim, param->alias) ?
		       "has a name that is the host's" :
	       !param->help ? "has no help" :
	       param->type < ALCOR_PARAM_STR || param->type > ALCOR_PARAM_FD ?
			      "is of an unknown type" :
	       param->type == ALCOR_PARAM_ENUM && !param->choices ? "has no choices" :
								    NULL;
	for (i = 0; !what && i < index; i++)
		if (param_clashes(param, &claim->params[i]))
			what = "clashes with another";
	if (what)
		return error_set(err, -ENOEXEC, "%s/%s: parameter %u ('%s') %s", claim->dev_class,
				 claim->keyword, index, param->name ? param->name : "", what);
	return 0;
}

/* Replaces the plugin's table by a copy in @room. */
static int copy_params(struct alcor_claim *claim, struct alcor_param *room, struct error *err)
{
	const char *from = (const char *)claim->params;
	unsigned i;
	int ret = 0;

	for (i = 0; i < claim->n_params; i++)
		copy_sized(&room[i], sizeof(room[i]), from + (size_t)i * claim->param_size,
			   claim->param_size);
	claim->params = claim->n_params ? room : NULL;
	claim->param_size = sizeof(*room);
	for (i = 0; !ret && i < claim->n_params; i++)
		ret = check_param(claim, i, err);
	return ret;
}

/* --- the copy --- */

static int check_claims(const struct plugin *plugin, const struct alcor_plugin *desc,
			size_t *ret_n_params, struct error *err)
{
	struct alcor_claim claim;
	size_t n_params = 0;
	unsigned i;
	int ret;

	for (i = 0; i < desc->n_claims; i++) {
		claim_at(desc, i, &claim);
		ret = check_claim(plugin, &claim, err);
		if (ret)
			return ret;
		n_params += claim.n_params;
	}
	*ret_n_params = n_params;
	return 0;
}

static int fill_image(struct image *image, const struct alcor_plugin *desc, struct error *err)
{
	struct alcor_param *room = image->params;
	unsigned i, k;
	int ret = 0;

	copy_sized(&image->desc, sizeof(image->desc), desc, desc->struct_size);
	for (i = 0; !ret && i < desc->n_claims; i++) {
		struct alcor_claim *claim = &image->claims[i];

		claim_at(desc, i, claim);
		for (k = 0; k < i; k++)
			if (equal(claim->dev_class, image->claims[k].dev_class) &&
			    equal(claim->keyword, image->claims[k].keyword))
				return error_set(err, -ENOEXEC, "its claim %s/%s is there twice",
						 claim->dev_class, claim->keyword);
		copy_sized(&image->ops[i], sizeof(image->ops[i]), claim->ops,
			   claim->ops->struct_size);
		image->ops[i].struct_size = sizeof(image->ops[i]);
		claim->ops = &image->ops[i];
		ret = copy_params(claim, room, err);
		room += claim->n_params;
	}
	image->desc.struct_size = sizeof(image->desc);
	image->desc.claims = image->claims;
	image->desc.claim_size = sizeof(image->claims[0]);
	return ret;
}

static int copy_desc(const struct plugin *plugin, const struct alcor_plugin *desc,
		     struct image **ret_image, struct error *err)
{
	struct image *image;
	size_t n_params;
	int ret;

	ret = check_desc(plugin, desc, err);
	if (!ret)
		ret = check_claims(plugin, desc, &n_params, err);
	if (ret)
		return ret;
	image = calloc(1, sizeof(*image) + n_params * sizeof(image->params[0]));
	if (!image)
		return error_errno(err, -ENOMEM, "descriptor");
	ret = fill_image(image, desc, err);
	if (ret) {
		free(image);
		return ret;
	}
	*ret_image = image;
	return 0;
}

int plugin_load(struct plugin *plugin, const struct alcor_host *host, struct error *err)
{
	const struct alcor_plugin *(*entry)(void);
	struct image *image = NULL;
	void *handle = NULL;
	int ret;

	ret = open_file(plugin, &handle, err);
	if (ret)
		return ret;
	entry = (const struct alcor_plugin *(*)(void))dlsym(handle, LOAD_ENTRY);
	if (!entry)
		return error_set(err, -ENOEXEC, "it does not export " LOAD_ENTRY "()");
	ret = copy_desc(plugin, entry(), &image, err);
	if (ret)
		return ret;
	ret = image->desc.init ? image->desc.init(host) : 0;
	if (ret) {
		free(image);
		return error_errno(err, ret < 0 ? ret : -EINVAL, "init() failed");
	}
	plugin->desc = &image->desc;
	return 0;
}

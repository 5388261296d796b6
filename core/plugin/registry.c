/* SPDX-License-Identifier: Apache-2.0 */
/* Discovery of plugins, and which of them serves a (class, keyword) pair. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/suggest.h"
#include "plugin/load.h"
#include "plugin/note.h"
#include "plugin/plugin.h"
#include "util/cleanup.h"
#include "util/overflow.h"

#define REGISTRY_MAX 1024
#define FILE_PREFIX  "alcor-"
#define FILE_SUFFIX  ".so"

struct registry {
	struct plugin **plugins;
	unsigned n;
	char *dirs; /* that were read, for messages */
};

static int plugin_unusable(struct plugin *plugin, int err_no, const struct error *err)
{
	plugin->state = PLUGIN_UNUSABLE;
	free(plugin->reason);
	plugin->reason = strdup(err->text);
	return err_no;
}

/* --- one file --- */

/*
 * Nobody but root and us may be able to change @what. A group that is the owner's private one
 * (same number, the custom of Linux distributions) is the owner.
 */
static int check_trust(const char *what, const char *path, const struct stat *st, struct error *err)
{
	mode_t others = S_IWOTH | (st->st_gid == st->st_uid ? 0 : S_IWGRP);

	if (st->st_uid != 0 && st->st_uid != geteuid())
		return error_set(err, -EPERM, "%s %s belongs to user %u, neither root nor us", what,
				 path, st->st_uid);
	if (st->st_mode & others)
		return error_set(err, -EPERM, "%s %s is writable by others (mode %04o)", what, path,
				 st->st_mode & 07777);
	return 0;
}

static int check_dir_trust(const char *path, struct error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return error_errno(err, -errno, "directory %s", path);
	return check_trust("directory", path, &st, err);
}

static int check_parent_trust(const char *path, struct error *err)
{
	CLEANUP_FREE char *dir = strdup(path);

	if (!dir)
		return error_errno(err, -ENOMEM, "%s", path);
	*strrchr(dir, '/') = '\0';
	return check_dir_trust(*dir ? dir : "/", err);
}

/* O_NONBLOCK: a FIFO must not keep us. */
static int read_file(struct plugin *plugin, struct error *err)
{
	CLEANUP_CLOSE int fd =
		open(plugin->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	int ret;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, -errno, "open");
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, "not a regular file");
	ret = check_trust("file", plugin->path, &st, err);
	if (!ret)
		ret = check_parent_trust(plugin->path, err);
	if (ret)
		return ret;
	plugin->dev = st.st_dev;
	plugin->ino = st.st_ino;
	return note_read(fd, plugin, err);
}

static int check_twin(const struct registry *registry, const struct plugin *plugin,
		      struct error *err)
{
	unsigned i;

	for (i = 0; i < registry->n; i++)
		if (!strcmp(registry->plugins[i]->name, plugin->name))
			return error_set(err, -EEXIST, "%s has the name '%s' of %s", plugin->path,
					 plugin->name, registry->plugins[i]->path);
	return 0;
}

/* A good or a bad plugin; only a lack of memory fails. */
static int plugin_new(const char *path, const char *file_name, struct plugin **ret_plugin)
{
	size_t len = strlen(file_name) - strlen(FILE_PREFIX) - strlen(FILE_SUFFIX);
	struct plugin *plugin = calloc(1, sizeof(*plugin));

	if (!plugin)
		return -ENOMEM;
	plugin->name = strndup(file_name + strlen(FILE_PREFIX), len);
	plugin->path = realpath(path, NULL);
	if (!plugin->path)
		plugin->path = strdup(path); /* a dangling link: opening it says so */
	if (!plugin->name || !plugin->path) {
		plugin_clear(plugin);
		free(plugin);
		return -ENOMEM;
	}
	*ret_plugin = plugin;
	return 0;
}

static bool registry_has_path(const struct registry *registry, const char *path)
{
	unsigned i;

	for (i = 0; i < registry->n; i++)
		if (!strcmp(registry->plugins[i]->path, path))
			return true;
	return false;
}

static int registry_append(struct registry *registry, struct plugin *plugin)
{
	struct plugin **grown;

	grown = realloc(registry->plugins, (registry->n + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	registry->plugins = grown;
	grown[registry->n++] = plugin;
	return 0;
}

static int scan_file(struct registry *registry, const char *dir, const char *file_name,
		     const struct error *dir_fault, struct error *err)
{
	CLEANUP_FREE char *path = NULL;
	struct plugin *plugin;
	struct error fault = *dir_fault;
	int ret;

	if (registry->n == REGISTRY_MAX)
		return error_set(err, -E2BIG, "%s: more than %d plugins", dir, REGISTRY_MAX);
	if (asprintf(&path, "%s/%s", dir, file_name) < 0) {
		path = NULL;
		return error_errno(err, -ENOMEM, "%s", dir);
	}
	ret = plugin_new(path, file_name, &plugin);
	if (ret)
		return error_errno(err, ret, "%s", path);
	/* The same directory named twice. */
	if (registry_has_path(registry, plugin->path)) {
		plugin_clear(plugin);
		free(plugin);
		return 0;
	}
	if (*fault.text || read_file(plugin, &fault) || check_twin(registry, plugin, &fault))
		plugin_unusable(plugin, 0, &fault);
	ret = registry_append(registry, plugin);
	if (ret) {
		plugin_clear(plugin);
		free(plugin);
		return error_errno(err, ret, "%s", path);
	}
	return 0;
}

/* --- directories --- */

static int is_plugin_file(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name), fixed = strlen(FILE_PREFIX) + strlen(FILE_SUFFIX);

	return len > fixed && !strncmp(entry->d_name, FILE_PREFIX, strlen(FILE_PREFIX)) &&
	       !strcmp(entry->d_name + len - strlen(FILE_SUFFIX), FILE_SUFFIX);
}

/* Not alphasort(): the order must not depend on the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int remember_dir(struct registry *registry, const char *dir)
{
	char *joined;

	if (asprintf(&joined, "%s%s%s", registry->dirs ? registry->dirs : "",
		     registry->dirs ? ":" : "", dir) < 0)
		return -ENOMEM;
	free(registry->dirs);
	registry->dirs = joined;
	return 0;
}

static int scan_dir(struct registry *registry, const char *dir, bool optional, struct error *err)
{
	CLEANUP_FREE char *path = realpath(dir, NULL);
	struct error dir_fault = { .text = "" };
	struct dirent **entries = NULL;
	int i, n = -1, ret = 0;

	if (remember_dir(registry, path ? path : dir) < 0)
		return error_errno(err, -ENOMEM, "plugin directory %s", dir);
	if (path)
		n = scandir(path, &entries, is_plugin_file, by_name);
	if (n < 0)
		return optional && errno == ENOENT ?
			       0 :
			       error_errno(err, -errno, "plugin directory %s", dir);
	check_dir_trust(path, &dir_fault);
	for (i = 0; i < n; i++) {
		if (!ret)
			ret = scan_file(registry, path, entries[i]->d_name, &dir_fault, err);
		free(entries[i]);
	}
	free(entries);
	return ret;
}

static int scan_list(struct registry *registry, const char *list, struct error *err)
{
	CLEANUP_FREE char *copy = strdup(list);
	char *rest = copy, *dir;
	int ret = 0;

	if (!copy)
		return error_errno(err, -ENOMEM, "ALCOR_PLUGIN_DIR");
	while (!ret && (dir = strsep(&rest, ":")))
		if (*dir)
			ret = scan_dir(registry, dir, false, err);
	if (ret)
		error_prefix(err, "ALCOR_PLUGIN_DIR");
	return ret;
}

/* ../lib/alcor/plugins beside the program, which a build tree and a relocated installation have. */
static bool dir_beside_program(char *ret_path, size_t len)
{
	char program[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	char *slash;
	int i;

	if (n < 0)
		return false;
	program[n] = '\0';
	for (i = 0; i < 2; i++) {
		slash = strrchr(program, '/');
		if (!slash)
			return false;
		*slash = '\0';
	}
	n = snprintf(ret_path, len, "%s/lib/alcor/plugins", program);
	return n > 0 && (size_t)n < len && access(ret_path, F_OK) == 0;
}

static int scan_default(struct registry *registry, struct error *err)
{
	const char *list = secure_getenv("ALCOR_PLUGIN_DIR");
	char path[PATH_MAX];

	if (list)
		return scan_list(registry, list, err);
	if (dir_beside_program(path, sizeof(path)))
		return scan_dir(registry, path, true, err);
	return scan_dir(registry, ALCOR_INSTALLED_PLUGIN_DIR, true, err);
}

int registry_scan(const char *const *dirs, struct registry **ret_registry, struct error *err)
{
	struct registry *registry = calloc(1, sizeof(*registry));
	int ret = 0;

	if (!registry)
		return error_errno(err, -ENOMEM, "plugins");
	if (!dirs)
		ret = scan_default(registry, err);
	for (; !ret && dirs && *dirs; dirs++)
		ret = scan_dir(registry, *dirs, false, err);
	if (ret) {
		registry_free(registry);
		return ret;
	}
	*ret_registry = registry;
	return 0;
}

void registry_free(struct registry *registry)
{
	unsigned i;

	if (!registry)
		return;
	for (i = 0; i < registry->n; i++) {
		plugin_clear(registry->plugins[i]);
		free(registry->plugins[i]);
	}
	free(registry->plugins);
	free(registry->dirs);
	free(registry);
}

unsigned registry_n(const struct registry *registry)
{
	return registry->n;
}

const struct plugin *registry_at(const struct registry *registry, unsigned index)
{
	return index < registry->n ? registry->plugins[index] : NULL;
}

/* --- claims --- */

static int claim_index(const struct plugin *plugin, const char *dev_class, const char *keyword)
{
	unsigned i;

	for (i = 0; i < plugin->n_claims; i++)
		if (!strcmp(plugin->claims[i].dev_class, dev_class) &&
		    (!keyword || !strcmp(plugin->claims[i].keyword, keyword)))
			return (int)i;
	return -1;
}

bool registry_claims(const struct registry *registry, const char *dev_class, const char *keyword)
{
	unsigned i;

	for (i = 0; i < registry->n; i++)
		if (registry->plugins[i]->state != PLUGIN_UNUSABLE &&
		    claim_index(registry->plugins[i], dev_class, keyword) >= 0)
			return true;
	return false;
}

/* Words of usable plugins: the keywords of @dev_class, or all classes when that is NULL. */
static int near_claims(const struct registry *registry, const char *word, const char *dev_class,
		       char *ret_text, size_t len)
{
	CLEANUP_FREE const char **words =
		calloc(registry->n * NOTE_ENTRIES_MAX + 1, sizeof(*words));
	size_t n = 0;
	unsigned i, k;

	if (!words)
		return -ENOMEM;
	for (i = 0; i < registry->n; i++) {
		const struct plugin *plugin = registry->plugins[i];

		for (k = 0; plugin->state != PLUGIN_UNUSABLE && k < plugin->n_claims; k++)
			if (!dev_class)
				words[n++] = plugin->claims[k].dev_class;
			else if (!strcmp(plugin->claims[k].dev_class, dev_class))
				words[n++] = plugin->claims[k].keyword;
	}
	suggest(word, words, n, ret_text, len);
	if (n == 0 && !dev_class)
		snprintf(ret_text, len, "; there are no usable plugins in %.150s", registry->dirs);
	return 0;
}

static int unclaimed(const struct registry *registry, const char *dev_class, const char *keyword,
		     struct error *err)
{
	bool known = registry_claims(registry, dev_class, NULL);
	char near[256] = "";

	near_claims(registry, known ? keyword : dev_class, known ? dev_class : NULL, near,
		    sizeof(near));
	if (!known)
		return error_set(err, -ENOENT, "no plugin serves the class '%s'%s", dev_class,
				 near);
	return error_set(err, -ENOENT, "no plugin serves '%s' of class %s%s", keyword, dev_class,
			 near);
}

static int unusable(const struct plugin *plugin, const char *dev_class, const char *keyword,
		    struct error *err)
{
	return error_set(err, -ENOEXEC, "%s/%s is served by %s, which cannot be used: %s",
			 dev_class, keyword, plugin->path,
			 plugin->reason ? plugin->reason : "out of memory");
}

static int ambiguous(const struct plugin *a, const struct plugin *b, const char *dev_class,
		     const char *keyword, struct error *err)
{
	return error_set(err, -EEXIST,
			 "%s/%s is claimed by two plugins, %s and %s: write %s@%s or %s@%s",
			 dev_class, keyword, a->path, b->path, keyword, a->name, keyword, b->name);
}

/* The plugin that the user named. */
static int find_named(const struct registry *registry, const char *dev_class, const char *keyword,
		      const char *name, struct plugin **ret_plugin, struct error *err)
{
	CLEANUP_FREE const char **names = calloc(registry->n + 1, sizeof(*names));
	char near[256];
	unsigned i;

	if (!names)
		return error_errno(err, -ENOMEM, "plugin '%s'", name);
	for (i = 0; i < registry->n; i++) {
		struct plugin *plugin = registry->plugins[i];

		names[i] = plugin->name;
		if (strcmp(plugin->name, name) != 0)
			continue;
		if (plugin->state == PLUGIN_UNUSABLE)
			return error_set(err, -ENOEXEC, "plugin %s (%s) cannot be used: %s", name,
					 plugin->path, plugin->reason ? plugin->reason : "");
		if (claim_index(plugin, dev_class, keyword) < 0)
			return error_set(err, -ENOENT, "plugin %s (%s) does not serve %s/%s", name,
					 plugin->path, dev_class, keyword);
		*ret_plugin = plugin;
		return 0;
	}
	suggest(name, names, registry->n, near, sizeof(near));
	return error_set(err, -ENOENT, "no plugin '%s'%s", name, near);
}

static int find_only(const struct registry *registry, const char *dev_class, const char *keyword,
		     struct plugin **ret_plugin, struct error *err)
{
	struct plugin *usable = NULL, *bad = NULL;
	unsigned i;

	for (i = 0; i < registry->n; i++) {
		struct plugin *plugin = registry->plugins[i];

		if (claim_index(plugin, dev_class, keyword) < 0)
			continue;
		if (plugin->state == PLUGIN_UNUSABLE)
			bad = bad ? bad : plugin;
		else if (usable)
			return ambiguous(usable, plugin, dev_class, keyword, err);
		else
			usable = plugin;
	}
	if (!usable)
		return bad ? unusable(bad, dev_class, keyword, err) :
			     unclaimed(registry, dev_class, keyword, err);
	*ret_plugin = usable;
	return 0;
}

static const struct alcor_claim *loaded_claim(const struct plugin *plugin, const char *dev_class,
					      const char *keyword)
{
	unsigned i;

	for (i = 0; i < plugin->desc->n_claims; i++)
		if (!strcmp(plugin->desc->claims[i].dev_class, dev_class) &&
		    !strcmp(plugin->desc->claims[i].keyword, keyword))
			return &plugin->desc->claims[i];
	return NULL;
}

int registry_resolve(struct registry *registry, const char *dev_class, const char *keyword,
		     const char *plugin_name, const struct alcor_claim **ret_claim,
		     struct error *err)
{
	const struct alcor_claim *claim;
	struct plugin *plugin = NULL;
	struct error fault;
	int ret;

	if (plugin_name)
		ret = find_named(registry, dev_class, keyword, plugin_name, &plugin, err);
	else
		ret = find_only(registry, dev_class, keyword, &plugin, err);
	if (ret)
		return ret;
	if (plugin->state == PLUGIN_FOUND) {
		ret = plugin_load(plugin, plugin_host(), &fault);
		if (ret) {
			plugin_unusable(plugin, ret, &fault);
			return unusable(plugin, dev_class, keyword, err);
		}
		plugin->state = PLUGIN_LOADED;
	}
	claim = loaded_claim(plugin, dev_class, keyword);
	if (!claim)
		return error_set(err, -ENOENT, "%s/%s", dev_class, keyword);
	*ret_claim = claim;
	return 0;
}

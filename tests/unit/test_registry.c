/* SPDX-License-Identifier: Apache-2.0 */
/* Which plugins are found, why others are not usable, who serves a pair, and what loading gives. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "plugin/plugin.h"

/* --- a directory of its own for each test --- */

struct fixture {
	char dir[64];
	const char *dirs[3];
	struct registry *registry;
	struct error err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/test_registry.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->dirs[0] = f->dir;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	registry_free(f->registry);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* Copies the test plugin @kind to alcor-@as.so below @dir. */
static void put_at(const char *dir, const char *kind, const char *as)
{
	char from[512], to[512], buf[65536];
	FILE *in, *out;
	size_t n;

	snprintf(from, sizeof(from), TEST_PLUGIN_DIR "/alcor-%s.so", kind);
	snprintf(to, sizeof(to), "%s/alcor-%s.so", dir, as);
	in = fopen(from, "re");
	out = fopen(to, "we");
	assert_non_null(in);
	assert_non_null(out);
	while ((n = fread(buf, 1, sizeof(buf), in)))
		assert_int_equal(fwrite(buf, 1, n, out), n);
	fclose(in);
	fclose(out);
	assert_int_equal(chmod(to, 0644), 0);
}

static void put(struct fixture *f, const char *kind)
{
	put_at(f->dir, kind, kind);
}

/* Valid until the next call but one. */
static const char *path_of(struct fixture *f, const char *name)
{
	static char paths[2][128];
	static unsigned next;
	char *path = paths[next++ % 2];

	snprintf(path, sizeof(paths[0]), "%s/%s", f->dir, name);
	return path;
}

static void scan(struct fixture *f)
{
	registry_free(f->registry);
	f->registry = NULL;
	assert_int_equal(registry_scan(f->dirs, &f->registry, &f->err), 0);
}

static const struct plugin *find(struct fixture *f, const char *name)
{
	unsigned i;

	for (i = 0; i < registry_n(f->registry); i++)
		if (!strcmp(registry_at(f->registry, i)->name, name))
			return registry_at(f->registry, i);
	fail_msg("no plugin %s", name);
	return NULL;
}

static void assert_says(const char *text, const char *why)
{
	if (!text || !strstr(text, why))
		fail_msg("'%s' does not say '%s'", text ? text : "(null)", why);
	assert_null(strchr(text, '\n'));
}

static void assert_unusable(struct fixture *f, const char *name, const char *why)
{
	const struct plugin *plugin = find(f, name);

	assert_int_equal(plugin->state, PLUGIN_UNUSABLE);
	assert_says(plugin->reason, why);
}

static const struct alcor_claim *resolve(struct fixture *f, const char *keyword)
{
	const struct alcor_claim *claim = NULL;

	f->err.text[0] = '\0';
	if (registry_resolve(f->registry, "test", keyword, NULL, &claim, &f->err))
		return NULL;
	assert_string_equal(f->err.text, "");
	assert_non_null(claim);
	return claim;
}

static bool was_loaded(const char *kind)
{
	char name[64];

	snprintf(name, sizeof(name), "ALCOR_TEST_MARK_%s", kind);
	return getenv(name) != NULL;
}

/* --- scanning --- */

static void test_found(void **state)
{
	struct fixture *f = *state;
	const struct plugin *plugin;

	put(f, "newer");
	put(f, "good");
	close(creat(path_of(f, "README.so"), 0644));
	close(creat(path_of(f, "alcor-.so"), 0644));
	close(creat(path_of(f, "alcor-x.so.old"), 0644));
	scan(f);
	assert_int_equal(registry_n(f->registry), 2);
	plugin = registry_at(f->registry, 0);
	assert_string_equal(plugin->name, "good");
	assert_string_equal(plugin->path, path_of(f, "alcor-good.so"));
	assert_string_equal(plugin->version, "1.2");
	assert_int_equal(plugin->state, PLUGIN_FOUND);
	assert_null(plugin->reason);
	assert_string_equal(registry_at(f->registry, 1)->name, "newer");
	assert_null(registry_at(f->registry, 2));
	assert_true(registry_claims(f->registry, "test", NULL));
	assert_true(registry_claims(f->registry, "test", "good"));
	assert_false(registry_claims(f->registry, "test", "goo"));
	assert_false(registry_claims(f->registry, "tes", NULL));
}

/* No code of a plugin runs before it is the one that serves a device. */
static void test_only_needed_ones_run(void **state)
{
	struct fixture *f = *state;

	put(f, "newer");
	put(f, "abi");
	put(f, "rename");
	put(f, "older");
	scan(f);
	assert_false(was_loaded("newer"));
	assert_null(resolve(f, "abi"));
	assert_non_null(resolve(f, "newer"));
	assert_true(was_loaded("newer"));
	assert_false(was_loaded("older"));
	assert_false(was_loaded("abi"));
	assert_false(was_loaded("rename"));
}

static void test_bad_notes(void **state)
{
	struct fixture *f = *state;

	put(f, "good");
	put(f, "abi");
	put(f, "needs");
	put(f, "rename");
	put(f, "nonote");
	scan(f);
	assert_int_equal(registry_n(f->registry), 5);
	assert_int_equal(find(f, "good")->state, PLUGIN_FOUND);
	assert_unusable(f, "abi", "built for plugin ABI 0.9, this alcor has " ALCOR_ABI_STRING);
	assert_unusable(f, "needs", "needs 'quantum.link'");
	assert_unusable(f, "rename", "the file must be alcor-somebody.so");
	assert_unusable(f, "nonote", "no alcor note");
	assert_false(registry_claims(f->registry, "test", "abi"));
	/* Whoever asks for it learns why. */
	assert_null(resolve(f, "abi"));
	assert_says(f->err.text, "test/abi is served by");
	assert_says(f->err.text, "alcor-abi.so, which cannot be used: built for plugin ABI 0.9");
}

static void test_bad_files(void **state)
{
	struct fixture *f = *state;
	int fd;

	put(f, "good");
	fd = creat(path_of(f, "alcor-text.so"), 0644);
	assert_int_equal(write(fd, "#!/bin/sh\n", 10), 10);
	close(fd);
	close(creat(path_of(f, "alcor-empty.so"), 0644));
	assert_int_equal(mkfifo(path_of(f, "alcor-fifo.so"), 0644), 0);
	assert_int_equal(mkdir(path_of(f, "alcor-dir.so"), 0755), 0);
	assert_int_equal(symlink("/nonexistent", path_of(f, "alcor-dangling.so")), 0);
	put_at(f->dir, "good", "trunc");
	assert_int_equal(truncate(path_of(f, "alcor-trunc.so"), 200), 0);
	scan(f);
	assert_int_equal(find(f, "good")->state, PLUGIN_FOUND);
	assert_unusable(f, "text", "not an ELF file");
	assert_unusable(f, "empty", "not an ELF file");
	assert_unusable(f, "fifo", "not a regular file");
	assert_unusable(f, "dir", "not a regular file");
	assert_unusable(f, "dangling", "open: ");
	assert_unusable(f, "trunc", "truncated");
}

static void test_link(void **state)
{
	struct fixture *f = *state;
	char store[128];

	snprintf(store, sizeof(store), "%s", path_of(f, "store"));
	assert_int_equal(mkdir(store, 0755), 0);
	put_at(store, "good", "good");
	assert_int_equal(symlink("store/alcor-good.so", path_of(f, "alcor-good.so")), 0);
	scan(f);
	assert_int_equal(find(f, "good")->state, PLUGIN_FOUND);
	assert_string_equal(find(f, "good")->path, path_of(f, "store/alcor-good.so"));
	/* The directory behind the link counts, too. */
	assert_int_equal(chmod(store, 0777), 0);
	scan(f);
	assert_unusable(f, "good", "store is writable by others (mode 0777)");
}

static void test_trust(void **state)
{
	struct fixture *f = *state;

	put(f, "good");
	put(f, "newer");
	assert_int_equal(chmod(path_of(f, "alcor-good.so"), 0646), 0);
	scan(f);
	assert_unusable(f, "good", "alcor-good.so is writable by others (mode 0646)");
	assert_int_equal(find(f, "newer")->state, PLUGIN_FOUND);
	assert_int_equal(chmod(f->dir, 0757), 0);
	scan(f);
	assert_unusable(f, "newer", f->dir);
	assert_unusable(f, "newer", "is writable by others (mode 0757)");
	assert_null(resolve(f, "newer"));
	assert_int_equal(chmod(f->dir, 0755), 0);
}

/* Only root can give files away. */
static void test_trust_owner(void **state)
{
	struct fixture *f = *state;

	if (geteuid() != 0)
		skip(); /* only root may give a file away */
	put(f, "good");
	put(f, "newer");
	assert_int_equal(chown(path_of(f, "alcor-good.so"), 65534, 65534), 0);
	assert_int_equal(chown(path_of(f, "alcor-newer.so"), 0, 65534), 0);
	assert_int_equal(chmod(path_of(f, "alcor-newer.so"), 0664), 0);
	scan(f);
	assert_unusable(f, "good", "belongs to user 65534");
	assert_unusable(f, "newer", "is writable by others (mode 0664)");
}

static void test_twins(void **state)
{
	struct fixture *f = *state;
	char second[128];

	snprintf(second, sizeof(second), "%s", path_of(f, "second"));
	assert_int_equal(mkdir(second, 0755), 0);
	put(f, "good");
	put_at(second, "good", "good");
	f->dirs[1] = second;
	scan(f);
	assert_int_equal(registry_n(f->registry), 2);
	assert_int_equal(registry_at(f->registry, 0)->state, PLUGIN_FOUND);
	assert_int_equal(registry_at(f->registry, 1)->state, PLUGIN_UNUSABLE);
	assert_says(registry_at(f->registry, 1)->reason, path_of(f, "second/alcor-good.so"));
	assert_says(registry_at(f->registry, 1)->reason, path_of(f, "alcor-good.so"));
	assert_non_null(resolve(f, "good"));
	/* The same directory twice is no matter. */
	f->dirs[1] = f->dir;
	scan(f);
	assert_int_equal(registry_n(f->registry), 1);
}

static void test_directories(void **state)
{
	struct fixture *f = *state;
	struct registry *registry = NULL;
	char list[256];

	put(f, "good");
	f->dirs[1] = "/nonexistent/plugins";
	assert_int_equal(registry_scan(f->dirs, &registry, &f->err), -ENOENT);
	assert_null(registry);
	assert_string_equal(f->err.text,
			    "plugin directory /nonexistent/plugins: No such file or directory");
	snprintf(list, sizeof(list), ":%s:", f->dir);
	setenv("ALCOR_PLUGIN_DIR", list, 1);
	assert_int_equal(registry_scan(NULL, &f->registry, &f->err), 0);
	assert_int_equal(registry_n(f->registry), 1);
	setenv("ALCOR_PLUGIN_DIR", "/nonexistent", 1);
	assert_int_equal(registry_scan(NULL, &registry, &f->err), -ENOENT);
	assert_says(f->err.text, "ALCOR_PLUGIN_DIR: plugin directory /nonexistent: ");
	unsetenv("ALCOR_PLUGIN_DIR");
}

static void make_dirs(const char *base, const char *below)
{
	char path[600];
	const char *slash = below;

	while ((slash = strchr(slash + 1, '/'))) {
		snprintf(path, sizeof(path), "%s%.*s", base, (int)(slash - below), below);
		mkdir(path, 0755);
	}
}

/* Without any word from the user: what stands beside the program. */
static void test_beside_program(void **state)
{
	struct fixture *f = *state;
	char base[512], dir[600];
	ssize_t n = readlink("/proc/self/exe", base, sizeof(base) - 1);
	int i;

	assert_true(n > 0);
	base[n] = '\0';
	for (i = 0; i < 2; i++)
		*strrchr(base, '/') = '\0';
	make_dirs(base, "/lib/alcor/plugins/");
	snprintf(dir, sizeof(dir), "%s/lib/alcor/plugins", base);
	put_at(dir, "good", "good");
	assert_int_equal(registry_scan(NULL, &f->registry, &f->err), 0);
	snprintf(dir, sizeof(dir), "%s/lib/alcor/plugins/alcor-good.so", base);
	unlink(dir);
	assert_int_equal(registry_n(f->registry), 1);
	assert_string_equal(find(f, "good")->path, dir);
}

/* --- who serves a pair --- */

static void test_suggestions(void **state)
{
	struct fixture *f = *state;

	put(f, "good");
	put(f, "older");
	put(f, "abi");
	scan(f);
	assert_null(resolve(f, "godo"));
	assert_string_equal(f->err.text,
			    "no plugin serves 'godo' of class test; did you mean 'good'?");
	assert_null(resolve(f, "olde"));
	assert_says(f->err.text, "did you mean 'older'");
	assert_int_equal(registry_resolve(f->registry, "tset", "good", NULL, NULL, &f->err),
			 -ENOENT);
	assert_string_equal(f->err.text, "no plugin serves the class 'tset'; did you mean 'test'?");
}

static void test_empty(void **state)
{
	struct fixture *f = *state;

	scan(f);
	assert_null(resolve(f, "good"));
	assert_says(f->err.text,
		    "no plugin serves the class 'test'; there are no usable plugins in");
	assert_says(f->err.text, f->dir);
}

static void test_conflict(void **state)
{
	const struct alcor_claim *claim = NULL;
	struct fixture *f = *state;

	put(f, "good");
	put(f, "rival");
	put(f, "abi");
	scan(f);
	assert_null(resolve(f, "good"));
	assert_says(f->err.text, "test/good is claimed by two plugins");
	assert_says(f->err.text, path_of(f, "alcor-good.so"));
	assert_says(f->err.text, path_of(f, "alcor-rival.so"));
	assert_says(f->err.text, "write good@good or good@rival");
	assert_false(was_loaded("rival"));
	assert_int_equal(registry_resolve(f->registry, "test", "good", "rival", &claim, &f->err),
			 0);
	assert_string_equal(claim->keyword, "good");
	assert_true(was_loaded("rival"));

	assert_int_equal(registry_resolve(f->registry, "test", "good", "rivla", &claim, &f->err),
			 -ENOENT);
	assert_string_equal(f->err.text, "no plugin 'rivla'; did you mean 'rival'?");
	assert_int_equal(registry_resolve(f->registry, "test", "newer", "good", &claim, &f->err),
			 -ENOENT);
	assert_says(f->err.text, "does not serve test/newer");
	assert_true(registry_resolve(f->registry, "test", "abi", "abi", &claim, &f->err) < 0);
	assert_says(f->err.text, "cannot be used: built for plugin ABI 0.9");
}

/* --- loading --- */

static void test_load(void **state)
{
	const struct alcor_claim *claim;
	struct fixture *f = *state;

	unsetenv("ALCOR_TEST_INIT");
	put(f, "good");
	scan(f);
	claim = resolve(f, "good");
	assert_non_null(claim);
	assert_string_equal(claim->summary, "a plugin for tests");
	assert_int_equal(claim->thread_model, ALCOR_THREAD_LOOP);
	assert_int_equal(find(f, "good")->state, PLUGIN_LOADED);
	assert_string_equal(find(f, "good")->desc->name, "good");
	assert_ptr_equal(resolve(f, "good"), claim);
	assert_string_equal(getenv("ALCOR_TEST_INIT"), "once");
}

static void test_newer(void **state)
{
	const struct alcor_claim *claim;
	struct fixture *f = *state;

	put(f, "newer");
	scan(f);
	claim = resolve(f, "newer");
	assert_non_null(claim);
	assert_int_equal(claim->state_version, 3);
	assert_int_equal(claim->n_params, 2);
	assert_int_equal(claim->param_size, sizeof(struct alcor_param));
	assert_string_equal(claim->params[0].name, "size");
	assert_string_equal(claim->params[1].name, "mode");
	assert_string_equal(claim->params[1].choices, "a|b");
	assert_int_equal(claim->params[1].flags, ALCOR_PARAM_REQUIRED);
}

static void test_older(void **state)
{
	const struct alcor_claim *claim;
	struct fixture *f = *state;

	put(f, "older");
	scan(f);
	claim = resolve(f, "older2");
	assert_non_null(claim);
	assert_string_equal(claim->summary, "second");
	assert_int_equal(claim->thread_model, ALCOR_THREAD_SERIAL);
	assert_int_equal(claim->caps, 0);
	assert_int_equal(claim->state_version, 0);
	assert_non_null(claim->ops->create);
	assert_int_equal(claim->n_params, 2);
	assert_string_equal(claim->params[0].name, "first");
	assert_int_equal(claim->params[0].max, 7);
	assert_int_equal(claim->params[0].flags, 0);
	assert_string_equal(claim->params[1].name, "second");
	assert_int_equal(claim->params[1].type, ALCOR_PARAM_STR);
	assert_int_equal(claim->params[1].flags, 0);
	claim = resolve(f, "older");
	assert_string_equal(claim->summary, "first");
	assert_int_equal(claim->thread_model, ALCOR_THREAD_SERIAL);
	assert_null(find(f, "older")->desc->init);
}

/* The note is good, what comes to light when it is loaded is not. */
static void test_broken_when_loaded(void **state)
{
	static const struct {
		const char *kind, *why;
	} cases[] = {
		{ "noentry", "does not export alcor_plugin_entry_1()" },
		{ "nulldesc", "its descriptor is NULL" },
		{ "shortdesc", "its descriptor is too short (8 bytes)" },
		{ "descabi", "its descriptor says ABI 0.2, its note 0.1" },
		{ "descname", "its descriptor is named 'somebody', its note 'descname'" },
		{ "descversion", "version or license differ" },
		{ "nclaims", "its descriptor has 1000000 claims, its note 1" },
		{ "stride", "its claims are too short (0 bytes)" },
		{ "claims", "its claim test/surprise is not in its note" },
		{ "noops", "test/noops has no callbacks" },
		{ "shortops", "test/shortops has too short a table of callbacks" },
		{ "nocreate", "test/nocreate has no create()" },
		{ "model", "test/model has an unknown thread model" },
		{ "params", "parameter 0 ('id') has a name that is the host's" },
		{ "enum", "parameter 1 ('mode') has no choices" },
		{ "init", "init() failed: No such device" },
		{ "undefined", "cannot be loaded: undefined symbol: function_that_nobody_has" },
	};
	struct fixture *f = *state;
	size_t i;

	put(f, "good");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		put(f, cases[i].kind);
	scan(f);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(find(f, cases[i].kind)->state, PLUGIN_FOUND);
		assert_null(resolve(f, cases[i].kind));
		assert_says(f->err.text, cases[i].why);
		assert_says(f->err.text, find(f, cases[i].kind)->path);
		assert_unusable(f, cases[i].kind, cases[i].why);
		/* Not tried again. */
		assert_null(resolve(f, cases[i].kind));
		assert_says(f->err.text, cases[i].why);
	}
	assert_int_equal(find(f, "good")->state, PLUGIN_FOUND);
}

static void test_replaced_since_scan(void **state)
{
	struct fixture *f = *state;

	put(f, "descname");
	put(f, "good");
	scan(f);
	put_at(f->dir, "rival", "fresh");
	unsetenv("ALCOR_TEST_MARK_rival");
	assert_int_equal(rename(path_of(f, "alcor-fresh.so"), path_of(f, "alcor-good.so")), 0);
	assert_null(resolve(f, "good"));
	assert_says(f->err.text, "the file was replaced since it was read");
	assert_false(was_loaded("rival"));
	put(f, "good");
	scan(f);
	assert_non_null(resolve(f, "good"));
	assert_int_equal(unlink(path_of(f, "alcor-descname.so")), 0);
	assert_null(resolve(f, "descname"));
	assert_says(f->err.text, "No such file or directory");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	/* The proof that nothing is loaded comes before anything else loads. */
	const struct CMUnitTest tests[] = {
		TEST(test_only_needed_ones_run),
		TEST(test_found),
		TEST(test_bad_notes),
		TEST(test_bad_files),
		TEST(test_link),
		TEST(test_trust),
		TEST(test_trust_owner),
		TEST(test_twins),
		TEST(test_directories),
		TEST(test_beside_program),
		TEST(test_suggestions),
		TEST(test_empty),
		TEST(test_conflict),
		TEST(test_load),
		TEST(test_newer),
		TEST(test_older),
		TEST(test_broken_when_loaded),
		TEST(test_replaced_since_scan),
	};

	umask(022);
	unsetenv("ALCOR_PLUGIN_DIR");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

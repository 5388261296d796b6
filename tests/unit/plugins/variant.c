/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One plugin in many shapes, each with a single defect or peculiarity chosen by KIND_x. Its
 * constructor leaves a mark in the environment, which proves whether it was loaded.
 */
#include <errno.h>
#include <stdlib.h>

#include <alcor/plugin.h>

/* What the note says. */
#ifdef KIND_abi
#define NOTE_ABI "abi=0.9\0"
#else
#define NOTE_ABI "abi=" ALCOR_ABI_STRING "\0"
#endif
#ifdef KIND_needs
#define NOTE_NEEDS "needs=fs.read\0needs=quantum.link\0"
#else
#define NOTE_NEEDS "needs=fs.read\0"
#endif
#ifdef KIND_rename
#define NOTE_NAME "somebody"
#else
#define NOTE_NAME VARIANT
#endif
#ifdef KIND_rival
#define KEYWORD "good"
#else
#define KEYWORD VARIANT
#endif
#ifdef KIND_older
#define NOTE_CLAIMS "claim=test/older\0claim=test/older2\0"
#else
#define NOTE_CLAIMS "claim=test/" KEYWORD "\0"
#endif

#ifndef KIND_nonote
ALCOR_PLUGIN_NOTE("name=" NOTE_NAME "\0"
		  "version=1.2\0"
		  "license=Apache-2.0\0"
		  "colour=an unknown key\0" NOTE_ABI NOTE_CLAIMS NOTE_NEEDS);
#endif

__attribute__((constructor)) static void leave_mark(void)
{
	setenv("ALCOR_TEST_MARK_" VARIANT, "1", 1);
}

#ifdef KIND_undefined
int function_that_nobody_has(void);
#endif

static int variant_create(struct alcor_dev *dev, void **ret_priv)
{
	*ret_priv = NULL;
#ifdef KIND_undefined
	return function_that_nobody_has();
#else
	return 0;
#endif
}

static void variant_destroy(void *priv)
{
}

static const struct alcor_dev_ops variant_ops = {
#ifdef KIND_shortops
	.struct_size = sizeof(variant_ops) - sizeof(void *),
#else
	.struct_size = sizeof(variant_ops),
#endif
#ifndef KIND_nocreate
	.create = variant_create,
#endif
	.destroy = variant_destroy,
};

#ifdef KIND_init
static int variant_init(const struct alcor_host *host)
{
	return -ENODEV;
}
#elif defined(KIND_good)
/* Twice would be an error of the host's. */
static int variant_init(const struct alcor_host *host)
{
	setenv("ALCOR_TEST_INIT", getenv("ALCOR_TEST_INIT") ? "again" : "once", 1);
	return host->service(host, "alcor.mem/1") && !host->service(host, "alcor.mem/") &&
			       !host->service(host, "alcor.mem/10") ?
		       0 :
		       -ENOSYS;
}
#endif

#ifdef KIND_older
/* From a time when parameters had no flags, claims ended with their callbacks and plugins had no
 * init(); behind each array stands what must not be read as the missing members. */
struct old_param {
	const char *name, *help, *dflt, *choices, *alias;
	uint64_t min, max;
	uint32_t type;
} __attribute__((packed, aligned(4)));

struct old_claim {
	const char *dev_class, *keyword, *summary;
	const struct old_param *params;
	uint32_t n_params, param_size;
	const struct alcor_dev_ops *ops;
};

struct old_plugin {
	uint32_t struct_size;
	uint16_t abi_major, abi_minor;
	const char *name, *version, *license;
	const struct old_claim *claims;
	uint32_t n_claims, claim_size;
	uintptr_t poison;
};

static const struct old_param old_params[] = {
	{ .name = "first", .help = "one", .type = ALCOR_PARAM_U64, .max = 7 },
	{ .name = "second", .help = "two", .type = ALCOR_PARAM_STR },
};

static const struct old_claim old_claims[] = {
	{ "test", "older", "first", old_params, 2, sizeof(struct old_param), &variant_ops },
	{ "test", "older2", "second", old_params, 2, sizeof(struct old_param), &variant_ops },
};

static const struct old_plugin plugin = {
	.struct_size = sizeof(plugin) - sizeof(uintptr_t),
	.abi_minor = ALCOR_ABI_MINOR,
	.name = VARIANT,
	.version = "1.2",
	.license = "Apache-2.0",
	.claims = old_claims,
	.n_claims = 2,
	.claim_size = sizeof(struct old_claim),
	.poison = 1,
};
#else

#ifdef KIND_params
#define PARAM_NAME "id" /* the host's */
#else
#define PARAM_NAME "size"
#endif

/* A newer SDK may have appended members: the stride is not ours. */
struct new_param {
	struct alcor_param param;
#ifdef KIND_newer
	uint64_t more[3];
#endif
};

struct new_claim {
	struct alcor_claim claim;
#ifdef KIND_newer
	uint64_t more[2];
#endif
};

static const struct new_param params[] = {
	{ .param = { .name = PARAM_NAME, .help = "bytes", .type = ALCOR_PARAM_SIZE } },
#ifdef KIND_enum
	{ .param = { .name = "mode", .help = "a word", .type = ALCOR_PARAM_ENUM } },
#else
	{ .param = { .name = "mode",
		     .help = "a word",
		     .choices = "a|b",
		     .type = ALCOR_PARAM_ENUM,
		     .flags = ALCOR_PARAM_REQUIRED } },
#endif
};

static const struct new_claim claims[] = {
	{ .claim = {
		  .dev_class = "test",
#ifdef KIND_claims
		  .keyword = "surprise",
#else
		  .keyword = KEYWORD,
#endif
		  .summary = "a plugin for tests",
		  .params = &params[0].param,
		  .n_params = 2,
		  .param_size = sizeof(params[0]),
#ifndef KIND_noops
		  .ops = &variant_ops,
#endif
#ifdef KIND_model
		  .thread_model = 77,
#else
		  .thread_model = ALCOR_THREAD_LOOP,
#endif
		  .state_version = 3,
	  } },
};

static const struct {
	struct alcor_plugin plugin;
#ifdef KIND_newer
	uint64_t more[4];
#endif
} plugin = { {
#ifdef KIND_shortdesc
	.struct_size = 8,
#else
	.struct_size = sizeof(plugin),
#endif
	.abi_major = ALCOR_ABI_MAJOR,
#ifdef KIND_descabi
	.abi_minor = ALCOR_ABI_MINOR + 1,
#else
	.abi_minor = ALCOR_ABI_MINOR,
#endif
#ifdef KIND_descname
	.name = "somebody",
#else
	.name = VARIANT,
#endif
#ifdef KIND_descversion
	.version = "9.9",
#else
	.version = "1.2",
#endif
	.license = "Apache-2.0",
	.claims = &claims[0].claim,
#ifdef KIND_nclaims
	.n_claims = 1000000,
#else
	.n_claims = 1,
#endif
#ifdef KIND_stride
	.claim_size = 0,
#else
	.claim_size = sizeof(claims[0]),
#endif
#if defined(KIND_init) || defined(KIND_good)
	.init = variant_init,
#endif
} };
#endif

#ifndef KIND_noentry
ALCOR_PLUGIN_EXPORT const struct alcor_plugin *alcor_plugin_entry_1(void)
{
#ifdef KIND_nulldesc
	return NULL;
#else
	return (const struct alcor_plugin *)&plugin;
#endif
}
#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plugins on disk and in memory: discovery by ELF note, the registry of claims, loading.
 */
#ifndef ALCOR_CORE_PLUGIN_PLUGIN_H
#define ALCOR_CORE_PLUGIN_PLUGIN_H

#include <alcor/plugin.h>
#include <stdbool.h>
#include <sys/types.h>

#include "util/error.h"

enum plugin_state {
	PLUGIN_FOUND,	 /* the note is good; no code was run */
	PLUGIN_UNUSABLE, /* see @reason */
	PLUGIN_LOADED,
};

struct plugin_claim_note {
	char *dev_class, *keyword;
};

struct plugin {
	char *path; /* canonical */
	char *name, *version, *license, *abi;
	struct plugin_claim_note *claims;
	unsigned n_claims;
	char **needs;
	unsigned n_needs;
	enum plugin_state state;
	char *reason; /* why unusable, one line */
	dev_t dev;    /* of the file that was read */
	ino_t ino;
	const struct alcor_plugin *desc; /* once loaded: a copy of full size, its claims too */
};

struct registry;

/*
 * Reads the notes of all alcor-*.so in @dirs (NULL-terminated; NULL: $ALCOR_PLUGIN_DIR, a
 * colon-separated list, ignored when privileged; else ../lib/alcor/plugins beside the program; else
 * the directory of the installation). Runs no code of a plugin. A bad file is kept with its reason
 * and harms no other. A directory that was named but cannot be read is an error.
 */
int registry_scan(const char *const *dirs, struct registry **ret_registry, struct error *err);
void registry_free(struct registry *registry); /* NULL is fine; nothing is unloaded */

unsigned registry_n(const struct registry *registry);
const struct plugin *registry_at(const struct registry *registry, unsigned index);

/* Whether any usable plugin claims the pair; @keyword NULL: any of the class. */
bool registry_claims(const struct registry *registry, const char *dev_class, const char *keyword);

/*
 * The claim for a pair, loading its plugin. @plugin (may be NULL) names the one that is to serve it.
 * Errors say what is known: no such class or keyword with the nearest ones, two plugins that claim
 * the same pair with both files, or why the one that would is unusable. The claim is a copy of full
 * size, valid as long as the registry.
 */
int registry_resolve(struct registry *registry, const char *dev_class, const char *keyword,
		     const char *plugin, const struct alcor_claim **ret_claim, struct error *err);

/* The host object that plugins get. */
const struct alcor_host *plugin_host(void);

#endif

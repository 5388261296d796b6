/* SPDX-License-Identifier: Apache-2.0 */
/* Brings a plugin whose note is good into the process. */
#ifndef ALCOR_CORE_PLUGIN_LOAD_H
#define ALCOR_CORE_PLUGIN_LOAD_H

#include "plugin/plugin.h"

/*
 * [main] Loads the file that was scanned, checks its descriptor against the note, runs init() and
 * sets @plugin->desc, a copy of full size. What was loaded stays in the process, also on failure.
 */
int plugin_load(struct plugin *plugin, const struct alcor_host *host, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The ELF note that says what a plugin is; read without running or mapping any of its code. */
#ifndef ALCOR_CORE_PLUGIN_NOTE_H
#define ALCOR_CORE_PLUGIN_NOTE_H

#include <stddef.h>

#include "plugin/plugin.h"

#define NOTE_ENTRIES_MAX 64

/*
 * Fills version, license, abi, claims and needs of @plugin, whose name is set already and must be
 * the one in the note. On failure what could be read stays, for listings; plugin_clear() frees it.
 * The text says which defect it is, without the file's name.
 */
int note_read(int fd, struct plugin *plugin, struct error *err);

/* The second half of note_read(): the description's text. */
int note_parse(const char *desc, size_t len, struct plugin *plugin, struct error *err);

/* The syntax of plugin names and of both halves of a claim. */
bool note_name_ok(const char *name);
bool note_class_ok(const char *dev_class);
bool note_keyword_ok(const char *keyword);

/* Frees all that @plugin owns. */
void plugin_clear(struct plugin *plugin);

#endif

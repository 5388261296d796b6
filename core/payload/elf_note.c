/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "payload/kernel.h"
#include "util/cleanup.h"
#include "util/overflow.h"

#define NOTES_MAX	      65536u /* bytes looked at; a kernel's are a few hundred */
#define XEN_NOTE_NAME	      "Xen"
#define XEN_NOTE_PHYS32_ENTRY 18 /* xen/include/public/elfnote.h */

static bool note_is_entry(const Elf64_Nhdr *note, const uint8_t *name)
{
	return note->n_type == XEN_NOTE_PHYS32_ENTRY && note->n_namesz == sizeof(XEN_NOTE_NAME) &&
	       !memcmp(name, XEN_NOTE_NAME, sizeof(XEN_NOTE_NAME)) &&
	       (note->n_descsz == 4 || note->n_descsz == 8);
}

static int notes_find_entry(const uint8_t *notes, uint64_t len, uint64_t align, uint64_t *ret_entry)
{
	uint64_t pos = 0, desc, entry = 0;
	Elf64_Nhdr note;

	while (range_within(pos, sizeof(note), len)) {
		memcpy(&note, notes + pos, sizeof(note));
		pos += sizeof(note);
		/* The sums fit: 32-bit sizes on a position within NOTES_MAX. */
		desc = align_up(pos + note.n_namesz, align);
		if (!range_within(desc, note.n_descsz, len))
			break;
		if (note_is_entry(&note, notes + pos)) {
			memcpy(&entry, notes + desc, note.n_descsz);
			*ret_entry = entry;
			return 0;
		}
		pos = align_up(desc + note.n_descsz, align);
	}
	return -ENOENT;
}

int elf_note_entry(const struct payload_file *file, uint64_t offset, uint64_t len, uint64_t align,
		   uint64_t *ret_entry)
{
	CLEANUP_FREE uint8_t *notes = NULL;
	int r;

	len = MIN(len, NOTES_MAX);
	notes = malloc(NOTES_MAX);
	if (!notes)
		return -ENOMEM;
	r = payload_file_read(file, offset, notes, len, NULL);
	if (r)
		return r == -EINVAL ? -ENOENT : r;
	/* 4 whatever the class says, but for those that were aligned to 8 (System V gABI). */
	return notes_find_entry(notes, len, align == 8 ? 8 : 4, ret_entry);
}

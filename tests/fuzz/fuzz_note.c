/* SPDX-License-Identifier: Apache-2.0 */
/* Plugin files: an input that starts with 't' is the text of a note, any other a whole file. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "plugin/note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_as_file(const uint8_t *data, size_t size, struct plugin *plugin, struct error *err)
{
	int fd = memfd_create("plugin", MFD_CLOEXEC), ret;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	ret = note_read(fd, plugin, err);
	close(fd);
	return ret;
}

static void check_good(const struct plugin *plugin)
{
	unsigned i;

	if (!plugin->version || !plugin->license || !plugin->n_claims ||
	    strcmp(plugin->abi, ALCOR_ABI_STRING) != 0)
		abort();
	for (i = 0; i < plugin->n_claims; i++)
		if (!note_class_ok(plugin->claims[i].dev_class) ||
		    !note_keyword_ok(plugin->claims[i].keyword))
			abort();
}

/* The text goes to a terminal. */
static void check_text(const char *text)
{
	if (!*text)
		abort();
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct plugin plugin = { .name = strdup("x") };
	struct error err = { "" };
	int ret;

	if (size && *data == 't')
		ret = note_parse((const char *)data + 1, size - 1, &plugin, &err);
	else
		ret = read_as_file(data, size, &plugin, &err);
	if (ret > 0)
		abort();
	if (ret)
		check_text(err.text);
	else
		check_good(&plugin);
	plugin_clear(&plugin);
	return 0;
}

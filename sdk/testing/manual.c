/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of parameters against the manual page (mdoc). */
#include <stdlib.h>

#include "alcor_testing.h"

static char *file_text(const char *path)
{
	char *text = calloc(1, 65537);
	FILE *file = fopen(path, "r");

	if (!text || !file)
		alcor_fake_die("%s: cannot be read", path);
	text[fread(text, 1, 65536, file)] = '\0';
	fclose(file);
	return text;
}

/* Whether "MACRO WORD" stands in the page, as a whole word. */
static bool has(const char *text, const char *macro, const char *word, size_t len)
{
	char buf[256];
	int n = snprintf(buf, sizeof(buf), "%s %.*s", macro, (int)len, word);

	for (const char *at = strstr(text, buf); at; at = strstr(at + 1, buf)) {
		if (strchr(" \n\t.,", at[n]))
			return true;
	}
	fprintf(stderr, "manual: no \"%s\"\n", buf);
	return false;
}

static bool param_complete(const char *text, const struct alcor_param *param)
{
	bool complete = has(text, ".It Cm", param->name, strlen(param->name));

	if (param->dflt)
		complete &= has(text, "Cm", param->dflt, strlen(param->dflt));
	for (const char *at = param->choices; at && *at;) {
		size_t n = strcspn(at, "|");

		complete &= has(text, "Cm", at, n);
		at += n + (at[n] == '|');
	}
	return complete;
}

bool alcor_fake_manual_complete(const struct alcor_plugin *plugin, const char *path)
{
	char *text = file_text(path);
	bool complete = true;

	for (uint32_t i = 0; i < plugin->n_claims; i++) {
		const struct alcor_claim *claim = &plugin->claims[i];

		complete &= has(text, "Cm", claim->keyword, strlen(claim->keyword));
		for (uint32_t j = 0; j < claim->n_params; j++)
			complete &= param_complete(text, &claim->params[j]);
	}
	free(text);
	return complete;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config/suggest.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "util/overflow.h"

#define MAX_WORD  64 /* longer ones are no typing mistakes */
#define MAX_WORDS 3

/* Edits of one character and swaps of two neighbours that turn @a into @b. */
static unsigned distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	unsigned rows[3][MAX_WORD + 1];

	if (la > MAX_WORD || lb > MAX_WORD)
		return MAX_WORD;
	for (size_t j = 0; j <= lb; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		unsigned *row = rows[i % 3], *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			row[j] = MIN(up[j], row[j - 1]) + 1;
			row[j] = MIN(row[j], up[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = MIN(row[j], up2[j - 2] + 1);
		}
	}
	return rows[la % 3][lb];
}

/* Writes "; did you mean ...?" into @text. */
static void join(const char *const *words, size_t n, char *text, size_t len)
{
	size_t used = 0;

	for (size_t i = 0; i < n && used < len; i++) {
		const char *before = i + 1 < n ? ", " : " or ";

		if (i == 0)
			before = "; did you mean ";
		used += snprintf(text + used, len - used, "%s'%s'", before, words[i]);
	}
	if (used < len)
		snprintf(text + used, len - used, "?");
}

void suggest(const char *word, const char *const *words, size_t n_words, char *ret_text, size_t len)
{
	const char *near[MAX_WORDS];
	unsigned limit = strlen(word) <= 4 ? 1 : 2;
	size_t n = 0;

	for (unsigned d = 0; d <= limit; d++) {
		for (size_t i = 0; i < n_words && n < MAX_WORDS; i++) {
			bool known = false;

			for (size_t k = 0; k < n; k++)
				known |= !strcmp(near[k], words[i]);
			if (!known && distance(word, words[i]) == d)
				near[n++] = words[i];
		}
	}
	*ret_text = '\0';
	if (n)
		join(near, n, ret_text, len);
}

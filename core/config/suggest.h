/* SPDX-License-Identifier: Apache-2.0 */
/* "did you mean": nearest words by edit distance with transpositions. */
#ifndef ALCOR_CORE_CONFIG_SUGGEST_H
#define ALCOR_CORE_CONFIG_SUGGEST_H

#include <stddef.h>

/* Fills @ret_text with "; did you mean 'x' or 'y'?" (at most three of @words, distance at most 1 for
 * words up to four characters, else 2), or with "" when none is near. */
void suggest(const char *word, const char *const *words, size_t n_words, char *ret_text,
	     size_t len);

#endif

/* Words of a script and what they mean. */
#ifndef WORDS_H
#define WORDS_H

#include "stub.h"

enum { MAX_WORDS = 16 };

/* A line is one line of a script, in words. */
struct line {
	char *word[MAX_WORDS];
	int n;
	const char *rest; /* all after the first word */
};

void line_split(struct line *l, char *text);
bool word_time(const char *w, int64_t *us); /* 10s, 250ms, 2m, -1h; "-" is for ever */
bool word_amount(const char *w, int64_t *v); /* 80GiB, 350W, 35, 50 */
bool word_span(const struct line *l, int i, struct span *s); /* two words from the i-th on */
const char *word_option(const struct line *l, const char *key); /* what follows "key=", or NULL */
int word_index(const char *w, const char *const *of, int n); /* -1 where it is none of them */

/* more makes room for one more of size bytes in a list of n. */
void *more(void *list, int n, size_t size);

/* parse_device and parse_fault read one line; they say whether they could. */
bool parse_device(struct device *d, const struct line *l);
bool parse_fault(struct world *w, struct device *d, const struct line *l, const char *directory);
bool is_fault(const char *word);

#endif

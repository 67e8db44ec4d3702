#include "words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void line_split(struct line *l, char *text)
{
	static char nothing[1];
	memset(l, 0, sizeof *l);
	l->rest = nothing;
	char *hash = strchr(text, '#');
	if (hash != NULL)
		*hash = 0;
	for (char *end = text + strlen(text); end > text && strchr(" \t\r\n", end[-1]) != NULL;)
		*--end = 0;
	char *state = NULL;
	char *copy = strdup(text); /* kept: words are of it, and a script is read once */
	if (copy == NULL)
		return;
	for (char *w = strtok_r(copy, " \t", &state); w != NULL && l->n < MAX_WORDS; w = strtok_r(NULL, " \t", &state))
		l->word[l->n++] = w;
	if (l->n > 1)
		l->rest = text + (l->word[1] - copy);
}

struct unit {
	const char *suffix;
	double of;
};

static bool number(const char *w, const struct unit *units, int n, int64_t *v)
{
	char *end;
	double x = strtod(w, &end);
	if (end == w || !isfinite(x))
		return false;
	for (int i = 0; i < n; i++)
		if (strcmp(end, units[i].suffix) == 0) {
			*v = (int64_t)(x * units[i].of + (x < 0 ? -0.5 : 0.5));
			return true;
		}
	return false;
}

bool word_time(const char *w, int64_t *us)
{
	static const struct unit units[] = {{"", 1e6}, {"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}, {"h", 3600e6}};
	if (strcmp(w, "-") == 0) {
		*us = FOREVER;
		return true;
	}
	return number(w, units, sizeof units / sizeof *units, us);
}

bool word_amount(const char *w, int64_t *v)
{
	static const struct unit units[] = {{"", 1}, {"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
		{"%", 1}, {"mW", 1}, {"W", 1e3}, {"mJ", 1}, {"J", 1e3}, {"C", 1}, {"MHz", 1}};
	return number(w, units, sizeof units / sizeof *units, v);
}

bool word_span(const struct line *l, int i, struct span *s)
{
	return l->n > i + 1 && word_time(l->word[i], &s->from) && word_time(l->word[i + 1], &s->to) && s->from <= s->to;
}

const char *word_option(const struct line *l, const char *key)
{
	size_t n = strlen(key);
	for (int i = 1; i < l->n; i++)
		if (strncmp(l->word[i], key, n) == 0 && l->word[i][n] == '=')
			return l->word[i] + n + 1;
	return NULL;
}

int word_index(const char *w, const char *const *of, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(w, of[i]) == 0)
			return i;
	return -1;
}

void *more(void *list, int n, size_t size)
{
	char *p = realloc(list, (size_t)(n + 1) * size);
	if (p == NULL)
		abort();
	memset(p + (size_t)n * size, 0, size);
	return p;
}

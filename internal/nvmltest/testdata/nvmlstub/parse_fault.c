/* Lines that let calls fail, hang or take long. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "words.h"

bool is_fault(const char *w)
{
	static const char *const words[] = {"fail", "hang", "delay", "unsupported"};
	return word_index(w, words, 4) >= 0;
}

/* options reads from=, to=, calls= and file=. */
static bool options(struct fault *f, const struct line *l, const char *directory)
{
	const char *v;
	if ((v = word_option(l, "from")) != NULL && !word_time(v, &f->when.from))
		return false;
	if ((v = word_option(l, "to")) != NULL && !word_time(v, &f->when.to))
		return false;
	if ((v = word_option(l, "calls")) != NULL) {
		char *end;
		f->first = f->last = strtoull(v, &end, 10);
		if (strncmp(end, "..", 2) == 0) {
			f->last = end[2] == 0 ? UINT64_MAX : strtoull(end + 2, &end, 10);
			if (f->last == UINT64_MAX)
				end = "";
		}
		if (*end != 0 || f->first == 0 || f->last < f->first)
			return false;
	}
	if ((v = word_option(l, "file")) != NULL) {
		const char *in = *v == '/' ? "" : directory;
		if ((size_t)snprintf(f->file, sizeof f->file, "%s%s", in, v) >= sizeof f->file)
			return false;
	}
	return f->when.from <= f->when.to;
}

/* known_option says whether a word is one of the options above. */
static bool known_option(const char *w)
{
	return strncmp(w, "from=", 5) == 0 || strncmp(w, "to=", 3) == 0 || strncmp(w, "calls=", 6) == 0 ||
		strncmp(w, "file=", 5) == 0;
}

bool parse_fault(struct world *w, struct device *d, const struct line *l, const char *directory)
{
	struct fault f = {.device = d, .when = {INT64_MIN, FOREVER}, .first = 1, .last = UINT64_MAX};
	int i = 2;
	if (l->n < 2 || (size_t)snprintf(f.function, sizeof f.function, "%s", l->word[1]) >= sizeof f.function)
		return false;
	if (strcmp(l->word[0], "unsupported") == 0) {
		f.result = NOT_SUPPORTED;
	} else if (strcmp(l->word[0], "fail") == 0) {
		if (l->n <= i || !status_parse(l->word[i++], &f.result))
			return false;
	} else if (strcmp(l->word[0], "delay") == 0) {
		f.kind = DELAY;
		if (l->n <= i || !word_time(l->word[i++], &f.delay) || f.delay < 0)
			return false;
	} else {
		f.kind = HANG;
	}
	for (; i < l->n; i++)
		if (!known_option(l->word[i]))
			return false;
	if (!options(&f, l, directory))
		return false;
	w->faults = more(w->faults, w->fault_count, sizeof f);
	w->faults[w->fault_count++] = f;
	return true;
}

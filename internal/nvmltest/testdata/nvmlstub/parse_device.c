/* The lines of a device. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "words.h"

/* steps adds one step from the i-th word on: when, and how much. */
static bool steps(struct series *s, const struct line *l, int i)
{
	struct step x;
	if (l->n != i + 2 || !word_time(l->word[i], &x.at) || !word_amount(l->word[i + 1], &x.v) || x.v < 0)
		return false;
	if (s->n > 0 && s->s[s->n - 1].at >= x.at)
		return false; /* steps are in the order of time */
	s->s = more(s->s, s->n, sizeof x);
	s->s[s->n++] = x;
	return true;
}

static bool busy(struct device *d, const struct line *l)
{
	struct span when;
	struct busy b = {0};
	const char *on = word_option(l, "on"), *every = word_option(l, "every");
	if (l->n < 4 || !word_span(l, 1, &when))
		return false;
	b.from = when.from;
	b.to = when.to;
	if (on != NULL) {
		if (every == NULL || !word_time(on, &b.on) || !word_time(every, &b.every) || b.every <= 0 || b.on > b.every)
			return false;
	} else {
		char *end;
		double percent = strtod(l->word[3], &end);
		if (end == l->word[3] || (*end != 0 && strcmp(end, "%") != 0) || percent < 0 || percent > 100)
			return false;
		b.ppm = (int64_t)(percent * 1e4 + 0.5);
	}
	d->busy.b = more(d->busy.b, d->busy.n, sizeof b);
	d->busy.b[d->busy.n++] = b;
	return true;
}

static bool process(struct device *d, const struct line *l)
{
	struct process p = {0};
	int64_t v[4] = {0};
	if (l->n != 7 || !word_amount(l->word[1], &v[0]) || !word_span(l, 2, &p.present))
		return false;
	for (int i = 1; i < 4; i++)
		if (!word_amount(l->word[3 + i], &v[i]))
			return false;
	p.pid = (unsigned)v[0];
	p.memory = (uint64_t)v[1];
	p.sm = (unsigned)v[2];
	p.mem = (unsigned)v[3];
	d->processes = more(d->processes, d->process_count, sizeof p);
	d->processes[d->process_count++] = p;
	return true;
}

static bool garbage(struct device *d, const struct line *l)
{
	static const char *const kinds[] = {"value", "extra", "zero", "twice", "swap", "future"};
	struct garbage g = {0};
	if (l->n < 4)
		return false;
	int kind = word_index(l->word[1], kinds, 6), i = 2;
	if (kind < 0)
		return false;
	g.kind = (enum garbage_kind)kind;
	if ((g.kind == VALUE || g.kind == EXTRA) && !word_amount(l->word[i++], &g.value))
		return false;
	if (l->n != i + 2 || !word_span(l, i, &g.when))
		return false;
	d->garbage = more(d->garbage, d->garbage_count, sizeof g);
	d->garbage[d->garbage_count++] = g;
	return true;
}

static bool remapped(struct device *d, const struct line *l)
{
	if (l->n != 6)
		return false;
	for (int i = 0; i < 4; i++) {
		struct line one = {.word = {l->word[0], l->word[1], l->word[2 + i]}, .n = 3};
		if (!steps(&d->remapped[i], &one, 1))
			return false;
	}
	return true;
}

static bool xid(struct device *d, const struct line *l)
{
	struct xid x;
	int64_t code;
	if (l->n != 3 || !word_time(l->word[1], &x.at) || !word_amount(l->word[2], &code))
		return false;
	x.code = (uint64_t)code;
	d->xids = more(d->xids, d->xid_count, sizeof x);
	d->xids[d->xid_count++] = x;
	return true;
}

static bool presence(struct device *d, const struct line *l)
{
	struct span s;
	if (l->n != 3 || !word_span(l, 1, &s))
		return false;
	d->present = more(d->present, d->presences, sizeof s);
	d->present[d->presences++] = s;
	return true;
}

/* keyed are the levels that have a word or two between their name and the step. */
static bool keyed(struct device *d, const struct line *l)
{
	static const char *const clocks[] = {"graphics", "sm", "memory", "video"}, *const ways[] = {"tx", "rx"},
				 *const counters[] = {"volatile", "aggregate"}, *const errors[] = {"corrected", "uncorrected"},
				 *const causes[] = {"single", "double"};
	const char *name = l->word[0];
	int a, b;
	int64_t link;
	if (l->n < 4)
		return false;
	if (strcmp(name, "clock") == 0)
		return (a = word_index(l->word[1], clocks, CLOCKS)) >= 0 && steps(&d->clock[a], l, 2);
	if (strcmp(name, "pcie") == 0)
		return (a = word_index(l->word[1], ways, 2)) >= 0 && steps(&d->pcie[a], l, 2);
	if (strcmp(name, "retired") == 0)
		return (a = word_index(l->word[1], causes, 2)) >= 0 && steps(&d->retired[a], l, 2);
	if (strcmp(name, "ecc") == 0)
		return (a = word_index(l->word[1], counters, 2)) >= 0 && (b = word_index(l->word[2], errors, 2)) >= 0 &&
			steps(&d->ecc[a][b], l, 3);
	return strcmp(name, "nvlink") == 0 && word_amount(l->word[1], &link) && link >= 0 && link < LINKS &&
		(a = word_index(l->word[2], ways, 2)) >= 0 && steps(&d->nvlink[link][a], l, 3);
}

static bool text(char *to, size_t size, const struct line *l)
{
	snprintf(to, size, "%s", l->rest);
	return l->n > 1 && strlen(l->rest) < size;
}

static bool count(unsigned *to, const struct line *l)
{
	int64_t v;
	if (l->n != 2 || !word_amount(l->word[1], &v) || v < 0)
		return false;
	*to = (unsigned)v;
	return true;
}

static bool duration(int64_t *to, const struct line *l) { return l->n == 2 && word_time(l->word[1], to); }

static bool size(uint64_t *to, const struct line *l)
{
	return l->n == 2 && word_amount(l->word[1], (int64_t *)to) && *(int64_t *)to >= 0;
}

bool parse_device(struct device *d, const struct line *l)
{
	const char *w = l->word[0];
#define LINE(name, expression)          \
	if (strcmp(w, name) == 0)       \
		return (expression)
	LINE("uuid", text(d->uuid, sizeof d->uuid, l));
	LINE("name", text(d->name, sizeof d->name, l));
	LINE("serial", text(d->serial, sizeof d->serial, l));
	LINE("pci", text(d->pci, sizeof d->pci, l));
	LINE("vm", text(d->vm, sizeof d->vm, l));
	LINE("memory", size(&d->total, l));
	LINE("reserved", size(&d->reserved, l));
	LINE("energy", size(&d->energy, l));
	LINE("present", presence(d, l));
	LINE("busy", busy(d, l));
	LINE("used", steps(&d->used, l, 1));
	LINE("memory-busy", steps(&d->memory_busy, l, 1));
	LINE("power", steps(&d->power, l, 1));
	LINE("power-limit", steps(&d->power_limit, l, 1));
	LINE("temperature", steps(&d->temperature, l, 1));
	LINE("mig", steps(&d->mig, l, 1));
	LINE("remapped", remapped(d, l));
	LINE("process", process(d, l));
	LINE("xid", xid(d, l));
	LINE("garbage", garbage(d, l));
	LINE("period", duration(&d->period, l) && d->period > 0);
	LINE("phase", duration(&d->phase, l));
	LINE("jitter", duration(&d->jitter, l) && d->jitter >= 0);
	LINE("buffer", count((unsigned *)&d->buffer, l) && d->buffer > 0 && d->buffer <= 100000);
	LINE("gi", count(&d->gi, l));
	LINE("ci", count(&d->ci, l));
	LINE("slices", count(&d->slices, l));
#undef LINE
	return keyed(d, l);
}

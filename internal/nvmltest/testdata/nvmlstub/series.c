/* Levels and loads as functions of time. */
#include "stub.h"

bool series_has(const struct series *s) { return s->n > 0; }

int64_t series_at(const struct series *s, int64_t t)
{
	int64_t v = s->n > 0 ? s->s[0].v : 0;
	for (int i = 0; i < s->n && s->s[i].at <= t; i++)
		v = s->s[i].v;
	return v;
}

/* series_integral adds the level times us over [a, b). */
void series_integral(const struct series *s, int64_t a, int64_t b, unsigned __int128 *sum)
{
	for (int64_t t = a; t < b;) {
		int64_t next = b;
		for (int i = 0; i < s->n; i++)
			if (s->s[i].at > t && s->s[i].at < next)
				next = s->s[i].at;
		*sum += (unsigned __int128)series_at(s, t) * (unsigned __int128)(next - t);
		t = next;
	}
}

/* on_until is for how long bursts were on in the first x us of their span. */
static int64_t on_until(const struct busy *b, int64_t x)
{
	int64_t rest = x % b->every;
	return x / b->every * b->on + (rest < b->on ? rest : b->on);
}

/* busy_percent is the share of [a, b) in which there was load, as a whole percentage. */
int64_t busy_percent(const struct load *l, int64_t a, int64_t b)
{
	int64_t whole = (b - a) * 1000000, sum = 0;
	if (whole <= 0)
		return 0;
	for (int i = 0; i < l->n; i++) {
		const struct busy *x = &l->b[i];
		int64_t from = a > x->from ? a : x->from, to = b < x->to ? b : x->to;
		if (from >= to)
			continue;
		if (x->every > 0)
			sum += 1000000 * (on_until(x, to - x->from) - on_until(x, from - x->from));
		else
			sum += x->ppm * (to - from);
	}
	if (sum > whole)
		sum = whole;
	return (sum * 100 + whole / 2) / whole;
}

bool within(const struct span *s, int64_t t) { return t >= s->from && t < s->to; }

/* The buffered samples of a GPU, and the utilization of the last of them. */
#include <stdlib.h>
#include <string.h>

#include "stub.h"

/* spread is a number of [-1024, 1024] that is always the same for k. */
static int64_t spread(int64_t k)
{
	uint64_t x = (uint64_t)k * 0x9e3779b97f4a7c15u;
	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9u;
	return (int64_t)(x >> 40) % 2049 - 1024;
}

/* sample_time is the script's time of the k-th sample. */
int64_t sample_time(const struct device *d, int64_t k)
{
	return d->phase + k * d->period + d->jitter * spread(k) / 1024;
}

/* last_sample is the number of the newest sample at t. */
int64_t last_sample(const struct device *d, int64_t t)
{
	int64_t k = (t - d->phase) / d->period + 2;
	while (sample_time(d, k) > t)
		k--;
	return k;
}

enum { POWER_SAMPLES, GPU_SAMPLES, MEMORY_SAMPLES, ENCODER_SAMPLES, DECODER_SAMPLES };

static unsigned sample_value(const struct device *d, int type, int64_t k)
{
	switch (type) {
	case POWER_SAMPLES:
		return (unsigned)series_at(&d->power, sample_time(d, k));
	case GPU_SAMPLES:
		return (unsigned)busy_percent(&d->busy, sample_time(d, k - 1), sample_time(d, k));
	case MEMORY_SAMPLES:
		return (unsigned)series_at(&d->memory_busy, sample_time(d, k));
	}
	return 0;
}

static bool has_samples(const struct device *d, int type)
{
	return type == POWER_SAMPLES ? series_has(&d->power) : type > POWER_SAMPLES && type <= DECODER_SAMPLES;
}

/* mig_on says whether utilization is not to be had, since the GPU is in MIG mode. */
static bool mig_on(const struct device *d, int64_t now)
{
	return d->kind == MIG || series_at(&d->mig, now) != 0;
}

/* A list of samples that grows. */
struct list {
	sample *s;
	unsigned n, room;
};

static bool add(struct list *l, int64_t at, unsigned v)
{
	if (l->n == l->room) {
		unsigned room = 2 * l->room + 64;
		sample *s = realloc(l->s, room * sizeof *s);
		if (s == NULL)
			return false;
		l->s = s;
		l->room = room;
	}
	l->s[l->n++] = (sample){.timeStamp = (unsigned long long)at, .sampleValue.ullVal = v};
	return true;
}

/* spoil adds the k-th sample with what garbage is scripted for it. */
static bool spoil(struct list *l, const struct device *d, int64_t at, unsigned v)
{
	bool ok = true, swap = false, twice = false;
	unsigned first = l->n;
	int64_t stamp = d->world->epoch + at;
	for (int i = 0; i < d->garbage_count; i++) {
		const struct garbage *g = &d->garbage[i];
		if (!within(&g->when, at))
			continue;
		switch (g->kind) {
		case VALUE:
			v = (unsigned)g->value;
			break;
		case EXTRA:
			ok &= add(l, stamp + 1, (unsigned)g->value);
			break;
		case ZERO:
			ok &= add(l, 0, 50);
			break;
		case FUTURE:
			ok &= add(l, stamp + 3600 * SECOND, 100);
			break;
		case TWICE:
			twice = true;
			break;
		case SWAP:
			swap = true;
		}
	}
	ok &= add(l, stamp, v);
	if (twice)
		ok &= add(l, stamp, v);
	if (ok && swap && first > 0) {
		sample last = l->s[l->n - 1];
		l->s[l->n - 1] = l->s[first - 1];
		l->s[first - 1] = last;
	}
	return ok;
}

/* buffered lists the samples after the last seen that the buffer still has. */
static bool buffered(struct list *l, const struct device *d, int type, uint64_t seen, int64_t now)
{
	int64_t load = load_at(d->world, now), newest = last_sample(d, now);
	int64_t after = seen > INT64_MAX ? INT64_MAX : (int64_t)seen - d->world->epoch;
	for (int64_t k = newest - d->buffer + 1; k <= newest; k++) {
		int64_t at = sample_time(d, k);
		if (sample_time(d, k - 1) < load || (seen != 0 && at <= after))
			continue; /* the window of a sample is in one load of the driver */
		unsigned v = sample_value(d, type, k);
		if (!(type == GPU_SAMPLES ? spoil(l, d, at, v) : add(l, d->world->epoch + at, v)))
			return false;
	}
	return true;
}

EXPORT status nvmlDeviceGetSamples(struct device *d, int type, unsigned long long seen, int *value_type,
	unsigned *count, sample *samples)
{
	NEED(d);
	CALL(DeviceGetSamples, d);
	NEED(value_type);
	NEED(count);
	SUPPORTED(!mig_on(d, now) && has_samples(d, type));
	*value_type = VALUE_UNSIGNED_INT;
	if (samples == NULL) {
		*count = (unsigned)d->buffer * (d->garbage_count > 0 ? 2 + d->garbage_count : 1);
		return OK;
	}
	struct list l = {0};
	if (!buffered(&l, d, type, seen, now)) {
		free(l.s);
		return UNKNOWN;
	}
	unsigned skip = l.n > *count ? l.n - *count : 0;
	*count = l.n - skip;
	if (*count > 0)
		memcpy(samples, l.s + skip, *count * sizeof *samples);
	free(l.s);
	return *count == 0 ? NOT_FOUND : OK;
}

EXPORT status nvmlDeviceGetUtilizationRates(struct device *d, utilization *u)
{
	NEED(d);
	CALL(DeviceGetUtilizationRates, d);
	NEED(u);
	SUPPORTED(!mig_on(d, now));
	int64_t k = last_sample(d, now);
	*u = (utilization){.gpu = sample_value(d, GPU_SAMPLES, k), .memory = sample_value(d, MEMORY_SAMPLES, k)};
	return OK;
}

EXPORT status nvmlDeviceGetProcessUtilization(
	struct device *d, process_sample *samples, unsigned *count, unsigned long long seen)
{
	NEED(d);
	CALL(DeviceGetProcessUtilization, d);
	NEED(count);
	SUPPORTED(!mig_on(d, now));
	int64_t at = sample_time(d, last_sample(d, now));
	unsigned long long stamp = (unsigned long long)(d->world->epoch + at);
	unsigned n = 0, room = samples == NULL ? 0 : *count;
	for (int i = 0; i < d->process_count && stamp > seen; i++) {
		const struct process *p = &d->processes[i];
		if (!within(&p->present, at))
			continue;
		if (n < room)
			samples[n] = (process_sample){.pid = p->pid, .timeStamp = stamp, .smUtil = p->sm, .memUtil = p->mem};
		n++;
	}
	*count = n;
	if (n == 0)
		return NOT_FOUND;
	return n > room ? INSUFFICIENT_SIZE : OK;
}

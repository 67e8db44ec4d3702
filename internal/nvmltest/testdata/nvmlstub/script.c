/* Reads a script: see doc.go of nvmltest for what it may say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "words.h"

static struct device *device_new(struct world *w, enum device_kind kind, struct device *parent, unsigned index)
{
	struct device *d = calloc(1, sizeof *d);
	if (d == NULL)
		abort();
	*d = (struct device){.world = w, .kind = kind, .parent = parent, .index = index, .period = SECOND / 6,
		.buffer = 100, .total = 1ull << 30, .slices = 1};
	const char *const kinds[] = {"GPU", "MIG", "VGPU"};
	snprintf(d->uuid, sizeof d->uuid, "%s-00000000-0000-0000-%04x-%012x", kinds[kind], parent == NULL ? 0 : parent->index,
		index);
	snprintf(d->name, sizeof d->name, "NVIDIA Stub");
	snprintf(d->pci, sizeof d->pci, "00000000:%02X:00.0", (index + 1) & 0xff);
	return d;
}

/* section begins a device: "gpu", "mig-device 0", "vgpu 0"; or "all" ends one. */
static bool section(struct world *w, struct device **d, const struct line *l)
{
	struct device *gpu = *d != NULL && (*d)->kind != GPU ? (*d)->parent : *d;
	int64_t index = 0;
	if (strcmp(l->word[0], "all") == 0) {
		*d = NULL;
		return l->n == 1;
	}
	if (strcmp(l->word[0], "gpu") == 0) {
		if (l->n != 1 || w->device_count == DEVICES)
			return false;
		*d = device_new(w, GPU, NULL, (unsigned)w->device_count);
		w->devices[w->device_count++] = *d;
		return true;
	}
	if (gpu == NULL || l->n != 2 || !word_amount(l->word[1], &index) || index < 0)
		return false;
	if (strcmp(l->word[0], "mig-device") == 0) {
		if (gpu->mig_count == MIGS || index >= MIGS)
			return false;
		*d = device_new(w, MIG, gpu, (unsigned)index);
		(*d)->gi = (unsigned)index + 1;
		gpu->migs[gpu->mig_count++] = *d;
		return true;
	}
	if (gpu->vgpu_count == VGPUS || index >= VGPUS)
		return false;
	*d = device_new(w, VGPU, gpu, (unsigned)index);
	gpu->vgpus[gpu->vgpu_count++] = *d;
	return true;
}

static bool is_section(const char *w)
{
	static const char *const words[] = {"all", "gpu", "mig-device", "vgpu"};
	return word_index(w, words, 4) >= 0;
}

static bool unload(struct world *w, const struct line *l)
{
	struct unload u = {.meanwhile = DRIVER_NOT_LOADED};
	if (l->n < 3 || l->n > 4 || !word_span(l, 1, &u.when))
		return false;
	if (l->n == 4 && !status_parse(l->word[3], &u.meanwhile))
		return false;
	w->unloads = more(w->unloads, w->unload_count, sizeof u);
	w->unloads[w->unload_count++] = u;
	return true;
}

/* parse_world reads what is not of one device. */
static bool parse_world(struct world *w, const struct line *l)
{
	int64_t v;
	if (strcmp(l->word[0], "unload") == 0)
		return unload(w, l);
	if (l->n != 2)
		return false;
	if (strcmp(l->word[0], "driver") == 0)
		return (size_t)snprintf(w->driver, sizeof w->driver, "%s", l->word[1]) < sizeof w->driver;
	if (strcmp(l->word[0], "nvml") == 0)
		return (size_t)snprintf(w->nvml, sizeof w->nvml, "%s", l->word[1]) < sizeof w->nvml;
	if (strcmp(l->word[0], "epoch") == 0)
		return word_time(l->word[1], &w->epoch);
	if (strcmp(l->word[0], "loaded") == 0)
		return word_time(l->word[1], &w->loaded);
	if (strcmp(l->word[0], "cuda") == 0 && word_amount(l->word[1], &v))
		return w->cuda = (int)v, true;
	if (strcmp(l->word[0], "enumerate") == 0) {
		w->live = strcmp(l->word[1], "live") == 0;
		return w->live || strcmp(l->word[1], "init") == 0;
	}
	return false;
}

static bool is_world(const char *w)
{
	static const char *const words[] = {"unload", "driver", "nvml", "epoch", "loaded", "cuda", "enumerate"};
	return word_index(w, words, 7) >= 0;
}

/* sane is what no single line can tell. */
static bool sane(const struct device *d) { return d->jitter < d->period / 2 && d->reserved <= d->total; }

/* script_read returns NULL where there is no script, or one that it does not
 * understand: it says so on stderr. */
struct world *script_read(const char *path, int64_t now)
{
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return NULL;
	struct world *w = calloc(1, sizeof *w);
	if (w == NULL)
		abort();
	char directory[sizeof w->path] = "", text[1024];
	snprintf(w->path, sizeof w->path, "%s", path);
	const char *slash = strrchr(path, '/');
	if (slash != NULL)
		snprintf(directory, sizeof directory, "%.*s", (int)(slash - path) + 1, path);
	snprintf(w->driver, sizeof w->driver, "550.54.15");
	snprintf(w->nvml, sizeof w->nvml, "12.550.54.15");
	w->cuda = 12040;
	w->epoch = epoch_set() != 0 ? epoch_set() : now;

	struct device *d = NULL;
	bool good = true;
	for (int n = 1; good && fgets(text, sizeof text, f) != NULL; n++) {
		struct line l;
		line_split(&l, text);
		if (l.n == 0)
			continue;
		if (is_section(l.word[0]))
			good = section(w, &d, &l);
		else if (is_fault(l.word[0]))
			good = parse_fault(w, d, &l, directory);
		else if (is_world(l.word[0]))
			good = parse_world(w, &l);
		else
			good = d != NULL && parse_device(d, &l) && sane(d);
		if (!good)
			fprintf(stderr, "nvmlstub: %s:%d: not understood: %s %s\n", path, n, l.word[0], l.rest);
	}
	fclose(f);
	return good ? w : NULL;
}

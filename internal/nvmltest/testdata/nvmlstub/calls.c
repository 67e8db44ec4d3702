/* What every call goes through: is the library initialized, is the driver there,
 * is the device there, and is a fault scripted for the call. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stub.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct world *world; /* of the last init */

void lock(void) { pthread_mutex_lock(&mutex); }
void unlock(void) { pthread_mutex_unlock(&mutex); }
struct world *current_world(void) { return world; }

/* find_script writes where the script is: where the environment says, or beside the library. */
static void find_script(char *path, size_t size)
{
	const char *named = getenv("NVMLSTUB_SCRIPT");
	if (named != NULL && *named != 0) {
		snprintf(path, size, "%s", named);
		return;
	}
	Dl_info self;
	path[0] = 0;
	if (dladdr((void *)find_script, &self) == 0 || self.dli_fname == NULL)
		return;
	const char *slash = strrchr(self.dli_fname, '/');
	int directory = slash == NULL ? 0 : (int)(slash - self.dli_fname) + 1;
	snprintf(path, size, "%.*snvmlstub.script", directory, self.dli_fname);
}

static bool unloaded(const struct world *w, int64_t t, status *meanwhile)
{
	for (int i = 0; i < w->unload_count; i++)
		if (within(&w->unloads[i].when, t)) {
			*meanwhile = w->unloads[i].meanwhile;
			return true;
		}
	*meanwhile = DRIVER_NOT_LOADED;
	return t < w->loaded;
}

int64_t load_at(const struct world *w, int64_t t)
{
	int64_t last = w->loaded;
	for (int i = 0; i < w->unload_count; i++)
		if (w->unloads[i].when.to <= t && w->unloads[i].when.to > last)
			last = w->unloads[i].when.to;
	return last;
}

bool present(const struct device *d, int64_t t)
{
	for (int i = 0; i < d->presences; i++)
		if (within(&d->present[i], t))
			return true;
	return d->presences == 0;
}

static bool hangs(const struct fault *f, int64_t now)
{
	if (f->file[0] != 0)
		return access(f->file, F_OK) == 0;
	return within(&f->when, now);
}

/* faults lets the call wait or fail as the script says. It is not under the lock
 * while it waits. */
static status faults(struct world *w, const char *function, struct device *d, int64_t *now)
{
	for (int i = 0; i < w->fault_count; i++) {
		struct fault *f = &w->faults[i];
		if (strcmp(f->function, "*") != 0 && strcmp(f->function, function) != 0)
			continue;
		if (f->device != NULL && f->device != d && (d == NULL || f->device != d->parent))
			continue;
		lock();
		uint64_t call = ++f->calls;
		unlock();
		if (call < f->first || call > f->last)
			continue;
		switch (f->kind) {
		case HANG:
			count_hanging(1);
			while (hangs(f, *now)) {
				pause_for(1000);
				*now = unix_now() - w->epoch;
			}
			count_hanging(-1);
			break;
		case DELAY:
			if (within(&f->when, *now))
				pause_for(f->delay);
			*now = unix_now() - w->epoch;
			break;
		case FAIL:
			if (within(&f->when, *now))
				return f->result;
		}
	}
	return OK;
}

/* check is whether there is something to ask. */
static status check(struct world *w, struct device *d, int64_t now)
{
	status meanwhile;
	if (w == NULL || w != world || w->inits <= 0)
		return UNINITIALIZED;
	if (unloaded(w, now, &meanwhile))
		return meanwhile == DRIVER_NOT_LOADED ? UNINITIALIZED : meanwhile;
	if (w->init_load != load_at(w, now))
		return UNINITIALIZED; /* the driver was loaded anew since the init */
	if (d != NULL && (!present(d, now) || (d->parent != NULL && !present(d->parent, now))))
		return d->kind == GPU ? GPU_IS_LOST : NOT_FOUND;
	return OK;
}

status enter(const char *function, struct device *d, int64_t *now)
{
	count_call();
	lock();
	struct world *w = d != NULL ? d->world : world;
	unlock();
	if (w == NULL)
		return UNINITIALIZED;
	*now = unix_now() - w->epoch;
	status s = faults(w, function, d, now);
	if (s != OK)
		return s;
	lock();
	s = check(w, d, *now);
	unlock();
	return s;
}

status still(struct world *w, int64_t *now)
{
	*now = unix_now() - w->epoch;
	lock();
	status s = check(w, NULL, *now);
	unlock();
	return s;
}

static status init(void)
{
	char path[sizeof world->path];
	find_script(path, sizeof path);
	lock();
	if (world == NULL || strcmp(world->path, path) != 0) {
		control_open(path);
		world = script_read(path, unix_now());
	}
	struct world *w = world;
	unlock();
	count_call();
	if (w == NULL)
		return access(path, F_OK) == 0 ? UNKNOWN : DRIVER_NOT_LOADED;
	int64_t now = unix_now() - w->epoch;
	status s = faults(w, "Init", NULL, &now), meanwhile;
	if (s != OK)
		return s;
	if (unloaded(w, now, &meanwhile))
		return DRIVER_NOT_LOADED;
	lock();
	if (w->inits++ == 0) {
		w->enumerated = now;
		w->init_load = load_at(w, now);
	}
	unlock();
	return OK;
}

EXPORT status nvmlInit(void) { return init(); }
EXPORT status nvmlInit_v2(void) { return init(); }
EXPORT status nvmlInitWithFlags(unsigned flags)
{
	(void)flags;
	return init();
}

EXPORT status nvmlShutdown(void)
{
	count_call();
	lock();
	struct world *w = world;
	unlock();
	if (w == NULL)
		return UNINITIALIZED;
	int64_t now = unix_now() - w->epoch;
	status s = faults(w, "Shutdown", NULL, &now);
	if (s != OK)
		return s;
	lock();
	s = w->inits > 0 ? OK : UNINITIALIZED;
	if (s == OK)
		w->inits--;
	unlock();
	return s;
}

status copy_text(char *to, unsigned length, const char *from)
{
	NEED(to);
	if (strlen(from) >= length)
		return INSUFFICIENT_SIZE;
	strcpy(to, from);
	return OK;
}

/* vGPUs, as their host sees them. An instance's number is its GPU's index times
 * VGPUS, plus its own, plus 1; its type is the same number. */
#include <string.h>

#include "stub.h"

static struct device *vgpu(unsigned id)
{
	struct world *w = current_world();
	if (w == NULL || id == 0)
		return NULL;
	unsigned gpu = (id - 1) / VGPUS, index = (id - 1) % VGPUS;
	if (gpu >= (unsigned)w->device_count)
		return NULL;
	for (int i = 0; i < w->devices[gpu]->vgpu_count; i++)
		if (w->devices[gpu]->vgpus[i]->index == index)
			return w->devices[gpu]->vgpus[i];
	return NULL;
}

static unsigned number(const struct device *v) { return v->parent->index * VGPUS + v->index + 1; }

EXPORT status nvmlDeviceGetActiveVgpus(struct device *d, unsigned *count, unsigned *ids)
{
	NEED(d);
	CALL(DeviceGetActiveVgpus, d);
	NEED(count);
	SUPPORTED(d->vgpu_count > 0);
	unsigned n = 0, room = ids == NULL ? 0 : *count;
	for (int i = 0; i < d->vgpu_count; i++) {
		if (!present(d->vgpus[i], now))
			continue;
		if (n < room)
			ids[n] = number(d->vgpus[i]);
		n++;
	}
	*count = n;
	return n > room ? INSUFFICIENT_SIZE : OK;
}

#define VGPU_CALL(function)                \
	struct device *v = vgpu(id);       \
	if (v == NULL)                     \
		return NOT_FOUND;          \
	CALL(function, v)

EXPORT status nvmlVgpuInstanceGetUUID(unsigned id, char *uuid, unsigned size)
{
	VGPU_CALL(VgpuInstanceGetUUID);
	return copy_text(uuid, size, v->uuid);
}

EXPORT status nvmlVgpuInstanceGetMdevUUID(unsigned id, char *uuid, unsigned size)
{
	VGPU_CALL(VgpuInstanceGetMdevUUID);
	return copy_text(uuid, size, v->uuid);
}

EXPORT status nvmlVgpuInstanceGetVmID(unsigned id, char *vm, unsigned size, int *type)
{
	VGPU_CALL(VgpuInstanceGetVmID);
	NEED(type);
	*type = strlen(v->vm) == 36; /* a UUID; otherwise the number of a domain */
	return copy_text(vm, size, v->vm);
}

EXPORT status nvmlVgpuInstanceGetFbUsage(unsigned id, unsigned long long *used)
{
	VGPU_CALL(VgpuInstanceGetFbUsage);
	NEED(used);
	*used = (unsigned long long)series_at(&v->used, now);
	return OK;
}

EXPORT status nvmlVgpuInstanceGetType(unsigned id, unsigned *type)
{
	VGPU_CALL(VgpuInstanceGetType);
	NEED(type);
	*type = id;
	return OK;
}

EXPORT status nvmlVgpuInstanceGetGpuInstanceId(unsigned id, unsigned *gi)
{
	VGPU_CALL(VgpuInstanceGetGpuInstanceId);
	NEED(gi);
	*gi = UINT32_MAX;
	return OK;
}

EXPORT status nvmlVgpuTypeGetName(unsigned id, char *name, unsigned *size)
{
	struct device *v = vgpu(id);
	if (v == NULL)
		return INVALID_ARGUMENT;
	CALL(VgpuTypeGetName, NULL);
	NEED(size);
	unsigned room = *size;
	*size = (unsigned)strlen(v->name) + 1;
	return copy_text(name, room, v->name);
}

EXPORT status nvmlVgpuTypeGetFramebufferSize(unsigned id, unsigned long long *size)
{
	struct device *v = vgpu(id);
	if (v == NULL)
		return INVALID_ARGUMENT;
	CALL(VgpuTypeGetFramebufferSize, NULL);
	NEED(size);
	*size = v->total;
	return OK;
}

EXPORT status nvmlDeviceGetVgpuUtilization(
	struct device *d, unsigned long long seen, int *value_type, unsigned *count, vgpu_sample *samples)
{
	NEED(d);
	CALL(DeviceGetVgpuUtilization, d);
	NEED(value_type);
	NEED(count);
	SUPPORTED(d->vgpu_count > 0);
	*value_type = VALUE_UNSIGNED_INT;
	unsigned n = 0, room = samples == NULL ? 0 : *count;
	int64_t newest = last_sample(d, now), load = load_at(d->world, now);
	for (int64_t k = newest - d->buffer + 1; k <= newest; k++) {
		int64_t before = sample_time(d, k - 1), at = sample_time(d, k);
		unsigned long long stamp = (unsigned long long)(d->world->epoch + at);
		if (before < load || stamp <= seen)
			continue;
		for (int i = 0; i < d->vgpu_count; i++) {
			const struct device *v = d->vgpus[i];
			if (!present(v, at))
				continue;
			if (n < room) {
				samples[n] = (vgpu_sample){.vgpuInstance = number(v), .timeStamp = stamp};
				samples[n].smUtil.ullVal = (unsigned long long)busy_percent(&v->busy, before, at);
				samples[n].memUtil.ullVal = (unsigned long long)series_at(&v->memory_busy, at);
			}
			n++;
		}
	}
	*count = n;
	if (n == 0)
		return NOT_FOUND;
	return n > room ? INSUFFICIENT_SIZE : OK;
}

/* MIG devices and processes. */
#include "stub.h"

EXPORT status nvmlDeviceGetMigMode(struct device *d, unsigned *mode, unsigned *pending)
{
	NEED(d);
	CALL(DeviceGetMigMode, d);
	NEED(mode);
	NEED(pending);
	SUPPORTED(series_has(&d->mig));
	*mode = *pending = series_at(&d->mig, now) != 0;
	return OK;
}

EXPORT status nvmlDeviceGetMaxMigDeviceCount(struct device *d, unsigned *count)
{
	NEED(d);
	CALL(DeviceGetMaxMigDeviceCount, d);
	NEED(count);
	*count = series_has(&d->mig) ? 7 : 0;
	return OK;
}

EXPORT status nvmlDeviceGetMigDeviceHandleByIndex(struct device *d, unsigned index, struct device **mig)
{
	NEED(d);
	CALL(DeviceGetMigDeviceHandleByIndex, d);
	NEED(mig);
	SUPPORTED(series_has(&d->mig));
	if (series_at(&d->mig, now) == 0)
		return NOT_FOUND;
	for (int i = 0; i < d->mig_count; i++)
		if (d->migs[i]->index == index && present(d->migs[i], now))
			return *mig = d->migs[i], OK;
	return NOT_FOUND;
}

EXPORT status nvmlDeviceIsMigDeviceHandle(struct device *d, unsigned *is)
{
	NEED(d);
	CALL(DeviceIsMigDeviceHandle, d);
	NEED(is);
	*is = d->kind == MIG;
	return OK;
}

EXPORT status nvmlDeviceGetDeviceHandleFromMigDeviceHandle(struct device *d, struct device **gpu)
{
	NEED(d);
	CALL(DeviceGetDeviceHandleFromMigDeviceHandle, d);
	NEED(gpu);
	if (d->kind != MIG)
		return INVALID_ARGUMENT;
	*gpu = d->parent;
	return OK;
}

EXPORT status nvmlDeviceGetGpuInstanceId(struct device *d, unsigned *id)
{
	NEED(d);
	CALL(DeviceGetGpuInstanceId, d);
	NEED(id);
	SUPPORTED(d->kind == MIG);
	*id = d->gi;
	return OK;
}

EXPORT status nvmlDeviceGetComputeInstanceId(struct device *d, unsigned *id)
{
	NEED(d);
	CALL(DeviceGetComputeInstanceId, d);
	NEED(id);
	SUPPORTED(d->kind == MIG);
	*id = d->ci;
	return OK;
}

EXPORT status nvmlDeviceGetAttributes_v2(struct device *d, attributes *a)
{
	NEED(d);
	CALL(DeviceGetAttributes, d);
	NEED(a);
	SUPPORTED(d->kind == MIG);
	*a = (attributes){
		.multiprocessorCount = 16 * d->slices,
		.gpuInstanceSliceCount = d->slices,
		.computeInstanceSliceCount = d->slices,
		.memorySizeMB = d->total >> 20,
	};
	return OK;
}

/* A list of processes for a caller that may have too little room. */
struct listing {
	process_info *to;
	unsigned n, room;
};

static void list_processes(struct listing *l, const struct device *d, int64_t now)
{
	for (int i = 0; i < d->process_count; i++) {
		const struct process *p = &d->processes[i];
		if (!within(&p->present, now))
			continue;
		if (l->n < l->room)
			l->to[l->n] = (process_info){
				.pid = p->pid,
				.usedGpuMemory = p->memory,
				.gpuInstanceId = d->kind == MIG ? d->gi : UINT32_MAX,
				.computeInstanceId = d->kind == MIG ? d->ci : UINT32_MAX,
			};
		l->n++;
	}
}

EXPORT status nvmlDeviceGetComputeRunningProcesses_v3(struct device *d, unsigned *count, process_info *infos)
{
	NEED(d);
	CALL(DeviceGetComputeRunningProcesses, d);
	NEED(count);
	struct listing l = {.to = infos, .room = infos == NULL ? 0 : *count};
	list_processes(&l, d, now);
	for (int i = 0; i < d->mig_count; i++)
		if (present(d->migs[i], now))
			list_processes(&l, d->migs[i], now);
	*count = l.n;
	return l.n > l.room ? INSUFFICIENT_SIZE : OK;
}

/* All processes compute: none draws or shares through MPS. */
EXPORT status nvmlDeviceGetGraphicsRunningProcesses_v3(struct device *d, unsigned *count, process_info *infos)
{
	NEED(d);
	CALL(DeviceGetGraphicsRunningProcesses, d);
	NEED(count);
	(void)infos;
	*count = 0;
	return OK;
}

EXPORT status nvmlDeviceGetMPSComputeRunningProcesses_v3(struct device *d, unsigned *count, process_info *infos)
{
	NEED(d);
	CALL(DeviceGetMPSComputeRunningProcesses, d);
	NEED(count);
	(void)infos;
	*count = 0;
	return OK;
}

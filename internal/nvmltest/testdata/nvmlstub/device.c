/* Which devices there are and what they are called. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stub.h"

/* visible says whether the i-th GPU was there when the devices were counted. */
static bool visible(const struct world *w, const struct device *d, int64_t now)
{
	return present(d, w->live ? now : w->enumerated);
}

EXPORT status nvmlSystemGetDriverVersion(char *version, unsigned length)
{
	CALL(SystemGetDriverVersion, NULL);
	return copy_text(version, length, current_world()->driver);
}

EXPORT status nvmlSystemGetNVMLVersion(char *version, unsigned length)
{
	CALL(SystemGetNVMLVersion, NULL);
	return copy_text(version, length, current_world()->nvml);
}

EXPORT status nvmlSystemGetCudaDriverVersion(int *version)
{
	CALL(SystemGetCudaDriverVersion, NULL);
	NEED(version);
	*version = current_world()->cuda;
	return OK;
}
EXPORT status nvmlSystemGetCudaDriverVersion_v2(int *version) { return nvmlSystemGetCudaDriverVersion(version); }

EXPORT status nvmlDeviceGetCount_v2(unsigned *count)
{
	CALL(DeviceGetCount, NULL);
	NEED(count);
	struct world *w = current_world();
	*count = 0;
	for (int i = 0; i < w->device_count; i++)
		*count += visible(w, w->devices[i], now);
	return OK;
}

/* A handle is asked for by a device that is found first, so that what is scripted
 * for the device holds for getting at it, too. */
static struct device *by_index(unsigned index)
{
	struct world *w = current_world();
	for (int i = 0; w != NULL && i < w->device_count; i++)
		if (visible(w, w->devices[i], unix_now() - w->epoch) && index-- == 0)
			return w->devices[i];
	return NULL;
}

static struct device *by_uuid(const char *uuid)
{
	struct world *w = current_world();
	for (int i = 0; w != NULL && i < w->device_count; i++) {
		struct device *d = w->devices[i];
		int64_t now = unix_now() - w->epoch;
		if (!visible(w, d, now))
			continue;
		if (strcmp(d->uuid, uuid) == 0)
			return d;
		for (int k = 0; k < d->mig_count; k++)
			if (strcmp(d->migs[k]->uuid, uuid) == 0 && series_at(&d->mig, now) != 0)
				return d->migs[k];
	}
	return NULL;
}

EXPORT status nvmlDeviceGetHandleByIndex_v2(unsigned index, struct device **device)
{
	struct device *d = by_index(index);
	CALL(DeviceGetHandleByIndex, d);
	NEED(device);
	if (d == NULL)
		return INVALID_ARGUMENT;
	*device = d;
	return OK;
}

EXPORT status nvmlDeviceGetHandleByUUID(const char *uuid, struct device **device)
{
	NEED(uuid);
	struct device *d = by_uuid(uuid);
	CALL(DeviceGetHandleByUUID, d);
	NEED(device);
	if (d == NULL)
		return NOT_FOUND;
	*device = d;
	return OK;
}

EXPORT status nvmlDeviceGetHandleByPciBusId_v2(const char *bus, struct device **device)
{
	CALL(DeviceGetHandleByPciBusId, NULL);
	NEED(bus);
	NEED(device);
	struct world *w = current_world();
	for (int i = 0; i < w->device_count; i++)
		if (visible(w, w->devices[i], now) && strcmp(w->devices[i]->pci, bus) == 0)
			return *device = w->devices[i], OK;
	return NOT_FOUND;
}

EXPORT status nvmlDeviceGetUUID(struct device *d, char *uuid, unsigned length)
{
	NEED(d);
	CALL(DeviceGetUUID, d);
	return copy_text(uuid, length, d->uuid);
}

EXPORT status nvmlDeviceGetName(struct device *d, char *name, unsigned length)
{
	NEED(d);
	CALL(DeviceGetName, d);
	return copy_text(name, length, d->name);
}

EXPORT status nvmlDeviceGetSerial(struct device *d, char *serial, unsigned length)
{
	NEED(d);
	CALL(DeviceGetSerial, d);
	SUPPORTED(d->serial[0] != 0);
	return copy_text(serial, length, d->serial);
}

EXPORT status nvmlDeviceGetIndex(struct device *d, unsigned *index)
{
	NEED(d);
	CALL(DeviceGetIndex, d);
	NEED(index);
	*index = d->index;
	if (d->kind != GPU)
		return OK;
	struct world *w = current_world();
	*index = 0;
	for (int i = 0; i < w->device_count && w->devices[i] != d; i++)
		*index += visible(w, w->devices[i], now);
	return OK;
}

EXPORT status nvmlDeviceGetMinorNumber(struct device *d, unsigned *minor)
{
	NEED(d);
	CALL(DeviceGetMinorNumber, d);
	NEED(minor);
	SUPPORTED(d->kind == GPU);
	*minor = d->index;
	return OK;
}

EXPORT status nvmlDeviceGetPciInfo_v3(struct device *d, pci_info *pci)
{
	NEED(d);
	CALL(DeviceGetPciInfo, d);
	NEED(pci);
	SUPPORTED(d->kind == GPU);
	memset(pci, 0, sizeof *pci);
	unsigned function;
	if (sscanf(d->pci, "%x:%x:%x.%x", &pci->domain, &pci->bus, &pci->device, &function) != 4)
		return UNKNOWN;
	snprintf(pci->busId, sizeof pci->busId, "%08X:%02X:%02X.0", pci->domain, pci->bus & 0xff, pci->device & 0xff);
	snprintf(pci->busIdLegacy, sizeof pci->busIdLegacy, "%04X:%02X:%02X.0", pci->domain & 0xffff, pci->bus & 0xff,
		pci->device & 0xff);
	pci->pciDeviceId = 0x233010de;
	return OK;
}
EXPORT status nvmlDeviceGetPciInfo_v2(struct device *d, pci_info *pci) { return nvmlDeviceGetPciInfo_v3(d, pci); }

EXPORT status nvmlDeviceGetVirtualizationMode(struct device *d, int *mode)
{
	NEED(d);
	CALL(DeviceGetVirtualizationMode, d);
	NEED(mode);
	*mode = d->vgpu_count > 0 ? 3 : 0; /* host vGPU, none */
	return OK;
}

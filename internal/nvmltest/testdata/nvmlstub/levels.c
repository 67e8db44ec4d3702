/* Levels of a device: memory, power, energy, temperature, clocks, errors. */
#include "stub.h"

static uint64_t used(const struct device *d, int64_t now)
{
	uint64_t u = (uint64_t)series_at(&d->used, now);
	return u < d->total ? u : d->total;
}

EXPORT status nvmlDeviceGetMemoryInfo(struct device *d, memory_info *m)
{
	NEED(d);
	CALL(DeviceGetMemoryInfo, d);
	NEED(m);
	/* The first version of the call counts as used what the driver reserves. */
	uint64_t u = used(d, now) + d->reserved;
	*m = (memory_info){.total = d->total, .used = u, .free = u < d->total ? d->total - u : 0};
	return OK;
}

EXPORT status nvmlDeviceGetMemoryInfo_v2(struct device *d, memory_info_v2 *m)
{
	NEED(d);
	CALL(DeviceGetMemoryInfo_v2, d);
	NEED(m);
	if (m->version != (sizeof *m | 2u << 24))
		return ARGUMENT_VERSION_MISMATCH;
	uint64_t u = used(d, now), taken = u + d->reserved;
	m->total = d->total;
	m->reserved = d->reserved;
	m->used = u;
	m->free = taken < d->total ? d->total - taken : 0;
	return OK;
}

static status level(struct device *d, const struct series *s, int64_t now, unsigned *v)
{
	NEED(v);
	SUPPORTED(d->kind == GPU && series_has(s));
	*v = (unsigned)series_at(s, now);
	return OK;
}

EXPORT status nvmlDeviceGetPowerUsage(struct device *d, unsigned *mw)
{
	NEED(d);
	CALL(DeviceGetPowerUsage, d);
	return level(d, &d->power, now, mw);
}

EXPORT status nvmlDeviceGetEnforcedPowerLimit(struct device *d, unsigned *mw)
{
	NEED(d);
	CALL(DeviceGetEnforcedPowerLimit, d);
	return level(d, &d->power_limit, now, mw);
}

EXPORT status nvmlDeviceGetPowerManagementLimit(struct device *d, unsigned *mw)
{
	NEED(d);
	CALL(DeviceGetPowerManagementLimit, d);
	return level(d, &d->power_limit, now, mw);
}

/* The counter begins at 0 when the driver is loaded; only what is scripted for
 * the first load was there before. */
EXPORT status nvmlDeviceGetTotalEnergyConsumption(struct device *d, unsigned long long *mj)
{
	NEED(d);
	CALL(DeviceGetTotalEnergyConsumption, d);
	NEED(mj);
	SUPPORTED(d->kind == GPU && series_has(&d->power));
	int64_t load = load_at(d->world, now);
	unsigned __int128 sum = 0;
	series_integral(&d->power, load, now, &sum);
	*mj = (unsigned long long)(sum / SECOND) + (load == d->world->loaded ? d->energy : 0);
	return OK;
}

EXPORT status nvmlDeviceGetTemperature(struct device *d, int sensor, unsigned *celsius)
{
	NEED(d);
	CALL(DeviceGetTemperature, d);
	if (sensor != 0)
		return INVALID_ARGUMENT;
	return level(d, &d->temperature, now, celsius);
}

EXPORT status nvmlDeviceGetTemperatureV(struct device *d, temperature_v1 *t)
{
	NEED(d);
	CALL(DeviceGetTemperatureV, d);
	NEED(t);
	if (t->version != (sizeof *t | 1u << 24))
		return ARGUMENT_VERSION_MISMATCH;
	if (t->sensorType != 0)
		return INVALID_ARGUMENT;
	return level(d, &d->temperature, now, (unsigned *)&t->temperature);
}

EXPORT status nvmlDeviceGetClockInfo(struct device *d, unsigned clock, unsigned *mhz)
{
	NEED(d);
	CALL(DeviceGetClockInfo, d);
	if (clock >= CLOCKS)
		return INVALID_ARGUMENT;
	return level(d, &d->clock[clock], now, mhz);
}

EXPORT status nvmlDeviceGetPcieThroughput(struct device *d, unsigned counter, unsigned *kbs)
{
	NEED(d);
	CALL(DeviceGetPcieThroughput, d);
	if (counter >= 2)
		return INVALID_ARGUMENT;
	return level(d, &d->pcie[counter], now, kbs);
}

static bool has_ecc(const struct device *d)
{
	return series_has(&d->ecc[0][0]) || series_has(&d->ecc[0][1]) || series_has(&d->ecc[1][0]) ||
		series_has(&d->ecc[1][1]);
}

static status ecc(struct device *d, unsigned error, unsigned counter, int64_t now, unsigned long long *count)
{
	NEED(count);
	if (error > 1 || counter > 1)
		return INVALID_ARGUMENT;
	SUPPORTED(has_ecc(d));
	*count = (unsigned long long)series_at(&d->ecc[counter][error], now);
	return OK;
}

EXPORT status nvmlDeviceGetTotalEccErrors(struct device *d, unsigned error, unsigned counter, unsigned long long *count)
{
	NEED(d);
	CALL(DeviceGetTotalEccErrors, d);
	return ecc(d, error, counter, now, count);
}

/* All errors are those of the device memory. */
EXPORT status nvmlDeviceGetMemoryErrorCounter(
	struct device *d, unsigned error, unsigned counter, unsigned location, unsigned long long *count)
{
	NEED(d);
	CALL(DeviceGetMemoryErrorCounter, d);
	status s = ecc(d, error, counter, now, count);
	if (s == OK && location != 2)
		*count = 0;
	return s;
}

EXPORT status nvmlDeviceGetEccMode(struct device *d, unsigned *mode, unsigned *pending)
{
	NEED(d);
	CALL(DeviceGetEccMode, d);
	NEED(mode);
	NEED(pending);
	SUPPORTED(has_ecc(d));
	*mode = *pending = 1;
	return OK;
}

static status retired(struct device *d, unsigned cause, int64_t now, unsigned *count, unsigned long long *addresses)
{
	NEED(count);
	if (cause > 1)
		return INVALID_ARGUMENT;
	SUPPORTED(series_has(&d->retired[0]) || series_has(&d->retired[1]));
	unsigned n = (unsigned)series_at(&d->retired[cause], now), room = *count;
	*count = n;
	if (n > room || (n > 0 && addresses == NULL))
		return room == 0 && addresses == NULL ? OK : INSUFFICIENT_SIZE;
	for (unsigned i = 0; i < n; i++)
		addresses[i] = 0x1000ull * (i + 1);
	return OK;
}

EXPORT status nvmlDeviceGetRetiredPages(
	struct device *d, unsigned cause, unsigned *count, unsigned long long *addresses)
{
	NEED(d);
	CALL(DeviceGetRetiredPages, d);
	return retired(d, cause, now, count, addresses);
}

EXPORT status nvmlDeviceGetRetiredPages_v2(
	struct device *d, unsigned cause, unsigned *count, unsigned long long *addresses, unsigned long long *times)
{
	NEED(d);
	CALL(DeviceGetRetiredPages, d);
	status s = retired(d, cause, now, count, addresses);
	for (unsigned i = 0; s == OK && times != NULL && i < *count; i++)
		times[i] = (unsigned long long)(d->world->epoch + now);
	return s;
}

EXPORT status nvmlDeviceGetRemappedRows(struct device *d, unsigned *corrected, unsigned *uncorrected,
	unsigned *pending, unsigned *failure)
{
	NEED(d);
	CALL(DeviceGetRemappedRows, d);
	SUPPORTED(series_has(&d->remapped[0]));
	unsigned *to[] = {corrected, uncorrected, pending, failure};
	for (int i = 0; i < 4; i++)
		NEED(to[i]);
	for (int i = 0; i < 4; i++)
		*to[i] = (unsigned)series_at(&d->remapped[i], now);
	return OK;
}

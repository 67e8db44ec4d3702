/* Values of fields: energy, bytes over PCIe and NVLink; and the state of links. */
#include "stub.h"

enum {
	FIELD_ENERGY = 83,
	FIELD_LINK_COUNT = 91,
	FIELD_DATA_TX = 138,
	FIELD_RAW_RX = 141,
	FIELD_PCIE_TX = 197,
	FIELD_PCIE_RX = 198,
	EVERY_LINK = UINT32_MAX,
};

extern status nvmlDeviceGetTotalEnergyConsumption(struct device *d, unsigned long long *mj);

static unsigned link_count(const struct device *d)
{
	unsigned n = 0;
	for (unsigned i = 0; i < LINKS; i++)
		if (series_has(&d->nvlink[i][0]) || series_has(&d->nvlink[i][1]))
			n = i + 1;
	return n;
}

/* transferred is in KiB since the driver was loaded. */
static unsigned long long transferred(const struct device *d, unsigned link, int direction, int64_t now)
{
	unsigned __int128 sum = 0;
	for (unsigned i = 0; i < LINKS; i++)
		if (link == EVERY_LINK || link == i)
			series_integral(&d->nvlink[i][direction], load_at(d->world, now), now, &sum);
	return (unsigned long long)(sum / SECOND);
}

/* over_pcie is in bytes since the driver was loaded; a KB is 1000 of them. */
static unsigned long long over_pcie(const struct device *d, int direction, int64_t now)
{
	unsigned __int128 sum = 0;
	series_integral(&d->pcie[direction], load_at(d->world, now), now, &sum);
	return (unsigned long long)(sum * 1000 / SECOND);
}

static status field(struct device *d, int64_t now, field_value *f)
{
	unsigned links = link_count(d);
	switch (f->fieldId) {
	case FIELD_ENERGY:
		f->valueType = VALUE_UNSIGNED_LONG_LONG;
		return nvmlDeviceGetTotalEnergyConsumption(d, &f->value.ullVal);
	case FIELD_LINK_COUNT:
		f->valueType = VALUE_UNSIGNED_INT;
		f->value.ullVal = links;
		return OK;
	case FIELD_PCIE_TX:
	case FIELD_PCIE_RX:
		if (!series_has(&d->pcie[f->fieldId - FIELD_PCIE_TX]))
			return NOT_SUPPORTED;
		f->valueType = VALUE_UNSIGNED_LONG_LONG;
		f->value.ullVal = over_pcie(d, (int)(f->fieldId - FIELD_PCIE_TX), now);
		return OK;
	}
	if (f->fieldId < FIELD_DATA_TX || f->fieldId > FIELD_RAW_RX || links == 0)
		return NOT_SUPPORTED;
	if (f->scopeId != EVERY_LINK && f->scopeId >= links)
		return INVALID_ARGUMENT;
	f->valueType = VALUE_UNSIGNED_LONG_LONG;
	f->value.ullVal = transferred(d, f->scopeId, (int)(f->fieldId - FIELD_DATA_TX) % 2, now);
	return OK;
}

EXPORT status nvmlDeviceGetFieldValues(struct device *d, int count, field_value *values)
{
	NEED(d);
	CALL(DeviceGetFieldValues, d);
	NEED(values);
	for (int i = 0; i < count; i++) {
		values[i].timestamp = d->world->epoch + now;
		values[i].latencyUsec = 0;
		values[i].nvmlReturn = field(d, now, &values[i]);
	}
	return OK;
}

EXPORT status nvmlDeviceGetNvLinkState(struct device *d, unsigned link, unsigned *active)
{
	NEED(d);
	CALL(DeviceGetNvLinkState, d);
	NEED(active);
	SUPPORTED(link_count(d) > 0);
	if (link >= link_count(d))
		return INVALID_ARGUMENT;
	*active = series_has(&d->nvlink[link][0]) || series_has(&d->nvlink[link][1]);
	return OK;
}

/* Sets of events; the only events are Xids. */
#include <stdlib.h>

#include "stub.h"

enum { XID_EVENT = 8 };

struct registration {
	struct device *device;
	int64_t since;
	int next; /* of the device's Xids */
};

struct event_set {
	struct world *world;
	struct registration of[DEVICES];
	int n;
};

EXPORT status nvmlDeviceGetSupportedEventTypes(struct device *d, unsigned long long *types)
{
	NEED(d);
	CALL(DeviceGetSupportedEventTypes, d);
	NEED(types);
	SUPPORTED(d->kind == GPU);
	*types = XID_EVENT;
	return OK;
}

EXPORT status nvmlEventSetCreate(struct event_set **set)
{
	CALL(EventSetCreate, NULL);
	NEED(set);
	*set = calloc(1, sizeof **set);
	if (*set == NULL)
		return UNKNOWN;
	(*set)->world = current_world();
	return OK;
}

EXPORT status nvmlDeviceRegisterEvents(struct device *d, unsigned long long types, struct event_set *set)
{
	NEED(d);
	CALL(DeviceRegisterEvents, d);
	NEED(set);
	SUPPORTED(d->kind == GPU && (types & ~(unsigned long long)XID_EVENT) == 0);
	lock();
	status s = INVALID_ARGUMENT;
	if (set->n < DEVICES) {
		set->of[set->n++] = (struct registration){.device = d, .since = now};
		s = OK;
	}
	unlock();
	return s;
}

/* take moves the next event that has happened by now into data. */
static bool take(struct event_set *set, int64_t now, event_data *data)
{
	bool found = false;
	lock();
	for (int i = 0; i < set->n && !found; i++) {
		struct registration *r = &set->of[i];
		while (r->next < r->device->xid_count && !found) {
			struct xid *x = &r->device->xids[r->next];
			if (x->at > now)
				break;
			r->next++;
			if (x->at < r->since)
				continue;
			*data = (event_data){.device = r->device, .eventType = XID_EVENT, .eventData = x->code,
				.gpuInstanceId = UINT32_MAX, .computeInstanceId = UINT32_MAX};
			found = true;
		}
	}
	unlock();
	return found;
}

/* The timeout is one of the real clock, whatever clock the script has. */
EXPORT status nvmlEventSetWait_v2(struct event_set *set, event_data *data, unsigned timeout_ms)
{
	NEED(set);
	NEED(data);
	CALL(EventSetWait, NULL);
	for (unsigned waited = 0;; waited++) {
		status s = still(set->world, &now);
		if (s != OK)
			return s;
		if (take(set, now, data))
			return OK;
		if (waited >= timeout_ms)
			return TIMEOUT;
		pause_for(1000);
	}
}

EXPORT status nvmlEventSetFree(struct event_set *set)
{
	CALL(EventSetFree, NULL);
	NEED(set);
	free(set);
	return OK;
}

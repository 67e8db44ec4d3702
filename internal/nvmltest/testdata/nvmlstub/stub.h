/* What a script says, and what the files of the stub share. Times are in us of
 * the script; a world is built once by the parser and never changes or goes away
 * afterwards, so that a call that hangs in an old one does no harm. */
#ifndef STUB_H
#define STUB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi.h"

#define EXPORT __attribute__((visibility("default")))
#define FOREVER INT64_MAX
#define SECOND INT64_C(1000000)

struct step { /* a level holds from at on */
	int64_t at, v;
};
struct series { /* before its first step it has the value of that */
	struct step *s;
	int n;
};

struct busy { /* a share of the time, or on for a part of every so much */
	int64_t from, to, ppm, on, every;
};
struct load {
	struct busy *b;
	int n;
};

struct span {
	int64_t from, to;
};

struct process {
	unsigned pid;
	struct span present;
	uint64_t memory;
	unsigned sm, mem;
};

struct xid {
	int64_t at;
	uint64_t code;
};

enum garbage_kind { VALUE, EXTRA, ZERO, TWICE, SWAP, FUTURE };
struct garbage {
	enum garbage_kind kind;
	int64_t value;
	struct span when;
};

enum fault_kind { FAIL, HANG, DELAY };
struct fault {
	enum fault_kind kind;
	char function[64]; /* "*" is every one */
	struct device *device; /* NULL: of every one, and where there is none */
	status result;
	int64_t delay;
	struct span when;
	uint64_t first, last; /* calls of the function, from 1 on */
	char file[512]; /* HANG: as long as it exists */
	uint64_t calls;
};

enum { CLOCKS = 4, LINKS = 18, MIGS = 8, VGPUS = 32, DEVICES = 64 };
enum device_kind { GPU, MIG, VGPU };

struct device {
	struct world *world;
	enum device_kind kind;
	struct device *parent; /* of a MIG device or vGPU */
	unsigned index; /* GPU: where it stands in the script; MIG and vGPU: as given */
	char uuid[UUID_LENGTH], name[NAME_LENGTH], pci[32], serial[32], vm[UUID_LENGTH];
	uint64_t total, reserved;
	struct span *present;
	int presences;

	struct load busy;
	struct series used, memory_busy, power, power_limit, temperature, clock[CLOCKS], pcie[2],
		ecc[2][2], retired[2], remapped[4], nvlink[LINKS][2], mig;
	uint64_t energy; /* mJ at the first load of the driver */
	int64_t period, phase, jitter;
	int buffer;
	struct process *processes;
	int process_count;
	struct xid *xids;
	int xid_count;
	struct garbage *garbage;
	int garbage_count;
	unsigned gi, ci, slices;

	struct device *migs[MIGS], *vgpus[VGPUS];
	int mig_count, vgpu_count;
};

struct unload {
	struct span when;
	status meanwhile;
};

struct world {
	char path[512];
	int64_t epoch; /* us since 1970 of the script's time 0 */
	int64_t loaded; /* when the driver was loaded first */
	char driver[VERSION_LENGTH], nvml[VERSION_LENGTH];
	int cuda;
	bool live; /* devices come and go without a new init */
	struct unload *unloads;
	int unload_count;
	struct fault *faults;
	int fault_count;
	struct device *devices[DEVICES];
	int device_count;

	/* Under the lock of lock.c. */
	int inits;
	int64_t enumerated; /* when the devices were counted */
	int64_t init_load; /* of which load of the driver */
};

/* clock.c */
void control_open(const char *script);
int64_t unix_now(void); /* us */
int64_t epoch_set(void); /* what the control file says, 0 where it does not */
void count_call(void); /* every call begins with it; it takes as long as the control file says */
void count_hanging(int by);
void pause_for(int64_t us); /* of the real clock */

/* series.c */
bool series_has(const struct series *s);
int64_t series_at(const struct series *s, int64_t t);
void series_integral(const struct series *s, int64_t a, int64_t b, unsigned __int128 *sum);
int64_t busy_percent(const struct load *l, int64_t a, int64_t b);
bool within(const struct span *s, int64_t t);

/* script.c */
struct world *script_read(const char *path, int64_t now);

/* calls.c */
void lock(void);
void unlock(void);
struct world *current_world(void);
status enter(const char *function, struct device *d, int64_t *now);
status still(struct world *w, int64_t *now); /* for a call that waits: is it worth it */
status copy_text(char *to, unsigned length, const char *from);
bool present(const struct device *d, int64_t t);
int64_t load_at(const struct world *w, int64_t t); /* when the driver was loaded that is loaded at t */
const char *status_name(status s);
bool status_parse(const char *name, status *s);

/* samples.c */
int64_t sample_time(const struct device *d, int64_t k);
int64_t last_sample(const struct device *d, int64_t t);

/* Every exported function begins with one of these. */
#define CALL(function, d)                                                  \
	int64_t now = 0;                                                   \
	do {                                                               \
		status entered = enter(#function, (struct device *)(d), &now); \
		if (entered != OK)                                         \
			return entered;                                    \
		(void)now;                                                 \
	} while (0)
#define NEED(p)                                  \
	do {                                     \
		if ((p) == NULL)                 \
			return INVALID_ARGUMENT; \
	} while (0)
#define SUPPORTED(condition)                  \
	do {                                  \
		if (!(condition))             \
			return NOT_SUPPORTED; \
	} while (0)

#endif

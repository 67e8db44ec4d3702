/* The clock of the script, and the control file: a page that a test shares with
 * the stub. Its words: 0 the time in us since 1970 (0: the real clock), 1 that of
 * the script's time 0, 2 calls so far, 3 calls that hang now, 4 how many us every
 * call takes. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "stub.h"

enum { WORDS = 512 };
static _Atomic int64_t unshared[WORDS];
static _Atomic(_Atomic int64_t *) control = unshared;

void control_open(const char *script)
{
	char path[600];
	snprintf(path, sizeof path, "%s.control", script);
	atomic_store(&control, unshared);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	void *page = MAP_FAILED;
	if (lseek(fd, 0, SEEK_END) >= (off_t)sizeof unshared)
		page = mmap(NULL, sizeof unshared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (page != MAP_FAILED)
		atomic_store(&control, page);
}

int64_t unix_now(void)
{
	int64_t set = atomic_load(&atomic_load(&control)[0]);
	if (set != 0)
		return set;
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec / 1000;
}

int64_t epoch_set(void) { return atomic_load(&atomic_load(&control)[1]); }

void count_call(void)
{
	atomic_fetch_add(&atomic_load(&control)[2], 1);
	int64_t us = atomic_load(&atomic_load(&control)[4]);
	if (us > 0)
		pause_for(us);
}

void count_hanging(int by) { atomic_fetch_add(&atomic_load(&control)[3], by); }

void pause_for(int64_t us)
{
	struct timespec ts = {us / SECOND, us % SECOND * 1000};
	nanosleep(&ts, NULL);
}

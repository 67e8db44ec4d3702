/* A libcuda.so.1 that computes nothing: a kernel takes as many ns as it is told
 * cycles, in the order of the launches. It shows that the load does what it says. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../cuda.h"

static int64_t busy_until;
static int64_t events[64];
static int made;

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static void wait_for(int64_t ns)
{
	struct timespec t = {ns / 1000000000, ns % 1000000000};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0)
		;
}

#define DECLARE(name, parameters) cu_result name parameters;
CUDA_FUNCTIONS(DECLARE)

cu_result cuInit(unsigned flags) { return flags != 0; }
cu_result cuDriverGetVersion(int *version) { return *version = 12040, 0; }
cu_result cuDeviceGetCount(int *count) { return *count = 1, 0; }
cu_result cuDeviceGet(cu_device *device, int ordinal) { return *device = 7, ordinal != 0; }
cu_result cuDeviceGetName(char *name, int length, cu_device device)
{
	snprintf(name, (size_t)length, "NVIDIA Stub");
	return device != 7;
}
cu_result cuDeviceGetUuid(cu_uuid *uuid, cu_device device)
{
	for (int i = 0; i < 16; i++)
		uuid->bytes[i] = (unsigned char)(0x10 * i + i);
	return device != 7;
}
cu_result cuDeviceGetAttribute(int *value, int attribute, cu_device device)
{
	*value = 4;
	return device != 7 || attribute != CU_MULTIPROCESSORS;
}
cu_result cuDevicePrimaryCtxRetain(void **context, cu_device device) { return *context = &made, device != 7; }
cu_result cuCtxSetCurrent(void *context) { return context != &made; }
cu_result cuCtxSynchronize(void) { return wait_for(busy_until), 0; }
cu_result cuModuleLoadData(void **module, const void *image)
{
	*module = &made;
	return strstr(image, ".target sm_75") == NULL; /* an older one is refused */
}
cu_result cuModuleGetFunction(void **function, void *module, const char *name)
{
	*function = &busy_until;
	return module != &made || strcmp(name, "spin") != 0;
}
cu_result cuMemAlloc_v2(cu_pointer *pointer, size_t bytes) { return *pointer = 4096, bytes == 0; }
cu_result cuMemFree_v2(cu_pointer pointer) { return pointer != 4096; }
cu_result cuMemsetD8_v2(cu_pointer pointer, unsigned char value, size_t bytes)
{
	return pointer != 4096 || value == 0 || bytes == 0;
}
cu_result cuEventCreate(void **event, unsigned flags)
{
	*event = &events[made++ % 64];
	return flags != 0;
}
cu_result cuEventRecord(void *event, void *stream)
{
	*(int64_t *)event = busy_until;
	return stream != NULL;
}
cu_result cuEventSynchronize(void *event) { return wait_for(*(int64_t *)event), 0; }
cu_result cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
	unsigned shared, void *stream, void **parameters, void **extra)
{
	int64_t now = now_ns();
	busy_until = (busy_until > now ? busy_until : now) + *(int64_t *)parameters[0];
	return function != &busy_until || gx != 4 || gy * gz * bx * by * bz != 32 || shared != 0 || stream != NULL || extra != NULL;
}

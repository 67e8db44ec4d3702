/* A known load for a GPU, by way of the CUDA driver. It reads commands, one a
 * line, and answers each with a line, which is the truth to compare with:
 *
 *	alloc BYTES                 ok BYTES            memory, written to; 0 frees it
 *	run SECONDS ON_MS EVERY_MS  ok BUSY_US WALL_US  kernels for ON of every EVERY
 *	idle SECONDS                ok 0 WALL_US
 *	quit
 *
 * The first line says which GPU it is: device UUID NAME. Without a driver or a
 * GPU it ends with status 3 and says why on stderr; what fails later ends it with 1.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../cuda.h"

enum { NO_GPU = 3, IN_FLIGHT = 4 };

#define DECLARE(name, parameters) static cu_result(*name) parameters;
CUDA_FUNCTIONS(DECLARE)

static void load_driver(void)
{
	void *library = dlopen("libcuda.so.1", RTLD_NOW);
	if (library == NULL) {
		fprintf(stderr, "gpuload: no CUDA driver: %s\n", dlerror());
		exit(NO_GPU);
	}
#define RESOLVE(name, parameters)                                                        \
	*(void **)&name = dlsym(library, #name);                                         \
	if (name == NULL) {                                                              \
		fprintf(stderr, "gpuload: the CUDA driver does not have " #name "\n");    \
		exit(NO_GPU);                                                            \
	}
	CUDA_FUNCTIONS(RESOLVE)
}

static void check(cu_result r, const char *what, int otherwise)
{
	if (r == 0)
		return;
	fprintf(stderr, "gpuload: %s: CUDA error %d\n", what, r);
	exit(otherwise);
}

/* A thread spins until that many cycles of its SM have passed. */
#define KERNEL                                     \
	".address_size 64\n"                       \
	".visible .entry spin(.param .u64 cycles)\n" \
	"{\n"                                      \
	"  .reg .pred %p;\n"                       \
	"  .reg .b64 %most, %from, %now;\n"        \
	"  ld.param.u64 %most, [cycles];\n"        \
	"  mov.u64 %from, %clock64;\n"             \
	"again:\n"                                 \
	"  mov.u64 %now, %clock64;\n"              \
	"  sub.u64 %now, %now, %from;\n"           \
	"  setp.lt.u64 %p, %now, %most;\n"         \
	"  @%p bra again;\n"                       \
	"  ret;\n"                                 \
	"}\n"

/* The oldest architecture that the driver takes will do. */
static const char *const kernels[] = {
	".version 6.0\n.target sm_70\n" KERNEL,
	".version 6.3\n.target sm_75\n" KERNEL,
	".version 7.0\n.target sm_80\n" KERNEL,
};

static void *spin;
static unsigned blocks;
static double cycles_per_us = 1000;
static cu_pointer memory;

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

static void sleep_until(int64_t us)
{
	struct timespec t = {us / 1000000, us % 1000000 * 1000};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0)
		;
}

static void launch(double us)
{
	unsigned long long cycles = (unsigned long long)(us * cycles_per_us);
	void *parameters[] = {&cycles};
	check(cuLaunchKernel(spin, blocks, 1, 1, 32, 1, 1, 0, NULL, parameters, NULL), "launching a kernel", 1);
}

static void calibrate(void)
{
	const double us = 50000;
	for (int i = 0; i < 3; i++) { /* the clocks need a while to go up */
		int64_t from = now_us();
		launch(us);
		check(cuCtxSynchronize(), "running a kernel", 1);
		cycles_per_us *= us / (double)(now_us() - from);
	}
}

/* burst runs kernels until then, one after the other without a gap, and returns
 * for how long there were any. */
static int64_t burst(int64_t until, void **events)
{
	const double piece = 4000; /* us */
	int64_t from = now_us();
	for (int n = 0;; n++) {
		int64_t left = until - now_us();
		if (n >= IN_FLIGHT)
			left -= (IN_FLIGHT - 1) * (int64_t)piece;
		else
			left -= n * (int64_t)piece;
		if (left < 50)
			break;
		launch((double)left < piece ? (double)left : piece);
		check(cuEventRecord(events[n % IN_FLIGHT], NULL), "recording an event", 1);
		if (n + 1 >= IN_FLIGHT)
			check(cuEventSynchronize(events[(n + 1) % IN_FLIGHT]), "waiting for a kernel", 1);
	}
	check(cuCtxSynchronize(), "waiting for kernels", 1);
	return now_us() - from;
}

static void run(double seconds, double on_ms, double every_ms, void **events)
{
	int64_t from = now_us(), busy = 0, end = from + (int64_t)(seconds * 1e6);
	int64_t on = (int64_t)(on_ms * 1000), every = (int64_t)(every_ms * 1000);
	for (int64_t t = from; t < end; t += every) {
		sleep_until(t);
		int64_t until = t + on < end ? t + on : end;
		if (on > 0 && now_us() < until)
			busy += burst(until, events);
	}
	sleep_until(end);
	printf("ok %lld %lld\n", (long long)busy, (long long)(now_us() - from));
}

static void allocate(unsigned long long bytes)
{
	if (memory != 0)
		check(cuMemFree_v2(memory), "freeing memory", 1);
	memory = 0;
	if (bytes > 0) {
		check(cuMemAlloc_v2(&memory, bytes), "allocating memory", 1);
		check(cuMemsetD8_v2(memory, 1, bytes), "writing to memory", 1);
		check(cuCtxSynchronize(), "writing to memory", 1);
	}
	printf("ok %llu\n", bytes);
}

static void describe(cu_device device)
{
	char name[256] = "";
	cu_uuid u;
	check(cuDeviceGetName(name, sizeof name, device), "the name of the GPU", NO_GPU);
	check(cuDeviceGetUuid(&u, device), "the UUID of the GPU", NO_GPU);
	printf("device GPU-");
	for (int i = 0; i < 16; i++)
		printf("%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u.bytes[i]);
	printf(" %s\n", name);
}

static void prepare(cu_device device)
{
	void *context, *module = NULL;
	int sms = 1;
	cu_result r = 1;
	check(cuDevicePrimaryCtxRetain(&context, device), "a context", 1);
	check(cuCtxSetCurrent(context), "a context", 1);
	check(cuDeviceGetAttribute(&sms, CU_MULTIPROCESSORS, device), "the number of multiprocessors", 1);
	blocks = (unsigned)sms;
	for (size_t i = 0; r != 0 && i < sizeof kernels / sizeof *kernels; i++)
		r = cuModuleLoadData(&module, kernels[i]);
	check(r, "loading the kernel", 1);
	check(cuModuleGetFunction(&spin, module, "spin"), "finding the kernel", 1);
	calibrate();
}

int main(int argc, char **argv)
{
	cu_device device;
	int count = 0, ordinal = argc > 1 ? atoi(argv[1]) : 0;
	void *events[IN_FLIGHT];
	char line[256];

	setvbuf(stdout, NULL, _IOLBF, 0);
	load_driver();
	check(cuInit(0), "cuInit", NO_GPU);
	check(cuDeviceGetCount(&count), "counting GPUs", NO_GPU);
	if (ordinal < 0 || ordinal >= count) {
		fprintf(stderr, "gpuload: there is no GPU %d: %d in all\n", ordinal, count);
		return NO_GPU;
	}
	check(cuDeviceGet(&device, ordinal), "the GPU", NO_GPU);
	prepare(device);
	for (int i = 0; i < IN_FLIGHT; i++)
		check(cuEventCreate(&events[i], 0), "an event", 1);
	describe(device);
	while (fgets(line, sizeof line, stdin) != NULL) {
		double seconds, on, every;
		unsigned long long bytes;
		if (sscanf(line, "run %lf %lf %lf", &seconds, &on, &every) == 3 && every >= 1 && on <= every)
			run(seconds, on, every, events);
		else if (sscanf(line, "idle %lf", &seconds) == 1)
			run(seconds, 0, seconds * 1000 + 1, events);
		else if (sscanf(line, "alloc %llu", &bytes) == 1)
			allocate(bytes);
		else if (strcmp(line, "quit\n") == 0)
			return 0;
		else
			printf("error not understood: %s", line);
	}
	return 0;
}

/* The part of NVML's binary interface that the stub speaks: sizes, offsets and
 * numbers as a program that was compiled against NVML 12 and 13 expects them. */
#ifndef ABI_H
#define ABI_H

#include <stdint.h>

typedef int status; /* nvmlReturn_t */

enum {
	OK = 0,
	UNINITIALIZED = 1,
	INVALID_ARGUMENT = 2,
	NOT_SUPPORTED = 3,
	NOT_FOUND = 6,
	INSUFFICIENT_SIZE = 7,
	DRIVER_NOT_LOADED = 9,
	TIMEOUT = 10,
	GPU_IS_LOST = 15,
	ARGUMENT_VERSION_MISMATCH = 25,
	UNKNOWN = 999,
};

enum { UUID_LENGTH = 96, NAME_LENGTH = 96, VERSION_LENGTH = 80 };
enum { VALUE_UNSIGNED_INT = 1, VALUE_UNSIGNED_LONG_LONG = 3 };

typedef union {
	double dVal;
	int siVal;
	unsigned int uiVal;
	unsigned long ulVal;
	unsigned long long ullVal;
	long long sllVal;
} value;

typedef struct {
	char busIdLegacy[16];
	unsigned int domain, bus, device, pciDeviceId, pciSubSystemId;
	char busId[32];
} pci_info;

typedef struct {
	unsigned long long total, free, used;
} memory_info;

typedef struct {
	unsigned int version;
	unsigned long long total, reserved, free, used;
} memory_info_v2;

typedef struct {
	unsigned int gpu, memory;
} utilization;

typedef struct {
	unsigned long long timeStamp; /* us since 1970 */
	value sampleValue;
} sample;

typedef struct {
	unsigned int version;
	int sensorType;
	int temperature;
} temperature_v1;

typedef struct {
	unsigned int pid;
	unsigned long long usedGpuMemory;
	unsigned int gpuInstanceId, computeInstanceId;
} process_info;

typedef struct {
	unsigned int pid;
	unsigned long long timeStamp;
	unsigned int smUtil, memUtil, encUtil, decUtil;
} process_sample;

typedef struct {
	unsigned int fieldId, scopeId;
	long long timestamp, latencyUsec;
	int valueType;
	status nvmlReturn;
	value value;
} field_value;

typedef struct {
	void *device;
	unsigned long long eventType, eventData;
	unsigned int gpuInstanceId, computeInstanceId;
} event_data;

typedef struct {
	unsigned int multiprocessorCount, sharedCopyEngineCount, sharedDecoderCount,
		sharedEncoderCount, sharedJpegCount, sharedOfaCount, gpuInstanceSliceCount,
		computeInstanceSliceCount;
	unsigned long long memorySizeMB;
} attributes;

typedef struct {
	unsigned int vgpuInstance;
	unsigned long long timeStamp;
	value smUtil, memUtil, encUtil, decUtil;
} vgpu_sample;

#endif

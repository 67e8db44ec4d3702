/* The part of the CUDA driver's binary interface that the load uses. */
#ifndef CUDA_ABI_H
#define CUDA_ABI_H

typedef int cu_result; /* CUresult; 0 is success */
typedef int cu_device;
typedef unsigned long long cu_pointer;
typedef struct {
	unsigned char bytes[16];
} cu_uuid;

enum { CU_MULTIPROCESSORS = 16 }; /* CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT */

#define CUDA_FUNCTIONS(F)                                                                                          \
	F(cuInit, (unsigned flags))                                                                                \
	F(cuDriverGetVersion, (int *version))                                                                      \
	F(cuDeviceGetCount, (int *count))                                                                          \
	F(cuDeviceGet, (cu_device *device, int ordinal))                                                           \
	F(cuDeviceGetName, (char *name, int length, cu_device device))                                             \
	F(cuDeviceGetUuid, (cu_uuid *uuid, cu_device device))                                                      \
	F(cuDeviceGetAttribute, (int *value, int attribute, cu_device device))                                     \
	F(cuDevicePrimaryCtxRetain, (void **context, cu_device device))                                            \
	F(cuCtxSetCurrent, (void *context))                                                                        \
	F(cuCtxSynchronize, (void))                                                                                \
	F(cuModuleLoadData, (void **module, const void *image))                                                    \
	F(cuModuleGetFunction, (void **function, void *module, const char *name))                                  \
	F(cuMemAlloc_v2, (cu_pointer *pointer, size_t bytes))                                                      \
	F(cuMemFree_v2, (cu_pointer pointer))                                                                      \
	F(cuMemsetD8_v2, (cu_pointer pointer, unsigned char value, size_t bytes))                                  \
	F(cuEventCreate, (void **event, unsigned flags))                                                           \
	F(cuEventRecord, (void *event, void *stream))                                                              \
	F(cuEventSynchronize, (void *event))                                                                       \
	F(cuLaunchKernel, (void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,        \
				  unsigned bz, unsigned shared, void *stream, void **parameters, void **extra))

#endif

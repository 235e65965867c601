// The kinds of device, as an emitted model asks for one. Compiled once for all addons, so that a model needs no more than this.
#pragma once
#include <memory>

#include "cuda_image.h"
#include "device.h"

namespace ultramem {

namespace simt {
struct Kernel;
}

namespace addon {

// The CPU, thread by thread, with every access checked. kernels[variant][launch]
std::shared_ptr<Device> open_simt_device(const simt::Kernel* const* kernels);

// A GPU, by its driver. Throws Fault as CudaDevice does.
std::shared_ptr<Device> open_cuda_device(CudaOptions options);

}  // namespace addon
}  // namespace ultramem

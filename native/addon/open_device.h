// The kinds of device, as an emitted model asks for one. Compiled once for all addons, so that a model needs no more than this.
#pragma once

namespace ultramem {

namespace simt {
struct Kernel;
}

namespace addon {

class Device;
struct CudaOptions;

// Both make a device that whoever calls owns.

// The CPU, thread by thread, with every access checked. kernels[variant][launch]
Device* open_simt_device(const simt::Kernel* const* kernels);

// A GPU, by its driver. Throws Fault as CudaDevice does.
Device* open_cuda_device(const CudaOptions& options);

}  // namespace addon
}  // namespace ultramem

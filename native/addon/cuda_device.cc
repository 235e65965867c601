// See open_device.h.
#include "cuda_device.h"

#include "open_device.h"

namespace ultramem::addon {

Device* open_cuda_device(const CudaOptions& options) { return new CudaDevice(options); }

}  // namespace ultramem::addon

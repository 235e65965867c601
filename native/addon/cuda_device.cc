// See open_device.h.
#include "cuda_device.h"

#include "open_device.h"

namespace ultramem::addon {

std::shared_ptr<Device> open_cuda_device(CudaOptions options) { return std::make_shared<CudaDevice>(std::move(options)); }

}  // namespace ultramem::addon

// See open_device.h.
#include "simt_device.h"

#include "open_device.h"

namespace ultramem::addon {

std::shared_ptr<Device> open_simt_device(const simt::Kernel* const* kernels) { return std::make_shared<SimtDevice>(kernels); }

}  // namespace ultramem::addon

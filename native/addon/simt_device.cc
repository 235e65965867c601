// See open_device.h.
#include "simt_device.h"

#include "open_device.h"

namespace ultramem::addon {

Device* open_simt_device(const simt::Kernel* const* kernels) { return new SimtDevice(kernels); }

}  // namespace ultramem::addon

// The kernels that this processor can run. Not in levels.h, which the levels include themselves: what
// the standard library defines in headers is not to be compiled for more than this processor has.
#pragma once

#include <string>
#include <vector>

#include "kernels.h"

namespace unspool {

// Of single precision, the fastest last.
const std::vector<const Kernels*>& single_kernels();

// Those that multiply in bfloat16, the fastest last; there may be none.
const std::vector<const Kernels*>& half_kernels();

// Throws std::invalid_argument if there is none of that name.
const Kernels& kernels_called(const std::string& name);

}  // namespace unspool

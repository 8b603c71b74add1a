// The levels of vector instructions that this module was compiled for.
#pragma once

#include "kernels.h"

namespace unspool {

namespace portable {
extern const Kernels kernels;
}
#if defined(UNSPOOL_X86_LEVELS)
namespace avx2 {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}
namespace avx512_bf16 {
extern const Kernels kernels;
}
namespace amx_bf16 {
extern const Kernels kernels;
}
namespace amx {
extern const Kernels kernels;
}
#endif
#if defined(__aarch64__)
namespace neon {
extern const Kernels kernels;
}
#endif

}  // namespace unspool

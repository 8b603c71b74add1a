// The Python module unspool._native: hands the C++ functions to Python and holds no logic.
#include "arguments.h"

NB_MODULE(_native, module) {
    module.doc() = "C++ parts of Unspool; use them through unspool.native and unspool.nn.";
    binding::add_processor(module);
    binding::add_recurrent(module);
    binding::add_rowwise(module);
    binding::add_products(module);
    binding::add_cross_entropy(module);
    binding::add_decoder(module);
}

#include "runnable.h"

#include <stdexcept>

#include "cpu.h"
#include "levels.h"

namespace unspool {
namespace {

using AllKernels = std::vector<const Kernels*>;

AllKernels find_single_kernels() {
    AllKernels runnable = {&portable::kernels};
#if defined(UNSPOOL_X86_LEVELS)
    if (instruction_sets().avx2) runnable.push_back(&avx2::kernels);
    if (instruction_sets().avx512) runnable.push_back(&avx512::kernels);
    if (instruction_sets().amx_bf16) runnable.push_back(&amx::kernels);
#endif
#if defined(__aarch64__)
    runnable.push_back(&neon::kernels);
#endif
    return runnable;
}

AllKernels find_half_kernels() {
    AllKernels runnable;
#if defined(UNSPOOL_X86_LEVELS)
    if (instruction_sets().avx512_bf16) runnable.push_back(&avx512_bf16::kernels);
    if (instruction_sets().amx_bf16) runnable.push_back(&amx_bf16::kernels);
#endif
    return runnable;
}

}  // namespace

const AllKernels& single_kernels() {
    static const AllKernels found = find_single_kernels();
    return found;
}

const AllKernels& half_kernels() {
    static const AllKernels found = find_half_kernels();
    return found;
}

const Kernels& kernels_called(const std::string& name) {
    for (const AllKernels* all : {&single_kernels(), &half_kernels()})
        for (const Kernels* kernels : *all)
            if (name == kernels->name) return *kernels;
    throw std::invalid_argument("this processor has no kernel " + name);
}

}  // namespace unspool

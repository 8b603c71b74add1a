// What the processor can do, and on which threads.
#include <algorithm>
#include <chrono>

#include "../cpu.h"
#include "../parallel.h"
#include "../runnable.h"
#include "arguments.h"

namespace binding {
namespace {

std::vector<std::string> instruction_set_names() {
    const unspool::InstructionSets& sets = unspool::instruction_sets();
    std::vector<std::string> names;
    if (sets.avx2) names.emplace_back("avx2");
    if (sets.avx512) names.emplace_back("avx512");
    if (sets.avx512_bf16) names.emplace_back("avx512_bf16");
    if (sets.amx_bf16) names.emplace_back("amx_bf16");
    if (sets.neon) names.emplace_back("neon");
    return names;
}

std::vector<std::string> names_of(const std::vector<const Kernels*>& all) {
    std::vector<std::string> names;
    for (const Kernels* kernels : all) names.emplace_back(kernels->name);
    return names;
}

// Operations a second that all threads together can do at most.
double peak(const std::string& kernel, int threads) {
    const Kernels& kernels = kernels_called(kernel);
    const nb::gil_scoped_release release;
    double best = 0;
    for (int trial = 0; trial < 5; ++trial) {
        std::vector<int64_t> operations(threads);
        const auto start = std::chrono::steady_clock::now();
        unspool::parallel(threads, [&](int part) { operations[part] = kernels.multiply_add(1 << 20); });
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
        double sum = 0;
        for (const int64_t count : operations) sum += double(count);
        best = std::max(best, sum / seconds.count());
    }
    return best;
}

}  // namespace

void add_processor(nb::module_& module) {
    module.def("instruction_sets", &instruction_set_names,
               "Names of the vector instruction sets that processor and system offer.");
    module.def(
        "fast_bf16", [] { return unspool::instruction_sets().fast_bf16; },
        "Whether bfloat16 is multiplied faster than single precision.");
    module.def(
        "kernels", [] { return names_of(unspool::single_kernels()); },
        "Names of the kernels that this processor can run, the fastest last.");
    module.def(
        "half_kernels", [] { return names_of(unspool::half_kernels()); },
        "The same of those that multiply in bfloat16.");
    module.def("borrow_threads", &unspool::borrow_threads,
               "Work on torch's OpenMP threads from now on; False where they were not found.");
    module.def("peak", &peak, "kernel"_a, "threads"_a,
               "Floating-point operations a second that the processor can do at most, measured.");
}

}  // namespace binding

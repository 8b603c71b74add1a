// The Python module unspool._native: hands the C++ functions to Python and holds no logic.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <vector>

#include "cpu.h"

namespace {

std::vector<std::string> instruction_set_names() {
    const unspool::InstructionSets& sets = unspool::instruction_sets();
    std::vector<std::string> names;
    if (sets.avx2) names.emplace_back("avx2");
    if (sets.avx512) names.emplace_back("avx512");
    if (sets.avx512_bf16) names.emplace_back("avx512_bf16");
    if (sets.neon) names.emplace_back("neon");
    return names;
}

}  // namespace

NB_MODULE(_native, module) {
    module.doc() = "C++ parts of Unspool; use them through unspool.native.";
    module.def("instruction_sets", &instruction_set_names,
               "Names of the vector instruction sets that processor and system offer.");
}

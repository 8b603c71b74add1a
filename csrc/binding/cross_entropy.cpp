// The cross-entropy of an output layer.
#include "../cross_entropy.h"
#include "arguments.h"

namespace binding {
namespace {

// N, H, V; hidden, weight and bias; their gradients.
double cross_entropy(const std::string& kernel, const std::array<int64_t, 3>& sizes,
                     const std::array<Address, 3>& arguments, Address targets, float smoothing, float scale,
                     const std::array<Address, 3>& gradients, int threads) {
    unspool::CrossEntropy task{};
    task.N = sizes[0];
    task.H = sizes[1];
    task.V = sizes[2];
    task.hidden = pointer<const float>(arguments[0]);
    task.weight = pointer<const float>(arguments[1]);
    task.bias = pointer<const float>(arguments[2]);
    task.targets = pointer<const int64_t>(targets);
    task.smoothing = smoothing;
    task.scale = scale;
    task.d_hidden = pointer<float>(gradients[0]);
    task.d_weight = pointer<float>(gradients[1]);
    task.d_bias = pointer<float>(gradients[2]);
    task.threads = threads;
    const Kernels& kernels = kernels_called(kernel);
    const nb::gil_scoped_release release;
    return unspool::cross_entropy(kernels, task);
}

}  // namespace

void add_cross_entropy(nb::module_& module) {
    module.def("cross_entropy", &cross_entropy, "kernel"_a, "sizes"_a, "arguments"_a, "targets"_a,
               "smoothing"_a, "scale"_a, "gradients"_a, "threads"_a,
               "Sum the cross-entropy of a linear layer's logits over positions.");
}

}  // namespace binding

// Recurrent stacks.
#include "../recurrent.h"
#include "arguments.h"

namespace binding {
namespace {

// B, T, F, H, L, D.
using Sizes = std::array<int64_t, 6>;

unspool::Stack stack_of(const std::string& cell, const Sizes& n) {
    return {cell_called(cell), n[0], n[1], n[2], n[3], int(n[4]), int(n[5])};
}

// What both passes read, as Python passes it.
struct Call {
    const Kernels& kernels;
    unspool::Arguments arguments;

    Call(const std::string& kernel, const std::string& cell, const Sizes& sizes,
         const RowsOf& input, Address lengths, Address h0, Address c0,
         const std::vector<Address>& weights, Address mask, float scale, const RowsOf& output,
         Address workspace, int threads)
        : kernels(kernels_called(kernel)), arguments{} {
        arguments.stack = stack_of(cell, sizes);
        arguments.input = rows_of<const float>(input);
        arguments.lengths = pointer<const int64_t>(lengths);
        arguments.h0 = pointer<const float>(h0);
        arguments.c0 = pointer<const float>(c0);
        arguments.weights = weights_of(weights);
        arguments.mask = pointer<const uint8_t>(mask);
        arguments.scale = scale;
        arguments.output = rows_of<float>(output);
        arguments.workspace = pointer<float>(workspace);
        arguments.threads = threads;
    }
};

int64_t packed_size(const std::string& kernel, const std::string& cell, const Sizes& sizes) {
    return unspool::packed_size(kernels_called(kernel), stack_of(cell, sizes));
}

void pack(const std::string& kernel, const std::string& cell, const Sizes& sizes,
          const std::vector<Address>& weights, Address packed, int threads) {
    const Kernels& kernels = kernels_called(kernel);
    const unspool::Stack stack = stack_of(cell, sizes);
    const auto given = weights_of(weights);
    const nb::gil_scoped_release release;
    unspool::pack(kernels, stack, given, pointer<float>(packed), threads);
}

int64_t workspace_size(const std::string& kernel, const std::string& cell, const Sizes& sizes,
                       bool has_mask) {
    return unspool::workspace_size(kernels_called(kernel), stack_of(cell, sizes), has_mask);
}

void forward(const std::string& kernel, const std::string& cell, const Sizes& sizes,
             const RowsOf& input, Address lengths, Address h0, Address c0,
             const std::vector<Address>& weights, Address mask, float scale, const RowsOf& output,
             Address workspace, int threads, Address h_n, Address c_n, Address packed) {
    Call call(kernel, cell, sizes, input, lengths, h0, c0, weights, mask, scale, output, workspace,
              threads);
    call.arguments.packed = pointer<const float>(packed);
    const unspool::FinalState final{pointer<float>(h_n), pointer<float>(c_n)};
    const nb::gil_scoped_release release;
    unspool::forward(call.kernels, call.arguments, final);
}

void backward(const std::string& kernel, const std::string& cell, const Sizes& sizes,
              const RowsOf& input, Address lengths, Address h0, Address c0,
              const std::vector<Address>& weights, Address mask, float scale, const RowsOf& output,
              Address workspace, int threads, const RowsOf& d_output, Address d_h_n, Address d_c_n,
              const RowsOf& d_input, Address d_h0, Address d_c0,
              const std::vector<Address>& d_weights, bool overwrites) {
    const Call call(kernel, cell, sizes, input, lengths, h0, c0, weights, mask, scale, output,
                    workspace, threads);
    unspool::Gradients gradients{};
    gradients.d_output = rows_of<const float>(d_output);
    gradients.d_h_n = pointer<const float>(d_h_n);
    gradients.d_c_n = pointer<const float>(d_c_n);
    gradients.d_input = rows_of<float>(d_input);
    gradients.d_h0 = pointer<float>(d_h0);
    gradients.d_c0 = pointer<float>(d_c0);
    gradients.overwrites = overwrites;
    for (size_t i = 0; i + 4 <= d_weights.size(); i += 4)
        gradients.d_weights.push_back({pointer<float>(d_weights[i]), pointer<float>(d_weights[i + 1]),
                                       pointer<float>(d_weights[i + 2]),
                                       pointer<float>(d_weights[i + 3])});
    const nb::gil_scoped_release release;
    unspool::backward(call.kernels, call.arguments, gradients);
}

}  // namespace

void add_recurrent(nb::module_& module) {
    module.def("workspace_size", &workspace_size, "kernel"_a, "cell"_a, "sizes"_a, "has_mask"_a,
               "Floats that the forward pass saves for the backward pass.");
    module.def("forward", &forward, "kernel"_a, "cell"_a, "sizes"_a, "input"_a, "lengths"_a, "h0"_a,
               "c0"_a, "weights"_a, "mask"_a, "scale"_a, "output"_a, "workspace"_a, "threads"_a,
               "h_n"_a, "c_n"_a, "packed"_a = Address(0), "Run a recurrent stack.");
    module.def("packed_size", &packed_size, "kernel"_a, "cell"_a, "sizes"_a,
               "Floats that a stack's packed weights take.");
    module.def("pack", &pack, "kernel"_a, "cell"_a, "sizes"_a, "weights"_a, "packed"_a, "threads"_a,
               "Pack a stack's weights for many forward passes.");
    module.def("backward", &backward, "kernel"_a, "cell"_a, "sizes"_a, "input"_a, "lengths"_a,
               "h0"_a, "c0"_a, "weights"_a, "mask"_a, "scale"_a, "output"_a, "workspace"_a,
               "threads"_a, "d_output"_a, "d_h_n"_a, "d_c_n"_a, "d_input"_a, "d_h0"_a, "d_c0"_a,
               "d_weights"_a, "overwrites"_a, "Back-propagate through it.");
}

}  // namespace binding

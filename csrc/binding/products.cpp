// Matrix products by themselves.
#include "../products.h"
#include "arguments.h"

namespace binding {
namespace {

// Address, and stride from row to row.
using MatrixOf = std::array<int64_t, 2>;

template <class T>
unspool::Matrix<T> matrix_of(const MatrixOf& matrix) {
    return {pointer<T>(Address(matrix[0])), matrix[1]};
}

int64_t product_panels(const std::string& kernel, int64_t depth, int64_t columns) {
    return kernels_called(kernel).product.panels(depth, columns);
}

// Depth and columns.
void pack_product(const std::string& kernel, const std::array<int64_t, 2>& sizes,
                  const MatrixOf& weight, bool transpose, Address panels, int threads) {
    const Kernels& kernels = kernels_called(kernel);
    const nb::gil_scoped_release release;
    unspool::pack_product(kernels, matrix_of<const float>(weight), transpose, sizes[0], sizes[1],
                          pointer<float>(panels), threads);
}

// Rows, depth, columns.
void multiply(const std::string& kernel, const std::array<int64_t, 3>& sizes, Address panels,
              const MatrixOf& input, const MatrixOf& added, const MatrixOf& output, int threads) {
    const Kernels& kernels = kernels_called(kernel);
    const nb::gil_scoped_release release;
    unspool::multiply(kernels,
                      {sizes[0], sizes[1], sizes[2], pointer<const float>(panels),
                       matrix_of<const float>(input), matrix_of<const float>(added),
                       matrix_of<float>(output), nullptr},
                      threads);
}

// Outputs and inputs.
void weight_gradient(const std::string& kernel, const std::array<int64_t, 2>& sizes,
                     const MatrixOf& gradients, const std::vector<Address>& steps,
                     const std::vector<int64_t>& rows, Address d_weight, int threads) {
    const Kernels& kernels = kernels_called(kernel);
    const unspool::StepGradients job{sizes[0],
                                     sizes[1],
                                     matrix_of<const float>(gradients),
                                     pointers<const float>(steps),
                                     rows,
                                     pointer<float>(d_weight)};
    const nb::gil_scoped_release release;
    unspool::weight_gradient(kernels, job, threads);
}

}  // namespace

void add_products(nb::module_& module) {
    module.def("product_panels", &product_panels, "kernel"_a, "depth"_a, "columns"_a,
               "Floats that a packed matrix takes.");
    module.def("pack_product", &pack_product, "kernel"_a, "sizes"_a, "weight"_a, "transpose"_a,
               "panels"_a, "threads"_a, "Pack a matrix, or its transpose, for many products.");
    module.def("multiply", &multiply, "kernel"_a, "sizes"_a, "panels"_a, "input"_a, "added"_a,
               "output"_a, "threads"_a, "Multiply rows by a packed matrix, and add to them.");
    module.def("weight_gradient", &weight_gradient, "kernel"_a, "sizes"_a, "gradients"_a, "steps"_a,
               "rows"_a, "d_weight"_a, "threads"_a,
               "Sum outer products of gradients and inputs over all rows of all steps.");
}

}  // namespace binding

// Work whose rows do not depend on each other.
#include "../rowwise.h"
#include "../runnable.h"
#include "arguments.h"

namespace binding {
namespace {

int64_t gates_saved(const std::string& kernel, const std::string& cell, int64_t H) {
    return kernels_called(kernel).gates_saved(cell_called(cell), H);
}

// Rows and H; input, recurrent, h, c; h and c after; what is saved.
unspool::Gates gates_of(const std::string& cell, const std::array<int64_t, 2>& sizes,
                        const std::array<Address, 7>& arrays) {
    return {cell_called(cell),
            sizes[0],
            sizes[1],
            pointer<const float>(arrays[0]),
            pointer<const float>(arrays[1]),
            pointer<const float>(arrays[2]),
            pointer<const float>(arrays[3]),
            pointer<float>(arrays[4]),
            pointer<float>(arrays[5]),
            pointer<float>(arrays[6])};
}

void gates(const std::string& kernel, const std::string& cell, const std::array<int64_t, 2>& sizes,
           const std::array<Address, 7>& arrays, int threads) {
    const Kernels& kernels = kernels_called(kernel);
    const unspool::Gates job = gates_of(cell, sizes, arrays);
    const nb::gil_scoped_release release;
    unspool::gates(kernels, job, threads);
}

// Gradients of h and c after; of input, recurrent, h and c.
void gate_gradients(const std::string& kernel, const std::string& cell,
                    const std::array<int64_t, 2>& sizes, const std::array<Address, 7>& arrays,
                    const std::array<Address, 6>& gradients, int threads) {
    const Kernels& kernels = kernels_called(kernel);
    const unspool::GateGradients job{
        gates_of(cell, sizes, arrays),       pointer<const float>(gradients[0]),
        pointer<const float>(gradients[1]), pointer<float>(gradients[2]),
        pointer<float>(gradients[3]),       pointer<float>(gradients[4]),
        pointer<float>(gradients[5])};
    const nb::gil_scoped_release release;
    unspool::gate_gradients(kernels, job, threads);
}

// B, T, S, A.
unspool::AdditiveScores additive_of(const std::array<int64_t, 4>& n,
                                    const std::array<Address, 3>& arguments, Address scores) {
    return {n[0],
            n[1],
            n[2],
            n[3],
            pointer<const float>(arguments[0]),
            pointer<const float>(arguments[1]),
            pointer<const float>(arguments[2]),
            pointer<float>(scores)};
}

void additive_scores(const std::string& kernel, const std::array<int64_t, 4>& sizes,
                     const std::array<Address, 3>& arguments, Address scores, int threads) {
    const Kernels& kernels = kernels_called(kernel);
    const unspool::AdditiveScores job = additive_of(sizes, arguments, scores);
    const nb::gil_scoped_release release;
    unspool::additive_scores(kernels, job, threads);
}

void additive_gradients(const std::string& kernel, const std::array<int64_t, 4>& sizes,
                        const std::array<Address, 3>& arguments, Address d_scores,
                        const std::array<Address, 3>& gradients, int threads) {
    const Kernels& kernels = kernels_called(kernel);
    const unspool::AdditiveGradients job{
        additive_of(sizes, arguments, 0), pointer<const float>(d_scores),
        pointer<float>(gradients[0]), pointer<float>(gradients[1]), pointer<float>(gradients[2])};
    const nb::gil_scoped_release release;
    unspool::additive_gradients(kernels, job, threads);
}

// Rows, columns and how many; of float or double. What is found does not depend on the level.
template <class Number>
void best_of(const std::array<int64_t, 3>& sizes, Address values, Address best_values,
             Address best_columns, int threads) {
    const Kernels& kernels = *unspool::single_kernels().back();
    const unspool::BestOfRows<Number> job{sizes[0],
                                          sizes[1],
                                          sizes[2],
                                          pointer<const Number>(values),
                                          pointer<Number>(best_values),
                                          pointer<int64_t>(best_columns)};
    const nb::gil_scoped_release release;
    unspool::best(kernels, job, threads);
}

void best(const std::array<int64_t, 3>& sizes, bool doubles, Address values, Address best_values,
          Address best_columns, int threads) {
    (doubles ? &best_of<double> : &best_of<float>)(sizes, values, best_values, best_columns, threads);
}

// Groups, width, columns, each, most.
void best_sums(const std::array<int64_t, 5>& n, Address values, Address offsets, Address sums,
               Address rows, Address columns, int threads) {
    const unspool::BestSums job{n[0],
                                n[1],
                                n[2],
                                n[3],
                                n[4],
                                pointer<const float>(values),
                                pointer<const double>(offsets),
                                pointer<double>(sums),
                                pointer<int64_t>(rows),
                                pointer<int64_t>(columns)};
    const Kernels& kernels = *unspool::single_kernels().back();
    const nb::gil_scoped_release release;
    unspool::best_sums(kernels, job, threads);
}

void draw_kept(uint64_t key, int64_t count, int32_t dropped, Address kept, int threads) {
    const Kernels& kernels = *unspool::single_kernels().back();
    const nb::gil_scoped_release release;
    unspool::draw_kept(kernels, key, count, dropped, pointer<uint8_t>(kept), threads);
}

}  // namespace

void add_rowwise(nb::module_& module) {
    module.def("gates_saved", &gates_saved, "kernel"_a, "cell"_a, "hidden_size"_a,
               "Floats of a row that the gates keep for the way back.");
    module.def("gates", &gates, "kernel"_a, "cell"_a, "sizes"_a, "arrays"_a, "threads"_a,
               "Make a new state of a cell's sums.");
    module.def("gate_gradients", &gate_gradients, "kernel"_a, "cell"_a, "sizes"_a, "arrays"_a,
               "gradients"_a, "threads"_a, "Back-propagate through it.");
    module.def("additive_scores", &additive_scores, "kernel"_a, "sizes"_a, "arguments"_a,
               "scores"_a, "threads"_a, "Compare queries with keys by v · tanh(q + k).");
    module.def("additive_gradients", &additive_gradients, "kernel"_a, "sizes"_a, "arguments"_a,
               "d_scores"_a, "gradients"_a, "threads"_a, "Back-propagate through it.");
    module.def("best_sums", &best_sums, "sizes"_a, "values"_a, "offsets"_a, "sums"_a, "rows"_a,
               "columns"_a, "threads"_a,
               "Find the greatest sums of a group of rows' numbers and of what each row has already.");
    module.def("best", &best, "sizes"_a, "doubles"_a, "values"_a, "best_values"_a,
               "best_columns"_a, "threads"_a,
               "Find the greatest numbers of each row; sizes are rows, columns and how many.");
    module.def("draw_kept", &draw_kept, "key"_a, "count"_a, "dropped"_a, "kept"_a, "threads"_a,
               "Draw which numbers dropout keeps; each is dropped by so many 65,536ths.");
}

}  // namespace binding

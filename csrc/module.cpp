// The Python module unspool._native: hands the C++ functions to Python and holds no logic. Arrays
// come as addresses, 0 for none, which spares the calls any conversion; the callers, native_recurrent,
// inference, gates, products, decoder_step, additive_scores, dropout and cross_entropy_kernel in
// unspool/nn and ranking in unspool/decoding, answer for them.
#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include "cpu.h"
#include "cross_entropy.h"
#include "decoder.h"
#include "levels.h"
#include "parallel.h"
#include "products.h"
#include "recurrent.h"
#include "rowwise.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using unspool::Kernels;
using Address = uintptr_t;

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

using AllKernels = std::vector<const Kernels*>;

// Those that this processor can run, the fastest last.
AllKernels single_kernels() {
    AllKernels runnable = {&unspool::portable::kernels};
#if defined(UNSPOOL_X86_LEVELS)
    if (unspool::instruction_sets().avx2) runnable.push_back(&unspool::avx2::kernels);
    if (unspool::instruction_sets().avx512) runnable.push_back(&unspool::avx512::kernels);
    if (unspool::instruction_sets().amx_bf16) runnable.push_back(&unspool::amx::kernels);
#endif
#if defined(__aarch64__)
    runnable.push_back(&unspool::neon::kernels);
#endif
    return runnable;
}

// The same of those that multiply in bfloat16.
AllKernels half_kernels() {
    AllKernels runnable;
#if defined(UNSPOOL_X86_LEVELS)
    if (unspool::instruction_sets().avx512_bf16)
        runnable.push_back(&unspool::avx512_bf16::kernels);
    if (unspool::instruction_sets().amx_bf16) runnable.push_back(&unspool::amx_bf16::kernels);
#endif
    return runnable;
}

std::vector<std::string> names_of(const AllKernels& all) {
    std::vector<std::string> names;
    for (const Kernels* kernels : all) names.emplace_back(kernels->name);
    return names;
}

const Kernels& kernels_called(const std::string& name) {
    for (const AllKernels& all : {single_kernels(), half_kernels()})
        for (const Kernels* kernels : all)
            if (name == kernels->name) return *kernels;
    throw std::invalid_argument("this processor has no kernel " + name);
}

unspool::Cell cell_called(const std::string& name) {
    if (name == "rnn_tanh") return unspool::Cell::rnn_tanh;
    if (name == "rnn_relu") return unspool::Cell::rnn_relu;
    if (name == "lstm") return unspool::Cell::lstm;
    if (name == "gru") return unspool::Cell::gru;
    throw std::invalid_argument("there is no cell " + name);
}

template <class T>
T* pointer(Address address) {
    return reinterpret_cast<T*>(address);
}

// B, T, F, H, L, D.
using Sizes = std::array<int64_t, 6>;
// Address, and strides from sequence to sequence and from step to step.
using RowsOf = std::array<int64_t, 3>;

unspool::Stack stack_of(const std::string& cell, const Sizes& n) {
    return {cell_called(cell), n[0], n[1], n[2], n[3], int(n[4]), int(n[5])};
}

template <class T>
unspool::Rows<T> rows_of(const RowsOf& rows) {
    return {pointer<T>(Address(rows[0])), rows[1], rows[2]};
}

std::vector<unspool::Weights> weights_of(const std::vector<Address>& addresses) {
    std::vector<unspool::Weights> weights;
    for (size_t i = 0; i + 4 <= addresses.size(); i += 4)
        weights.push_back(
            {pointer<const float>(addresses[i]), pointer<const float>(addresses[i + 1]),
             pointer<const float>(addresses[i + 2]), pointer<const float>(addresses[i + 3])});
    return weights;
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

// E, H, A, P, V, L.
using DecoderSizes = std::array<int64_t, 6>;

unspool::Decoder decoder_of(const std::string& cell, const std::string& attention, bool feeds,
                            bool has_readout, const DecoderSizes& n) {
    unspool::Decoder decoder{};
    decoder.cell = cell_called(cell);
    decoder.attention = attention == "additive"         ? unspool::Attention::additive
                        : attention == "multiplicative" ? unspool::Attention::multiplicative
                                                        : unspool::Attention::none;
    decoder.feeds = feeds;
    decoder.has_readout = has_readout;
    decoder.E = n[0];
    decoder.H = n[1];
    decoder.A = n[2];
    decoder.P = n[3];
    decoder.V = n[4];
    decoder.L = int(n[5]);
    return decoder;
}

template <class T>
std::vector<T*> pointers(const std::vector<Address>& addresses) {
    std::vector<T*> found;
    for (const Address address : addresses) found.push_back(pointer<T>(address));
    return found;
}

// `layers` are four addresses each, `dense` those of weight and bias of query, readout and output.
unspool::DecoderWeights decoder_weights_of(const std::vector<Address>& layers,
                                           const std::array<Address, 6>& dense, Address embedding,
                                           Address energy) {
    auto weight = [&](int i) { return pointer<const float>(dense[i]); };
    return {pointer<const float>(embedding),
            weights_of(layers),
            {weight(0), weight(1)},
            pointer<const float>(energy),
            {weight(2), weight(3)},
            {weight(4), weight(5)}};
}

// Sizes N, B, S.
unspool::DecoderState decoder_state_of(const std::array<int64_t, 3>& sizes, Address tokens,
                                       const std::vector<Address>& h,
                                       const std::vector<Address>& c, Address seen,
                                       const std::array<Address, 3>& memory) {
    return {pointer<const int64_t>(tokens),
            pointers<const float>(h),
            pointers<const float>(c),
            pointer<const float>(seen),
            pointer<const float>(memory[0]),
            pointer<const float>(memory[1]),
            pointer<const uint8_t>(memory[2]),
            sizes[0],
            sizes[1],
            sizes[2]};
}

// Sizes; what is known; what comes of it.
void decoder_step(const unspool::PackedDecoder& decoder, const std::array<int64_t, 3>& sizes,
                  Address tokens, const std::vector<Address>& h, const std::vector<Address>& c,
                  Address seen, const std::array<Address, 3>& memory,
                  const std::vector<Address>& h_after, const std::vector<Address>& c_after,
                  Address seen_after, Address attention, Address log_probabilities, int threads) {
    const auto state = decoder_state_of(sizes, tokens, h, c, seen, memory);
    const unspool::DecoderStep after{pointers<float>(h_after), pointers<float>(c_after),
                                     pointer<float>(seen_after), pointer<float>(attention),
                                     pointer<float>(log_probabilities)};
    const nb::gil_scoped_release release;
    decoder.step(state, after, threads);
}

// Sizes N, B, S; most, end and the tokens that are excluded; what is known; what comes of it. Returns the
// number of steps.
int64_t decoder_go_on(const unspool::PackedDecoder& decoder, const std::array<int64_t, 3>& sizes,
                      int64_t most, int64_t end, const std::vector<int64_t>& excluded, Address tokens,
                      const std::vector<Address>& h, const std::vector<Address>& c, Address seen,
                      const std::array<Address, 3>& memory, Address chosen, Address gains,
                      Address attention, const std::vector<Address>& h_after,
                      const std::vector<Address>& c_after, Address seen_after, int threads) {
    const auto state = decoder_state_of(sizes, tokens, h, c, seen, memory);
    const unspool::GreedyRun run{most, end, excluded, pointer<int64_t>(chosen), pointer<float>(gains),
                                 pointer<float>(attention)};
    const unspool::DecoderStep last{pointers<float>(h_after), pointers<float>(c_after),
                                    pointer<float>(seen_after), nullptr, nullptr};
    const nb::gil_scoped_release release;
    return decoder.go_on(state, run, last, threads);
}

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

// Rows, outputs, inputs.
void weight_gradient(const std::string& kernel, const std::array<int64_t, 3>& sizes,
                     const RowsOf& gradients, const std::vector<Address>& steps, Address d_weight,
                     int threads) {
    const Kernels& kernels = kernels_called(kernel);
    const unspool::StepGradients job{sizes[0],
                                     sizes[1],
                                     sizes[2],
                                     rows_of<const float>(gradients),
                                     pointers<const float>(steps),
                                     pointer<float>(d_weight)};
    const nb::gil_scoped_release release;
    unspool::weight_gradient(kernels, job, threads);
}

// Rows, columns and how many; of float or double. What is found does not depend on the level.
template <class Number>
void best_of(const std::array<int64_t, 3>& sizes, Address values, Address best_values,
             Address best_columns, int threads) {
    static const Kernels& kernels = *single_kernels().back();
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
    static const Kernels& kernels = *single_kernels().back();
    const nb::gil_scoped_release release;
    unspool::best_sums(kernels, job, threads);
}

void draw_kept(uint64_t key, int64_t count, int32_t dropped, Address kept, int threads) {
    static const Kernels& kernels = *single_kernels().back();
    const nb::gil_scoped_release release;
    unspool::draw_kept(kernels, key, count, dropped, pointer<uint8_t>(kept), threads);
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

NB_MODULE(_native, module) {
    module.doc() = "C++ parts of Unspool; use them through unspool.native and unspool.nn.";
    module.def("instruction_sets", &instruction_set_names,
               "Names of the vector instruction sets that processor and system offer.");
    module.def(
        "fast_bf16", [] { return unspool::instruction_sets().fast_bf16; },
        "Whether bfloat16 is multiplied faster than single precision.");
    module.def(
        "kernels", [] { return names_of(single_kernels()); },
        "Names of the kernels that this processor can run, the fastest last.");
    module.def(
        "half_kernels", [] { return names_of(half_kernels()); },
        "The same of those that multiply in bfloat16.");
    module.def("borrow_threads", &unspool::borrow_threads,
               "Work on torch's OpenMP threads from now on; False where they were not found.");
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
    module.def("cross_entropy", &cross_entropy, "kernel"_a, "sizes"_a, "arguments"_a, "targets"_a,
               "smoothing"_a, "scale"_a, "gradients"_a, "threads"_a,
               "Sum the cross-entropy of a linear layer's logits over positions.");
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
    nb::class_<unspool::PackedDecoder>(module, "Decoder",
                                       "A decoder's weights, packed for many steps.")
        .def(
            "__init__",
            [](unspool::PackedDecoder* self, const std::string& kernel, const std::string& cell,
               const std::string& attention, bool feeds, bool has_readout,
               const DecoderSizes& sizes, const std::vector<Address>& layers,
               const std::array<Address, 6>& dense, Address embedding, Address energy,
               int threads) {
                const Kernels& kernels = kernels_called(kernel);
                const auto decoder = decoder_of(cell, attention, feeds, has_readout, sizes);
                const auto weights = decoder_weights_of(layers, dense, embedding, energy);
                const nb::gil_scoped_release release;
                new (self) unspool::PackedDecoder(kernels, decoder, weights, threads);
            },
            "kernel"_a, "cell"_a, "attention"_a, "feeds"_a, "has_readout"_a, "sizes"_a, "layers"_a,
            "dense"_a, "embedding"_a, "energy"_a, "threads"_a)
        .def("step", &decoder_step, "sizes"_a, "tokens"_a, "h"_a, "c"_a, "seen"_a, "memory"_a,
             "h_after"_a, "c_after"_a, "seen_after"_a, "attention"_a, "log_probabilities"_a,
             "threads"_a, "Read a token of each hypothesis.")
        .def("go_on", &decoder_go_on, "sizes"_a, "most"_a, "end"_a, "excluded"_a, "tokens"_a, "h"_a,
             "c"_a, "seen"_a, "memory"_a, "chosen"_a, "gains"_a, "attention"_a, "h_after"_a,
             "c_after"_a, "seen_after"_a, "threads"_a,
             "Go on by the likeliest tokens, until one of them is the end; return the steps.");
    module.def("product_panels", &product_panels, "kernel"_a, "depth"_a, "columns"_a,
               "Floats that a packed matrix takes.");
    module.def("pack_product", &pack_product, "kernel"_a, "sizes"_a, "weight"_a, "transpose"_a,
               "panels"_a, "threads"_a, "Pack a matrix, or its transpose, for many products.");
    module.def("multiply", &multiply, "kernel"_a, "sizes"_a, "panels"_a, "input"_a, "added"_a,
               "output"_a, "threads"_a, "Multiply rows by a packed matrix, and add to them.");
    module.def("weight_gradient", &weight_gradient, "kernel"_a, "sizes"_a, "gradients"_a, "steps"_a,
               "d_weight"_a, "threads"_a,
               "Sum outer products of gradients and inputs over all rows of all steps.");
    module.def("best_sums", &best_sums, "sizes"_a, "values"_a, "offsets"_a, "sums"_a, "rows"_a,
               "columns"_a, "threads"_a,
               "Find the greatest sums of a group of rows' numbers and of what each row has already.");
    module.def("best", &best, "sizes"_a, "doubles"_a, "values"_a, "best_values"_a,
               "best_columns"_a, "threads"_a,
               "Find the greatest numbers of each row; sizes are rows, columns and how many.");
    module.def("draw_kept", &draw_kept, "key"_a, "count"_a, "dropped"_a, "kept"_a, "threads"_a,
               "Draw which numbers dropout keeps; each is dropped by so many 65,536ths.");
    module.def("peak", &peak, "kernel"_a, "threads"_a,
               "Floating-point operations a second that the processor can do at most, measured.");
}

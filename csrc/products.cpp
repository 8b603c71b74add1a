#include "products.h"

#include <algorithm>

#include "arena.h"
#include "parallel.h"

namespace unspool {
namespace {

// As many members as there is work for.
int members_for(int64_t multiplications, int threads) {
    constexpr int64_t least_work = 500'000;
    return int(std::clamp<int64_t>(multiplications / least_work, 1, threads));
}

}  // namespace

void pack_product(const Kernels& kernels, const Matrix<const float>& weight, bool transpose,
                  int64_t depth, int64_t columns, float* panels, int threads) {
    const int64_t blocks = kernels.product.blocks(columns);
    parallel(threads, [&](int part) {
        const Range range = part_of(blocks, part, threads);
        kernels.product.pack(weight, transpose, depth, columns, range.begin, range.end, panels);
    });
}

void multiply(const Kernels& kernels, PackedProduct job, int threads) {
    const Lease lease;
    const ProductKernels& product = kernels.product;
    if (product.round) job.rounded = lease.arena.floats(product.rounded_rows(job.rows, job.depth));
    const int most = members_for(job.rows * job.depth * job.columns, threads);
    std::vector<float*> scratch;
    for (int member = 0; member < most; ++member)
        scratch.push_back(lease.arena.floats(product.scratch(job.rows)));
    // The weights, of which there are more than of the rows, are dealt.
    const int64_t blocks = product.blocks(job.columns);
    if (!product.round) {
        take_turns(blocks, most, [&](int member, int64_t block) {
            product.multiply(job, block, block + 1, scratch[member]);
        });
        return;
    }
    as_team(most, [&](int member, int members) {
        const Range rows = part_of(job.rows, member, members);
        product.round(job, rows.begin, rows.end);
        wait_for_all();
        const Range mine = part_of(blocks, member, members);
        product.multiply(job, mine.begin, mine.end, scratch[member]);
    });
}

void weight_gradient(const Kernels& kernels, const StepGradients& g, int threads) {
    const Lease lease;
    std::vector<const float*> gradients, input;
    for (size_t t = 0; t < g.steps.size(); ++t)
        for (int64_t i = 0; i < g.rows[t]; ++i) {
            gradients.push_back(g.gradients.row(int64_t(gradients.size())));
            input.push_back(g.steps[t] + i * g.inputs);
        }
    const int64_t count = int64_t(input.size());
    constexpr Cell cell = Cell::rnn_tanh;  // whose layout is that of any linear layer
    const int64_t units = g.outputs / kernels.width;
    const int parts = members_for(count * g.inputs * g.outputs, threads);
    const int64_t size = kernels.weight_gradient_scratch(cell, g.inputs, units / parts + 1);
    std::vector<float*> scratch;
    for (int part = 0; part < parts; ++part) scratch.push_back(lease.arena.floats(size));
    parallel(parts, [&](int part) {
        const Range range = part_of(units, part, parts);
        WeightGradient job{};
        job.cell = cell;
        job.H = g.outputs;
        job.begin = range.begin;
        job.end = range.end;
        job.count = count;
        job.d_gates = gradients.data();
        job.input = {g.inputs, input.data(), g.d_weight, nullptr};
        job.scratch = scratch[part];
        kernels.weight_gradient(job);
    });
}

}  // namespace unspool

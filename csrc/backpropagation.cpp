// Back-propagation through a stack.
#include <algorithm>

#include "arena.h"
#include "dealing.h"
#include "parallel.h"
#include "recurrent.h"
#include "workspace.h"

namespace unspool {
namespace {

// The valid steps of a layer and direction, in one list: where the gates' gradients, the inputs and
// the states before the step are. Its order, which is that of the sums over it, is the batch's own:
// results do not depend on the number of threads.
struct Steps {
    std::vector<const float*> d_gates, input, before;

    Steps(const Arguments& a, int64_t count, bool reverse, const Rows<const float>& d_gates_rows,
          const Rows<const float>& input_rows, const Rows<const float>& output_rows,
          const float* h0, const float* zeros) {
        d_gates.reserve(count);
        input.reserve(count);
        before.reserve(count);
        for (int64_t t = 0; t < a.stack.T; ++t)
            for (int64_t b = 0; b < a.stack.B; ++b) {
                const int64_t length = a.lengths ? a.lengths[b] : a.stack.T;
                if (t >= length) continue;
                const int64_t t_before = reverse ? t + 1 : t - 1;
                const bool first = t_before < 0 || t_before == length;
                d_gates.push_back(d_gates_rows.at(b, t));
                input.push_back(input_rows.at(b, t));
                before.push_back(!first ? output_rows.at(b, t_before)
                                 : h0   ? h0 + b * a.stack.H
                                        : zeros);
            }
    }
};

}  // namespace

void backward(const Kernels& kernels, const Arguments& a, const Gradients& g) {
    const Lease lease;
    Arena& arena = lease.arena;
    const Stack& stack = a.stack;
    const int64_t B = stack.B, T = stack.T, H = stack.H;
    const int64_t units = padded(H, kernels.width) / kernels.width;
    const bool divides = divides_units(kernels, stack, a.threads, Pass::backward);
    const Dealt parts = deal(a, a.threads);
    const Dealt whole = deal(a, 1);
    const Workspace saved(kernels, stack, a.mask != nullptr, a.workspace);
    auto output_of = [&](int layer) {
        return constant(layer == stack.L - 1 ? a.output : saved.output(layer));
    };
    auto input_of = [&](int layer) {
        if (layer == 0) return a.input;
        return a.mask ? constant(saved.dropped(layer - 1)) : output_of(layer - 1);
    };
    auto wants_input_gradient = [&](int layer) { return layer > 0 || bool(g.d_input); };

    // Packed weights of each direction, which have their place layer after layer.
    struct Packed {
        float *state, *input;
    };
    std::vector<Packed> packed;
    for (int direction = 0; direction < stack.D; ++direction) {
        int64_t size = 0;
        for (int layer = 0; layer < stack.L; ++layer)
            if (wants_input_gradient(layer))
                size = std::max(size,
                                kernels.gradient_panels(stack.cell, stack.inputs(layer), H));
        packed.push_back(
            {arena.floats(kernels.gradient_panels(stack.cell, H, H)), arena.floats(size)});
    }
    auto pack_layer = [&](int layer) {
        parallel(parts.threads, [&](int part) {
            const Range range = part_of(units, part, parts.threads);
            for (int direction = 0; direction < stack.D; ++direction) {
                const Weights& weights = a.weights[layer * stack.D + direction];
                kernels.pack_gradient(stack.cell, Side::state, weights.weight_hh, H, H,
                                      range.begin, range.end, packed[direction].state);
                if (wants_input_gradient(layer))
                    kernels.pack_gradient(stack.cell, Side::input, weights.weight_ih,
                                          stack.inputs(layer), H, range.begin, range.end,
                                          packed[direction].input);
            }
        });
    };

    // Gradients of the gates, where what was saved may not make room for them, and those between the
    // layers, of the layer at hand.
    const bool in_place = g.overwrites && saved_of(stack.cell) > 0;
    const int64_t row = slots_of(stack.cell) * units * kernels.width;
    std::vector<Rows<float>> apart;
    for (int direction = 0; direction < stack.D && !in_place; ++direction)
        apart.push_back({arena.floats(B * T * row), row, B * row});
    auto d_gates_of = [&](int layer, int direction) {
        return in_place ? saved.saved(layer * stack.D + direction) : apart[direction];
    };
    const Passing passing(stack, &arena);
    float* const zeros = arena.floats(H);
    std::fill(zeros, zeros + H, 0.0f);

    const int64_t widest = std::max(stack.inputs(0), stack.inputs(1));
    const int64_t scratch_size =
        std::max(kernels.backward_scratch(stack.cell, H, divides ? B : parts.largest()),
                 kernels.input_gradient_scratch(stack.cell, widest, H));
    const int64_t sum_scratch_size =
        kernels.weight_gradient_scratch(stack.cell, widest, units / parts.threads + 1);
    std::vector<float*> scratch, sum_scratch;
    for (int i = 0; i < (divides ? a.threads : parts.size()); ++i)
        scratch.push_back(arena.floats(scratch_size));
    float* const shared =
        divides ? arena.floats(kernels.shared_size(stack.cell, widest, H, B)) : nullptr;
    for (int part = 0; part < parts.threads; ++part)
        sum_scratch.push_back(arena.floats(sum_scratch_size));

    for (int layer = stack.L - 1; layer >= 0; --layer) {
        const bool last = layer == stack.L - 1;
        const Rows<const float> d_output = last ? g.d_output : constant(passing.output(layer));
        const Rows<float> d_input = layer == 0 ? g.d_input : passing.output(layer - 1);
        pack_layer(layer);

        auto run = [&](const Sequences& sequences, int direction, float* memory,
                       const Division& division) {
            const int k = layer * stack.D + direction;
            Backward job{};
            job.cell = stack.cell;
            job.H = H;
            job.reverse = direction == 1;
            job.units = division;
            job.sequences = sequences;
            job.panels = packed[direction].state;
            job.d_output = shifted(d_output, direction * H);
            job.d_h_n = advanced(g.d_h_n, k * B * H);
            job.d_c_n = advanced(g.d_c_n, k * B * H);
            job.output = shifted(output_of(layer), direction * H);
            job.h0 = advanced(a.h0, k * B * H);
            job.c0 = advanced(a.c0, k * B * H);
            job.saved = constant(saved.saved(k));
            job.d_gates = d_gates_of(layer, direction);
            job.d_h0 = advanced(g.d_h0, k * B * H);
            job.d_c0 = advanced(g.d_c0, k * B * H);
            job.scratch = memory;
            kernels.backward(job);
        };
        if (divides)
            as_team(a.threads, [&](int member, int members) {
                for (int direction = 0; direction < stack.D; ++direction) {
                    run(whole.parts[0], direction, scratch[member],
                        division_of(units, kernels.in_tiles ? 1 : 4, member, members, shared));
                    wait_for_all();  // for `shared`
                }
            });
        parallel(parts.size(), [&](int part) {
            for (int direction = 0; direction < stack.D; ++direction) {
                if (!divides) run(parts.parts[part], direction, scratch[part], {});
                if (!wants_input_gradient(layer)) continue;
                InputGradient input{};
                input.cell = stack.cell;
                input.K = stack.inputs(layer);
                input.H = H;
                input.steps = T;
                input.sequences = parts.parts[part];
                input.panels = packed[direction].input;
                input.d_gates = constant(d_gates_of(layer, direction));
                input.d_input = d_input;
                input.add = direction > 0;
                input.pad = layer == 0;
                if (layer > 0 && direction == stack.D - 1) input.mask = mask_of(a, layer - 1);
                input.scale = a.scale;
                input.scratch = scratch[part];
                kernels.input_gradient(input);
            }
        });

        for (int direction = 0; direction < stack.D; ++direction) {
            const int k = layer * stack.D + direction;
            const WeightGradients& d = g.d_weights[k];
            if (!d.weight_ih && !d.weight_hh && !d.bias_ih && !d.bias_hh) continue;
            const Steps steps(a, parts.steps, direction == 1,
                              constant(d_gates_of(layer, direction)), input_of(layer),
                              shifted(output_of(layer), direction * H), advanced(a.h0, k * B * H),
                              zeros);
            parallel(parts.threads, [&](int part) {
                const Range range = part_of(units, part, parts.threads);
                WeightGradient job{};
                job.cell = stack.cell;
                job.H = H;
                job.begin = range.begin;
                job.end = range.end;
                job.count = parts.steps;
                job.d_gates = steps.d_gates.data();
                job.input = {stack.inputs(layer), steps.input.data(), d.weight_ih, d.bias_ih};
                job.state = {H, steps.before.data(), d.weight_hh, d.bias_hh};
                job.scratch = sum_scratch[part];
                kernels.weight_gradient(job);
            });
        }
    }
}

}  // namespace unspool

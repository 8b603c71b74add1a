#include "recurrent.h"

#include <algorithm>

#include "arena.h"
#include "dealing.h"
#include "parallel.h"
#include "workspace.h"

namespace unspool {

int64_t workspace_size(const Kernels& kernels, const Stack& stack, bool has_mask) {
    return Workspace(kernels, stack, has_mask, nullptr).size();
}

// ------------------------------------------------------------------ packed weights

namespace {

// Those of a layer and direction.
struct Packed {
    float *panels, *bias;
};

// Where those of a stack lie in one array.
struct PackedStack {
    std::vector<Packed> of;  // each layer and direction
    int64_t size = 0;

    PackedStack(const Kernels& kernels, const Stack& stack, float* memory) {
        auto take = [&](int64_t count) {
            constexpr int64_t line = 16;  // floats
            float* const place = advanced(memory, size);
            size += padded(count, line);
            return place;
        };
        for (int k = 0; k < stack.L * stack.D; ++k) {
            float* const panels =
                take(kernels.gate_panels(stack.cell, stack.inputs(k / stack.D), stack.H));
            of.push_back({panels, take(4 * padded(stack.H, kernels.width))});
        }
    }
};

}  // namespace

int64_t packed_size(const Kernels& kernels, const Stack& stack) {
    return PackedStack(kernels, stack, nullptr).size;
}

void pack(const Kernels& kernels, const Stack& stack, const std::vector<Weights>& weights,
          float* packed, int threads) {
    const PackedStack places(kernels, stack, packed);
    const int64_t units = padded(stack.H, kernels.width) / kernels.width;
    parallel(threads, [&](int part) {
        const Range range = part_of(units, part, threads);
        for (int k = 0; k < stack.L * stack.D; ++k)
            kernels.pack_gates(stack.cell, weights[k], stack.inputs(k / stack.D), stack.H,
                               range.begin, range.end, places.of[k].panels, places.of[k].bias);
    });
}

// ------------------------------------------------------------------ forwards

namespace {

// Whether weights would be packed for so little that to read them as they are is faster.
bool is_single_step(const Kernels& kernels, const Arguments& a) {
    return kernels.step && a.stack.T == 1 && a.stack.B <= 4 && !a.lengths && !a.workspace && !a.packed;
}

}  // namespace

void forward(const Kernels& kernels, const Arguments& a, const FinalState& final) {
    const Lease lease;
    Arena& arena = lease.arena;
    const Stack& stack = a.stack;
    const int64_t B = stack.B, H = stack.H;
    const int64_t units = padded(H, kernels.width) / kernels.width;
    const bool divides = divides_units(kernels, stack, a.threads, Pass::forward);
    const Dealt parts = deal(a, divides ? 1 : a.threads);
    const bool single_step = is_single_step(kernels, a);

    // Weights that are packed for this call have their place layer after layer.
    const bool packs = !a.packed && !single_step;
    std::vector<Packed> packed;
    if (a.packed) packed = PackedStack(kernels, stack, const_cast<float*>(a.packed)).of;
    for (int direction = 0; direction < stack.D && packs; ++direction) {
        const int64_t size = std::max(kernels.gate_panels(stack.cell, stack.inputs(0), H),
                                      kernels.gate_panels(stack.cell, stack.inputs(1), H));
        packed.push_back({arena.floats(size), arena.floats(4 * units * kernels.width)});
    }
    auto packed_of = [&](int k) { return packed[packs ? k % stack.D : k]; };
    auto pack_part = [&](int layer, const Range& range) {
        for (int k = layer * stack.D; k < (layer + 1) * stack.D; ++k)
            kernels.pack_gates(stack.cell, a.weights[k], stack.inputs(layer), H, range.begin,
                               range.end, packed_of(k).panels, packed_of(k).bias);
    };

    const bool saves = a.workspace != nullptr;
    const Workspace saved(kernels, stack, a.mask != nullptr, a.workspace);
    const Passing passing(stack, saves ? nullptr : &arena);
    auto output_of = [&](int layer) {
        if (layer == stack.L - 1) return a.output;
        return saves ? saved.output(layer) : passing.output(layer);
    };
    auto input_of = [&](int layer) {
        if (layer == 0) return a.input;
        return constant(a.mask ? saved.dropped(layer - 1) : output_of(layer - 1));
    };

    const int64_t widest = std::max(stack.inputs(0), stack.inputs(1));
    int64_t scratch_size = 0;  // of the part that needs most, which may be one of few sequences
    for (const Sequences& part : parts.parts)
        if (!single_step)
            scratch_size = std::max(scratch_size, kernels.forward_scratch(stack.cell, widest, H,
                                                                          part.count, stack.T));
    std::vector<float*> scratch;
    for (int i = 0; i < (divides ? a.threads : parts.size()); ++i)
        scratch.push_back(arena.floats(scratch_size));
    float* const shared =
        divides ? arena.floats(kernels.shared_size(stack.cell, widest, H, B)) : nullptr;

    auto run = [&](int layer, int part, int member, int members) {
        for (int direction = 0; direction < stack.D; ++direction) {
            const int k = layer * stack.D + direction;
            const bool last = layer == stack.L - 1;
            Forward job{};
            job.cell = stack.cell;
            job.K = stack.inputs(layer);
            job.H = H;
            job.reverse = direction == 1;
            job.steps = stack.T;
            job.sequences = parts.parts[part];
            if (!a.packed) job.weights = &a.weights[k];
            if (!single_step) {
                job.panels = packed_of(k).panels;
                job.bias = packed_of(k).bias;
            }
            job.input = input_of(layer);
            job.h0 = advanced(a.h0, k * B * H);
            job.c0 = advanced(a.c0, k * B * H);
            job.output = shifted(output_of(layer), direction * H);
            job.pad = last;
            job.mask = shifted(mask_of(a, layer), direction * H);
            if (job.mask) job.dropped = shifted(saved.dropped(layer), direction * H);
            job.scale = a.scale;
            if (saves) job.saved = saved.saved(k);
            job.h_n = final.h_n + k * B * H;
            job.c_n = advanced(final.c_n, k * B * H);
            job.scratch = scratch[part + member];
            if (divides) job.units = division_of(units, 1, member, members, shared);
            single_step ? kernels.step(job) : kernels.forward(job);
            if (divides) wait_for_all();  // for `shared`, and the outputs of all
        }
    };
    if (divides) {
        as_team(a.threads, [&](int member, int members) {
            for (int layer = 0; layer < stack.L; ++layer) {
                if (packs) pack_part(layer, part_of(units, member, members));
                run(layer, 0, member, members);
            }
        });
        return;
    }
    const int at_once = packs ? 1 : stack.L;
    for (int first = 0; first < stack.L; first += at_once) {
        if (packs)
            parallel(parts.threads, [&](int part) {
                pack_part(first, part_of(units, part, parts.threads));
            });
        parallel(parts.size(), [&](int part) {
            for (int layer = first; layer < first + at_once; ++layer) run(layer, part, 0, 1);
        });
    }
}

}  // namespace unspool

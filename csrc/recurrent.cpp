#include "recurrent.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>

#include "arena.h"
#include "parallel.h"

namespace unspool {
namespace {

template <class T>
T* advanced(T* p, int64_t count) {
    return p ? p + count : nullptr;
}
template <class T>
Rows<T> shifted(Rows<T> rows, int64_t count) {
    rows.data = advanced(rows.data, count);
    return rows;
}
template <class T>
Rows<const T> constant(const Rows<T>& rows) {
    return {rows.data, rows.sequence_stride, rows.step_stride};
}

// ------------------------------------------------------------------ who does what

// Below this many multiplications a part is not worth waking a thread for.
constexpr int64_t least_work = 100'000;

// The batch dealt to threads, each of which works on its sequences from the first step to the last
// and waits for no other. Longest sequences come first in each part.
struct Parts {
    std::vector<int32_t> index, length;
    std::vector<Sequences> parts;
    int64_t steps = 0;  // valid ones in all
    int threads = 1;    // that are worth their waking, also for work that is not dealt by sequences

    int size() const { return int(parts.size()); }
    int64_t largest() const {
        int64_t most = 0;
        for (const Sequences& part : parts) most = std::max(most, part.count);
        return most;
    }
};

void check_lengths(const int64_t* lengths, int64_t B, int64_t T) {
    for (int64_t b = 0; b < B; ++b)
        if (lengths[b] < 0 || lengths[b] > T)
            throw std::invalid_argument("lengths has the value " + std::to_string(lengths[b]) +
                                        ", expected 0 to T = " + std::to_string(T));
}

// `most` parts at most, or as many as there are threads.
Parts deal(const Arguments& a, int64_t most) {
    const Stack& stack = a.stack;
    if (a.lengths) check_lengths(a.lengths, stack.B, stack.T);
    auto length = [&](int64_t b) { return a.lengths ? a.lengths[b] : stack.T; };

    std::vector<int32_t> order(stack.B);
    std::iota(order.begin(), order.end(), 0);
    if (a.lengths)
        std::stable_sort(order.begin(), order.end(),
                         [&](int32_t i, int32_t j) { return length(i) > length(j); });

    Parts dealt;
    for (int64_t b = 0; b < stack.B; ++b) dealt.steps += length(b);
    const int64_t work = dealt.steps * stack.H * (stack.inputs(0) + stack.H) * gates_of(stack.cell);
    dealt.threads = int(std::max<int64_t>(1, std::min<int64_t>(a.threads, work / least_work)));
    const int64_t count = std::max<int64_t>(1, std::min({int64_t(dealt.threads), stack.B, most}));

    // Equal lengths: neighbours stay together. Others are dealt to and fro, which evens the sums.
    auto part_of = [&](int64_t i) {
        if (!a.lengths) return i * count / stack.B;
        const int64_t round = i / count, place = i % count;
        return round % 2 == 0 ? place : count - 1 - place;
    };
    std::vector<std::vector<int32_t>> members(count);
    for (int64_t i = 0; i < stack.B; ++i) members[part_of(i)].push_back(order[i]);

    dealt.index.reserve(stack.B);
    dealt.length.reserve(stack.B);
    for (const auto& part : members) {
        dealt.parts.push_back({int64_t(part.size()), dealt.index.data() + dealt.index.size(),
                               dealt.length.data() + dealt.length.size()});
        for (const int32_t b : part) {
            dealt.index.push_back(b);
            dealt.length.push_back(int32_t(length(b)));
        }
    }
    return dealt;
}

enum class Pass { forward, backward };

// Whether threads divide the hidden units rather than the sequences: where the weights that a step
// reads exceed a core's cache, each thread is better off with its part of them, unless so many
// sequences share what is read that this hides behind the arithmetic; and where there are fewer
// sequences than threads, some would have nothing to do. After each step they wait for each other,
// so there has to be enough to do in one. The bounds are measured ones.
bool divides_units(const Kernels& kernels, const Stack& stack, int threads, Pass pass) {
    constexpr int64_t cache = 2 << 20;  // bytes
    constexpr int64_t enough = 1 << 18;
    constexpr int64_t many = 32, many_in_tiles = 64;  // sequences
    const bool gated = stack.cell == Cell::lstm || stack.cell == Cell::gru;
    if (!gated || threads <= 1 || stack.T == 1) return false;
    const int64_t weights = gates_of(stack.cell) * stack.H * (stack.inputs(1) + stack.H) * 4;
    if (kernels.in_tiles)  // which few sequences leave half empty
        return stack.B <= many_in_tiles && stack.H >= kernels.width * threads &&
               weights > (pass == Pass::forward ? cache / 3 : cache);
    return stack.B < threads ? weights > enough : stack.B <= many && weights > cache;
}

// Units cut between panels of `width` vectors.
Division division_of(int64_t units, int64_t width, int member, int members, float* shared) {
    const Range panels = part_of((units + width - 1) / width, member, members);
    return {panels.begin * width, std::min(panels.end * width, units), &wait_for_all, shared, member,
            members};
}

// ------------------------------------------------------------------ what is saved

// The workspace: for each layer and direction what the cell saves; for each layer but the last its
// outputs, and these after dropout where there is dropout.
class Workspace {
  public:
    Workspace(const Kernels& kernels, const Stack& stack, bool has_mask, float* memory)
        : layers_(stack.L),
          directions_(stack.D),
          sequences_(stack.B),
          rows_(stack.B * stack.T),
          saved_(saved_of(stack.cell) * padded(stack.H, kernels.width)),
          width_(stack.D * stack.H),
          has_mask_(has_mask),
          memory_(memory) {}

    int64_t size() const { return saved_size() + (has_mask_ ? 2 : 1) * outputs_size(); }

    Rows<float> saved(int k) const {
        return saved_ > 0 ? rows(k * rows_ * saved_, saved_) : Rows<float>{};
    }
    Rows<float> output(int layer) const {
        return rows(saved_size() + layer * rows_ * width_, width_);
    }
    Rows<float> dropped(int layer) const { return shifted(output(layer), outputs_size()); }

  private:
    int64_t saved_size() const { return layers_ * directions_ * rows_ * saved_; }
    int64_t outputs_size() const { return (layers_ - 1) * rows_ * width_; }
    Rows<float> rows(int64_t offset, int64_t width) const {  // [T][B][width]
        return {advanced(memory_, offset), width, sequences_ * width};
    }

    int64_t layers_, directions_, sequences_, rows_, saved_, width_;
    bool has_mask_;
    float* memory_;
};

// The outputs between the layers where nothing is saved: two arrays by turns are enough.
class Passing {
  public:
    Passing(const Stack& stack, Arena* arena) : width_(stack.D * stack.H), B_(stack.B) {
        if (!arena || stack.L == 1) return;
        for (float*& array : arrays_) array = arena->floats(stack.B * stack.T * width_);
    }
    Rows<float> output(int layer) const { return {arrays_[layer % 2], width_, B_ * width_}; }

  private:
    int64_t width_, B_;
    float* arrays_[2] = {};
};

Rows<const uint8_t> mask_of(const Arguments& a, int layer) {
    if (!a.mask || layer == a.stack.L - 1) return {};
    const int64_t width = a.stack.D * a.stack.H;
    return {a.mask + layer * a.stack.B * a.stack.T * width, a.stack.T * width, width};
}

}  // namespace

int64_t workspace_size(const Kernels& kernels, const Stack& stack, bool has_mask) {
    return Workspace(kernels, stack, has_mask, nullptr).size();
}

// ------------------------------------------------------------------ packed weights

namespace {

// Those of a layer and direction.
struct Packed {
    float *panels, *bias;
};

// Where each layer and direction has its packed weights, in memory that `take` hands out.
template <class Take>
std::vector<Packed> places(const Kernels& kernels, const Stack& stack, const Take& take) {
    std::vector<Packed> found;
    for (int k = 0; k < stack.L * stack.D; ++k) {
        float* const panels =
            take(kernels.gate_panels(stack.cell, stack.inputs(k / stack.D), stack.H));
        found.push_back({panels, take(4 * padded(stack.H, kernels.width))});
    }
    return found;
}

// The same in one array.
std::vector<Packed> places_in(const Kernels& kernels, const Stack& stack, float* packed,
                              int64_t* size = nullptr) {
    constexpr int64_t line = 16;  // floats
    int64_t used = 0;
    auto found = places(kernels, stack, [&](int64_t count) {
        float* const place = advanced(packed, used);
        used += padded(count, line);
        return place;
    });
    if (size) *size = used;
    return found;
}

void pack_into(const Kernels& kernels, const Stack& stack, const std::vector<Weights>& weights,
               const std::vector<Packed>& packed, int threads) {
    const int64_t units = padded(stack.H, kernels.width) / kernels.width;
    parallel(threads, [&](int part) {
        const Range range = part_of(units, part, threads);
        for (int k = 0; k < stack.L * stack.D; ++k)
            kernels.pack_gates(stack.cell, weights[k], stack.inputs(k / stack.D), stack.H,
                               range.begin, range.end, packed[k].panels, packed[k].bias);
    });
}

}  // namespace

int64_t packed_size(const Kernels& kernels, const Stack& stack) {
    int64_t size = 0;
    places_in(kernels, stack, nullptr, &size);
    return size;
}

void pack(const Kernels& kernels, const Stack& stack, const std::vector<Weights>& weights,
          float* packed, int threads) {
    pack_into(kernels, stack, weights, places_in(kernels, stack, packed), threads);
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
    const Parts parts = deal(a, divides ? 1 : a.threads);
    const bool single_step = is_single_step(kernels, a);

    // Weights that are packed for this call have their place layer after layer.
    const bool packs = !a.packed && !single_step;
    std::vector<Packed> packed;
    if (a.packed) packed = places_in(kernels, stack, const_cast<float*>(a.packed));
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
    const int64_t scratch_size =
        single_step ? 0
                    : kernels.forward_scratch(stack.cell, widest, H, parts.largest(), stack.T);
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

// ------------------------------------------------------------------ backwards

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
    const Parts parts = deal(a, a.threads);
    const Parts whole = deal(a, 1);
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

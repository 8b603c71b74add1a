// One layer in one direction, from the first of its steps to the last.
#pragma once

#include "cells.h"
#include "pack.h"
#include "scratch.h"

namespace unspool {
namespace UNSPOOL_LEVEL {

// A step of all sequences that still run, and where its rows lie.
struct ForwardStep {
    const Forward* job;
    int64_t active;
    int64_t begin, end;    // hidden units to work on
    const float** input;   // (active) rows
    const float** sums;    // (active) rows of the input's products with the biases, or null where
                           // they are still to be formed
    const float** before;  // (active) rows of h, null where all are zeros
    float* after;          // [active][Hp]: the new h
    float* c;              // [active][Hp], in place
    float** output;        // (active) rows
    float** saved;         // (active) rows, null where nothing is saved
#if defined(UNSPOOL_BF16)
    // The same input and h, rounded: rows of the input, padded, and h before the step.
    Bfloat16* half_before;
    Bfloat16* half_after;  // gets the new h
    int64_t half_stride;
    float* half_sums;      // place for the sums of four vectors of units
    int64_t tile_height;
#endif
    int64_t Hp;
};

// A vector of the new h of a sequence, wherever it is needed.
UNSPOOL_INLINE void store_state(const ForwardStep& step, int64_t row, int64_t unit, Vec h) {
    store(step.after + row * step.Hp + unit, h);
    store_first(step.output[row] + unit, h, step.job->H - unit);
#if defined(UNSPOOL_BF16)
    Bfloat16* half = step.half_after + row * step.half_stride + depth32(step.job->K) * parts;
    store_halves(half, unit, h);
#endif
}

// What a tile's sums start from: the input's products from `column` on, or the biases alone.
template <int R, int V>
UNSPOOL_INLINE void start(Vec (&acc)[R][V], const ForwardStep& step, int64_t first, int64_t column,
                          const float* bias) {
    for_each_sum(acc, [&](int r, int v, Vec& sum) {
        sum = load((step.sums ? step.sums[first + r] + column : bias) + v * W);
    });
}

// The sums of all gates for one vector of units and R sequences, and what the cell makes of them.
template <class C>
struct GatedTile {
    const ForwardStep& step;
    int64_t unit;  // the first of the vector

    template <int R>
    UNSPOOL_INLINE void run(int64_t first, int64_t i) const {
        constexpr int V = C::gates;
        const Forward& job = *step.job;
        const Panel<V> panel{job.panels + unit * V * (job.K + job.H), job.K + job.H};
        const float* bias = job.bias + unit * 4;
        const int64_t size = (job.K + job.H) * V * W;
        const float* next = unit + W < job.H ? panel.data + size : job.panels;
        Ahead ahead = Ahead::part(next, size, step.before ? job.K + job.H : job.K, i);

        Vec sums[R][4];
        if constexpr (V == 3) {  // the candidate's two products stay apart
            Vec acc[R][V];
            start(acc, step, first, unit * V, bias);
            if (!step.sums) accumulate(acc, step.input + first, panel, ahead, job.K);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) {
                sums[r][2] = acc[r][2];
                acc[r][2] = load(bias + 3 * W);
            }
            if (step.before) accumulate(acc, step.before + first, panel.from(job.K), ahead, job.H);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r) {
                sums[r][0] = acc[r][0];
                sums[r][1] = acc[r][1];
                sums[r][3] = acc[r][2];
            }
        } else {
            if constexpr (R * V <= most_sums) {
                form(sums, 0, panel, first, ahead);
            } else {
                for (int s = 0; s < panel.strips; ++s)
                    form_apart(sums, s * panel.width, panel.strip(s), first, ahead);
            }
        }
        finish(sums, first);
    }

    // The sums with a panel, or with a strip of it that begins with vector v.
    template <int R, int V>
    UNSPOOL_INLINE void form(Vec (&sums)[R][4], int v, const Panel<V>& panel, int64_t first,
                             Ahead ahead) const {
        const Forward& job = *step.job;
        Vec acc[R][V];
        start(acc, step, first, unit * C::gates + v * W, job.bias + unit * 4 + v * W);
        if (!step.sums) accumulate(acc, step.input + first, panel, ahead, job.K);
        if (step.before) accumulate(acc, step.before + first, panel.from(job.K), ahead, job.H);
        for_each_sum(acc, [&](int r, int i, Vec sum) { sums[r][v + i] = sum; });
    }
    template <int R, int V>
    UNSPOOL_APART void form_apart(Vec (&sums)[R][4], int v, const Panel<V>& panel, int64_t first,
                                  Ahead ahead) const {
        form(sums, v, panel, first, v == 0 ? ahead : Ahead{});
    }

    // Row by row what hangs on the sums alone, and then what hangs on that: a row's functions wait for
    // each other, those of several rows do not.
    template <int R>
    UNSPOOL_INLINE void finish(Vec (&sums)[R][4], int64_t first) const {
        for (int r = 0; r < R; ++r) {
            const int64_t row = first + r;
            float* const saved = step.saved ? step.saved[row] + unit * 4 : nullptr;
            if constexpr (C::cell == Cell::lstm) {
                float* const c = step.c + row * step.Hp + unit;
                const Vec after = Lstm::activate(sums[r], load(c), saved);
                store(c, after);
                if (saved) store(step.saved[row] + 4 * step.Hp + unit, after);
            } else {
                Gru::activate(sums[r], saved);
            }
        }
        for (int r = 0; r < R; ++r) {
            const int64_t row = first + r;
            if constexpr (C::cell == Cell::lstm) {
                store_state(step, row, unit,
                            Lstm::state(sums[r], load(step.c + row * step.Hp + unit)));
            } else {
                const Vec before = step.before ? load(step.before[row] + unit) : Vec{};
                float* const saved = step.saved ? step.saved[row] + unit * 4 : nullptr;
                store_state(step, row, unit, Gru::state(sums[r], before, saved));
            }
        }
    }
};

// The input's products with V vectors of weights, for R steps of any sequences.
template <int V>
struct InputTile {
    const float* const* input;
    float* const* sums;
    Panel<V> panel;
    const float* bias;
    int64_t K, column;

    template <int R>
    UNSPOOL_INLINE void run(int64_t first, int64_t) const {
        Vec acc[R][V];
        for_each_sum(acc, [&](int, int v, Vec& sum) { sum = load(bias + v * W); });
        accumulate(acc, input + first, panel, NothingAhead{}, K);
        for_each_sum(acc, [&](int r, int v, Vec sum) {
            store(sums[first + r] + column + v * W, sum);
        });
    }
};

#if defined(UNSPOOL_BF16)

// Sums of `blocks` blocks of 16 columns of packed weights from `block` on, for all sequences.
inline void half_multiply(const ForwardStep& step, int64_t first, int64_t depth, int64_t block,
                          int64_t blocks, float* sums, int64_t stride) {
    const int64_t size = gate_block(step.job->K, step.job->H);
    const Bfloat16* panels = reinterpret_cast<const Bfloat16*>(step.job->panels);
    multiply({step.half_before + first * parts, step.half_stride,
              padded(step.active, step.tile_height), depth,
              panels + block * size + first * 16 * parts, size, sums, stride, false,
              step.tile_height},
             blocks);
}

template <class C>
struct GatedStep {
    static void run(const ForwardStep& step) {
        constexpr int V = C::gates;
        const int64_t K = depth32(step.job->K), H = depth32(step.job->H);
        constexpr int64_t stride = V == 3 ? 6 * 16 : 4 * 16;
        for (int64_t unit = step.begin; unit < step.end; unit += W) {
            const int64_t block = unit / W * V;
            const float* bias = step.job->bias + unit * 4;
            if (V == 3) {  // the candidate's two products stay apart
                half_multiply(step, 0, K, block, 3, step.half_sums, stride);
                half_multiply(step, K, H, block, 3, step.half_sums + 3 * 16, stride);
            } else {
                half_multiply(step, 0, K + H, block, 4, step.half_sums, stride);
            }
            const GatedTile<C> tile{step, unit};
            for (int64_t row = 0; row < step.active; ++row) {
                const float* from = step.half_sums + row * stride;
                Vec sums[1][4];
                for (int v = 0; v < 4; ++v) {
                    const int64_t place = V == 3 && v == 3 ? 5 : v;
                    sums[0][v] = load(from + place * 16) + load(bias + v * W);
                    if (V == 3 && v < 2) sums[0][v] += load(from + (place + 3) * 16);
                }
                tile.finish(sums, row);
            }
        }
    }
};

template <class C>
struct RnnStep {
    static void run(const ForwardStep& step) {
        const int64_t K = depth32(step.job->K), H = depth32(step.job->H);
        for (int64_t unit = 0; unit < step.job->H; unit += 4 * W) {
            const int64_t rest = vectors(step.job->H - unit), blocks = rest < 4 ? rest : 4;
            half_multiply(step, 0, K + H, unit / W, blocks, step.half_sums, 4 * 16);
            for (int64_t row = 0; row < step.active; ++row)
                for (int64_t v = 0; v < blocks; ++v) {
                    const Vec sum = load(step.half_sums + (row * 4 + v) * 16);
                    const Vec bias = load(step.job->bias + unit + v * W);
                    store_state(step, row, unit + v * W, C::forward(sum + bias));
                }
        }
    }
};

#else

template <class C>
struct GatedStep {
    static void run(const ForwardStep& step) {
        for (int64_t unit = step.begin; unit < step.end; unit += W)
            for_each_tile<tile_rows(strip_width(C::gates))>(step.active, GatedTile<C>{step, unit});
    }
    static void multiply_input(const Forward& job, const float* const* input, float* const* sums,
                               int64_t count, int64_t begin, int64_t end) {
        constexpr int V = C::gates, width = strip_width(V);
        for (int64_t unit = begin; unit < end; unit += W) {
            const Panel<V> panel{job.panels + unit * V * (job.K + job.H), job.K + job.H};
            for (int s = 0; s < Panel<V>::strips; ++s)
                for_each_tile<tile_rows(width)>(
                    count, InputTile<width>{input, sums, panel.strip(s),
                                            job.bias + unit * 4 + s * width * W, job.K,
                                            unit * V + s * width * W});
        }
    }
};

// The sums of V vectors of units of an RNN for R sequences.
template <class C, int V>
struct RnnTile {
    const ForwardStep& step;
    int64_t unit;

    template <int R>
    UNSPOOL_APART void run(int64_t first, int64_t i) const {
        const Forward& job = *step.job;
        const Panel<V> panel{job.panels + unit * (job.K + job.H), job.K + job.H};
        Ahead ahead = Ahead::part(panel.data + (job.K + job.H) * V * W, (job.K + job.H) * V * W,
                                  step.before ? job.K + job.H : job.K, i);
        Vec sums[R][V];
        start(sums, step, first, unit, job.bias + unit);
        if (!step.sums) accumulate(sums, step.input + first, panel, ahead, job.K);
        if (step.before) accumulate(sums, step.before + first, panel.from(job.K), ahead, job.H);
        for_each_sum(sums, [&](int r, int v, Vec sum) {
            store_state(step, first + r, unit + v * W, C::forward(sum));
        });
    }
};

template <class C>
struct RnnStep {
    const ForwardStep& step;

    template <int V>
    UNSPOOL_INLINE void run(int64_t vector) const {
        for_each_tile<tile_rows(V)>(step.active, RnnTile<C, V>{step, vector * W});
    }
    static void run(const ForwardStep& step) { for_each_panel(step.job->H, step.active, RnnStep{step}); }

    struct Input {
        const Forward& job;
        const float* const* input;
        float* const* sums;
        int64_t count;

        template <int V>
        UNSPOOL_INLINE void run(int64_t vector) const {
            const int64_t unit = vector * W;
            for_each_tile<tile_rows(V)>(
                count, InputTile<V>{input, sums, {job.panels + unit * (job.K + job.H), job.K + job.H},
                                    job.bias + unit, job.K, unit});
        }
    };
    static void multiply_input(const Forward& job, const float* const* input, float* const* sums,
                               int64_t count, int64_t, int64_t) {  // units are never divided
        for_each_panel(job.H, count, Input{job, input, sums, count});
    }
};

#endif

// Where a step lies in a sequence.
inline int64_t position(bool reverse, int64_t length, int64_t step) {
    return reverse ? length - 1 - step : step;
}

// How many of the sequences, the longest first, have more than `step` steps.
inline int64_t active_at(const Sequences& sequences, int64_t step, int64_t most) {
    while (most > 0 && sequences.length[most - 1] <= step) --most;
    return most;
}

// Kept outputs times `scale`, zeros for the others.
inline void drop(const float* output, const uint8_t* mask, float scale, float* dropped, int64_t H) {
    for (int64_t j = 0; j < H; ++j) dropped[j] = output[j] * (float(mask[j]) * scale);
}

// Where so few sequences run that a step would read all weights for a single tile, the input's
// products are formed for many steps at a time, before the steps that follow one another.
inline bool forms_sums_first(int64_t sequences, int64_t steps) {
#if defined(UNSPOOL_BF16)
    (void)sequences, (void)steps;
    return false;
#else
    return sequences <= 6 && steps > 1;
#endif
}

// What the threads share that divide the units: h before and after a step.
struct SharedStates {
    float* h[2];
#if defined(UNSPOOL_BF16)
    Bfloat16* half[2];  // rows of the input and of h
#endif

    SharedStates(Allocator& memory, int64_t K, int64_t H, int64_t sequences) {
        for (auto& each : h) each = memory.floats(sequences * vectors(H) * W);
#if defined(UNSPOOL_BF16)
        for (auto& rows : half)
            rows = memory.array<Bfloat16>(whole_tiles(sequences) *
                                          row_stride(depth32(K) + depth32(H)));
#else
        (void)K;
#endif
    }
};

struct ForwardScratch {
    float* c;
    const float **input, **before, **sums;
    float **output, **saved;
    const float** all_input;  // those of all valid steps, and where their sums go
    float** all_sums;
    float* sum_numbers;
#if defined(UNSPOOL_BF16)
    float* half_sums;
#endif

    ForwardScratch(Allocator& memory, Cell cell, int64_t H, int64_t sequences, int64_t steps) {
        const int64_t Hp = vectors(H) * W;
#if defined(UNSPOOL_BF16)
        half_sums = memory.floats(whole_tiles(sequences) * 6 * 16);
#endif
        c = memory.floats(cell == Cell::lstm ? sequences * Hp : 0);
        input = memory.array<const float*>(sequences);
        before = memory.array<const float*>(sequences);
        sums = memory.array<const float*>(sequences);
        output = memory.array<float*>(sequences);
        saved = memory.array<float*>(sequences);
        const bool first = forms_sums_first(sequences, steps);
        all_input = memory.array<const float*>(first ? sequences * steps : 0);
        all_sums = memory.array<float*>(first ? sequences * steps : 0);
        sum_numbers = memory.floats(first ? sequences * steps * gates_of(cell) * Hp : 0);
    }
};

inline int64_t forward_scratch(Cell cell, int64_t K, int64_t H, int64_t sequences, int64_t steps) {
    Allocator memory(nullptr);
    ForwardScratch(memory, cell, H, sequences, steps);
    SharedStates(memory, K, H, sequences);
    return memory.used(nullptr);
}

template <class Steps>
void forward_as(const Forward& job) {
    const Sequences& sequences = job.sequences;
    const int64_t H = job.H, Hp = vectors(H) * W, n = sequences.count;
    Allocator memory(job.scratch);
    const ForwardScratch scratch(memory, job.cell, H, n, job.steps);
    Allocator shared_memory(job.units.shared);
    const SharedStates states(job.units.shared ? shared_memory : memory, job.K, H, n);
    const bool lstm = job.cell == Cell::lstm;
    float* const* const h = states.h;
    // Units of this thread: [begin, end), of which `mine` are more than padding.
    const int64_t begin = job.units.wait ? job.units.begin * W : 0;
    const int64_t end = job.units.wait ? job.units.end * W : Hp;
    const int64_t mine = (end < H ? end : H) - begin;
    if (mine <= 0) {  // nothing but to keep step with the others
        for (int64_t s = -1; s < (n > 0 ? sequences.length[0] : 0); ++s) job.units.wait();
        return;
    }
    auto initial = [&](const float* state, int64_t i) {
        return state ? state + sequences.index[i] * H + begin : nullptr;
    };
    for (int64_t i = 0; i < n; ++i) {
        copy(initial(job.h0, i), h[0] + i * Hp + begin, mine, end - begin);
        if (lstm) copy(initial(job.c0, i), scratch.c + i * Hp + begin, mine, end - begin);
    }
    int64_t active = active_at(sequences, 0, n);
#if defined(UNSPOOL_BF16)
    const Tiles tiles(tile_height(n));
    const int64_t half_stride = row_stride(depth32(job.K) + depth32(H));
    const int64_t half_end = end == Hp ? depth32(H) : end;
    for (int64_t i = 0; i < n; ++i)
        for (Bfloat16* rows : states.half)
            round_part(h[0] + i * Hp, H, rows + i * half_stride + depth32(job.K) * parts, begin,
                       half_end);
    // The inputs of a step, of which each thread rounds those of some sequences.
    auto round_inputs = [&](int64_t s, int64_t count) {
        const int64_t member = job.units.member, members = job.units.members;
        for (int64_t i = count * member / members; i < count * (member + 1) / members; ++i)
            round_row(job.input.at(sequences.index[i], position(job.reverse, sequences.length[i], s)),
                      job.K, states.half[s % 2] + i * half_stride, depth32(job.K));
    };
    round_inputs(0, active);
#endif
    if (job.units.wait) job.units.wait();
    auto finish = [&](int64_t i, const float* last) {
        const int64_t b = sequences.index[i];
        copy(last + i * Hp + begin, job.h_n + b * H + begin, mine, mine);
        if (lstm) copy(scratch.c + i * Hp + begin, job.c_n + b * H + begin, mine, mine);
        if (!job.pad) return;
        for (int64_t t = sequences.length[i]; t < job.steps; ++t)
            zero(job.output.at(b, t) + begin, mine);
    };

    const bool sums_first = forms_sums_first(n, job.steps);
#if !defined(UNSPOOL_BF16)
    if (sums_first) {
        int64_t count = 0;
        for (int64_t i = 0; i < n; ++i)
            for (int64_t t = 0; t < sequences.length[i]; ++t) {
                scratch.all_input[count] = job.input.at(sequences.index[i], t);
                scratch.all_sums[count] = scratch.sum_numbers + count * gates_of(job.cell) * Hp;
                ++count;
            }
        Steps::multiply_input(job, scratch.all_input, scratch.all_sums, count, begin, begin + mine);
    }
#endif

    const float* before = h[0];
    float* after = h[1];
    for (int64_t i = active; i < n; ++i) finish(i, before);

    for (int64_t s = 0; active > 0; ++s) {
        const bool nothing_before = s == 0 && !job.h0;
        int64_t skipped = 0;  // valid steps of the sequences before
        for (int64_t i = 0; i < active; ++i) {
            const int64_t b = sequences.index[i];
            const int64_t t = position(job.reverse, sequences.length[i], s);
            scratch.input[i] = job.input.at(b, t);
            scratch.before[i] = before + i * Hp;
            scratch.output[i] = job.output.at(b, t);
            if (job.saved) scratch.saved[i] = job.saved.at(b, t);
            if (sums_first) scratch.sums[i] = scratch.all_sums[skipped + t];
            skipped += sequences.length[i];
        }
        ForwardStep step{};
        step.job = &job;
        step.active = active;
        step.begin = begin;
        step.end = begin + mine;
        step.input = scratch.input;
        step.sums = sums_first ? scratch.sums : nullptr;
        step.before = nothing_before ? nullptr : scratch.before;
        step.after = after;
        step.c = scratch.c;
        step.output = scratch.output;
        step.saved = job.saved ? scratch.saved : nullptr;
        step.Hp = Hp;
#if defined(UNSPOOL_BF16)
        step.half_before = states.half[s % 2];
        step.half_after = states.half[1 - s % 2];
        step.half_stride = half_stride;
        step.half_sums = scratch.half_sums;
        step.tile_height = tile_height(n);
#endif
        Steps::run(step);
        if (job.mask)
            for (int64_t i = 0; i < active; ++i) {
                const int64_t b = sequences.index[i];
                const int64_t t = position(job.reverse, sequences.length[i], s);
                drop(scratch.output[i] + begin, job.mask.at(b, t) + begin, job.scale,
                     job.dropped.at(b, t) + begin, mine);
            }
        const int64_t running = active_at(sequences, s + 1, active);
#if defined(UNSPOOL_BF16)
        round_inputs(s + 1, running);
#endif
        if (job.units.wait) job.units.wait();
        for (int64_t i = running; i < active; ++i) finish(i, after);
        active = running;

        float* const free = const_cast<float*>(before);
        before = after;
        after = free;
    }
}

inline void forward(const Forward& job) {
    switch (job.cell) {
        case Cell::rnn_tanh: return forward_as<RnnStep<RnnTanh>>(job);
        case Cell::rnn_relu: return forward_as<RnnStep<RnnRelu>>(job);
        case Cell::lstm: return forward_as<GatedStep<Lstm>>(job);
        case Cell::gru: return forward_as<GatedStep<Gru>>(job);
    }
}

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool

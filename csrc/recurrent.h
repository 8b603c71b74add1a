// A whole recurrent stack, forwards and backwards: layers, directions, threads and memory. The work
// itself is done by the functions of kernels.h.
//
// B sequences of T steps with F features, right-padded; L layers in D directions, H hidden units.
// States are (L·D, B, H), the forward direction before the backward one in each layer.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.h"

namespace unspool {

struct Stack {
    Cell cell;
    int64_t B, T, F, H;
    int L, D;

    int64_t inputs(int layer) const { return layer == 0 ? F : D * H; }
};

// What both passes read.
struct Arguments {
    Stack stack;
    Rows<const float> input;         // F numbers each
    const int64_t* lengths;          // (B), each 0..T; or null where all are T
    const float* h0;                 // or null for zeros
    const float* c0;                 // or null for zeros
    std::vector<Weights> weights;    // (L·D), not read where `packed` is given
    const float* packed;             // what `pack` made of them; or null, then forward() does it
    const uint8_t* mask;             // (L−1, B, T, D·H), 1 where an output is kept; or null
    float scale;                     // what kept outputs are multiplied by
    Rows<float> output;              // D·H numbers each
    float* workspace;                // workspace_size() floats that the forward pass leaves for the
                                     // backward pass; may be null where none will follow and there
                                     // is no mask
    int threads;
};

struct FinalState {
    float* h_n;
    float* c_n;  // LSTM
};

struct WeightGradients {
    float* weight_ih;
    float* weight_hh;
    float* bias_ih;
    float* bias_hh;
};

// Every pointer may be null: a gradient that is zero, or one that is not asked for.
struct Gradients {
    Rows<const float> d_output;
    const float* d_h_n;
    const float* d_c_n;
    Rows<float> d_input;
    float* d_h0;
    float* d_c0;
    std::vector<WeightGradients> d_weights;  // (L·D)
    bool overwrites;                         // the workspace, which nothing will read after this
};

// Floats that the forward pass saves. Padding has its place in it, but is never touched.
int64_t workspace_size(const Kernels&, const Stack&, bool has_mask);

// Floats that a stack's weights take in the order in which the kernels read them.
int64_t packed_size(const Kernels&, const Stack&);

// Brings weights (L·D) into that order, for many forward passes with the same ones.
void pack(const Kernels&, const Stack&, const std::vector<Weights>&, float* packed, int threads);

// Throws std::invalid_argument if a length is not in 0..T.
void forward(const Kernels&, const Arguments&, const FinalState&);

// After `forward` with the same kernels and arguments.
void backward(const Kernels&, const Arguments&, const Gradients&);

}  // namespace unspool

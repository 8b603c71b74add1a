// What a level of vector instructions offers: the work of one thread on one layer in one direction.
// Sizes: B sequences, T steps, K inputs, H hidden units; a gradient of the gates has `gates · H`
// numbers at a step. Weights and their gradients have torch.nn's layout, gate after gate.
#pragma once

#include <cstdint>

namespace unspool {

// The least multiple of `unit` that is not less.
constexpr int64_t padded(int64_t count, int64_t unit) { return (count + unit - 1) / unit * unit; }

enum class Cell { rnn_tanh, rnn_relu, lstm, gru };

// Gates in torch.nn's order: LSTM i, f, g, o; GRU r, z, n.
constexpr int gates_of(Cell cell) { return cell == Cell::lstm ? 4 : cell == Cell::gru ? 3 : 1; }

// Vectors that the forward pass saves for each vector of units: LSTM i, f, g, o and c; GRU r, z, n
// and W_hn h + b_hn; nothing of an RNN, whose output tells all. A row has four of them for each vector
// of units, side by side, and behind these all c: the first four have the places that the gates'
// gradients have in a row of theirs, which so can take theirs (Gradients::overwrites).
constexpr int saved_of(Cell cell) { return cell == Cell::lstm ? 5 : cell == Cell::gru ? 4 : 0; }

// Vectors of gate gradients that the backward pass forms for each vector of units: LSTM those of
// i, f, g, o; GRU those of n, r, z and of W_hn h + b_hn, so that what the input's product had part in
// (n, r, z) and what the state's had (r, z, W_hn h + b_hn) both lie side by side.
constexpr int slots_of(Cell cell) { return cell == Cell::lstm || cell == Cell::gru ? 4 : 1; }

// An array [T][B][·] of rows, in whatever order the steps and sequences lie.
template <class Number>
struct Rows {
    Number* data = nullptr;
    int64_t sequence_stride = 0;
    int64_t step_stride = 0;

    Number* at(int64_t sequence, int64_t step) const {
        return data + sequence * sequence_stride + step * step_stride;
    }
    explicit operator bool() const { return data != nullptr; }
};

// The sequences that one thread works on, the longest first.
struct Sequences {
    int64_t count = 0;
    const int32_t* index = nullptr;   // (count): which of the batch
    const int32_t* length = nullptr;  // (count)
};

// Weights of one layer in one direction. Biases may be absent.
struct Weights {
    const float* weight_ih = nullptr;  // (gates · H, K)
    const float* weight_hh = nullptr;  // (gates · H, H)
    const float* bias_ih = nullptr;    // (gates · H)
    const float* bias_hh = nullptr;    // (gates · H)
};

// Which product a gradient of the gates belongs to: they differ in a GRU.
enum class Side { input, state };

// Where weights are many, all threads work on the same sequences and divide the hidden units among
// them, so that each reads its part of the weights alone.
struct Division {
    int64_t begin = 0, end = 0;    // vectors of hidden units of this thread
    void (*wait)() = nullptr;      // for the other threads; null where there are none
    float* shared = nullptr;       // h of all units, or its gradient: shared_size(...) floats
    int member = 0, members = 1;   // this thread, and how many there are
};

struct Forward {
    Cell cell;
    int64_t K, H;
    Division units;
    bool reverse;               // from each sequence's last step to its first
    int64_t steps;              // T; outputs past a sequence's end are zeroed where `pad` says so
    Sequences sequences;
    const Weights* weights;     // read by `step` alone
    const float* panels;        // packed weights
    const float* bias;          // packed biases
    Rows<const float> input;    // K numbers each
    const float* h0;            // (B, H), or null for zeros
    const float* c0;            // (B, H), or null for zeros
    Rows<float> output;         // H numbers each
    bool pad;
    Rows<const uint8_t> mask;   // H bytes each, 1 where an output is kept; or none
    Rows<float> dropped;        // where there is a mask: the outputs after dropout
    float scale;                // what kept outputs are multiplied by
    Rows<float> saved;          // what the backward pass needs, or none
    float* h_n;                 // (B, H)
    float* c_n;                 // (B, H), LSTM
    float* scratch;             // forward_scratch(...) floats
};

struct Backward {
    Cell cell;
    int64_t H;
    Division units;               // begins and ends with a panel of four vectors, or the last one
    bool reverse;
    Sequences sequences;
    const float* panels;          // packed weight_hh
    Rows<const float> d_output;   // H numbers each, or none
    const float* d_h_n;           // (B, H), or null
    const float* d_c_n;           // (B, H), or null
    Rows<const float> output;     // H numbers each
    const float* h0;              // (B, H), or null for zeros
    const float* c0;              // (B, H), or null for zeros
    Rows<const float> saved;      // by the forward pass
    Rows<float> d_gates;          // may be the rows of `saved`
    float* d_h0;                  // (B, H), or null where it is not asked for
    float* d_c0;
    float* scratch;               // backward_scratch(...) floats
};

// d_input = d_gates · weight_ih for some steps of some sequences.
struct InputGradient {
    Cell cell;
    int64_t K, H;
    int64_t begin, end;          // of the steps
    Sequences sequences;
    const float* panels;         // packed weight_ih
    Rows<const float> d_gates;
    Rows<float> d_input;         // K numbers each
    bool add;                    // to what is there
    bool pad;                    // zero past a sequence's end
    Rows<const uint8_t> mask;    // of the dropout that the input went through, or none
    float scale;
    float* scratch;              // input_gradient_scratch(...) floats
};

// One of the two products of a layer, and the gradients of its weights: d_weight = Σ d_gates ⊗ input
// over steps and sequences, d_bias = Σ d_gates.
struct WeightProduct {
    int64_t K;
    const float* const* input;  // (count) rows of K numbers
    float* d_weight;            // (gates · H, K), or null
    float* d_bias;              // (gates · H), or null
};

// Both, for some of the vectors of gate units.
struct WeightGradient {
    Cell cell;
    int64_t H;
    int64_t begin, end;           // of the vectors(H) vectors of hidden units
    int64_t count;                // rows to sum over
    const float* const* d_gates;  // (count) rows
    WeightProduct input, state;
    float* scratch;               // weight_gradient_scratch(...) floats
};

// ------------------------------------------------------------------ the cross-entropy of logits

// Positions whose V logits, weight · hidden + bias, are judged together (cross_entropy.h). The classes
// are cut into blocks of `class_block`. What has a number for each position has room for `stride`,
// of which those from N on are padding.
struct Positions {
    int64_t N, H, V;
    int64_t stride;
    const float* hidden;     // (N, H)
    const float* weight;     // (V, H)
    const float* bias;       // (V), or null
    const int64_t* targets;  // (N)
    float smoothing;         // part of the target's probability that all classes share alike
    float scale;             // of the gradients
    float* columns;          // hidden_panels(...) floats: `hidden`, packed for the logits,
    float* rows;             // and again for the gradient of the weights

    // Of the logits z of a block, [blocks][stride] each.
    float* highest;  // max z
    float* sums;     // Σ e^(z − highest); then what makes that exponential a scaled probability
    float* totals;   // Σ z
    // Of all logits, [stride] each.
    float* target;       // z of the target
    float* maximum;      // max z
    float* denominator;  // Σ e^(z − maximum)
    float* total;        // Σ z
    // e^(z − highest), [V][stride] numbers of the level's own kind; null where no gradients are wanted.
    float* exponentials;
};

// What some blocks of classes contribute to the gradients.
struct ClassGradients {
    int64_t begin, end;  // blocks
    float* d_hidden;     // [stride][H padded], this part's own; or null
    float* d_weight;     // (V, H), or null
    float* d_bias;       // (V), or null
    bool add;            // to what d_weight and d_bias hold
};

struct OutputKernels {
    int64_t class_block;

    // Floats of `columns` and of `rows`, and of [V][stride] exponentials.
    int64_t (*hidden_panels)(int64_t stride, int64_t H);
    int64_t (*exponentials)(int64_t V, int64_t stride);
    int64_t (*scratch)(int64_t stride, int64_t H);  // for logits and gradients
    // Packs 32 positions for each of [begin, end).
    void (*pack_hidden)(const Positions&, int64_t begin, int64_t end);
    // Fills highest, sums, totals, target and exponentials for blocks [begin, end).
    void (*logits)(const Positions&, int64_t begin, int64_t end, float* scratch);
    // Brings the blocks together for 32 positions for each of [begin, end).
    void (*normalise)(const Positions&, int64_t begin, int64_t end);
    void (*gradients)(const Positions&, const ClassGradients&, float* scratch);
    // Adds up what the parts made of positions [begin, end): d_hidden is (N, H).
    void (*sum_parts)(const Positions&, const float* const* parts, int64_t count, int64_t begin,
                      int64_t end, float* d_hidden);
};

// ------------------------------------------------------------------ gates by themselves

// A step of an LSTM or a GRU after its products, of `n` rows: W_ih x + b_ih and W_hh h + b_hh.
struct Gates {
    Cell cell;
    int64_t n, H;
    const float *input, *recurrent;  // (n, gates · H)
    const float *h, *c;              // (n, H): h is needed by a GRU, c by an LSTM
    float *h_after, *c_after;
    float* saved;                    // gates_saved(...) floats a row
};

// An LSTM's two sums have the same gradient, which d_input gets; its h has none of its own.
struct GateGradients {
    Gates forward;
    const float *d_h_after, *d_c_after;
    float *d_input, *d_recurrent;
    float *d_h, *d_c;
};

// ------------------------------------------------------------------ additive attention

// v · tanh(q + k) for each of T queries and S keys of B sequences.
struct AdditiveScores {
    int64_t B, T, S, A;
    const float* queries;  // (B, T, A)
    const float* keys;     // (B, S, A)
    const float* energy;   // (A)
    float* scores;         // (B, T, S)
};

struct AdditiveGradients {
    AdditiveScores forward;
    const float* d_scores;  // (B, T, S)
    float* d_queries;       // (B, T, A)
    float* d_keys;          // (B, S, A)
    float* d_energy;        // (B, A), each sequence's part
};

// ------------------------------------------------------------------ products by themselves

// A matrix of rows that stand `stride` numbers apart.
template <class Number>
struct Matrix {
    Number* data = nullptr;
    int64_t stride = 0;

    Number* row(int64_t i) const { return data + i * stride; }
    explicit operator bool() const { return data != nullptr; }
};

// output = input · B + added, where B, (depth, columns), is packed in blocks of columns.
struct PackedProduct {
    int64_t rows, depth, columns;
    const float* panels;
    Matrix<const float> input;  // rows of `depth` numbers
    Matrix<const float> added;  // rows of `columns`, or none
    Matrix<float> output;
    float* rounded;  // rounded_rows(...) floats, for the rows of the input, where there are any
};

struct ProductKernels {
    int64_t (*panels)(int64_t depth, int64_t columns);  // floats
    int64_t (*blocks)(int64_t columns);
    // Packs blocks [begin, end) of B, which is `weight`, or its transpose.
    void (*pack)(const Matrix<const float>& weight, bool transpose, int64_t depth, int64_t columns,
                 int64_t begin, int64_t end, float* panels);
    // None where products are of the numbers as they are.
    int64_t (*rounded_rows)(int64_t rows, int64_t depth);
    void (*round)(const PackedProduct&, int64_t begin, int64_t end);  // rows
    int64_t (*scratch)(int64_t rows);
    void (*multiply)(const PackedProduct&, int64_t begin, int64_t end, float* scratch);  // blocks
};

// ------------------------------------------------------------------ a step of a decoder

// output = W input + bias, of every row; or tanh(W input + bias + added).
struct Linear {
    int64_t inputs, outputs;
    const float* panels;      // the transpose of W, (outputs, inputs), as ProductKernels packs it
    const float* bias;        // (outputs), or null
    Matrix<const float> input;
    Matrix<const float> added;  // or none
    Matrix<float> output;
};

// How a query is compared with the steps of a source.
enum class Attention { none, additive, multiplicative };

// The weights of a source's steps, and the sum of their values that these make; for rows of which
// `each` neighbours look at one source.
struct Look {
    Attention attention;
    int64_t S, A, P;           // steps, and sizes of a key and of a value
    int64_t each;
    Matrix<const float> query;
    const float* energy;       // (A), additive
    const float* keys;         // (B, S, A)
    const float* values;       // (B, S, P)
    const uint8_t* padding;    // (B, S): 1 where there is no step
    Matrix<float> weights;     // S numbers each
    Matrix<float> context;     // P numbers each
    float* scratch;            // look_scratch(S) floats
};

// Logarithms of the softmax of a linear layer's outputs, whose columns are cut into blocks.
struct LogSoftmax {
    Linear linear;
    int64_t rows;
    float *highest, *sums;  // of each row's blocks: the highest output z, and Σ e^(z − highest)
};

struct DecoderKernels {
    // Blocks [begin, end) of the outputs, as the product's are, for `rows` rows.
    void (*linear)(const Linear&, int64_t rows, int64_t begin, int64_t end);
    int64_t (*look_scratch)(int64_t S);
    void (*look)(const Look&, int64_t begin, int64_t end);  // rows
    int64_t (*softmax_blocks)(int64_t outputs);
    void (*log_softmax_sums)(const LogSoftmax&, int64_t begin, int64_t end);  // blocks
    void (*log_softmax)(const LogSoftmax&, int64_t begin, int64_t end);       // blocks
};

// One level of vector instructions. Numbers of scratch and panels are in floats.
struct Kernels {
    const char* name;
    int width;  // floats in a vector; H is padded to a multiple of it in everything private
    // Whether products take 16 sequences at a time, for which threads rather divide the hidden units
    // than few sequences.
    bool in_tiles;

    int64_t (*shared_size)(Cell, int64_t K, int64_t H, int64_t sequences);  // of a Division
    int64_t (*gate_panels)(Cell, int64_t K, int64_t H);
    // Packs the weights of vectors [begin, end) of the hidden units.
    void (*pack_gates)(Cell, const Weights&, int64_t K, int64_t H, int64_t begin, int64_t end,
                       float* panels, float* bias);
    int64_t (*gradient_panels)(Cell, int64_t columns, int64_t H);
    // Packs (gates · H, columns) weights for the product with gradients of the gates.
    void (*pack_gradient)(Cell, Side, const float* weight, int64_t columns, int64_t H,
                          int64_t begin, int64_t end, float* panels);

    int64_t (*forward_scratch)(Cell, int64_t K, int64_t H, int64_t sequences, int64_t steps);
    void (*forward)(const Forward&);
    // A single step, which reads neither panels, bias nor scratch, and saves and drops nothing; null
    // where `forward` has to do it.
    void (*step)(const Forward&);
    int64_t (*backward_scratch)(Cell, int64_t H, int64_t sequences);
    void (*backward)(const Backward&);
    int64_t (*input_gradient_scratch)(Cell, int64_t K, int64_t H);
    void (*input_gradient)(const InputGradient&);
    int64_t (*weight_gradient_scratch)(Cell, int64_t K, int64_t vectors_of_units);
    void (*weight_gradient)(const WeightGradient&);

    OutputKernels output;
    int64_t (*gates_saved)(Cell, int64_t H);
    void (*gates)(const Gates&, int64_t begin, int64_t end);  // rows
    void (*gate_gradients)(const GateGradients&, int64_t begin, int64_t end);
    void (*additive_scores)(const AdditiveScores&, int64_t begin, int64_t end);  // sequences
    void (*additive_gradients)(const AdditiveGradients&, int64_t begin, int64_t end);
    ProductKernels product;
    DecoderKernels decoder;  // none where they are in bfloat16
    // The `most` greatest numbers of a row and their columns; most is at least 1 and at most `columns`.
    void (*best)(const float* row, int64_t columns, int64_t most, float* values, int64_t* found);
    void (*best_of_doubles)(const double* row, int64_t columns, int64_t most, double* values,
                            int64_t* found);
    // Which of the numbers [begin, end) are kept, 1 or 0: what has a chance of `dropped` 65,536ths to be
    // dropped. The same by every level; begin is a multiple of 4.
    void (*draw_kept)(uint64_t key, int64_t begin, int64_t end, int32_t dropped, uint8_t* kept);
    // Multiply-adds in registers, for some rounds; returns how many operations these were.
    int64_t (*multiply_add)(int64_t rounds);
};

}  // namespace unspool

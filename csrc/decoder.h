// A step of a decoder: from the tokens that are read to the log-probabilities of those that may come
// next. Recurrent layers, attention to the source, a readout, and the softmax over the vocabulary, as
// unspool/models/decoder.py has them.
//
// N hypotheses of B sentences, those of a sentence side by side; S steps of the source; E numbers of an
// embedded token, H hidden units, A numbers of a key, P of a value and of a readout, V tokens.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.h"
#include "large_pages.h"

namespace unspool {

struct Decoder {
    Cell cell;
    Attention attention;
    bool feeds;        // the first layer reads the readout of the step before
    bool has_readout;  // else the last layer's output is what the output layer reads
    int64_t E, H, A, P, V;
    int L;

    bool attends() const { return attention != Attention::none; }
    int64_t inputs(int layer) const {
        if (layer == 0) return E + (feeds ? P : 0);
        return H + (attends() && !feeds ? P : 0);
    }
};

struct DenseWeights {
    const float* weight = nullptr;
    const float* bias = nullptr;
};

struct DecoderWeights {
    const float* embedding;       // (V, E)
    std::vector<Weights> layers;  // (L)
    DenseWeights query;           // where attention is additive,
    const float* energy;          // (A), and its v
    DenseWeights readout, output;
};

struct DecoderState {
    const int64_t* tokens;                // (N)
    std::vector<const float*> h, c;       // (L) of (N, H); c of an LSTM
    const float* seen;                    // (N, P), where it feeds
    const float *keys, *values;           // (B, S, A) and (B, S, P), where it attends
    const uint8_t* padding;               // (B, S)
    int64_t N, B, S;
};

struct DecoderStep {
    std::vector<float*> h, c;
    float* seen;               // (N, P), where it feeds
    float* weights;            // (N, S), where it attends
    float* log_probabilities;  // (N, V)
};

// Steps that follow one another, each by the likeliest tokens, until one of these is the end or none is
// possible.
struct GreedyRun {
    int64_t most;                        // steps
    int64_t end;                         // a token
    std::vector<int64_t> excluded;       // tokens that may not come
    int64_t* tokens;                     // (most, N): what was chosen,
    float* gains;                        // (most, N): and its log-probability
    float* weights;                      // (most, N, S), where it attends
};

// A decoder whose weights are packed, for many steps. The embedding, v and the dense layers' biases are
// read where they are, and have to stay there.
class PackedDecoder {
  public:
    PackedDecoder(const Kernels&, const Decoder&, const DecoderWeights&, int threads);

    // Throws std::out_of_range if a token is none.
    void step(const DecoderState&, const DecoderStep&, int threads) const;

    // Returns how many steps were taken, one at least; of what comes of the last, `weights` and
    // `log_probabilities` are not told. Throws std::out_of_range if a token is none, also one that is
    // excluded, and std::invalid_argument if `most` is below 1.
    int64_t go_on(const DecoderState&, const GreedyRun&, const DecoderStep& last, int threads) const;

  private:
    int members_for(int64_t N, int threads) const;

    const Kernels& kernels_;
    Decoder decoder_;
    DecoderWeights weights_;
    LargePages packed_;
};

}  // namespace unspool

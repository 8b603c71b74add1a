// A decoder's steps.
#include "../decoder.h"
#include "arguments.h"

namespace binding {
namespace {

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

}  // namespace

void add_decoder(nb::module_& module) {
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
}

}  // namespace binding

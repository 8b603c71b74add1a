#include "arguments.h"

#include <stdexcept>

namespace binding {

unspool::Cell cell_called(const std::string& name) {
    if (name == "rnn_tanh") return unspool::Cell::rnn_tanh;
    if (name == "rnn_relu") return unspool::Cell::rnn_relu;
    if (name == "lstm") return unspool::Cell::lstm;
    if (name == "gru") return unspool::Cell::gru;
    throw std::invalid_argument("there is no cell " + name);
}

std::vector<unspool::Weights> weights_of(const std::vector<Address>& addresses) {
    std::vector<unspool::Weights> weights;
    for (size_t i = 0; i + 4 <= addresses.size(); i += 4)
        weights.push_back(
            {pointer<const float>(addresses[i]), pointer<const float>(addresses[i + 1]),
             pointer<const float>(addresses[i + 2]), pointer<const float>(addresses[i + 3])});
    return weights;
}

}  // namespace binding

// How Python passes arguments. Arrays come as addresses, 0 for none, which spares the calls any
// conversion; the callers, native_recurrent, inference, gates, products, decoder_step, additive_scores,
// dropout and cross_entropy_kernel in unspool/nn and ranking in unspool/decoding, answer for them.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "../kernels.h"
#include "../runnable.h"

namespace binding {

namespace nb = nanobind;
using namespace nb::literals;

using unspool::Kernels;
using unspool::kernels_called;
using Address = uintptr_t;

template <class T>
T* pointer(Address address) {
    return reinterpret_cast<T*>(address);
}

template <class T>
std::vector<T*> pointers(const std::vector<Address>& addresses) {
    std::vector<T*> found;
    for (const Address address : addresses) found.push_back(pointer<T>(address));
    return found;
}

// Address, and strides from sequence to sequence and from step to step.
using RowsOf = std::array<int64_t, 3>;

template <class T>
unspool::Rows<T> rows_of(const RowsOf& rows) {
    return {pointer<T>(Address(rows[0])), rows[1], rows[2]};
}

// Throws std::invalid_argument if there is none of that name.
unspool::Cell cell_called(const std::string& name);

// Of each layer and direction the addresses of weight_ih, weight_hh, bias_ih and bias_hh.
std::vector<unspool::Weights> weights_of(const std::vector<Address>& addresses);

// What each file of this folder adds to the module.
void add_cross_entropy(nb::module_&);
void add_decoder(nb::module_&);
void add_processor(nb::module_&);
void add_products(nb::module_&);
void add_recurrent(nb::module_&);
void add_rowwise(nb::module_&);

}  // namespace binding

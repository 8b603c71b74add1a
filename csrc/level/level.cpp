// One level of vector instructions; compiled once for each, see CMakeLists.txt.
#include "../levels.h"
#include "additive_attention.h"
#include "best.h"
#include "chances.h"
#include "gates.h"
#include "packed_product.h"
#include "peak.h"
#include "step.h"
#if defined(UNSPOOL_BF16)
#include "half_output_layer.h"
#include "half_weight_gradient.h"
#else
#include "decoder_step.h"
#include "single_output_layer.h"
#include "weight_gradient.h"
#endif

#define UNSPOOL_STRING(x) #x
#define UNSPOOL_NAME(x) UNSPOOL_STRING(x)

namespace unspool {
namespace UNSPOOL_LEVEL {

const Kernels kernels = {
    UNSPOOL_NAME(UNSPOOL_LEVEL),
    W,
#if defined(UNSPOOL_BF16)
    UNSPOOL_BF16 == 2,
#else
    false,
#endif
    &shared_size,
    &gate_panels,
    &pack_gates,
    &gradient_panels,
    &pack_gradient,
    &forward_scratch,
    &forward,
#if defined(UNSPOOL_PARTS)
    nullptr,  // its sums are in another order
#else
    &step,
#endif
    &backward_scratch,
    &backward,
    &input_gradient_scratch,
    &input_gradient,
    &weight_gradient_scratch,
    &weight_gradient,
    {class_block, &hidden_panels, &exponentials, &output_scratch, &pack_hidden, &logits, &normalise,
     &output_gradients, &sum_parts},
    &gates_saved,
    &gates,
    &gate_gradients,
    &additive_scores,
    &additive_gradients,
#if defined(UNSPOOL_BF16)
    {&product_panels, &product_blocks, &pack_product, &rounded_rows, &round_rows,
     &packed_product_scratch, &multiply_packed},
    {},
#else
    {&product_panels, &product_blocks, &pack_product, nullptr, nullptr, &packed_product_scratch,
     &multiply_packed},
    {&linear, &look_scratch, &look, &softmax_blocks, &log_softmax_sums, &log_softmax},
#endif
    &best,
    &best_of_doubles,
    &draw_kept,
    &multiply_add,
};

}  // namespace UNSPOOL_LEVEL
}  // namespace unspool

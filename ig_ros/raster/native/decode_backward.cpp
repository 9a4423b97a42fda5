// Gradient of decoding. Anchors are cut into PARTS shares whose weight gradients are summed apart and then added in one
// order: the result is the same for any number of threads.
#include <omp.h>

#include <algorithm>
#include <cstring>

#include "decode.h"

namespace ig {

constexpr int PARTS = 32;

// Weights as the products of the backward pass read them, padded with zeros.
struct BackwardWeights {
  std::vector<float> first[MLPS], second[MLPS];  // (hidden, embedding) (outputs, hidden)
  void read(const DecodeInput& in, const Sizes& size) {
    for (int m = 0; m < MLPS; m++) {
      const int columns = in.embedding_size + (in.directed[m] ? 3 : 0);
      first[m].assign(size_t(in.hidden) * size.embedding, 0.f);
      second[m].assign(size_t(size.outputs[m]) * size.hidden, 0.f);
      for (int h = 0; h < in.hidden; h++)
        std::copy_n(in.mlp[m].weight1 + size_t(h) * columns, in.embedding_size, &first[m][size_t(h) * size.embedding]);
      for (int o = 0; o < size.outputs[m]; o++)
        std::copy_n(in.mlp[m].weight2 + size_t(o) * in.hidden, in.hidden, &second[m][size_t(o) * size.hidden]);
    }
  }
};

// Weight gradients of one share, laid out one MLP after the other.
struct GradientLayout {
  size_t first[MLPS], second[MLPS], bias[MLPS], whole = 0;  // (inputs, hidden) (outputs, hidden) (wide)
  explicit GradientLayout(const Sizes& size) {
    for (int m = 0; m < MLPS; m++) {
      first[m] = whole, whole += size_t(size.inputs) * size.hidden;
      second[m] = whole, whole += size_t(size.outputs[m]) * size.hidden;
      bias[m] = whole, whole += size.wide[m];
    }
  }
};

// Scratch of one thread, a block of anchors at a time.
struct BackwardBlock {
  std::vector<float> inputs, outputs[MLPS], hidden, embedding;
  void fit(const Sizes& size) {
    inputs.resize(size_t(ANCHORS) * size.inputs);
    hidden.resize(size_t(ANCHORS) * size.hidden);
    embedding.resize(size_t(ANCHORS) * size.embedding);
    for (int m = 0; m < MLPS; m++) outputs[m].resize(size_t(ANCHORS) * size.wide[m]);
  }
};

// Kept by the calling thread from call to call: nothing is allocated while sizes stay.
struct BackwardMemory {
  BackwardWeights weights;
  std::vector<float> sums;            // (PARTS, whole layout), zero
  std::vector<BackwardBlock> blocks;  // one a thread of the team
  static BackwardMemory& of(const DecodeInput& in, const Sizes& size, const GradientLayout& layout) {
    static thread_local BackwardMemory memory;
    memory.weights.read(in, size);
    memory.sums.assign(layout.whole * PARTS, 0.f);
    memory.blocks.resize(in.threads);
    for (BackwardBlock& block : memory.blocks) block.fit(size);
    return memory;
  }
};

// Gradients of one anchor's offsets and scales, and of the covariance MLP's outputs.
static void geometry_backward(const DecodeInput& in, const DecodeOutput& out, const DecodeGradients& grad,
                              size_t anchor, float* shape) {
  const float *turn = in.turn ? in.turn + 4 * anchor : nullptr, *log_scale = in.log_scale + 6 * anchor;
  const Scales scale(log_scale);
  const float inverse[3] = {1.f / scale[3], 1.f / scale[4], 1.f / scale[5]};
  float scale_gradient[6] = {};
  for (int c = 0; c < in.children; c++, shape += 7) {
    const size_t child = anchor * in.children + c;
    float mean[3] = {};
    if (grad.means) std::memcpy(mean, grad.means + 3 * child, sizeof mean);
    if (turn) turn_vector(turn, -1.f, mean);
    for (int j = 0; j < 3; j++) {
      const float scaled = mean[j] * scale[j];
      grad.offsets[3 * child + j] = scaled;
      scale_gradient[j] += scaled * in.offsets[3 * child + j];
      const float size = out.scales[3 * child + j], g = grad.scales ? grad.scales[3 * child + j] * size : 0.f;
      scale_gradient[3 + j] += g;
      shape[j] = g * (1.f - size * inverse[j]);
    }
    if (!grad.quats) continue;
    if (turn) {
      const float back[4] = {turn[0], -turn[1], -turn[2], -turn[3]};
      quat_product(back, grad.quats + 4 * child, shape + 3);
    } else {
      std::memcpy(shape + 3, grad.quats + 4 * child, 4 * sizeof(float));
    }
  }
  std::memcpy(grad.log_scale + 6 * anchor, scale_gradient, sizeof scale_gradient);
}

// Gradients of one anchor's instance features: norms are fixed, only the direction is asked to change.
static void feature_backward(const DecodeInput& in, const DecodeGradients& grad, size_t anchor) {
  const int size = in.feature_size, own = in.feature_per_child ? in.children : 1, shared = in.children / own;
  for (int f = 0; f < own; f++) {
    const size_t begin = (anchor * own + f) * size;
    const float* feature = in.feature + begin;
    float* sum = grad.feature + begin;
    std::fill_n(sum, size, 0.f);
    for (int c = 0; c < shared && grad.features; c++) {
      const float* g = grad.features + (anchor * in.children + f * shared + c) * (3 + size) + 3;
      for (int i = 0; i < size; i++) sum[i] += 0.5f * g[i];
    }
    float square = 0.f, along = 0.f;
    for (int i = 0; i < size; i++) square += feature[i] * feature[i], along += sum[i] * feature[i];
    const float norm = std::sqrt(square), inverse = 1.f / (norm < 1e-12f ? 1e-12f : norm);
    along = norm < 1e-12f ? 0.f : along * inverse * inverse;
    for (int i = 0; i < size; i++) sum[i] = (sum[i] - along * feature[i]) * inverse;
  }
}

static void color_backward(const DecodeInput& in, const DecodeOutput& out, const DecodeGradients& grad, size_t anchor,
                           float* row) {
  const int width = 3 + in.feature_size;
  float sum[3] = {};
  for (int c = 0; c < in.children && grad.features; c++)
    for (int j = 0; j < 3; j++) {
      const size_t at = (anchor * in.children + c) * width + j;
      const float color = out.features[at], g = grad.features[at] * color * (1.f - color);
      row[3 * c + j] = g;
      sum[j] += g;
    }
  if (grad.color) std::memcpy(grad.color + 3 * anchor, sum, sizeof sum);
}

// What reaches the outputs of the MLPs; leaves the gradients of everything that is not behind them.
static void output_gradients(const DecodeInput& in, const Sizes& size, const DecodeOutput& out,
                             const DecodeGradients& grad, size_t anchor, float* const* row) {
  for (int m = 0; m < MLPS; m++) std::fill_n(row[m], size.wide[m], 0.f);
  for (int c = 0; c < in.children && grad.opacities; c++) {
    const float opacity = out.opacities[anchor * in.children + c];
    if (!(opacity <= 0.f)) row[OPACITY][c] = grad.opacities[anchor * in.children + c] * (1.f - opacity * opacity);
  }
  geometry_backward(in, out, grad, anchor, row[COVARIANCE]);
  color_backward(in, out, grad, anchor, row[COLOR]);
  if (grad.feature) feature_backward(in, grad, anchor);
}

// One MLP of a block: adds to its weight gradients and to the gradient of the embeddings.
static void mlp_backward(const DecodeInput& in, const Sizes& size, const BackwardWeights& weights, BackwardBlock& block,
                         const float* activations, const GradientLayout& layout, float* sums, int m, int count) {
  const size_t pitch = size.activations(), wide = size.wide[m], hidden = size.hidden;
  const float* outputs = block.outputs[m].data();
  for (int i = 0; i < count; i++)
    for (size_t o = 0; o < wide; o++) sums[layout.bias[m] + o] += outputs[i * wide + o];
  float *first = sums + layout.first[m], *second = sums + layout.second[m], *back = block.hidden.data();
  product({outputs, 1, wide}, {activations, pitch}, {second, hidden}, {second, hidden}, size.outputs[m], hidden, count);
  product({outputs, wide, 1}, {weights.second[m].data(), hidden}, {nullptr, 0}, {back, hidden}, count, hidden,
          size.outputs[m]);
  for (int i = 0; i < count; i++)
    for (size_t h = 0; h < hidden; h++)
      if (activations[i * pitch + h] <= 0.f) back[i * hidden + h] = 0.f;
  product({block.inputs.data(), 1, size_t(size.inputs)}, {back, hidden}, {first, hidden}, {first, hidden},
          size.inputs_of(in, m), hidden, count);
  float* embedding = block.embedding.data();
  product({back, hidden, 1}, {weights.first[m].data(), size_t(size.embedding)},
          {m ? embedding : nullptr, size_t(size.embedding)}, {embedding, size_t(size.embedding)}, count, size.embedding,
          in.hidden);
}

static void decode_block(const DecodeInput& in, const Sizes& size, const BackwardWeights& weights, BackwardBlock& block,
                         const DecodeOutput& out, const DecodeGradients& grad, const GradientLayout& layout,
                         float* sums, int first, int last) {
  const int count = last - first;
  decode_inputs(in, size, first, count, block.inputs.data());
  for (int i = 0; i < count; i++) {
    float* row[MLPS];
    for (int m = 0; m < MLPS; m++) row[m] = block.outputs[m].data() + size_t(i) * size.wide[m];
    output_gradients(in, size, out, grad, size_t(first) + i, row);
  }
  for (int m = 0; m < MLPS; m++)
    mlp_backward(in, size, weights, block, out.hidden + first * size.activations() + size_t(m) * size.hidden, layout,
                 sums, m, count);
  for (int i = 0; i < count; i++)
    std::memcpy(grad.embedding + size_t(first + i) * in.embedding_size, &block.embedding[size_t(i) * size.embedding],
                in.embedding_size * sizeof(float));
}

// From the layout of the sums to torch's.
static void write_weights(const DecodeInput& in, const Sizes& size, const GradientLayout& layout, const float* sums,
                          const DecodeGradients& grad) {
  const int e = in.embedding_size;
  for (int m = 0; m < MLPS; m++) {
    const float *first = sums + layout.first[m], *second = sums + layout.second[m];
    const int columns = e + (in.directed[m] ? 3 : 0);
    for (int h = 0; h < in.hidden; h++) {
      for (int i = 0; i < columns; i++)
        grad.mlp[m].weight1[size_t(h) * columns + i] = first[size_t(i < e ? i : i + 1) * size.hidden + h];
      grad.mlp[m].bias1[h] = first[size_t(e) * size.hidden + h];
    }
    for (int o = 0; o < size.outputs[m]; o++)
      std::copy_n(second + size_t(o) * size.hidden, in.hidden, grad.mlp[m].weight2 + size_t(o) * in.hidden);
    std::copy_n(sums + layout.bias[m], size.outputs[m], grad.mlp[m].bias2);
  }
}

static void decode_backward(const DecodeInput& in, const DecodeOutput& out, const DecodeGradients& grad) {
  const Sizes size(in);
  const GradientLayout layout(size);
  BackwardMemory& memory = BackwardMemory::of(in, size, layout);
  float* sums = memory.sums.data();
  const int total = (in.count + ANCHORS - 1) / ANCHORS;
#pragma omp parallel for num_threads(in.threads) schedule(dynamic)
  for (int part = 0; part < PARTS; part++) {
    const int begin = int(int64_t(total) * part / PARTS), end = int(int64_t(total) * (part + 1) / PARTS);
    for (int b = begin; b < end; b++)
      decode_block(in, size, memory.weights, memory.blocks[omp_get_thread_num()], out, grad, layout,
                   sums + part * layout.whole, b * ANCHORS, std::min(in.count, (b + 1) * ANCHORS));
  }
  for (int part = 1; part < PARTS; part++)
    for (size_t i = 0; i < layout.whole; i++) sums[i] += sums[part * layout.whole + i];
  write_weights(in, size, layout, sums, grad);
}

}  // namespace ig

extern "C" int ig_decode_backward(const DecodeInput* in, const DecodeOutput* out, const DecodeGradients* grad) try {
  ig::decode_backward(*in, *out, *grad);
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

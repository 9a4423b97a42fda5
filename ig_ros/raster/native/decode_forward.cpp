// Decoding anchors: a block of them goes through the three MLPs and the activations while it is in cache, and the
// children are written as the rasteriser reads them.
#include <omp.h>

#include <algorithm>
#include <cstring>

#include "decode.h"

namespace ig {

IG_INLINE Lanes sigmoid(Lanes x) { return broadcast(1.f) / (broadcast(1.f) + exp_lanes(-x)); }
IG_INLINE Lanes tanh(Lanes x) { return broadcast(1.f) - broadcast(2.f) / (exp_lanes(x + x) + broadcast(1.f)); }

// Weights as the products read them: transposed and padded with zeros.
struct ForwardWeights {
  std::vector<float> first[MLPS], second[MLPS], bias[MLPS];  // (inputs, hidden) (hidden, wide) (wide)
  void read(const DecodeInput& in, const Sizes& size) {
    for (int m = 0; m < MLPS; m++) {
      const DecodeMlp& mlp = in.mlp[m];
      const int e = in.embedding_size, columns = e + (in.directed[m] ? 3 : 0);
      first[m].assign(size_t(size.inputs) * size.hidden, 0.f);
      second[m].assign(size_t(in.hidden) * size.wide[m], 0.f);
      bias[m].assign(size.wide[m], 0.f);
      for (int h = 0; h < in.hidden; h++) {
        for (int i = 0; i < columns; i++)
          first[m][size_t(i < e ? i : i + 1) * size.hidden + h] = mlp.weight1[size_t(h) * columns + i];
        first[m][size_t(e) * size.hidden + h] = mlp.bias1[h];
        for (int o = 0; o < size.outputs[m]; o++)
          second[m][size_t(h) * size.wide[m] + o] = mlp.weight2[size_t(o) * in.hidden + h];
      }
      std::copy_n(mlp.bias2, size.outputs[m], bias[m].begin());
    }
  }
};

void decode_inputs(const DecodeInput& in, const Sizes& size, int first, int count, float* rows) {
  const int e = in.embedding_size;
  for (int i = 0; i < count; i++, rows += size.inputs) {
    const size_t anchor = size_t(first) + i;
    std::memcpy(rows, in.embedding + anchor * e, e * sizeof(float));
    float* direction = rows + e + 1;
    for (int j = 0; j < 3; j++) direction[j] = in.position[3 * anchor + j] - in.center[j];
    float square = 0.f;
    for (int j = 0; j < 3; j++) square += direction[j] * direction[j];
    const float norm = std::sqrt(square);
    for (int j = 0; j < 3; j++) direction[j] /= norm < 1e-12f ? 1e-12f : norm;
    if (in.turn) turn_vector(in.turn + 4 * anchor, -1.f, direction);
    rows[e] = 1.f;
  }
}

// Means, shapes and opacities of one anchor's children from the activated outputs of its MLPs.
static void write_geometry(const DecodeInput& in, size_t anchor, const float* const* row, const float* shape,
                           const DecodeOutput& out) {
  const float *log_scale = in.log_scale + 6 * anchor, *turn = in.turn ? in.turn + 4 * anchor : nullptr;
  const Scales scale(log_scale);
  for (int c = 0; c < in.children; c++) {
    const size_t child = anchor * in.children + c;
    float offset[3];
    for (int j = 0; j < 3; j++) offset[j] = in.offsets[3 * child + j] * scale[j];
    if (turn) turn_vector(turn, 1.f, offset);
    for (int j = 0; j < 3; j++) out.means[3 * child + j] = in.position[3 * anchor + j] + offset[j];
    for (int j = 0; j < 3; j++) out.scales[3 * child + j] = scale[3 + j] * row[COVARIANCE][7 * c + j];
    if (turn) quat_product(turn, shape + 7 * c + 3, out.quats + 4 * child);
    else std::memcpy(out.quats + 4 * child, shape + 7 * c + 3, 4 * sizeof(float));
    const float opacity = row[OPACITY][c];
    out.opacities[child] = opacity < 0.f ? 0.f : opacity;
  }
}

// Colour and, mapped to (f^ + 1) / 2 [OG], the instance feature of one anchor's children.
static void write_features(const DecodeInput& in, size_t anchor, const float* color, float* out) {
  const int size = in.feature_size, width = 3 + size;
  const float* feature = size ? in.feature + anchor * size * (in.feature_per_child ? in.children : 1) : nullptr;
  float inverse = 0.f;
  for (int c = 0; c < in.children; c++, out += width) {
    for (int j = 0; j < 3; j++) out[j] = color[3 * c + j];
    if (!c || in.feature_per_child) {
      float square = 0.f;
      for (int f = 0; f < size; f++) square += feature[f] * feature[f];
      const float norm = std::sqrt(square);
      inverse = 1.f / (norm < 1e-12f ? 1e-12f : norm);
    }
    for (int f = 0; f < size; f++) out[3 + f] = (feature[f] * inverse + 1.f) * 0.5f;
    if (in.feature_per_child) feature += size;
  }
}

// Activates one anchor's rows of outputs in place; the raw covariance row is copied to `shape` first.
static void activate(const DecodeInput& in, const Sizes& size, size_t anchor, float* const* row, float* shape) {
  std::memcpy(shape, row[COVARIANCE], size.wide[COVARIANCE] * sizeof(float));
  if (in.color)
    for (int c = 0; c < in.children; c++)
      for (int j = 0; j < 3; j++) row[COLOR][3 * c + j] += in.color[3 * anchor + j];
  for (int i = 0; i < size.wide[OPACITY]; i += LANES) store(row[OPACITY] + i, tanh(load(row[OPACITY] + i)));
  for (int i = 0; i < size.wide[COVARIANCE]; i += LANES)
    store(row[COVARIANCE] + i, sigmoid(load(row[COVARIANCE] + i)));
  for (int i = 0; i < size.wide[COLOR]; i += LANES) store(row[COLOR] + i, sigmoid(load(row[COLOR] + i)));
}

// Scratch of one thread, a block of anchors at a time.
struct ForwardBlock {
  std::vector<float> inputs, hidden, outputs[MLPS], shape;
  void fit(const Sizes& size) {
    inputs.resize(size_t(ANCHORS) * size.inputs);
    hidden.resize(ANCHORS * size.activations());
    shape.resize(size.wide[COVARIANCE]);
    for (int m = 0; m < MLPS; m++) outputs[m].resize(size_t(ANCHORS) * size.wide[m]);
  }
};

// Kept by the calling thread from call to call: nothing is allocated while sizes stay.
struct ForwardMemory {
  ForwardWeights weights;
  std::vector<ForwardBlock> blocks;  // one a thread of the team
  static ForwardMemory& of(const DecodeInput& in, const Sizes& size) {
    static thread_local ForwardMemory memory;
    memory.weights.read(in, size);
    memory.blocks.resize(in.threads);
    for (ForwardBlock& block : memory.blocks) block.fit(size);
    return memory;
  }
};

static void decode_block(const DecodeInput& in, const Sizes& size, const ForwardWeights& weights, ForwardBlock& block,
                         const DecodeOutput& out, int first) {
  const int count = std::min(ANCHORS, in.count - first);
  const size_t pitch = size.activations();
  decode_inputs(in, size, first, count, block.inputs.data());
  float* hidden = out.hidden ? out.hidden + size_t(first) * pitch : block.hidden.data();
  for (int m = 0; m < MLPS; m++) {
    float* activations = hidden + size_t(m) * size.hidden;
    product({block.inputs.data(), size_t(size.inputs), 1}, {weights.first[m].data(), size_t(size.hidden)}, {nullptr, 0},
            {activations, pitch}, count, size.hidden, size.inputs_of(in, m));
    for (int i = 0; i < count; i++)
      for (int h = 0; h < size.hidden; h++) {
        float& x = activations[i * pitch + h];
        x = x < 0.f ? 0.f : x;
      }
    product({activations, pitch, 1}, {weights.second[m].data(), size_t(size.wide[m])}, {weights.bias[m].data(), 0},
            {block.outputs[m].data(), size_t(size.wide[m])}, count, size.wide[m], in.hidden);
  }
  for (int i = 0; i < count; i++) {
    const size_t anchor = size_t(first) + i;
    float* row[MLPS];
    for (int m = 0; m < MLPS; m++) row[m] = block.outputs[m].data() + size_t(i) * size.wide[m];
    activate(in, size, anchor, row, block.shape.data());
    write_geometry(in, anchor, row, block.shape.data(), out);
    write_features(in, anchor, row[COLOR], out.features + anchor * in.children * (3 + in.feature_size));
  }
}

}  // namespace ig

extern "C" int ig_decode_forward(const DecodeInput* in, const DecodeOutput* out) try {
  const ig::Sizes size(*in);
  ig::ForwardMemory& memory = ig::ForwardMemory::of(*in, size);
#pragma omp parallel for num_threads(in->threads) schedule(dynamic)
  for (int first = 0; first < in->count; first += ig::ANCHORS)
    ig::decode_block(*in, size, memory.weights, memory.blocks[omp_get_thread_num()], *out, first);
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

// Gradient of the blending. The walk goes front to back like the forward one and replays it, keeping for every pixel
// the part of dL that is still behind: S = sum over later Gaussians of w_i (g . c_i) - g_alpha T_final. Then
// dL/dalpha_i = T_i (g . c_i) - S / (1 - alpha_i), without per-pixel lists and without dividing by a vanishing T.
// Every (Gaussian, tile) pair writes one row of its own, and rows are summed per Gaussian: no atomics, one fixed order.
#include "projection.h"
#include "tile.h"

namespace ig {

// One pass covers U channels that move geometry as they are, and G whose pull on geometry is scaled by the gate.
struct Pass {
  int first, count;
  bool gated;     // all its channels are gated: the whole row of moments is scaled when summed
  bool has_alpha; // carries the gradient of the alpha image
};

static int row_size(int channels) { return (6 + channels + 3) / 4 * 4; }

// One channel of an image; channels without a gradient and padding read the same zero everywhere.
struct Channel {
  const float* data;
  size_t stride;
  float at(size_t pixel) const { return data[pixel * stride]; }
};

// Fills in the gradients of the tile's pixels and what they make of the finished image: S before the first Gaussian.
template <int U, int G>
static void load_pixels(float* cells, const Workspace& w, const RasterInput& in, const RasterOutput& out,
                        const RasterGradients& grad, int tile, const Pass& pass) {
  constexpr int K = U + G, REMAINS = G ? 2 : 1, STRIDE = (1 + REMAINS + K) * LANES;
  static const float zero = 0.f;
  Channel gradient[K], image[K];
  for (int k = 0; k < K; k++) {
    gradient[k] = image[k] = {&zero, 0};
    if (k >= pass.count) continue;
    const Plane p = w.channels[pass.first + k];
    const float* g = p.is_depth ? grad.depth : grad.features;
    if (!g) continue;
    gradient[k] = {g + p.offset, size_t(p.stride)};
    image[k] = {(p.is_depth ? out.depth : out.features) + p.offset, size_t(p.stride)};
  }
  for_each_pixel(w, in, tile, [&](size_t pixel, int cell, int lane) {
    float* values = cells + cell * STRIDE + lane;
    float behind[2] = {0.f, 0.f};
#pragma GCC unroll 16
    for (int k = 0; k < K; k++) {
      float g = gradient[k].at(pixel);
      values[(1 + REMAINS + k) * LANES] = g;
      behind[k < U ? 0 : 1] += g * image[k].at(pixel);
    }
    values[LANES] = behind[0];
    if (G) values[2 * LANES] = behind[1];
  });
}

template <int U, int G>
static void backward_tile(Workspace& w, const RasterInput& in, const RasterOutput& out, const RasterGradients& grad, int tile,
                          const Pass& pass) {
  constexpr int K = U + G, REMAINS = G ? 2 : 1, STRIDE = (1 + REMAINS + K) * LANES, SUMS = (6 + K + 3) / 4 * 4;
  alignas(64) float cells[CELLS * STRIDE] = {};  // transmittance, S of ungated, S of gated, K pixel gradients
  open_pixels<STRIDE>(cells, w, in, tile);
  load_pixels<U, G>(cells, w, in, out, grad, tile, pass);
  if (pass.has_alpha && grad.alpha)
    for_each_pixel(w, in, tile, [&](size_t pixel, int cell, int lane) {
      cells[cell * STRIDE + LANES + lane] -= grad.alpha[pixel] * out.transmittance[pixel];
    });
  const LaneOffsets lanes;
  const float left = float(tile % w.tiles_x * TILE) + 0.5f, top = float(tile / w.tiles_x * TILE) + 0.5f;
  const int stride = row_size(K);
  Lanes sums[SUMS];
  const int dark = walk<STRIDE>(
      w, tile, cells,
      [&](const Entry&, const float*) __attribute__((always_inline)) {
#pragma GCC unroll 24
        for (int k = 0; k < SUMS; k++) sums[k] = broadcast(0.f);
      },
      [&](int c, const float* record) __attribute__((always_inline)) {
        float* cell = cells + c * STRIDE;
        CellAlpha e = evaluate(record, lanes, left, top, c, in.max_alpha);
        Lanes before;
        LaneMask finished;
        Lanes weight = absorb(cell, e.alpha, before, finished);
        const float *channel = record + Workspace::HEADER + pass.first, *g = cell + (1 + REMAINS) * LANES;
        Lanes along = broadcast(0.f), along_gated = broadcast(0.f);  // g . c
#pragma GCC unroll 16
        for (int k = 0; k < K; k++) {
          Lanes gradient = *(const Lanes*)(g + k * LANES);
          if (k < U) along += gradient * channel[k];
          else along_gated += gradient * channel[k];
          sums[6 + k] += weight * gradient;
        }
        Lanes& behind = *(Lanes*)(cell + LANES);
        behind -= weight * along;
        Lanes slope = along, rest = behind;
        if (G) {
          Lanes& behind_gated = *(Lanes*)(cell + 2 * LANES);
          behind_gated -= weight * along_gated;
          slope += along_gated * record[6];
          rest += behind_gated * record[6];
        }
        Lanes v = e.alpha * (rest / (broadcast(1.f) - e.alpha) - before * slope);  // dL/dsigma
        v = select(finished | e.capped, broadcast(0.f), v);
        Lanes vx = v * e.dx, vy = v * e.dy;
        sums[0] += v, sums[1] += vx, sums[2] += vy;
        sums[3] += vx * e.dx, sums[4] += vx * e.dy, sums[5] += vy * e.dy;
      },
      [&](const Entry& entry) __attribute__((always_inline)) {
        float* row = &w.entry_gradients[size_t(entry.index) * stride];
#pragma GCC unroll 8
        for (int k = 0; k < SUMS; k += 4)
          *(Quad*)(row + k) = horizontal_sums(fold(sums[k]), fold(sums[k + 1]), fold(sums[k + 2]), fold(sums[k + 3]));
      });
  for (int place = dark; place < w.tile_begin[tile + 1]; place++)
    std::fill_n(&w.entry_gradients[size_t(w.entries[place].index) * stride], stride, 0.f);
}

// Sums the rows of every Gaussian into its moments and channel gradients.
static void gather_rows(Workspace& w, const RasterInput& in, const RasterGradients& grad, const Pass& pass, int stride) {
#pragma omp parallel for num_threads(in.threads) schedule(static)
  for (int rank = 0; rank < w.visible; rank++) {
    alignas(16) float sum[24] = {};
    const uint32_t begin = w.entry_begin[rank], end = w.entry_begin[rank + 1];
    for (uint32_t e = begin; e < end; e++) {
      const float* row = &w.entry_gradients[size_t(e) * stride];
      for (int k = 0; k < stride; k += 4) *(Quad*)(sum + k) += *(const Quad*)(row + k);
    }
    const uint32_t i = w.order[rank];
    const float scale = pass.gated ? in.gate[i] : 1.f;
    Moments& m = w.moments[rank];
    m.one += scale * sum[0], m.x += scale * sum[1], m.y += scale * sum[2];
    m.xx += scale * sum[3], m.xy += scale * sum[4], m.yy += scale * sum[5];
    for (int k = 0; k < pass.count; k++) {
      const Plane plane = w.channels[pass.first + k];
      if (plane.is_depth) w.depth_gradient[rank] = sum[6 + k];
      else grad.gaussian_features[size_t(i) * in.channels + plane.offset] = sum[6 + k];
    }
  }
}

template <int U, int G>
static void backward_pass(Workspace& w, const RasterInput& in, const RasterOutput& out, const RasterGradients& grad,
                          const Pass& pass) {
  w.entry_gradients.require(w.entry_count * row_size(U + G));
#pragma omp parallel for num_threads(in.threads) schedule(dynamic, 2)
  for (int tile = 0; tile < w.tiles_x * w.tiles_y; tile++) backward_tile<U, G>(w, in, out, grad, tile, pass);
  gather_rows(w, in, grad, pass, row_size(U + G));
}

static void run_pass(Workspace& w, const RasterInput& in, const RasterOutput& out, const RasterGradients& grad, const Pass& p) {
  if (p.count <= 1) backward_pass<1, 0>(w, in, out, grad, p);
  else if (p.count <= 4) backward_pass<4, 0>(w, in, out, grad, p);
  else if (p.count <= 7) backward_pass<7, 0>(w, in, out, grad, p);
  else if (p.count <= 10) backward_pass<10, 0>(w, in, out, grad, p);
  else backward_pass<16, 0>(w, in, out, grad, p);
}

// The loss is linear in the channels' gradients, so passes over disjoint channels simply add up. The usual training
// case (colour and depth, six gated features) is one pass; without a gate up to 16 channels are one pass.
static void run_passes(Workspace& w, const RasterInput& in, const RasterOutput& out, const RasterGradients& grad) {
  const int channels = static_cast<int>(w.channels.size());
  if (w.ungated == 4 && channels == 10) return backward_pass<4, 6>(w, in, out, grad, {0, 10, false, true});
  for (int first = 0; first < w.ungated; first += 16)
    run_pass(w, in, out, grad, {first, std::min(16, w.ungated - first), false, first == 0});
  for (int first = w.ungated; first < channels; first += 16)
    run_pass(w, in, out, grad, {first, std::min(16, channels - first), true, false});
}

// The first `count` of LANES Gaussians, with what was summed for them; the lanes behind them repeat the last.
static void project_lanes_backward(const Workspace& w, const RasterInput& in, const SlopeLimits& limits, uint32_t* row,
                                   int count, const RasterGradients& grad) {
  alignas(64) float value[7][LANES];
  for (int k = 0; k < LANES; k++) {
    row[k] = row[std::min(k, count - 1)];
    const int rank = w.rank_of[row[k]];
    const Moments& m = w.moments[rank];
    value[0][k] = m.one, value[1][k] = m.x, value[2][k] = m.y, value[3][k] = m.xx, value[4][k] = m.xy, value[5][k] = m.yy;
    value[6][k] = w.depth_gradient[rank];
  }
  Lanes moments[6];
  for (int j = 0; j < 6; j++) moments[j] = *(const Lanes*)value[j];
  project_backward(in, limits, row, count, moments, *(const Lanes*)value[6], grad);
}

// Gaussians in the order of memory, not of depth: their rows are read and written one after the other.
static void project_all_backward(Workspace& w, const RasterInput& in, const RasterGradients& grad) {
  constexpr int BLOCK = 1024;
  const SlopeLimits limits(in);
  int32_t* rank_of = w.rank_of.require(in.count);
  std::fill_n(rank_of, in.count, -1);
  for (int rank = 0; rank < w.visible; rank++)
    if (w.entry_begin[rank + 1] > w.entry_begin[rank]) rank_of[w.order[rank]] = rank;
#pragma omp parallel for num_threads(in.threads) schedule(dynamic)
  for (int begin = 0; begin < in.count; begin += BLOCK) {
    uint32_t row[LANES];
    int count = 0;
    for (int i = begin; i < std::min(in.count, begin + BLOCK); i++) {
      if (rank_of[i] < 0) continue;
      row[count++] = i;
      if (count < LANES) continue;
      project_lanes_backward(w, in, limits, row, count, grad);
      count = 0;
    }
    if (count) project_lanes_backward(w, in, limits, row, count, grad);
  }
}

void blend_backward(Workspace& w, const RasterInput& in, const RasterOutput& out, const RasterGradients& grad) {
  const size_t n = in.count;
  std::fill_n(w.moments.require(w.visible), w.visible, Moments{});
  std::fill_n(w.depth_gradient.require(w.visible), w.visible, 0.f);
  std::fill_n(grad.means, 3 * n, 0.f);
  std::fill_n(grad.quats, 4 * n, 0.f);
  std::fill_n(grad.scales, 3 * n, 0.f);
  std::fill_n(grad.opacities, n, 0.f);
  std::fill_n(grad.gaussian_features, n * in.channels, 0.f);
  std::fill_n(grad.screen, 2 * n, 0.f);
  {
    const Stopwatch watch(w.seconds[BLEND_BACKWARD]);
    run_passes(w, in, out, grad);
  }
  const Stopwatch watch(w.seconds[PROJECT_BACKWARD]);
  project_all_backward(w, in, grad);
}

}  // namespace ig

// Alpha blending front to back (Kerbl et al. 2023, eq. 3), all channels of a pass at once.
#include "tile.h"

namespace ig {

// Blends channels [first, first + K) of one tile; the last few may be padding.
template <int K>
static void forward_tile(const Workspace& w, const RasterInput& in, const RasterOutput& out, int tile, int first) {
  constexpr int STRIDE = (1 + K) * LANES;  // transmittance, then K sums
  alignas(64) float cells[CELLS * STRIDE] = {};
  open_pixels<STRIDE>(cells, w, in, tile);
  const LaneOffsets lanes;
  const float left = float(tile % w.tiles_x * TILE) + 0.5f, top = float(tile / w.tiles_x * TILE) + 0.5f;
  walk<STRIDE>(
      w, tile, cells, [](const Entry&, const float*) {},
      [&](int c, const float* record) __attribute__((always_inline)) {
        float* cell = cells + c * STRIDE;
        CellAlpha e = evaluate(record, lanes, left, top, c, in.max_alpha);
        Lanes before;
        LaneMask finished;
        Lanes weight = absorb(cell, e.alpha, before, finished);
        const float* channel = record + Workspace::HEADER + first;
#pragma GCC unroll 16
        for (int k = 0; k < K; k++) *(Lanes*)(cell + (1 + k) * LANES) += weight * channel[k];
      },
      [](const Entry&) {});
  const int count = std::min(K, int(w.channels.size()) - first);
  for (int k = 0; k < count; k++) {
    const Plane plane = w.channels[first + k];
    float* image = plane.is_depth ? out.depth : out.features + plane.offset;
    for_each_pixel(w, in, tile, [&](size_t pixel, int cell, int lane) {
      image[pixel * plane.stride] = cells[cell * STRIDE + (1 + k) * LANES + lane];
    });
  }
  if (first > 0) return;
  for_each_pixel(w, in, tile, [&](size_t pixel, int cell, int lane) {
    float transmittance = std::abs(cells[cell * STRIDE + lane]);
    out.transmittance[pixel] = transmittance;
    out.alpha[pixel] = 1.f - transmittance;
  });
}

template <int K>
static void forward_pass(const Workspace& w, const RasterInput& in, const RasterOutput& out, int first) {
#pragma omp parallel for num_threads(in.threads) schedule(dynamic, 2)
  for (int tile = 0; tile < w.tiles_x * w.tiles_y; tile++) forward_tile<K>(w, in, out, tile, first);
}

void blend_forward(const Workspace& w, const RasterInput& in, const RasterOutput& out) {
  const int channels = static_cast<int>(w.channels.size());
  for (int first = 0; first < channels; first += 16) {
    const int left = channels - first;
    if (left <= 1) forward_pass<1>(w, in, out, first);
    else if (left <= 4) forward_pass<4>(w, in, out, first);
    else if (left <= 7) forward_pass<7>(w, in, out, first);
    else if (left <= 10) forward_pass<10>(w, in, out, first);
    else forward_pass<16>(w, in, out, first);
  }
}

}  // namespace ig

// Which Gaussian has the largest blend weight at every pixel.
#include "tile.h"

namespace ig {

static void top_tile(const Workspace& w, const RasterInput& in, int tile, int32_t* top_image) {
  constexpr int STRIDE = 3 * LANES;  // transmittance, largest weight, its rank (as bits)
  alignas(64) float cells[CELLS * STRIDE] = {};
  open_pixels<STRIDE>(cells, w, in, tile);
  const LaneOffsets lanes;
  const float left = float(tile % w.tiles_x * TILE) + 0.5f, top = float(tile / w.tiles_x * TILE) + 0.5f;
  int32_t rank = 0;
  walk<STRIDE>(
      w, tile, cells, [&](const Entry& entry, const float*) { rank = static_cast<int32_t>(entry.rank); },
      [&](int c, const float* record) __attribute__((always_inline)) {
        float* cell = cells + c * STRIDE;
        CellAlpha e = evaluate(record, lanes, left, top, c, in.max_alpha);
        Lanes before;
        LaneMask finished;
        Lanes weight = absorb(cell, e.alpha, before, finished);
        Lanes& best = *(Lanes*)(cell + LANES);
        LaneMask& best_rank = *(LaneMask*)(cell + 2 * LANES);
        LaneMask better = weight > best;  // strictly: of equals the nearer one stays
        best = select(better, weight, best);
        best_rank = better ? (LaneMask){} + rank : best_rank;
      },
      [](const Entry&) {});
  for_each_pixel(w, in, tile, [&](size_t pixel, int cell, int lane) {
    const float* values = cells + cell * STRIDE + lane;
    int32_t index;
    __builtin_memcpy(&index, values + 2 * LANES, 4);
    top_image[pixel] = values[LANES] > 0.f ? static_cast<int32_t>(w.order[index]) : -1;
  });
}

void top_contributor(const Workspace& w, const RasterInput& in, int32_t* top) {
#pragma omp parallel for num_threads(in.threads) schedule(dynamic, 2)
  for (int tile = 0; tile < w.tiles_x * w.tiles_y; tile++) top_tile(w, in, tile, top);
}

}  // namespace ig

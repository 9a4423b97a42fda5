// What the three walks over a tile (forward, top contributor, backward) have in common.
//
// A tile is 16 x 16 pixels, cut into cells of LANES pixels (4 wide). Per-pixel values are kept cell by cell, all rows
// of one cell next to each other, so that a Gaussian touches a few cache lines per cell it reaches.
#pragma once
#include "raster.h"
#include "simd.h"

namespace ig {

constexpr int CELL_COLUMNS = TILE / CELL_WIDTH, CELLS = TILE * TILE / LANES;
static_assert(CELLS <= 64, "cells of a tile are bits of a uint64_t");
constexpr uint64_t ALL_CELLS = CELLS == 64 ? ~0ull : (1ull << (CELLS & 63)) - 1;
constexpr int ALIVE_PERIOD = 8;  // Gaussians between two looks at which cells still see anything

struct LaneOffsets {
  Lanes x, y;
  LaneOffsets() {
    for (int k = 0; k < LANES; k++) x[k] = float(k % CELL_WIDTH), y[k] = float(k / CELL_WIDTH);
  }
};

// Calls visit(pixel index in the image, cell, lane) for the pixels of a tile inside the image.
template <class Visit>
IG_INLINE void for_each_pixel(const Workspace& w, const RasterInput& in, int tile, Visit&& visit) {
  const int left = tile % w.tiles_x * TILE, top = tile / w.tiles_x * TILE;
  const int columns = in.width - left < TILE ? in.width - left : TILE;
  const int rows = in.height - top < TILE ? in.height - top : TILE;
  for (int y = 0; y < rows; y++)
    for (int x = 0; x < columns; x++) {
      int cell = y / CELL_HEIGHT * CELL_COLUMNS + x / CELL_WIDTH, lane = y % CELL_HEIGHT * CELL_WIDTH + x % CELL_WIDTH;
      visit(size_t(top + y) * in.width + left + x, cell, lane);
    }
}

// Opacity of one Gaussian at the pixels of one cell.
struct CellAlpha {
  Lanes dx, dy, alpha;
  LaneMask capped;  // at max_alpha: its opacity no longer moves with the Gaussian
};

IG_INLINE CellAlpha evaluate(const float* record, const LaneOffsets& lanes, float left, float top, int cell, float max_alpha) {
  CellAlpha e;
  e.dx = lanes.x + broadcast(left + float(cell % CELL_COLUMNS * CELL_WIDTH) - record[0]);
  e.dy = lanes.y + broadcast(top + float(cell / CELL_COLUMNS * CELL_HEIGHT) - record[1]);
  Lanes q = e.dx * (e.dx * record[2] + e.dy * record[3]) + (e.dy * e.dy * record[4] + record[5]);
  q = select(q < broadcast(-30.f), broadcast(-30.f), q);
  Lanes a = exp2_small(q);
  e.capped = a > broadcast(max_alpha);
  a = select(e.capped, broadcast(max_alpha), a);
  e.alpha = select(a < broadcast(MIN_ALPHA), broadcast(0.f), a);
  return e;
}

// Moves a cell's transmittance past one Gaussian and returns its blend weights alpha T. A pixel that would fall below
// MIN_TRANSMITTANCE is finished: it keeps the value it had, with the sign bit set.
IG_INLINE Lanes absorb(float* transmittance, Lanes alpha, Lanes& before, LaneMask& finished) {
  before = *(const Lanes*)transmittance;
  Lanes weight = alpha * before, after = before - weight;
  finished = after < broadcast(MIN_TRANSMITTANCE);
  Lanes marked = (Lanes)((LaneMask)before | INT32_MIN);
  *(Lanes*)transmittance = select(finished, marked, after);
  return select(finished, broadcast(0.f), weight);
}

// Sets every pixel's transmittance to 1 inside the image and to "finished" outside of it.
template <int STRIDE>
IG_INLINE void open_pixels(float* cells, const Workspace& w, const RasterInput& in, int tile) {
  for (int c = 0; c < CELLS; c++) *(Lanes*)(cells + c * STRIDE) = broadcast(-1.f);
  for_each_pixel(w, in, tile, [&](size_t, int cell, int lane) { cells[cell * STRIDE + lane] = 1.f; });
}

template <int STRIDE>
IG_INLINE uint64_t alive_cells(const float* cells) {
  uint64_t alive = 0;
  for (int c = 0; c < CELLS; c++)
    alive |= uint64_t(any(*(const Lanes*)(cells + c * STRIDE) > broadcast(0.f))) << c;
  return alive;
}

// Walks a tile's list front to back: begin(entry, record), then visit(cell, record) for every live cell it may touch,
// then finish(entry). Returns the place where everything had gone dark.
template <int STRIDE, class Begin, class Visit, class Finish>
IG_INLINE int walk(const Workspace& w, int tile, const float* cells, Begin&& begin, Visit&& visit, Finish&& finish) {
  const int end = w.tile_begin[tile + 1];
  uint64_t alive = ALL_CELLS;
  int place = w.tile_begin[tile];
  for (int since = 0; place < end; place++) {
    if (since++ % ALIVE_PERIOD == 0 && !(alive = alive_cells<STRIDE>(cells))) break;
    const Entry& entry = w.entries[place];
    const float* record = &w.records[size_t(entry.rank) * w.record_size];
    if (place + 4 < end) __builtin_prefetch(&w.records[size_t(w.entries[place + 4].rank) * w.record_size]);
    begin(entry, record);
    for (uint64_t left = entry.cells & alive; left; left &= left - 1) visit(__builtin_ctzll(left), record);
    finish(entry);
  }
  return place;
}

}  // namespace ig

// Which Gaussians reach which tile, front to back: project and cull, sort by depth, list per tile with the exact cells
// the ellipse of visible alpha touches.
#include <cstring>

#include "projection.h"

namespace ig {

// Conservative culling needs no quaternion: the ellipse's half axis is at most 3.33 sigma of |J| max(scale).
struct Frustum {
  float reach_x, reach_y, blur;
  Frustum(const RasterInput& in, const SlopeLimits& l) {
    constexpr float sigmas = 3.4f;  // sqrt(2 ln 255) = 3.33
    float sx = std::max(l.x_high, -l.x_low), sy = std::max(l.y_high, -l.y_low);
    reach_x = sigmas * in.fx * std::sqrt(1 + sx * sx);
    reach_y = sigmas * in.fy * std::sqrt(1 + sy * sy);
    blur = sigmas * std::sqrt(BLUR);
  }
  // Of the Gaussians in LANES rows.
  LaneMask may_see(const RasterInput& in, const uint32_t* row) const {
    Lanes m[3], s[3], opacity, p[3];
    read_columns<3>(in.means, row, m);
    read_columns<3>(in.scales, row, s);
    read_columns<1>(in.opacities, row, &opacity);
    to_camera(in.world_to_camera, m, p);
    const Lanes inverse_z = 1.f / p[2];
    const Lanes wider = select(s[0] > s[1], s[0], s[1]), size = select(wider > s[2], wider, s[2]) * inverse_z;
    const Lanes x = in.fx * p[0] * inverse_z + in.cx, y = in.fy * p[1] * inverse_z + in.cy;
    const Lanes rx = size * reach_x + blur, ry = size * reach_y + blur;
    return (p[2] > broadcast(in.near)) & (opacity > broadcast(MIN_ALPHA)) & (x >= -rx) & (x <= float(in.width) + rx) &
           (y >= -ry) & (y <= float(in.height) + ry);
  }
};

// Splats of the first `count` of LANES Gaussians; depth 0 for those that are not drawn. The lanes behind repeat the last.
static void make_splats(const RasterInput& in, const SlopeLimits& limits, uint32_t* row, int count, Splat* splats) {
  for (int k = count; k < LANES; k++) row[k] = row[count - 1];
  Projection o;
  project(in, limits, row, o);
  Lanes opacity;
  read_columns<1>(in.opacities, row, &opacity);
  for (int k = 0; k < LANES; k++) opacity[k] = std::log2(opacity[k]);
  const Lanes det = o.a * o.c - o.b * o.b, k = LOG2E / det;
  const Lanes reach = (2.f / LOG2E) * (opacity + LOG2_INVERSE_MIN_ALPHA);
  const Lanes extent_x = square_root(reach * o.a), extent_y = square_root(reach * o.c);
  LaneMask drawn = (det > Lanes{}) & (det < broadcast(1e30f));  // else degenerate or not finite
  drawn &= (o.x + extent_x >= Lanes{}) & (o.x - extent_x <= broadcast(float(in.width)));
  drawn &= (o.y + extent_y >= Lanes{}) & (o.y - extent_y <= broadcast(float(in.height)));
  const Lanes columns[9] = {o.x,     o.y,      -0.5f * k * o.c, k * o.b, -0.5f * k * o.a,
                            opacity, extent_x, extent_y,        select(drawn, o.p[2], Lanes{})};
  write_columns<9>(columns, row, count, &splats->x);
}

static void project_all(Workspace& w, const RasterInput& in) {
  constexpr size_t BLOCK = 1024;
  const SlopeLimits limits(in);
  const Frustum frustum(in, limits);
  const size_t n = in.count;
  Splat* splats = w.splats.require(n);
  uint32_t* keys = w.keys.require(n);
  uint32_t* order = w.order.require(n);
#pragma omp parallel for num_threads(in.threads) schedule(static)
  for (size_t begin = 0; begin < n; begin += BLOCK) {
    uint32_t row[LANES], seen[LANES];
    int count = 0;
    for (size_t i = begin; i < std::min(n, begin + BLOCK); i += LANES) {
      const int lanes = static_cast<int>(std::min(n - i, size_t(LANES)));
      for (int k = 0; k < LANES; k++) row[k] = static_cast<uint32_t>(i) + std::min(k, lanes - 1);
      const LaneMask may = frustum.may_see(in, row);
      for (int k = 0; k < lanes; k++) {
        splats[i + k].depth = 0.f;
        if (!may[k]) continue;
        seen[count++] = row[k];
        if (count < LANES) continue;
        make_splats(in, limits, seen, count, splats);
        count = 0;
      }
    }
    if (count) make_splats(in, limits, seen, count, splats);
  }
  w.visible = 0;
  for (size_t i = 0; i < n; i++) {
    if (splats[i].depth == 0.f) continue;
    std::memcpy(&keys[w.visible], &splats[i].depth, 4);  // bits of positive floats sort like the floats
    order[w.visible++] = static_cast<uint32_t>(i);
  }
}

// Least-significant-digit radix sort, stable: equal depths keep the order of the input.
static void sort_by_depth(Workspace& w) {
  constexpr int BITS = 11, BINS = 1 << BITS, PASSES = 3;
  const int n = w.visible;
  uint32_t *key = w.keys.data(), *key_to = w.keys_swap.require(w.keys.capacity());
  uint32_t *item = w.order.data(), *item_to = w.order_swap.require(w.order.capacity());
  uint32_t* count = w.digits.require(PASSES * BINS);
  std::fill_n(count, PASSES * BINS, 0u);
  for (int i = 0; i < n; i++)
    for (int p = 0; p < PASSES; p++) count[p * BINS + ((key[i] >> (BITS * p)) & (BINS - 1))]++;
  for (int p = 0; p < PASSES; p++) {
    uint32_t *place = &count[p * BINS], sum = 0;
    for (int b = 0; b < BINS; b++) {
      uint32_t c = place[b];
      place[b] = sum;
      sum += c;
    }
    for (int i = 0; i < n; i++) {
      uint32_t to = place[(key[i] >> (BITS * p)) & (BINS - 1)]++;
      key_to[to] = key[i];
      item_to[to] = item[i];
    }
    std::swap(key, key_to);
    std::swap(item, item_to);
  }
  // An odd number of passes leaves the result in the swap buffer.
  std::memcpy(w.order.data(), item, n * sizeof(uint32_t));
}

// How many channels the passes over `count` of them read: kernels are compiled for a few counts, up to 16 a pass.
static int compiled_channels(int count) {
  const int rest = count % 16;
  return count - rest + (rest <= 1 ? rest : rest <= 4 ? 4 : rest <= 7 ? 7 : rest <= 10 ? 10 : 16);
}

static void lay_out_channels(Workspace& w, const RasterInput& in) {
  w.channels.clear();
  auto gated = [&](int c) { return c >= in.gated_begin && c < in.gated_end; };
  for (int c = 0; c < in.channels; c++)
    if (!gated(c)) w.channels.push_back({c, in.channels, false});
  w.channels.push_back({0, 1, true});
  w.ungated = static_cast<int>(w.channels.size());
  for (int c = in.gated_begin; c < in.gated_end; c++) w.channels.push_back({c, in.channels, false});
  const int channels = static_cast<int>(w.channels.size());
  const int read = std::max(compiled_channels(channels), w.ungated + compiled_channels(channels - w.ungated));
  w.record_size = (Workspace::HEADER + read + 15) & ~15;  // whole cache lines
}

// Fetches what write_record and the culling of this rank will read, scattered in memory as ranks are.
IG_INLINE void prefetch_rank(const Workspace& w, const RasterInput& in, uint32_t rank) {
  const uint32_t i = w.order[rank];
  const Splat* splat = &w.splats[i];
  const float* features = in.features + size_t(i) * in.channels;
  __builtin_prefetch(splat);
  __builtin_prefetch(&splat->depth);
  __builtin_prefetch(features);
  if (in.channels) __builtin_prefetch(features + in.channels - 1);
}

static void write_record(Workspace& w, const RasterInput& in, uint32_t rank) {
  const uint32_t i = w.order[rank];
  const Splat& s = w.splats[i];
  float* r = &w.records[size_t(rank) * w.record_size];
  r[0] = s.x, r[1] = s.y, r[2] = s.xx, r[3] = s.xy, r[4] = s.yy, r[5] = s.log2_opacity;
  r[6] = in.gate ? in.gate[i] : 1.f, r[7] = 0.f;
  float* channel = r + Workspace::HEADER;
  for (const Plane& p : w.channels) *channel++ = p.is_depth ? s.depth : in.features[size_t(i) * in.channels + p.offset];
  std::fill(channel, r + w.record_size, 0.f);
}

// Bits of the tile's cells the ellipse may touch: for every row of cells, the ellipse's x-interval over that row.
static uint64_t touched_cells(const Splat& s, float left, float top) {
  constexpr int ROWS = TILE / CELL_HEIGHT, COLUMNS = TILE / CELL_WIDTH;
  const float limit = s.log2_opacity + LOG2_INVERSE_MIN_ALPHA + 1e-3f, inverse_xx = 0.5f / s.xx;
  const float extreme_y = -0.5f * s.xy * s.extent_x / s.yy;  // dy of the rightmost point; the leftmost has -dy
  int32_t run[ROWS];
  for (int row = 0; row < ROWS; row++) {
    float y0 = top + row * CELL_HEIGHT + 0.5f - s.y, y1 = y0 + CELL_HEIGHT - 1;
    float yr = std::min(y1, std::max(y0, extreme_y)), yl = std::min(y1, std::max(y0, -extreme_y));
    float br = s.xy * yr, bl = s.xy * yl;
    float dr = br * br - 4 * s.xx * (s.yy * yr * yr + limit), dl = bl * bl - 4 * s.xx * (s.yy * yl * yl + limit);
    // Pixel centres from low to high; an empty interval where the row misses the ellipse (negative discriminant).
    float right = s.x - left - 0.5f + (-br - std::sqrt(std::max(dr, 0.f))) * inverse_xx;
    float leftmost = s.x - left - 0.5f + (-bl + std::sqrt(std::max(dl, 0.f))) * inverse_xx;
    float high = dr < 0 ? -1.f : std::max(std::min(right + 0.01f, TILE - 1.f), -1.f);
    float low = dl < 0 ? float(TILE) : std::min(std::max(leftmost - 0.01f, 0.f), float(TILE));
    int32_t first = static_cast<int32_t>(std::ceil(low)), last = static_cast<int32_t>(std::floor(high));
    int32_t columns = (1 << ((last + CELL_WIDTH) / CELL_WIDTH)) - (1 << (first / CELL_WIDTH));
    run[row] = last < first ? 0 : columns;
  }
  uint64_t cells = 0;
  for (int row = 0; row < ROWS; row++) cells |= uint64_t(run[row]) << (row * COLUMNS);
  return cells;
}

static int to_tile(float pixel, int tiles) {
  return static_cast<int>(std::min(std::max(pixel, 0.f), float(tiles * TILE - 1))) / TILE;
}

constexpr uint32_t AHEAD = 12;  // ranks between asking for memory and using it

// Lists the tiles of one thread's contiguous share of ranks.
static void list_share(Workspace& w, const RasterInput& in, Share& share, uint32_t begin, uint32_t end, uint8_t* visible) {
  const int tiles = w.tiles_x * w.tiles_y;
  std::fill_n(share.next.require(tiles), tiles, 0);
  std::vector<Entry>& found = share.found;
  found.clear();
  for (uint32_t rank = begin; rank < end; rank++) {
    if (rank + AHEAD < end) prefetch_rank(w, in, rank + AHEAD);
    write_record(w, in, rank);
    const Splat& s = w.splats[w.order[rank]];
    w.entry_begin[rank] = static_cast<uint32_t>(found.size());
    int x0 = to_tile(s.x - s.extent_x - 0.5f, w.tiles_x), x1 = to_tile(s.x + s.extent_x - 0.5f, w.tiles_x);
    int y0 = to_tile(s.y - s.extent_y - 0.5f, w.tiles_y), y1 = to_tile(s.y + s.extent_y - 0.5f, w.tiles_y);
    for (int y = y0; y <= y1; y++)
      for (int x = x0; x <= x1; x++) {
        uint64_t cells = touched_cells(s, float(x * TILE), float(y * TILE));
        if (!cells) continue;
        uint32_t tile = y * w.tiles_x + x;
        found.push_back({rank, tile, cells});
        share.next[tile]++;
      }
    if (visible) visible[w.order[rank]] = found.size() > w.entry_begin[rank];
  }
}

// Turns the counts of every (share, tile) into places in the tiles' lists; earlier shares come first, so every list
// is in depth order whatever the number of threads.
static void place_shares(Workspace& w, int tiles) {
  size_t entries = 0;
  for (Share& share : w.shares) {
    share.first = entries;
    entries += share.found.size();
  }
  w.entry_count = entries;
  int32_t place = 0;
  w.tile_begin.require(tiles + 1);
  for (int t = 0; t < tiles; t++) {
    w.tile_begin[t] = place;
    for (Share& share : w.shares) {
      int32_t count = share.next[t];
      share.next[t] = place;
      place += count;
    }
  }
  w.tile_begin[tiles] = place;
  w.entries.require(entries);
}

static void list_tiles(Workspace& w, const RasterInput& in, uint8_t* visible) {
  w.tiles_x = (in.width + TILE - 1) / TILE;
  w.tiles_y = (in.height + TILE - 1) / TILE;
  w.records.require(size_t(w.visible) * w.record_size);
  w.entry_begin.require(w.visible + 1);
  w.shares.resize(in.threads);
  const int shares = in.threads;
  auto bound = [&](int t) { return static_cast<uint32_t>(size_t(w.visible) * t / shares); };
#pragma omp parallel for num_threads(in.threads) schedule(static, 1)
  for (int t = 0; t < shares; t++) list_share(w, in, w.shares[t], bound(t), bound(t + 1), visible);
  place_shares(w, w.tiles_x * w.tiles_y);
#pragma omp parallel for num_threads(in.threads) schedule(static, 1)
  for (int t = 0; t < shares; t++) {
    Share& share = w.shares[t];
    for (uint32_t rank = bound(t); rank < bound(t + 1); rank++) w.entry_begin[rank] += share.first;
    uint32_t index = static_cast<uint32_t>(share.first);
    for (const Entry& e : share.found) w.entries[share.next[e.index]++] = {e.rank, index++, e.cells};
  }
  w.entry_begin[w.visible] = static_cast<uint32_t>(w.entry_count);
}

void bin(Workspace& w, const RasterInput& in, uint8_t* visible) {
  if (visible) std::fill_n(visible, in.count, uint8_t(0));
  {
    const Stopwatch watch(w.seconds[PROJECT]);
    project_all(w, in);
  }
  {
    const Stopwatch watch(w.seconds[SORT]);
    sort_by_depth(w);
  }
  const Stopwatch watch(w.seconds[LIST]);
  lay_out_channels(w, in);
  list_tiles(w, in, visible);
}

}  // namespace ig

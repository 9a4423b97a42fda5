// The rasteriser's side of the border (abi.h): workspaces, and the calls on them.
// (The tile lists grow inside a parallel region: out of memory there ends the process, as OpenMP lets nothing out.)
#include <algorithm>

#include "raster.h"
#include "simd.h"

extern "C" {

const char* ig_abi() { return ig::ABI; }

void* ig_workspace_create() { return new (std::nothrow) ig::Workspace; }

void ig_workspace_destroy(void* workspace) { delete static_cast<ig::Workspace*>(workspace); }

int ig_lanes() { return ig::LANES; }

int ig_raster_forward(void* workspace, const RasterInput* in, const RasterOutput* out) try {
  auto& w = *static_cast<ig::Workspace*>(workspace);
  ig::bin(w, *in, out->visible);
  const ig::Stopwatch watch(w.seconds[ig::BLEND]);
  ig::blend_forward(w, *in, *out);
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

int ig_raster_backward(void* workspace, const RasterInput* in, const RasterOutput* out, const RasterGradients* grad) try {
  ig::blend_backward(*static_cast<ig::Workspace*>(workspace), *in, *out, *grad);
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

void ig_raster_seconds(const void* workspace, double* seconds) {
  const auto& w = *static_cast<const ig::Workspace*>(workspace);
  std::copy(w.seconds, w.seconds + ig::STAGES, seconds);
}

int ig_raster_top(void* workspace, const RasterInput* in, int32_t* top) try {
  auto& w = *static_cast<ig::Workspace*>(workspace);
  ig::bin(w, *in, nullptr);
  ig::top_contributor(w, *in, top);
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

}  // extern "C"

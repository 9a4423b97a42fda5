// The border to Python: every struct and function that crosses it, declared once.
//
// The library carries this text in itself (ig_abi in api.cpp), and ig_ros/raster/abi.py builds its ctypes structures and
// argument checks from it: there is no second list that could differ. What may stand between the brackets: structs of
// numbers, pointers and arrays of fixed length, and functions named ig_*, whose int tells 0 = done, 1 = out of memory.
// Arrays are contiguous unless a stride is given; N, K, ... are their sizes. No exception crosses the border.
#pragma once
#include <cstdint>

#define IG_ABI(...)          \
  extern "C" { __VA_ARGS__ } \
  namespace ig {             \
  constexpr char ABI[] = #__VA_ARGS__; \
  }

IG_ABI(
// Rasteriser: N Gaussians with F channels, in an image of height H and width W.
struct RasterInput {
  const float *means, *quats, *scales, *opacities, *features;  // (N,3) (N,4) (N,3) (N) (N,F)
  const float* gate;                                           // (N) or null: see gated_begin
  int32_t count, channels;                                     // N, F
  int32_t gated_begin, gated_end;  // feature channels whose loss moves geometry only by `gate`; empty range if no gate
  int32_t width, height, threads;
  float world_to_camera[12];  // rows of [R | t]
  float fx, fy, cx, cy;       // pixels, centres of pixels at +0.5
  float near;                 // m
  float max_alpha;            // a single Gaussian hides at most this share of what lies behind it
};
struct RasterOutput {
  float *features, *depth, *alpha, *transmittance;  // (H,W,F) (H,W) (H,W) (H,W)
  uint8_t* visible;                                 // (N): touches a tile
};
struct RasterGradients {
  const float *features, *depth, *alpha;  // gradients of the output images, null = zero
  float *means, *quats, *scales, *opacities, *gaussian_features;
  float* screen;  // (N,2) gradient of the projected means, per pixel
};
void* ig_workspace_create(void);
void ig_workspace_destroy(void* workspace);
int ig_raster_forward(void* workspace, const RasterInput* in, const RasterOutput* out);
// `workspace` must be as ig_raster_forward left it for the same input.
int ig_raster_backward(void* workspace, const RasterInput* in, const RasterOutput* out, const RasterGradients* grad);
// (H,W) Gaussian with the largest blend weight at each pixel, -1 where nothing is drawn.
int ig_raster_top(void* workspace, const RasterInput* in, int32_t* top);
// Seconds (6) that projecting, sorting, listing, blending, its gradient and the projection's gradient took last.
void ig_raster_seconds(const void* workspace, double* seconds);
int ig_lanes(void);

// Decoder of Scaffold-GS [SG 4.1]: n anchors with k children each, embeddings of length E, features of length F.
struct DecodeMlp {
  const float *weight1, *bias1, *weight2, *bias2;  // (hidden, inputs) (hidden) (outputs, hidden) (outputs)
};
struct DecodeInput {
  const float *offsets, *log_scale, *embedding;  // (n,k,3) (n,6) (n,E)
  const float *color, *feature;                  // (n,3) (n,f,F), either may be null
  const float *position, *turn;                  // (n,3) (n,4) unit wxyz or null
  DecodeMlp mlp[3];                              // opacity, covariance, colour
  int32_t directed[3];                           // the MLP reads the viewing direction after the embedding
  int32_t count, children, embedding_size, hidden, feature_size;  // n, k, E, ., F
  int32_t feature_per_child, threads;                             // f is k or 1
  float center[3];                                                // m
};
struct DecodeOutput {
  float *means, *quats, *scales, *opacities, *features;  // of the n * k children
  float* hidden;  // (n, 3 * padded hidden), kept for the backward pass; null if there will be none
};
struct DecodeMlpGradients {
  float *weight1, *bias1, *weight2, *bias2;
};
struct DecodeGradients {
  const float *means, *quats, *scales, *opacities, *features;  // of the children, null = zero
  float *offsets, *log_scale, *embedding;
  float *color, *feature;                                      // null where the input has none
  DecodeMlpGradients mlp[3];
};
int ig_decode_forward(const DecodeInput* in, const DecodeOutput* out);
// `out` must be as ig_decode_forward left it for the same input.
int ig_decode_backward(const DecodeInput* in, const DecodeOutput* out, const DecodeGradients* grad);

// Losses of a view; strides are the floats between neighbouring pixels.
struct ImageLossInput {
  const float *rendered, *target, *mask;  // (H, W, >= 3) twice, (H, W) or null
  const uint8_t* target_bytes;            // (H, W, 3) in 0 .. 255, read instead of target unless null
  int32_t rendered_stride, target_stride, gradient_stride, height, width, threads;
  float ssim_weight, scale;
};
int ig_image_loss(const ImageLossInput* in, float* gradient, double* loss);
// Pixels lie in one row; those of alpha <= min_alpha or label <= 0 take no part.
struct FeatureLossInput {
  const float *feature, *alpha;  // (P, channels), (P)
  const int32_t* labels;         // (P)
  float* gradient;               // (P, channels); every pixel's is written
  int32_t pixels, channels, stride, gradient_stride, min_pixels, threads;
  float min_alpha, truncation, contrast_weight, smooth_weight;  // truncation < 0: none
};
int ig_feature_loss(const FeatureLossInput* in, double* loss);

struct AdamTable {
  float *parameter, *first, *second;  // (N, width) and its moments
  const float* gradient;              // (count, width), of the rows
  const int32_t* visits;              // (N)
  const float* rate;                  // (count), or one for all
  int64_t width, one_rate;
};
// Kingma & Ba 2015, algorithm 1, on rows[i] (count) of every table, which get row i of its gradient. The bias correction
// counts visits[rows[i]] steps, the step is rate[i], or rate[0] if one_rate. Rows of a negative rate are left as they
// are.
int ig_adam_rows(const AdamTable* tables, int64_t many, const int64_t* rows, int64_t count, float beta1, float beta2,
                 float epsilon, int32_t threads);

// Visibility of points in views.
struct DepthView {
  const float *world_to_camera, *intrinsics;  // 3 x 4 by rows; fx, fy, cx, cy
  const float* depth;                         // (height, width) m, 0 = unknown
  int32_t width, height;
  float nearest;                               // m before the camera
  float relative, quadratic, least, absolute;  // shown within min(relative z, max(quadratic z^2, least)) + absolute
};
// One view of all points.
struct ViewProjection {
  DepthView view;
  const int32_t* place;  // (height * width)
  const int8_t* normal;  // (height * width, 3)
  int32_t* mask;         // (points)
  int32_t before;
};
// What the views tell of points (size): see visibility.py.
struct PointVisibility {
  const float* points;  // (size, 3)
  int32_t *total, *closely;
  int64_t size;
  float close;
};
// pixel[i] = where point i (x, y, z in the world) is shown, -1 = nowhere.
int ig_visible_pixels(const DepthView* view, const float* points, int64_t count, int32_t* pixel, int32_t threads);
// For every point that a view shows: mask[row] = m = place[pixel] + before, or 0 where place is 0;
// total[row] (3) += normal[pixel]. If the surface is off by at most `close` of the tolerance, closely[row] += 1, else
// mask[row] = LOOSE - m.
int ig_look(const ViewProjection* views, int64_t many, const PointVisibility* known, int32_t threads);
// Masks (views, points) on which points rows[i] (count) are shown loosely become plain ones.
int ig_believe_loose(int32_t* mask, int64_t views, int64_t points, const int64_t* rows, int64_t count, int32_t threads);

// Counting what all points see in all views: mask (views, points) is the mask (> 0, numbered through all views) a point
// falls on in a view, 0 = it is visible on none, < 0 = it is hidden.
//
// count[s * columns + c] = visible points of group s on column c; the first column of a view is of its unlabelled
// points. owner (points), -1 = of no group; count is zero before.
int ig_mask_counts(const int32_t* mask, int64_t views, int64_t points, const int32_t* owner, const int64_t* first,
                   const int64_t* before, int64_t columns, float* count, int32_t threads);
// Over all views: lost[s] = labelled points of group s outside its most frequent mask, seen[s] = its labelled points.
// owner (count): group of each of the points rows (count), others are not looked at. masks[k], before[k]: masks of view
// k and of earlier ones.
int ig_impurity(const int32_t* mask, int64_t views, int64_t points, const int64_t* rows, int64_t count,
                const int64_t* owner, int64_t groups, const int64_t* masks, const int64_t* before, int64_t* lost,
                int64_t* seen, int32_t threads);
// The mask (column) on which each row of count (rows, columns) mainly lies in every view, -1 = undecided or none, and
// its weight. Columns first[k] .. end[k] - 1 are those of view k, the first of unlabelled points.
int ig_dominant_masks(const float* count, int64_t rows, int64_t columns, const int64_t* first, const int64_t* end,
                      int64_t views, float least, float dominance, float full, int32_t* dominant, float* weight,
                      int32_t threads);
// votes[r * width + instance_of[m]] += say[m] for every view in which point rows[r] falls on mask m, and += `none` in the
// last column where it is visible on no mask.
int ig_tally(const int32_t* mask, int64_t views, int64_t points, const int64_t* rows, int64_t count,
             const int64_t* instance_of, const float* say, int64_t width, float none, float* votes, int32_t threads);
// found[i] = 1 where any view shows point i on a mask with chosen[m], else 0.
int ig_shown_on(const int32_t* mask, int64_t views, int64_t points, const uint8_t* chosen, uint8_t* found,
                int32_t threads);
)  // IG_ABI

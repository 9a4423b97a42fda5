// Adam on the rows of a table that were in view: one pass over memory instead of a dozen, nothing for the others.
#include <cmath>
#include <cstdint>

extern "C" {

// Kingma & Ba 2015, algorithm 1, on `count` rows of `width` floats. Row rows[i] of parameter, first and second moment
// gets row i of gradient; its bias correction counts visits[rows[i]] steps, its step is rate[i], or rate[0] if
// one_rate. Returns 0.
int ig_adam_rows(float* parameter, float* first, float* second, const float* gradient, const int64_t* rows,
                 const int32_t* visits, const float* rate, int32_t one_rate, int64_t count, int64_t width, float beta1,
                 float beta2, float epsilon, int32_t threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t i = 0; i < count; i++) {
    const int64_t row = rows[i];
    const float age = static_cast<float>(visits[row] > 0 ? visits[row] : 1);
    const float correct1 = 1.0f / (1.0f - std::pow(beta1, age));
    const float correct2 = 1.0f / (1.0f - std::pow(beta2, age));
    const float step = rate[one_rate ? 0 : i] * correct1;
    float* p = parameter + row * width;
    float* m = first + row * width;
    float* v = second + row * width;
    const float* g = gradient + i * width;
    for (int64_t c = 0; c < width; c++) {
      m[c] = beta1 * m[c] + (1.0f - beta1) * g[c];
      v[c] = beta2 * v[c] + (1.0f - beta2) * g[c] * g[c];
      p[c] -= step * m[c] / (std::sqrt(v[c] * correct2) + epsilon);
    }
  }
  return 0;
}
}

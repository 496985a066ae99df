// The part of GLSL that OpenColorIO's shaders are written in, as C++ for CUDA and for the host: the shader text is
// compiled against it nearly word for word. Arithmetic is float; samplers are plain memory read with full precision,
// where a graphics card's texture units blend with 8 bits.
#if defined(__CUDACC__)
#pragma nv_diag_suppress 177  // a transform uses few of the functions below
#define GL_FN static __device__ __forceinline__
#define GL_MEMBER __device__ __forceinline__
#define GL_TABLE static __device__ const
#else
#include <math.h>
#define GL_FN static inline
#define GL_MEMBER inline
#define GL_TABLE static const
#endif

namespace glsl {

// Swizzles that are a vector's first components are members, so that they can be read, written and taken apart as in
// GLSL. A vector cannot hold one of its own kind: there the member is a bare pair or triple that turns into a vector.
struct vec2;
struct vec3;
struct pair {
    float r, g;
    GL_MEMBER pair& operator=(const vec2& a);
};
struct triple {
    float r, g, b;
    GL_MEMBER triple& operator=(const vec3& a);
    GL_MEMBER float operator[](int i) const { return i == 0 ? r : i == 1 ? g : b; }
};

struct vec2 {
    union {
        float v[2];
        struct { float x, y; };
        struct { float r, g; };
        pair rg, xy;
    };
    vec2() = default;
    GL_MEMBER vec2(pair a) : v{a.r, a.g} {}
    GL_MEMBER vec2(float a, float b) : v{a, b} {}
    GL_MEMBER explicit vec2(float a) : v{a, a} {}
    GL_MEMBER float& operator[](int i) { return v[i]; }
    GL_MEMBER float operator[](int i) const { return v[i]; }
};

struct bvec3 { bool v[3]; };
struct bvec4 { bool v[4]; };

struct vec3 {
    union {
        float v[3];
        struct { float x, y, z; };
        struct { float r, g, b; };
        vec2 xy, rg;
        triple rgb, xyz;
    };
    vec3() = default;
    GL_MEMBER vec3(triple a) : v{a.r, a.g, a.b} {}
    GL_MEMBER vec3(float a, float b, float c) : v{a, b, c} {}
    GL_MEMBER explicit vec3(float a) : v{a, a, a} {}
    GL_MEMBER explicit vec3(bvec3 a) : v{float(a.v[0]), float(a.v[1]), float(a.v[2])} {}
    GL_MEMBER float& operator[](int i) { return v[i]; }
    GL_MEMBER float operator[](int i) const { return v[i]; }
    GL_MEMBER vec3 gbr() const { return vec3(v[1], v[2], v[0]); }
    GL_MEMBER vec3 brg() const { return vec3(v[2], v[0], v[1]); }
    GL_MEMBER vec3 zyx() const { return vec3(v[2], v[1], v[0]); }
};

GL_MEMBER pair& pair::operator=(const vec2& a) { r = a.x; g = a.y; return *this; }
GL_MEMBER triple& triple::operator=(const vec3& a) { r = a.x; g = a.y; b = a.z; return *this; }

struct vec4 {
    union {
        float v[4];
        struct { float x, y, z, w; };
        struct { float r, g, b, a; };
        vec2 xy, rg;
        vec3 xyz, rgb;
    };
    vec4() = default;
    GL_MEMBER vec4(float p, float q, float s, float t) : v{p, q, s, t} {}
    GL_MEMBER vec4(vec3 p, float t) : v{p.x, p.y, p.z, t} {}
    GL_MEMBER explicit vec4(float p) : v{p, p, p, p} {}
    GL_MEMBER explicit vec4(bvec4 p) : v{float(p.v[0]), float(p.v[1]), float(p.v[2]), float(p.v[3])} {}
    GL_MEMBER float& operator[](int i) { return v[i]; }
    GL_MEMBER float operator[](int i) const { return v[i]; }
    GL_MEMBER vec3 gbr() const { return vec3(v[1], v[2], v[0]); }
    GL_MEMBER vec3 brg() const { return vec3(v[2], v[0], v[1]); }
    GL_MEMBER vec3 zyx() const { return vec3(v[2], v[1], v[0]); }
};

// Scalars. NaN goes where GLSL on the usual drivers and OpenColorIO's CPU code send it: to the other operand.
GL_FN float max(float a, float b) { return fmaxf(a, b); }
GL_FN float min(float a, float b) { return fminf(a, b); }
GL_FN float clamp(float v, float low, float high) { return min(max(v, low), high); }
GL_FN float abs(float v) { return fabsf(v); }
GL_FN float sign(float v) { return v > 0.0f ? 1.0f : v < 0.0f ? -1.0f : 0.0f; }
GL_FN float step(float edge, float v) { return v < edge ? 0.0f : 1.0f; }
GL_FN float mix(float a, float b, float t) { return a + (b - a) * t; }
GL_FN float floor(float v) { return floorf(v); }
GL_FN float fract(float v) { return v - floorf(v); }
GL_FN float sqrt(float v) { return sqrtf(v); }
GL_FN float pow(float v, float e) { return powf(v, e); }
GL_FN float exp(float v) { return expf(v); }
GL_FN float exp2(float v) { return exp2f(v); }
GL_FN float log(float v) { return logf(v); }
GL_FN float log2(float v) { return log2f(v); }
GL_FN float sin(float v) { return sinf(v); }
GL_FN float cos(float v) { return cosf(v); }
GL_FN float tan(float v) { return tanf(v); }
GL_FN float atan(float y, float x) { return atan2f(y, x); }
GL_FN float atan(float v) { return atanf(v); }
GL_FN float mod(float a, float b) { return a - b * floorf(a / b); }

#define GL_OPERATOR(T, N, OP)                                                                          \
    GL_FN T operator OP(T a, T b) { for (int i = 0; i < N; ++i) a.v[i] = a.v[i] OP b.v[i]; return a; } \
    GL_FN T operator OP(T a, float b) { return a OP T(b); }                                            \
    GL_FN T operator OP(float a, T b) { return T(a) OP b; }                                            \
    GL_FN T& operator OP##=(T& a, T b) { return a = a OP b; }                                          \
    GL_FN T& operator OP##=(T& a, float b) { return a = a OP b; }
#define GL_UNARY(T, N, NAME) \
    GL_FN T NAME(T a) { for (int i = 0; i < N; ++i) a.v[i] = NAME(a.v[i]); return a; }
#define GL_BINARY(T, N, NAME)                                                                             \
    GL_FN T NAME(T a, T b) { for (int i = 0; i < N; ++i) a.v[i] = NAME(a.v[i], b.v[i]); return a; }       \
    GL_FN T NAME(T a, float b) { return NAME(a, T(b)); }
#define GL_COMPARE(T, B, N, NAME, OP) \
    GL_FN B NAME(T a, T b) { B c; for (int i = 0; i < N; ++i) c.v[i] = a.v[i] OP b.v[i]; return c; }
#define GL_VECTOR(T, N)                                                                                  \
    GL_OPERATOR(T, N, +) GL_OPERATOR(T, N, -) GL_OPERATOR(T, N, *) GL_OPERATOR(T, N, /)                  \
    GL_FN bool operator!=(T a, T b) {                                                                    \
        bool same = true;                                                                                \
        for (int i = 0; i < N; ++i) same = same && a.v[i] == b.v[i];                                     \
        return !same;                                                                                    \
    }                                                                                                    \
    GL_FN bool operator==(T a, T b) { return !(a != b); }                                                \
    GL_FN T operator-(T a) { return T(0.0f) - a; }                                                       \
    GL_UNARY(T, N, abs) GL_UNARY(T, N, sign) GL_UNARY(T, N, floor) GL_UNARY(T, N, fract)                 \
    GL_UNARY(T, N, sqrt) GL_UNARY(T, N, exp) GL_UNARY(T, N, exp2) GL_UNARY(T, N, log)                    \
    GL_UNARY(T, N, log2) GL_UNARY(T, N, sin) GL_UNARY(T, N, cos)                                         \
    GL_BINARY(T, N, max) GL_BINARY(T, N, min) GL_BINARY(T, N, pow) GL_BINARY(T, N, mod)                  \
    GL_FN T step(T edge, T v) { for (int i = 0; i < N; ++i) v.v[i] = step(edge.v[i], v.v[i]); return v; } \
    GL_FN T step(float edge, T v) { return step(T(edge), v); }                                           \
    GL_FN T clamp(T v, T low, T high) { return min(max(v, low), high); }                                 \
    GL_FN T clamp(T v, float low, float high) { return min(max(v, low), high); }                         \
    GL_FN T mix(T a, T b, T t) { return a + (b - a) * t; }                                               \
    GL_FN T mix(T a, T b, float t) { return a + (b - a) * t; }                                           \
    GL_FN float dot(T a, T b) { float s = 0.0f; for (int i = 0; i < N; ++i) s += a.v[i] * b.v[i]; return s; }

GL_VECTOR(vec2, 2)
GL_VECTOR(vec3, 3)
GL_VECTOR(vec4, 4)
GL_COMPARE(vec3, bvec3, 3, greaterThan, >)
GL_COMPARE(vec4, bvec4, 4, greaterThan, >)
GL_COMPARE(vec3, bvec3, 3, lessThan, <)
GL_COMPARE(vec4, bvec4, 4, lessThan, <)

// Matrices are given column by column.
struct mat3 {
    vec3 column[3];
    GL_MEMBER mat3(float a, float b, float c, float d, float e, float f, float g, float h, float i)
        : column{vec3(a, b, c), vec3(d, e, f), vec3(g, h, i)} {}
};
struct mat4 {
    vec4 column[4];
    GL_MEMBER mat4(float a, float b, float c, float d, float e, float f, float g, float h, float i, float j, float k,
                   float l, float m, float n, float o, float p)
        : column{vec4(a, b, c, d), vec4(e, f, g, h), vec4(i, j, k, l), vec4(m, n, o, p)} {}
};
GL_FN vec3 operator*(const mat3& m, vec3 p) {
    return m.column[0] * p.x + m.column[1] * p.y + m.column[2] * p.z;
}
GL_FN vec4 operator*(const mat4& m, vec4 p) {
    return m.column[0] * p.x + m.column[1] * p.y + m.column[2] * p.z + m.column[3] * p.w;
}

// ---- Samplers: texels are float red, green, blue; coordinates 0 to 1 over the whole; clamped to the edge -----------

struct Texels {
    const float* p;
    int w, h, d;
    bool nearest;

    GL_MEMBER vec3 at(int x, int y, int z) const {
        const float* t = p + 3 * ((long long)(z * h + y) * w + x);
        return vec3(t[0], t[1], t[2]);
    }
};
struct sampler1D : Texels {};
struct sampler2D : Texels {};
struct sampler3D : Texels {};

struct Place {  // two neighbours on an axis, and how far from the first to the second
    int i, j;
    float f;
};
GL_FN Place place(float u, int n, bool nearest) {
    const float last = float(n - 1);
    if (nearest) {
        const int i = int(clamp(floorf(u * float(n)), 0.0f, last));
        return Place{i, i, 0.0f};
    }
    const float at = clamp(u * float(n) - 0.5f, 0.0f, last);
    const int i = int(at);
    return Place{i, i + 1 < n ? i + 1 : i, at - float(i)};
}
GL_FN vec4 texture(const sampler1D& s, float u) {
    const Place x = place(u, s.w, s.nearest);
    return vec4(mix(s.at(x.i, 0, 0), s.at(x.j, 0, 0), x.f), 1.0f);
}
// OpenColorIO folds long tables into rows and always reads a row's middle: blending rows would only add rounding.
GL_FN vec4 texture(const sampler2D& s, vec2 u) {
    const Place x = place(u.x, s.w, s.nearest), y = place(u.y, s.h, true);
    return vec4(mix(s.at(x.i, y.i, 0), s.at(x.j, y.i, 0), x.f), 1.0f);
}
GL_FN vec4 texture(const sampler3D& s, vec3 u) {
    const Place x = place(u.x, s.w, s.nearest), y = place(u.y, s.h, s.nearest), z = place(u.z, s.d, s.nearest);
    const vec3 a = mix(s.at(x.i, y.i, z.i), s.at(x.j, y.i, z.i), x.f);
    const vec3 b = mix(s.at(x.i, y.j, z.i), s.at(x.j, y.j, z.i), x.f);
    const vec3 c = mix(s.at(x.i, y.i, z.j), s.at(x.j, y.i, z.j), x.f);
    const vec3 d = mix(s.at(x.i, y.j, z.j), s.at(x.j, y.j, z.j), x.f);
    return vec4(mix(mix(a, b, y.f), mix(c, d, y.f), z.f), 1.0f);
}

}  // namespace glsl

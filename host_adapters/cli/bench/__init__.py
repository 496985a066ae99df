"""Benchmarks, one module each: `run(*, quick)` returns rows; `safelight bench NAME` finds them by looking."""

"""A solver for benchopt's benchmark_bilevel: the README here says how to run it and what came of it."""

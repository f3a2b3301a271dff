"""Definitions in, numbers with intervals out: the engine sums (`plans`), the core infers (`estimates`, `changes`)."""

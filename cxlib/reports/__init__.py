"""Runs: what a notebook holds, how a pack is executed, kept, published and served."""

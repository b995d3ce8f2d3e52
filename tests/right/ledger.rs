//! What became of every message and write, and why.

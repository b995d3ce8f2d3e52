//! A tiny world.

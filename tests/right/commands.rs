//! Commands and settings: what the real program would say, or a refusal with its place.

//! Back-pressure: what a reader that stops does to those who write.

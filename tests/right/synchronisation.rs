//! Full synchronisations of large data sets.

//! Nothing: loom is what is wanted.

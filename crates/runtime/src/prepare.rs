//! Prep.

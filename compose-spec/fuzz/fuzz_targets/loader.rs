//! Hands libFuzzer's bytes to [`compose_spec_fuzz::loader`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| compose_spec_fuzz::loader(bytes));

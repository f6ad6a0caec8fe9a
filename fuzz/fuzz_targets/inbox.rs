//! See `runtime/src/fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dormouse_runtime::fuzz::inbox(bytes));

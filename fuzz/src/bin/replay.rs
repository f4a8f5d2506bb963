//! The target `replay`: under libFuzzer as often as it likes, otherwise once for each file that is named.
#![cfg_attr(feature = "libfuzzer", no_main)]

#[cfg(feature = "libfuzzer")]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| quorate_fuzz::replay(bytes));

#[cfg(not(feature = "libfuzzer"))]
fn main() -> std::io::Result<()> {
    std::env::args_os().skip(1).try_for_each(|file| std::fs::read(file).map(|bytes| quorate_fuzz::replay(&bytes)))
}

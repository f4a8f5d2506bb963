//! Fuzz targets: any bytes in, a panic where the core breaks a promise. Which bytes come is up to the caller: the
//! tests of this package, or a fuzzer that is guided by coverage. Knows the core only.

mod choices;
mod decoding;
mod document;
mod expected;
mod plans;
mod replaying;
mod writing;

#[path = "../../core/tests/support/mod.rs"]
mod support;

use choices::Choices;

/// The bytes are one payload, which every plan decodes.
pub fn decode(bytes: &[u8]) {
    decoding::check(bytes);
}

/// The bytes choose a JSON text close to what the plans look for, and perhaps damage to it; every plan decodes it.
pub fn document(bytes: &[u8]) {
    decoding::check(&writing::payload(&mut Choices::new(bytes)));
}

/// The bytes choose a plan and a few dozen records, which are replayed with modules that answer.
pub fn replay(bytes: &[u8]) {
    replaying::check(&mut Choices::new(bytes));
}

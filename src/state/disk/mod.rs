//! The disk's own types, apart from the core's. Fields have tags that are never given to another field; fields that are
//! not known are skipped. What is inside is Protocol Buffers' wire format; nothing here knows of files or keys.

mod owed;
mod rows;
mod standing;
mod window;

pub(super) use owed::{Done, Early, Pending, Run};
pub(super) use standing::{Ceilings, Letter, Meta, Position, Shape};
pub(super) use window::Window;

use quorate_core::contract::InputHash;

/// Bytes that are whole but are not what stands under such a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub &'static str);

fn bytes(number: u128) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

fn number(bytes: &[u8]) -> Result<u128, Malformed> {
    bytes.try_into().map(u128::from_le_bytes).map_err(|_| Malformed("a number of 128 bits"))
}

fn hash(bytes: Option<Vec<u8>>) -> Result<Option<InputHash>, Malformed> {
    bytes.map(|bytes| number(&bytes).map(InputHash)).transpose()
}

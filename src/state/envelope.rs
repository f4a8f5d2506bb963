//! The wrapping of every stored value: the version of the wrapping, a checksum over key and value, the value. Knows
//! nothing of what is inside. The layout is part of the product.

/// The version of this layout.
const VERSION: u8 = 1;
/// Version and checksum.
const HEADER_BYTES: usize = 5;

/// Wraps a payload: `[version][CRC-32C of key, version and payload, little endian][payload]`.
pub(super) fn seal(key: &[u8], payload: &impl prost::Message) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEADER_BYTES + payload.encoded_len());
    value.extend_from_slice(&[VERSION, 0, 0, 0, 0]);
    payload.encode(&mut value).expect("a vector grows as needed");
    let sum = checksum(key, VERSION, &value[HEADER_BYTES..]);
    value[1..HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
    value
}

/// The payload, if this is what was once stored under this key.
pub(super) fn open<'a>(key: &[u8], value: &'a [u8]) -> Option<&'a [u8]> {
    let (&version, rest) = value.split_first()?;
    let (sum, payload) = rest.split_first_chunk::<4>()?;
    let is_whole = version == VERSION && u32::from_le_bytes(*sum) == checksum(key, version, payload);
    is_whole.then_some(payload)
}

fn checksum(key: &[u8], version: u8, payload: &[u8]) -> u32 {
    let sum = crc32c::crc32c_append(crc32c::crc32c(key), &[version]);
    crc32c::crc32c_append(sum, payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_under_its_own_key_and_unharmed_only() {
        let value = seal(b"key", &String::from("payload"));
        let payload = open(b"key", &value).expect("unharmed");
        assert_eq!(<String as prost::Message>::decode(payload).as_deref(), Ok("payload"));
        assert!(open(b"kez", &value).is_none());
        for bit in 0..value.len() * 8 {
            let mut harmed = value.clone();
            harmed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(b"key", &harmed).is_none(), "bit {bit}");
        }
        for length in 0..value.len() {
            assert!(open(b"key", &value[..length]).is_none(), "{length} bytes");
        }
    }
}

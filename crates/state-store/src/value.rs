//! Values with their checksum: four bytes of CRC-32 (little endian) over the key and the JSON, then the JSON.

/// The stored form of `json` under `key`.
pub(crate) fn seal(key: &[u8], json: &[u8]) -> Vec<u8> {
    let mut stored = checksum(key, json).to_le_bytes().to_vec();
    stored.extend_from_slice(json);
    stored
}

/// The JSON in `stored`, if its checksum is right.
pub(crate) fn open<'a>(key: &[u8], stored: &'a [u8]) -> Option<&'a [u8]> {
    let (sum, json) = stored.split_first_chunk::<4>()?;
    (u32::from_le_bytes(*sum) == checksum(key, json)).then_some(json)
}

fn checksum(key: &[u8], json: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(json);
    hasher.finalize()
}

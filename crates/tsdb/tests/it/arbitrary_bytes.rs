//! The fuzz targets' functions with random bytes.

use proptest::prelude::*;

use crate::arbitrary;

/// Bytes that are likelier to mean something than evenly random ones: small numbers, record types, lengths.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![3 => 0u8..24, 1 => Just(0xffu8), 1 => any::<u8>()];
    proptest::collection::vec(byte, 0..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_log_is_opened_read_and_maintained(data in bytes()) {
        arbitrary::wal(&data);
        arbitrary::wal_segment(&data);
    }

    #[test]
    fn any_head_chunk_is_opened_read_and_maintained(data in bytes()) {
        arbitrary::head_chunks(&data);
    }

    #[test]
    fn any_block_is_opened_read_and_maintained(data in proptest::collection::vec(any::<u8>(), 0..40)) {
        arbitrary::block(&data);
    }
}

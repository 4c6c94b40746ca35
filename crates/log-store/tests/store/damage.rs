//! Files with any bytes in them: no store panics on them.

use proptest::prelude::*;

use super::arbitrary;

#[test]
fn an_unchanged_segment_is_put_together_again() {
    // Were it not, nothing below would reach what lies behind the checksums.
    assert!(arbitrary::reads_back());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_change_of_a_segment_is_survived(data in proptest::collection::vec(any::<u8>(), 0..40)) {
        arbitrary::segment(&data);
    }

    #[test]
    fn any_index_is_survived(data in proptest::collection::vec(any::<u8>(), 0..100)) {
        arbitrary::segment_index(&data);
    }

    #[test]
    fn any_log_is_survived(records in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 1..60), 0..4), versioned in any::<bool>(),
    ) {
        let mut data = Vec::new();
        for record in records {
            // A version and a tenant, so that what follows is read.
            let head: &[u8] = if versioned { b"\x01\x04fake" } else { b"" };
            data.extend(((head.len() + record.len()) as u16).to_be_bytes());
            data.extend(head);
            data.extend(record);
        }
        arbitrary::wal(&data);
    }
}

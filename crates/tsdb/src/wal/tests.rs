//! The log: geometry, torn tails, damage, replay.

use std::path::Path;
use std::sync::Arc;

use model::{Exemplar, FloatHistogram, Labels, MetricMetadata, MetricType};
use proptest::prelude::*;
use sys::{Fs, SimFs};

use super::reader::{SegmentReport, read_segment};
use super::record::{self, Record, RefHistogram, RefSample, RefTombstone};
use super::writer::{RecordBatch, WalWriter, frame_all};
use super::{list_segments, segment_path};

fn written(records: &[Vec<u8>], compress: bool) -> Vec<u8> {
    let mut batch = RecordBatch::default();
    records.iter().for_each(|record| batch.push(record, compress));
    frame_all(&batch)
}

fn read(bytes: &[u8]) -> (Vec<Vec<u8>>, SegmentReport) {
    let fs = SimFs::new(1);
    let mut file = fs.create_new(Path::new("00000000")).unwrap();
    file.append(bytes).unwrap();
    let mut records = Vec::new();
    let report = read_segment(&fs, Path::new("00000000"), |record| {
        records.push(record.to_vec());
        Ok(())
    });
    (records, report.unwrap())
}

fn records() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let size = prop_oneof![1usize..50, 30_000usize..40_000, Just(32_761usize), Just(70_000usize)];
    let record = (size, any::<u64>()).prop_map(|(size, seed)| {
        (0..size as u64).map(|at| (at.wrapping_mul(seed | 1) >> 13) as u8).collect()
    });
    proptest::collection::vec(record, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn records_come_back_and_a_torn_end_loses_only_itself(
        records in records(), compress: bool, cut: prop::sample::Index,
    ) {
        let bytes = written(&records, compress);
        let (whole, report) = read(&bytes);
        prop_assert_eq!(&whole, &records);
        prop_assert_eq!(report, SegmentReport { good_end: bytes.len() as u64, ..SegmentReport::default() });
        let (some, report) = read(&bytes[..cut.index(bytes.len())]);
        prop_assert_eq!(&some[..], &records[..some.len()]);
        prop_assert!(report.damaged.is_empty());
        let (again, report) = read(&bytes[..report.good_end as usize]);
        prop_assert_eq!((again.len(), report.torn_at), (some.len(), None));
    }

    #[test]
    fn a_flipped_bit_never_makes_a_record(records in records(), at: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = written(&records, true);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        for record in read(&bytes).0 {
            prop_assert!(records.contains(&record));
        }
    }

    #[test]
    fn any_bytes_end_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0u8..14) {
        read(&bytes);
        record::decode(&bytes).ok();
        let mut typed = vec![kind];
        typed.extend_from_slice(&bytes);
        record::decode(&typed).ok();
    }
}

#[test]
fn damage_between_whole_records_is_told_and_skipped() {
    let records: Vec<Vec<u8>> = (0..40u8).map(|n| vec![n; 5000]).collect();
    let mut bytes = written(&records, false);
    bytes[70_000] ^= 1;
    let (read, report) = read(&bytes);
    assert_eq!(report.damaged.len(), 1);
    assert!(read.len() > 30 && read.iter().all(|record| records.contains(record)), "{}", read.len());
    assert_eq!(read.last(), records.last());
}

#[test]
fn every_kind_of_record_comes_back() {
    let labels = |value: &str| Labels::from_pairs([("__name__", "m"), ("l", value)]);
    let check = |bytes: &[u8], expected: Record| assert_eq!(record::decode(bytes), Ok(expected));
    let mut bytes = vec![record::SERIES];
    record::put_series(&mut bytes, 7, labels("a").iter());
    record::put_series(&mut bytes, 1 << 40, labels("b").iter());
    check(&bytes, Record::Series(vec![(7, labels("a")), (1 << 40, labels("b"))]));
    let samples = vec![
        RefSample { series: 9, timestamp: -5, value: 1.5 },
        RefSample { series: 3, timestamp: 1 << 50, value: 0.0 },
    ];
    bytes.clear();
    record::put_samples(&mut bytes, samples.iter().copied());
    // Type, first series and time whole, then differences to them.
    let golden = [
        2, 0, 0, 0, 0, 0, 0, 0, 9, 255, 255, 255, 255, 255, 255, 255, 251, 0, 0, 0x3f, 0xf8, 0, 0, 0, 0, 0,
        0, 11,
    ];
    assert_eq!(bytes[..golden.len()], golden);
    check(&bytes, Record::Samples(samples));
    let stones = vec![RefTombstone { series: 1, min_time: -3, max_time: 9 }];
    bytes.clear();
    record::put_tombstones(&mut bytes, &stones);
    check(&bytes, Record::Tombstones(stones));
    let exemplars = vec![(4, Exemplar { labels: labels("x"), value: 2.0, timestamp: 5 })];
    bytes.clear();
    record::put_exemplars(&mut bytes, &exemplars);
    check(&bytes, Record::Exemplars(exemplars));
    let metadata = vec![(4, MetricMetadata { kind: MetricType::Info, unit: "s".into(), help: "h".into() })];
    bytes.clear();
    record::put_metadata(&mut bytes, &metadata);
    check(&bytes, Record::Metadata(metadata));
    bytes.clear();
    record::put_mmap_markers(&mut bytes, &[(1, 2)]);
    check(&bytes, Record::MmapMarkers(vec![(1, 2)]));
    let plain = FloatHistogram {
        schema: 3,
        count: 4.0,
        positive_buckets: vec![1.0, 3.0],
        ..FloatHistogram::default()
    };
    let custom = FloatHistogram { schema: -53, custom_values: vec![0.5, 1.0], ..plain.clone() };
    let item = |histogram| RefHistogram { series: 5, timestamp: 6, histogram };
    let mut decoded = Vec::new();
    record::put_histograms(&[item(plain.clone()), item(custom.clone())], |bytes| {
        decoded.push((bytes[0], record::decode(bytes).unwrap()));
    });
    let expected = [(8, Record::Histograms(vec![item(plain)])), (10, Record::Histograms(vec![item(custom)]))];
    assert_eq!(decoded, expected);
    assert_eq!(record::decode(&[99, 1]), Ok(Record::Unknown(99)));
    // An integer histogram as Prometheus writes it: buckets as differences.
    let integer = [
        7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, // series 1, time 2
        0, 2, 0, 0, 0, 0, 0, 0, 0, 0, // hint, schema 1, zero threshold
        0, 5, 0x40, 0, 0, 0, 0, 0, 0, 0, // zero count 0, count 5, sum 2
        1, 0, 2, 0, 2, 6, 3, 0, // one span of 2 at 0, no negative one; buckets 3 and 3-2
    ];
    let Ok(Record::Histograms(items)) = record::decode(&integer) else { panic!("not histograms") };
    assert_eq!(items[0].histogram.positive_buckets, [3.0, 1.0]);
}

#[test]
fn batches_go_to_the_next_segment_whole() {
    let fs: Arc<dyn Fs> = Arc::new(SimFs::new(2));
    let dir = Path::new("wal");
    let mut writer = WalWriter::open(Arc::clone(&fs), dir, 64 << 10).unwrap();
    for n in 0..10u8 {
        let mut batch = RecordBatch::default();
        batch.push(&vec![n; 20_000], false);
        writer.write(&[&batch]).unwrap();
    }
    let segments = list_segments(&*fs, dir).unwrap();
    assert_eq!(segments, [0, 1, 2, 3]);
    let mut first_bytes = Vec::new();
    for segment in segments {
        let report = read_segment(&*fs, &segment_path(dir, segment), |record| {
            first_bytes.push(record[0]);
            Ok(())
        });
        assert_eq!(report.unwrap().torn_at, None);
    }
    assert_eq!(first_bytes, (0..10).collect::<Vec<u8>>());
}

//! Lines come back as they were, and a search finds what a look at every line finds.

use std::sync::Arc;

use go_regex::Regex;
use log_storage_api::{LineFilter, LineFilterOp};
use proptest::prelude::*;

use super::*;
use crate::block::{BlockBytes, BlockEncoder, Compressor, OpenBlock};

fn open(lines: &[String]) -> OpenBlock {
    let rows: Vec<Row<'_>> = lines
        .iter()
        .enumerate()
        .map(|(idx, line)| Row { timestamp: idx as i64, line, metadata: &[] })
        .collect();
    let block = BlockEncoder::default().encode(&rows);
    OpenBlock::new(Arc::new(block.meta.clone()), BlockBytes::Memory(Arc::new(block)), &Arc::default())
}

/// Lines of a few shapes with numbers of every kind in them.
fn line() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        3 => (0u64..300).prop_map(|n| n.to_string()),
        2 => any::<u64>().prop_map(|n| n.to_string()),
        2 => (0u64..1000).prop_map(|n| format!("{n:04}")),
        1 => (0u64..1000).prop_map(|n| format!("29672997{n:04}")),
        1 => "[0-9]{20,45}",
        1 => Just("0".to_owned()),
    ];
    let hex = prop_oneof![
        any::<u64>().prop_map(|n| format!("{n:016x}")),
        any::<u16>().prop_map(|n| format!("{n:x}")),
        any::<u32>().prop_map(|n| format!("{n:08X}")),
        any::<u128>().prop_map(|n| format!("{n:x}{n:x}{n:x}")),
    ];
    prop_oneof![
        (number.clone(), number.clone()).prop_map(|(a, b)| format!("blk_{a} took {b}ms")),
        (hex, number.clone()).prop_map(|(a, b)| format!("trace={a} user=u{b}x")),
        number.prop_map(|a| format!("ünï {a}.{a}-{a}")),
        Just("constant line".to_owned()),
        ".{0,12}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_lines_come_back(lines in proptest::collection::vec(line(), 1..200)) {
        let block = open(&lines);
        for (row, line) in lines.iter().enumerate() {
            prop_assert_eq!(&*block.line(row).unwrap(), line.as_str());
            prop_assert_eq!(block.lines().unwrap().line_bytes(row).unwrap(), line.len() as u64);
        }
    }

    #[test]
    fn searches_find_what_a_look_at_every_line_finds(
        lines in proptest::collection::vec(line(), 40..200),
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..40, 1usize..24, any::<bool>()), 1..12),
    ) {
        let block = open(&lines);
        for (idx, from, len, negated) in cuts {
            let chars: Vec<char> = idx.get(&lines).chars().collect();
            let from = from.min(chars.len());
            let needle: String = chars[from..].iter().take(len).collect();
            let regex = format!("{}[0-9]?", needle.chars().map(|c| if c.is_alphanumeric() { c.to_string() } else { format!("\\x{{{:x}}}", c as u32) }).collect::<String>());
            for op in [
                LineFilterOp::Contains(needle.as_str().into()),
                LineFilterOp::Regex(Arc::new(Regex::new(&regex).unwrap())),
            ] {
                let filters = LineFilters::new(&[LineFilter { negated, any_of: vec![op] }]);
                let mut stats = ScanStats::default();
                let found = block.lines().unwrap().select_all(0..lines.len(), &filters, &mut stats).unwrap();
                let expected: Vec<u32> =
                    (0..lines.len()).filter(|row| filters.matches(&lines[*row])).map(|row| row as u32).collect();
                prop_assert_eq!(found, expected, "{:?} negated {}", needle, negated);
            }
        }
    }

    #[test]
    fn damaged_sections_are_errors(lines in proptest::collection::vec(line(), 40..80), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut compressor = Compressor::default();
        let mut builder = BlockBuilder::new(&mut compressor, Vec::new());
        builder.push(SectionKind::Templates, &bytes, false);
        let sections = builder.sections(lines.len());
        TemplatedLines::decode(&sections, lines.len()).ok();
    }
}

#[test]
fn a_needle_decodes_only_the_lines_that_may_hold_it() {
    let lines: Vec<String> =
        (0..1000).map(|n| format!("blk_{} replicated to 10.0.0.{}", 2_967_000 + n * 7, n % 250)).collect();
    let block = open(&lines);
    for (needle, decoded) in
        [("blk_2967007 ", 1), ("absent", 0), ("replicated", 0), ("blk_29670071", 0), ("0.0.99", 60)]
    {
        let op = LineFilterOp::Contains(needle.into());
        let filters = LineFilters::new(&[LineFilter { negated: false, any_of: vec![op] }]);
        let mut stats = ScanStats::default();
        block.lines().unwrap().select_all(0..lines.len(), &filters, &mut stats).unwrap();
        assert!(stats.lines_decoded <= decoded, "{needle}: {} lines", stats.lines_decoded);
    }
}

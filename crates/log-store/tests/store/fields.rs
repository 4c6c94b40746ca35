//! Fields as a test finds them: `"name":digits`, `"name":"text"` and `name=digits` in the lines that the tests write.

use std::ops::Range;

use log_storage_api::{FieldColumn, FieldFinder, FieldVerdict, ScanBatch};

/// Finds fields; drops entries whose status is 300 or more, where it is asked to filter.
#[derive(Debug)]
pub(crate) struct TestFields {
    names: Vec<String>,
    filters: Vec<usize>,
}

impl TestFields {
    pub(crate) fn new(filters: bool) -> Self {
        let names = ["status", "duration_ms", "trace", "level"].map(str::to_owned).to_vec();
        Self { names, filters: if filters { vec![0, 1] } else { Vec::new() } }
    }

    fn place(line: &str, name: &str) -> Option<Range<usize>> {
        let quoted = format!("\"{name}\":");
        if let Some(at) = line.find(&quoted) {
            let start = at + quoted.len();
            let (start, end) = match line[start..].strip_prefix('"') {
                Some(_) => (start + 1, '"'),
                None => (start, ','),
            };
            let len = line[start..].find([end, '}']).unwrap_or(line.len() - start);
            return Some(start..start + len);
        }
        let plain = format!(" {name}=");
        let start = line.find(&plain)? + plain.len();
        Some(start..start + line[start..].find(' ').unwrap_or(line.len() - start))
    }

    /// Whether the filters surely drop an entry; names that its stream or its metadata has are no fields.
    pub(crate) fn drops(&self, line: &str, is_other: impl Fn(&str) -> bool) -> bool {
        let Some(found) = self.find(line, &[]) else { return false };
        for (filter, field) in self.filters.iter().enumerate() {
            if is_other(&self.names[*field]) {
                return false;
            }
            match self.verdict(filter, found[*field].clone().map(|place| &line[place])) {
                FieldVerdict::Passes => {}
                FieldVerdict::Fails => return true,
                FieldVerdict::Unsure => return false,
            }
        }
        false
    }

    /// Checks columns against the lines that they stand for.
    pub(crate) fn check(&self, batch: &ScanBatch<'_>) {
        for (field, column) in batch.fields.iter().enumerate().filter(|(_, column)| !column.idx.is_empty()) {
            assert_eq!(column.idx.len(), batch.timestamps.len());
            for (entry, idx) in column.idx.iter().enumerate().filter(|(_, idx)| **idx != FieldColumn::UNKNOWN)
            {
                let line = batch.lines.line(entry).unwrap();
                let found = self.find(&line, &[]).unwrap();
                let expected = found[field].clone().map(|place| &line[place]);
                assert_eq!(column.values[*idx as usize].as_deref(), expected, "{line}");
            }
        }
    }
}

impl FieldFinder for TestFields {
    fn names(&self) -> &[String] {
        &self.names
    }

    fn find(&self, line: &str, varying: &[Range<usize>]) -> Option<Vec<Option<Range<usize>>>> {
        // Some lines cannot be told, whatever is in them.
        if line.starts_with("GET") {
            return None;
        }
        let found: Vec<_> = self.names.iter().map(|name| Self::place(line, name)).collect();
        let is_inside = |place: &Range<usize>| {
            found.iter().flatten().any(|value| value.start <= place.start && place.end <= value.end)
        };
        let is_structured = line.starts_with('{') || line.starts_with("level=");
        (!is_structured
            || varying.iter().all(|place| is_inside(place) || line[..place.start].ends_with("user=u")))
        .then_some(found)
    }

    fn filters(&self) -> &[usize] {
        &self.filters
    }

    fn verdict(&self, filter: usize, value: Option<&str>) -> FieldVerdict {
        match (filter, value.map(str::parse::<u64>)) {
            (0, None) | (1, None) => FieldVerdict::Passes,
            (0, Some(Ok(status))) if status >= 300 => FieldVerdict::Fails,
            (_, Some(Ok(number))) if number % 7 == 0 => FieldVerdict::Unsure,
            (_, Some(Ok(number))) if number % 3 == 0 => FieldVerdict::Fails,
            _ => FieldVerdict::Passes,
        }
    }
}

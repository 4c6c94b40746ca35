//! Structured metadata of a block's rows: for each name its distinct values and, for each row, which of them it has.

use std::collections::BTreeMap;

use chunk_encoding::{ByteReader, DecodeError, put_str, put_uvarint};
use hashbrown::HashMap;

use crate::bitpack::{Packed, pack, width_of};

/// A column: the values of one name.
#[derive(Debug)]
pub(crate) struct MetadataColumn {
    pub(crate) name: String,
    pub(crate) values: Vec<String>,
    /// For each row, the index of its value plus 1; 0 where the row has no such name.
    pub(crate) idx: Vec<u32>,
}

/// Columns in order of name.
#[derive(Debug, Default)]
pub(crate) struct MetadataColumns {
    pub(crate) columns: Vec<MetadataColumn>,
}

struct Building<'a> {
    values: Vec<&'a str>,
    known: HashMap<&'a str, u32>,
    idx: Vec<u32>,
}

/// Appends the columns of all rows; nothing where no row has metadata.
pub(crate) fn encode<'a>(dst: &mut Vec<u8>, rows: impl Iterator<Item = &'a [(String, String)]>) {
    let mut columns: BTreeMap<&str, Building<'_>> = BTreeMap::new();
    let mut count = 0;
    for metadata in rows {
        for (name, value) in metadata {
            let column = columns.entry(name).or_insert_with(|| Building {
                values: Vec::new(),
                known: HashMap::new(),
                idx: Vec::new(),
            });
            let next = column.values.len() as u32 + 1;
            let idx = *column.known.entry(value).or_insert(next);
            if idx == next {
                column.values.push(value);
            }
            column.idx.resize(count, 0);
            column.idx.push(idx);
        }
        count += 1;
    }
    if columns.is_empty() {
        return;
    }
    put_uvarint(dst, columns.len() as u64);
    for (name, mut column) in columns {
        column.idx.resize(count, 0);
        put_str(dst, name);
        put_uvarint(dst, column.values.len() as u64);
        for value in &column.values {
            put_str(dst, value);
        }
        let constant = column.idx.iter().all(|idx| *idx == column.idx[0]);
        let width = if constant { 0 } else { width_of(column.values.len() as u64) };
        dst.push(width as u8);
        if constant {
            put_uvarint(dst, u64::from(column.idx[0]));
        } else {
            pack(dst, column.idx.iter().map(|idx| u64::from(*idx)), width);
        }
    }
}

/// Reads the columns of `rows` rows back.
pub(crate) fn decode(bytes: &[u8], rows: usize) -> Result<MetadataColumns, DecodeError> {
    let mut reader = ByteReader::new(bytes);
    let mut columns = Vec::new();
    if bytes.is_empty() {
        return Ok(MetadataColumns { columns });
    }
    for _ in 0..reader.length()? {
        let name = reader.str()?.to_owned();
        let mut values = Vec::new();
        for _ in 0..reader.length()? {
            values.push(reader.str()?.to_owned());
        }
        let width = u32::from(reader.byte()?);
        let idx: Vec<u32> = if width == 0 {
            let constant = reader.uvarint()?;
            vec![u32::try_from(constant).map_err(|_| DecodeError::Invalid("metadata index"))?; rows]
        } else {
            let (packed, rest) = Packed::split(reader.rest(), rows, width)?;
            reader = ByteReader::new(rest);
            packed.iter().map(|idx| idx as u32).collect()
        };
        if idx.iter().any(|idx| *idx as usize > values.len()) {
            return Err(DecodeError::Invalid("metadata index"));
        }
        columns.push(MetadataColumn { name, values, idx });
    }
    if !columns.is_sorted_by(|a, b| a.name < b.name) {
        return Err(DecodeError::Invalid("order of metadata names"));
    }
    Ok(MetadataColumns { columns })
}

impl MetadataColumns {
    /// The pairs of a row, sorted by name.
    pub(crate) fn row(&self, row: usize) -> Vec<(String, String)> {
        let value = |column: &MetadataColumn| {
            let idx = column.idx[row] as usize;
            (idx > 0).then(|| (column.name.clone(), column.values[idx - 1].clone()))
        };
        self.columns.iter().filter_map(value).collect()
    }

    /// Whether a row has exactly these pairs, sorted by name.
    pub(crate) fn row_is(&self, row: usize, wanted: &[(String, String)]) -> bool {
        let mut wanted = wanted.iter();
        for column in &self.columns {
            let idx = column.idx[row] as usize;
            if idx > 0 {
                let value = &column.values[idx - 1];
                if wanted.next().is_none_or(|(n, v)| *n != column.name || v != value) {
                    return false;
                }
            }
        }
        wanted.next().is_none()
    }

    pub(crate) fn column(&self, name: &str) -> Option<&MetadataColumn> {
        self.columns.iter().find(|column| column.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows_strategy() -> impl Strategy<Value = Vec<Vec<(String, String)>>> {
        let set = proptest::collection::btree_map("[ab]{1,2}", "[xyz]{0,2}", 0..3);
        proptest::collection::vec(set.prop_map(|set| set.into_iter().collect()), 0..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_metadata_comes_back(rows in rows_strategy()) {
            let mut bytes = Vec::new();
            encode(&mut bytes, rows.iter().map(Vec::as_slice));
            let columns = decode(&bytes, rows.len()).unwrap();
            for (row, metadata) in rows.iter().enumerate() {
                prop_assert_eq!(&columns.row(row), metadata);
                prop_assert!(columns.row_is(row, metadata));
            }
        }

        #[test]
        fn any_bytes_are_metadata_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            decode(&bytes, 5).ok();
        }
    }
}

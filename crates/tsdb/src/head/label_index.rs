//! Names and values as symbols, pairs of them as ids, and the series of each pair as a compressed bitmap.

use ahash::RandomState;
use go_regex::CompiledMatcher;
use hashbrown::{HashMap, HashSet, HashTable};
use model::{Labels, METRIC_NAME_LABEL};
use roaring::{MultiOps, RoaringBitmap};

use super::label_pins::{LabelPin, Retired};
use super::series_table::SeriesTable;

/// A name or a value, by number.
pub(crate) type SymbolId = u32;
/// A name and a value, by number.
pub(crate) type PairId = u32;

/// Everything that finds series by their labels.
#[derive(Debug, Default)]
pub(crate) struct LabelIndex {
    /// The numbers of series.
    pub(crate) series: SeriesTable,
    hasher: RandomState,
    symbols: Vec<Symbol>,
    free_symbols: Vec<SymbolId>,
    by_text: HashTable<SymbolId>,
    pairs: Vec<Pair>,
    free_pairs: Vec<PairId>,
    by_symbols: HashTable<PairId>,
    names: HashMap<SymbolId, Vec<PairId>>,
    all: RoaringBitmap,
    symbol_bytes: u64,
    /// Pairs and symbols that are gone and that a reader may still ask for.
    retired: Retired,
}

#[derive(Debug)]
struct Symbol {
    text: Box<str>,
    uses: u32,
}

#[derive(Debug)]
struct Pair {
    name: SymbolId,
    value: SymbolId,
    series: RoaringBitmap,
}

/// A name and a number that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedCount {
    /// The name.
    pub name: String,
    /// The number.
    pub value: u64,
}

impl LabelIndex {
    /// The pair ids of a set whose pairs are all known; else `out` has those before the first unknown one.
    pub(crate) fn find(&self, labels: &Labels, out: &mut Vec<PairId>) -> bool {
        out.clear();
        for (name, value) in labels.iter() {
            let Some(pair) = self.find_pair(name, value) else { return false };
            out.push(pair);
        }
        true
    }

    /// The pair ids of a set, created where missing. They have to be given to [`Self::add_series`] before anything else
    /// is done with the index. `known` are those of the first labels.
    pub(crate) fn intern(&mut self, labels: &Labels, known: &[PairId]) -> Box<[PairId]> {
        let mut pairs = Vec::with_capacity(labels.len());
        pairs.extend_from_slice(known);
        for (name, value) in labels.iter().skip(known.len()) {
            pairs.push(self.intern_pair(name, value));
        }
        pairs.into_boxed_slice()
    }

    /// Makes a series known under its pairs.
    pub(crate) fn add_series(&mut self, pairs: &[PairId], series: u32) {
        for pair in pairs {
            self.pairs[*pair as usize].series.insert(series);
        }
        self.all.insert(series);
    }

    /// Forgets series; pairs and symbols that nobody else uses go with them.
    pub(crate) fn remove_series<'a>(&mut self, gone: impl Iterator<Item = (u32, &'a [PairId])>) {
        let mut by_pair: HashMap<PairId, Vec<u32>> = HashMap::new();
        for (series, pairs) in gone {
            self.all.remove(series);
            for pair in pairs {
                by_pair.entry(*pair).or_default().push(series);
            }
        }
        let mut emptied: Vec<PairId> = Vec::new();
        for (pair, series) in by_pair {
            let bitmap = &mut self.pairs[pair as usize].series;
            for series in series {
                bitmap.remove(series);
            }
            if bitmap.is_empty() {
                emptied.push(pair);
            }
        }
        emptied.sort_unstable();
        self.unlist(&emptied);
        let mut symbols = Vec::new();
        for pair in &emptied {
            self.remove_pair(*pair, &mut symbols);
        }
        self.retired.retire(emptied, symbols);
        while let Some((pairs, symbols)) = self.retired.released() {
            self.free_pairs.extend(pairs);
            for symbol in symbols {
                self.symbols[symbol as usize].text = "".into();
                self.free_symbols.push(symbol);
            }
        }
    }

    /// While it lives, pairs that are in use now keep their texts.
    pub(crate) fn pin(&self) -> LabelPin {
        self.retired.pin()
    }

    /// The number of a name or value, where it is in use.
    pub(crate) fn symbol(&self, text: &str) -> Option<SymbolId> {
        self.find_symbol(text)
    }

    /// A pair's name, by number.
    #[inline]
    pub(crate) fn name_of(&self, pair: PairId) -> SymbolId {
        self.pairs[pair as usize].name
    }

    /// Takes pairs out of the lists of their names: each list is gone over once, however many of its pairs go.
    fn unlist(&mut self, emptied: &[PairId]) {
        let names: HashSet<SymbolId> = emptied.iter().map(|pair| self.pairs[*pair as usize].name).collect();
        for name in names {
            let Some(pairs) = self.names.get_mut(&name) else { continue };
            pairs.retain(|pair| emptied.binary_search(pair).is_err());
            if pairs.is_empty() {
                self.names.remove(&name);
            }
        }
    }

    /// Makes the bitmaps smaller where runs allow it.
    pub(crate) fn optimize(&mut self) {
        for pair in &mut self.pairs {
            pair.series.optimize();
        }
        self.all.optimize();
    }

    /// A pair's name and value.
    pub(crate) fn pair(&self, pair: PairId) -> (&str, &str) {
        let pair = &self.pairs[pair as usize];
        (self.text(pair.name), self.text(pair.value))
    }

    /// The label set of these pairs.
    pub(crate) fn labels(&self, pairs: &[PairId]) -> Labels {
        Labels::from_sorted(pairs.iter().map(|pair| self.pair(*pair)))
    }

    /// All series.
    pub(crate) fn all(&self) -> &RoaringBitmap {
        &self.all
    }

    /// How many series have this metric name.
    pub(crate) fn series_of_metric(&self, name: &str) -> u64 {
        self.find_pair(METRIC_NAME_LABEL, name).map_or(0, |pair| self.pairs[pair as usize].series.len())
    }

    /// The series that pass all matchers.
    pub(crate) fn select(&self, matchers: &[CompiledMatcher]) -> RoaringBitmap {
        let (mut required, mut optional) = (Vec::new(), Vec::new());
        for matcher in matchers {
            if matcher.matches_empty() { optional.push(matcher) } else { required.push(matcher) }
        }
        let mut result: Option<RoaringBitmap> = None;
        for matcher in required {
            let passing = self.passing(matcher);
            result = Some(match result {
                None => passing,
                Some(so_far) => so_far & passing,
            });
            if result.as_ref().is_some_and(RoaringBitmap::is_empty) {
                return RoaringBitmap::new();
            }
        }
        let mut result = result.unwrap_or_else(|| self.all.clone());
        for matcher in optional {
            if result.is_empty() {
                break;
            }
            // A series without the label passes, so take away those whose value does not.
            let pairs = self.pairs_of(matcher.name()).iter().map(|pair| &self.pairs[*pair as usize]);
            let failing = pairs.filter(|pair| !matcher.matches(self.text(pair.value)));
            result -= failing.map(|pair| &pair.series).union();
        }
        result
    }

    /// Label names in use by `series`, or by any; not sorted.
    pub(crate) fn label_names(&self, series: Option<&RoaringBitmap>) -> Vec<&str> {
        let used = |pairs: &[PairId]| match series {
            None => !pairs.is_empty(),
            Some(series) => pairs.iter().any(|pair| !self.pairs[*pair as usize].series.is_disjoint(series)),
        };
        self.names.iter().filter(|(_, pairs)| used(pairs)).map(|(name, _)| self.text(*name)).collect()
    }

    /// Values of `name` in use by `series`, or by any; not sorted.
    pub(crate) fn label_values(&self, name: &str, series: Option<&RoaringBitmap>) -> Vec<&str> {
        let pairs = self.pairs_of(name).iter().map(|pair| &self.pairs[*pair as usize]);
        let used = |pair: &&Pair| series.is_none_or(|series| !pair.series.is_disjoint(series));
        pairs.filter(used).map(|pair| self.text(pair.value)).collect()
    }

    /// All pairs that some series has.
    pub(crate) fn pairs_in_use(&self) -> impl Iterator<Item = PairId> {
        (0..self.pairs.len() as PairId).filter(|pair| !self.pairs[*pair as usize].series.is_empty())
    }

    /// How many pairs there are.
    pub(crate) fn pair_count(&self) -> u64 {
        (self.pairs.len() - self.free_pairs.len()) as u64
    }

    /// Bytes of all symbols.
    pub(crate) fn symbol_bytes(&self) -> u64 {
        self.symbol_bytes
    }

    /// Series by metric name, by label name, bytes by label name, series by pair: each the `limit` largest.
    pub(crate) fn cardinality(&self, limit: usize) -> Cardinality {
        let (mut by_metric, mut by_pair) = (Vec::new(), Vec::new());
        let (mut values, mut bytes) = (Vec::new(), Vec::new());
        let mut names: Vec<(&SymbolId, &Vec<PairId>)> = self.names.iter().collect();
        names.sort_unstable_by_key(|(name, _)| self.text(**name));
        for (name, pairs) in names {
            let name = self.text(*name);
            let size: usize = pairs.iter().map(|pair| self.pair(*pair).1.len()).sum();
            values.push((name.to_owned(), pairs.len() as u64));
            bytes.push((name.to_owned(), size as u64));
            for pair in pairs {
                let (_, value) = self.pair(*pair);
                let series = self.pairs[*pair as usize].series.len();
                by_pair.push((format!("{name}={value}"), series));
                if name == METRIC_NAME_LABEL {
                    by_metric.push((value.to_owned(), series));
                }
            }
        }
        Cardinality {
            series_by_metric_name: largest(by_metric, limit),
            values_by_label_name: largest(values, limit),
            bytes_by_label_name: largest(bytes, limit),
            series_by_label_pair: largest(by_pair, limit),
        }
    }

    fn passing(&self, matcher: &CompiledMatcher) -> RoaringBitmap {
        if let Some(values) = matcher.literal_values() {
            let mut passing = RoaringBitmap::new();
            for value in values {
                if let Some(pair) = self.find_pair(matcher.name(), value) {
                    passing |= &self.pairs[pair as usize].series;
                }
            }
            return passing;
        }
        let prefix = matcher.literal_prefix();
        let pairs = self.pairs_of(matcher.name()).iter().map(|pair| &self.pairs[*pair as usize]);
        let passing = pairs.filter(|pair| {
            let value = self.text(pair.value);
            value.starts_with(prefix) && matcher.matches(value)
        });
        passing.map(|pair| &pair.series).union()
    }

    fn pairs_of(&self, name: &str) -> &[PairId] {
        let pairs = self.find_symbol(name).and_then(|name| self.names.get(&name));
        pairs.map_or(&[], Vec::as_slice)
    }

    /// A symbol's text.
    pub(crate) fn text(&self, symbol: SymbolId) -> &str {
        &self.symbols[symbol as usize].text
    }

    fn find_symbol(&self, text: &str) -> Option<SymbolId> {
        let hash = self.hasher.hash_one(text);
        self.by_text.find(hash, |symbol| self.text(*symbol) == text).copied()
    }

    fn find_pair(&self, name: &str, value: &str) -> Option<PairId> {
        let symbols = (self.find_symbol(name)?, self.find_symbol(value)?);
        let hash = self.hasher.hash_one(symbols);
        let same = |pair: &PairId| {
            let pair = &self.pairs[*pair as usize];
            (pair.name, pair.value) == symbols
        };
        self.by_symbols.find(hash, same).copied()
    }

    fn intern_symbol(&mut self, text: &str) -> SymbolId {
        if let Some(symbol) = self.find_symbol(text) {
            return symbol;
        }
        let entry = Symbol { text: text.into(), uses: 0 };
        self.symbol_bytes += text.len() as u64;
        let symbol = match self.free_symbols.pop() {
            Some(symbol) => {
                self.symbols[symbol as usize] = entry;
                symbol
            }
            None => {
                self.symbols.push(entry);
                (self.symbols.len() - 1) as SymbolId
            }
        };
        let (hasher, symbols) = (&self.hasher, &self.symbols);
        let rehash = |symbol: &SymbolId| hasher.hash_one(&*symbols[*symbol as usize].text);
        self.by_text.insert_unique(hasher.hash_one(text), symbol, rehash);
        symbol
    }

    fn intern_pair(&mut self, name: &str, value: &str) -> PairId {
        if let Some(pair) = self.find_pair(name, value) {
            return pair;
        }
        let name = self.intern_symbol(name);
        // Counted at once, so that a value that equals its name is not taken for unused.
        self.symbols[name as usize].uses += 1;
        let value = self.intern_symbol(value);
        self.symbols[value as usize].uses += 1;
        let entry = Pair { name, value, series: RoaringBitmap::new() };
        let pair = match self.free_pairs.pop() {
            Some(pair) => {
                self.pairs[pair as usize] = entry;
                pair
            }
            None => {
                self.pairs.push(entry);
                (self.pairs.len() - 1) as PairId
            }
        };
        let (hasher, pairs) = (&self.hasher, &self.pairs);
        let rehash = |pair: &PairId| {
            let pair = &pairs[*pair as usize];
            hasher.hash_one((pair.name, pair.value))
        };
        self.by_symbols.insert_unique(hasher.hash_one((name, value)), pair, rehash);
        self.names.entry(name).or_default().push(pair);
        pair
    }

    /// Makes a pair unfindable. Its symbols that nobody else uses are, too, and go to `symbols`; numbers and texts stay
    /// until no reader can ask for them.
    fn remove_pair(&mut self, pair: PairId, symbols: &mut Vec<SymbolId>) {
        let Pair { name, value, .. } = self.pairs[pair as usize];
        let hash = self.hasher.hash_one((name, value));
        if let Ok(entry) = self.by_symbols.find_entry(hash, |found| *found == pair) {
            entry.remove();
        }
        self.pairs[pair as usize].series = RoaringBitmap::new();
        for symbol in [name, value] {
            let entry = &mut self.symbols[symbol as usize];
            entry.uses -= 1;
            if entry.uses == 0 {
                let hash = self.hasher.hash_one(&*entry.text);
                self.symbol_bytes -= entry.text.len() as u64;
                if let Ok(found) = self.by_text.find_entry(hash, |found| *found == symbol) {
                    found.remove();
                }
                symbols.push(symbol);
            }
        }
    }
}

/// Where the series come from: each list holds the largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cardinality {
    /// Series of a metric name.
    pub series_by_metric_name: Vec<NamedCount>,
    /// Values of a label name.
    pub values_by_label_name: Vec<NamedCount>,
    /// Bytes of a label name's values.
    pub bytes_by_label_name: Vec<NamedCount>,
    /// Series of `name=value`.
    pub series_by_label_pair: Vec<NamedCount>,
}

fn largest(mut counts: Vec<(String, u64)>, limit: usize) -> Vec<NamedCount> {
    // A stable sort: equal counts stay in order of name.
    counts.sort_by_key(|(_, value)| std::cmp::Reverse(*value));
    counts.truncate(limit);
    counts.into_iter().map(|(name, value)| NamedCount { name, value }).collect()
}

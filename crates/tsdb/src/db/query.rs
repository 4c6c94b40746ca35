//! Reading: the head and the blocks that overlap a range, as one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use go_regex::CompiledMatcher;
use metric_storage_api::{
    ExemplarSeries, LabelQuery, MetricReader, NewestRequest, NewestSet, SelectRequest, SeriesSet,
    StorageError,
};
use model::{Labels, MetricMetadata, TimeRange};
use resources::RequestContext;

use super::Db;
use crate::block::Block;
use crate::head::read::{HeadRequest, HeadSelection};
use crate::metrics::Count;
use crate::select;

type Result<T> = std::result::Result<T, StorageError>;

impl Db {
    fn blocks_in(&self, range: TimeRange) -> Vec<Arc<Block>> {
        self.blocks.read().iter().filter(|block| block.range().overlaps(range)).cloned().collect()
    }

    fn head_overlaps(&self, range: TimeRange) -> bool {
        let (min, max) = self.head.time_range();
        min <= max && range.overlaps(TimeRange::new(min, max))
    }

    /// A block that cannot be read costs its own samples, not the answer.
    fn note_damage(&self, block: &Block, error: StorageError, warnings: &mut Vec<String>) -> Result<()> {
        match error {
            StorageError::Corrupt { .. } | StorageError::Io { .. } => {
                self.counters.block_corruptions.add(1);
                tracing::error!(block = %block.meta.ulid, error = %error, "block cannot be read; the rest is served");
                warnings.push(format!("block {} could not be read: {error}", block.meta.ulid));
                Ok(())
            }
            other => Err(other),
        }
    }
}

/// A request's own matchers and those that its context enforces.
fn with_enforced(ctx: &RequestContext, matchers: &[CompiledMatcher]) -> Result<Vec<CompiledMatcher>> {
    let mut all = matchers.to_vec();
    for enforced in ctx.enforced_matchers.iter() {
        let compiled = CompiledMatcher::new(enforced.clone()).map_err(|error| StorageError::Unavailable {
            reason: format!("enforced matcher {enforced} does not compile: {error}"),
        })?;
        all.push(compiled);
    }
    Ok(all)
}

/// The same for several selectors; none at all means every series that the context allows.
fn selectors_with_enforced(
    ctx: &RequestContext,
    selectors: &[Vec<CompiledMatcher>],
) -> Result<Vec<Vec<CompiledMatcher>>> {
    if selectors.is_empty() {
        let enforced = with_enforced(ctx, &[])?;
        return Ok(if enforced.is_empty() { Vec::new() } else { vec![enforced] });
    }
    selectors.iter().map(|matchers| with_enforced(ctx, matchers)).collect()
}

/// Sorted, each once, and not more than `limit`.
fn limited(mut values: Vec<String>, limit: usize) -> Vec<String> {
    values.sort_unstable();
    values.dedup();
    if limit > 0 {
        values.truncate(limit);
    }
    values
}

impl MetricReader for Db {
    fn select(&self, ctx: &RequestContext, request: &SelectRequest<'_>) -> Result<SeriesSet> {
        ctx.check()?;
        let matchers = with_enforced(ctx, request.matchers)?;
        let (range, hints) = (request.range, &request.hints);
        let mut held = ctx.memory.reserve(0)?;
        let mut warnings = Vec::new();
        // The head before the blocks: a block that is cut meanwhile shows its samples twice rather than not at all.
        let mut from_head = None;
        if self.head_overlaps(range) {
            let request = HeadRequest {
                matchers: &matchers,
                range,
                labels_only: hints.labels_only,
                sorted: hints.sorted,
                grouping: hints.grouping.as_ref(),
            };
            from_head = Some(self.head.select(ctx, &request, &mut held)?);
        }
        let blocks = self.blocks_in(range);
        if blocks.is_empty() {
            let Some(mut selection) = from_head else { return Ok(SeriesSet::default()) };
            let groups = selection.groups.take();
            return Ok(SeriesSet {
                series: select::from_head(selection, hints.limit, held),
                groups,
                warnings,
            });
        }
        let sources = blocks.len() + usize::from(from_head.is_some());
        let mut found = Vec::new();
        if let Some(HeadSelection { labels, sources, .. }) = from_head {
            for (at, source) in sources {
                let labels = labels.labels(at);
                held.grow(labels.heap_bytes() as u64)?;
                found.push((labels, source));
            }
        }
        for block in blocks {
            match block.select(ctx, &matchers, range, hints.labels_only, &mut held) {
                Ok(series) => found.extend(series),
                Err(error) => self.note_damage(&block, error, &mut warnings)?,
            }
        }
        let sorted = hints.sorted || sources > 1;
        let series = select::merge(found, sorted, hints.limit, held);
        Ok(SeriesSet { series, groups: None, warnings })
    }

    fn newest(&self, ctx: &RequestContext, request: &NewestRequest<'_>) -> Result<Option<NewestSet>> {
        ctx.check()?;
        let range = TimeRange::new(request.after.saturating_add(1), request.until);
        if !self.blocks_in(range).is_empty() {
            return Ok(None);
        }
        let matchers = with_enforced(ctx, request.matchers)?;
        let held = ctx.memory.reserve(0)?;
        let found = self.head.newest(ctx, &matchers, request, held)?;
        // A block that was cut meanwhile has what the head no longer had.
        Ok(found.filter(|_| self.blocks_in(range).is_empty()))
    }

    fn label_names(&self, ctx: &RequestContext, query: &LabelQuery<'_>) -> Result<Vec<String>> {
        ctx.check()?;
        let selectors = selectors_with_enforced(ctx, query.selectors)?;
        let mut names = BTreeSet::new();
        if self.head_overlaps(query.range) {
            let matching = (!selectors.is_empty()).then(|| self.head.select_any(&selectors));
            let index = self.head.index.read();
            names.extend(index.label_names(matching.as_ref()).into_iter().map(str::to_owned));
        }
        for block in self.blocks_in(query.range) {
            if selectors.is_empty() {
                names.extend(block.index().label_names().map(str::to_owned));
                continue;
            }
            each_series(ctx, &block, &selectors, |labels| {
                names.extend(labels.iter().map(|(name, _)| name.to_owned()));
            })?;
        }
        Ok(limited(names.into_iter().collect(), query.limit))
    }

    fn label_values(&self, ctx: &RequestContext, name: &str, query: &LabelQuery<'_>) -> Result<Vec<String>> {
        ctx.check()?;
        let selectors = selectors_with_enforced(ctx, query.selectors)?;
        let mut values = Vec::new();
        if self.head_overlaps(query.range) {
            let matching = (!selectors.is_empty()).then(|| self.head.select_any(&selectors));
            let index = self.head.index.read();
            // Borrowed texts are cheaper to sort than owned ones; sorted ones stay where they are below.
            let mut in_head = index.label_values(name, matching.as_ref());
            in_head.sort_unstable();
            values.extend(in_head.into_iter().map(str::to_owned));
        }
        for block in self.blocks_in(query.range) {
            if selectors.is_empty() {
                values.extend(block.index().label_values(name)?);
                continue;
            }
            each_series(ctx, &block, &selectors, |labels| {
                values.extend(labels.get(name).map(str::to_owned));
            })?;
        }
        Ok(limited(values, query.limit))
    }

    fn exemplars(
        &self,
        ctx: &RequestContext,
        selectors: &[Vec<CompiledMatcher>],
        range: TimeRange,
    ) -> Result<Vec<ExemplarSeries>> {
        ctx.check()?;
        let selectors = selectors_with_enforced(ctx, selectors)?;
        let matches = |labels: &Labels| {
            selectors.is_empty()
                || selectors
                    .iter()
                    .any(|all| all.iter().all(|matcher| matcher.matches(labels.value(matcher.name()))))
        };
        let mut by_series: BTreeMap<Labels, Vec<model::Exemplar>> = BTreeMap::new();
        for (labels, exemplar) in self.head.exemplars.lock().select(range, matches) {
            by_series.entry(labels).or_default().push(exemplar);
        }
        let series = by_series.into_iter().map(|(labels, mut exemplars)| {
            exemplars.sort_by_key(|exemplar| exemplar.timestamp);
            ExemplarSeries { labels, exemplars }
        });
        Ok(series.collect())
    }

    fn metadata(
        &self,
        ctx: &RequestContext,
        metric: Option<&str>,
    ) -> Result<Vec<(String, Vec<MetricMetadata>)>> {
        ctx.check()?;
        let selectors = selectors_with_enforced(ctx, &[])?;
        let allowed = (!selectors.is_empty()).then(|| self.head.select_any(&selectors));
        let index = self.head.index.read();
        let mut by_metric: BTreeMap<String, Vec<MetricMetadata>> = BTreeMap::new();
        for id in index.all() {
            if allowed.as_ref().is_some_and(|allowed| !allowed.contains(id)) {
                continue;
            }
            let shard = self.head.shard(id);
            let Some(series) = shard.get(crate::head::slot_of(id)) else { continue };
            let Some(metadata) = series.extra.as_ref().and_then(|extra| extra.metadata.as_ref()) else {
                continue;
            };
            let name = series
                .pairs
                .iter()
                .map(|pair| index.pair(*pair))
                .find(|pair| pair.0 == model::METRIC_NAME_LABEL);
            let Some((_, name)) = name.filter(|(_, name)| metric.is_none_or(|wanted| wanted == *name)) else {
                continue;
            };
            let known = by_metric.entry(name.to_owned()).or_default();
            if !known.contains(metadata) {
                known.push(metadata.clone());
            }
        }
        Ok(by_metric.into_iter().collect())
    }
}

fn each_series(
    ctx: &RequestContext,
    block: &Block,
    selectors: &[Vec<CompiledMatcher>],
    mut each: impl FnMut(&Labels),
) -> Result<()> {
    let mut chunks = Vec::new();
    for matchers in selectors {
        for (idx, series) in block.index().select(matchers)?.into_iter().enumerate() {
            if idx % 256 == 0 {
                ctx.check()?;
            }
            chunks.clear();
            each(&block.index().series(series, &mut chunks)?);
        }
    }
    Ok(())
}

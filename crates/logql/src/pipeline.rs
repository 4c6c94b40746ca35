//! What each line runs through: compiled stages, in order.

mod ansi;
mod format;
mod functions;
mod ip;
mod json;
mod json_path;
mod label_filter;
mod line_filter;
mod logfmt;
mod pattern;
mod regexp;
mod select;
#[cfg(test)]
mod tests;
mod unpack;

use std::borrow::Cow;

use logql_syntax::{Stage as SyntaxStage, StageKind};
use model::TimestampNs;

pub(crate) use label_filter::CompiledLabelFilter;
pub(crate) use line_filter::{CompiledLineFilter, matches_op, storage_filter};

use crate::LogqlError;
use crate::line_labels::LineLabels;
use format::{LabelFormatStage, LineFormatStage};
use json::JsonStage;
pub(crate) use json::flatten as flatten_json;
pub(crate) use logfmt::Decoder as LogfmtDecoder;
use logfmt::LogfmtStage;
pub(crate) use pattern::PatternStage;
use regexp::RegexpStage;
use select::SelectStage;

/// Stages, ready to run.
#[derive(Debug, Default)]
pub(crate) struct Pipeline {
    stages: Vec<Stage>,
}

#[derive(Debug)]
enum Stage {
    LineFilter(CompiledLineFilter),
    Json(JsonStage),
    Logfmt(LogfmtStage),
    Regexp(RegexpStage),
    Pattern(PatternStage),
    Unpack,
    LabelFilter(CompiledLabelFilter),
    LineFormat(LineFormatStage),
    LabelFormat(LabelFormatStage),
    Decolorize,
    Select(SelectStage),
}

impl Pipeline {
    /// Compiles stages. `now` is what templates see as the present.
    pub(crate) fn new<'a>(
        stages: impl IntoIterator<Item = &'a SyntaxStage>,
        now: TimestampNs,
    ) -> Result<Self, LogqlError> {
        let stages = stages.into_iter().map(|stage| compile(&stage.kind, now)).collect::<Result<_, _>>()?;
        Ok(Self { stages })
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Whether a stage looks at the line's text.
    pub(crate) fn reads_line(&self) -> bool {
        self.stages.iter().any(|stage| {
            !matches!(stage, Stage::LabelFilter(_) | Stage::Select(_))
                && !matches!(stage, Stage::LabelFormat(format) if !format.reads_line())
        })
    }

    /// Leaves parsers out: nobody looks at their labels.
    pub(crate) fn without_parsers(mut self) -> Self {
        self.stages.retain(|stage| {
            !matches!(stage, Stage::Json(_) | Stage::Logfmt(_) | Stage::Regexp(_) | Stage::Pattern(_))
        });
        self
    }

    /// Runs a line through all stages. `None` where one drops it.
    pub(crate) fn run<'l>(
        &self,
        timestamp: TimestampNs,
        line: Cow<'l, str>,
        labels: &mut LineLabels,
    ) -> Option<Cow<'l, str>> {
        let mut line = line;
        for stage in &self.stages {
            match stage {
                Stage::LineFilter(filter) => {
                    if !filter.matches(&line) {
                        return None;
                    }
                }
                Stage::Json(json) => json.run(&line, labels),
                Stage::Logfmt(logfmt) => logfmt.run(&line, labels),
                Stage::Regexp(regexp) => regexp.run(&line, labels),
                Stage::Pattern(pattern) => pattern.run(&line, labels),
                Stage::Unpack => {
                    if let Some(entry) = unpack::run(&line, labels) {
                        line = Cow::Owned(entry);
                    }
                }
                Stage::LabelFilter(filter) => {
                    if !filter.matches(labels) {
                        return None;
                    }
                }
                Stage::LineFormat(format) => {
                    if let Some(formatted) = format.run(timestamp, &line, labels) {
                        line = Cow::Owned(formatted);
                    }
                }
                Stage::LabelFormat(format) => format.run(timestamp, &line, labels),
                Stage::Decolorize => {
                    if let Some(plain) = ansi::strip(&line) {
                        line = Cow::Owned(plain);
                    }
                }
                Stage::Select(select) => select.run(labels),
            }
        }
        Some(line)
    }
}

fn compile(kind: &StageKind, now: TimestampNs) -> Result<Stage, LogqlError> {
    Ok(match kind {
        StageKind::LineFilter(filter) => Stage::LineFilter(CompiledLineFilter::new(filter)?),
        StageKind::Json(fields) => Stage::Json(JsonStage::new(fields)?),
        StageKind::Logfmt { strict, keep_empty, fields } => {
            Stage::Logfmt(LogfmtStage::new(*strict, *keep_empty, fields))
        }
        StageKind::Regexp(text) => Stage::Regexp(RegexpStage::new(text)?),
        StageKind::Pattern(text) => Stage::Pattern(PatternStage::new(text)?),
        StageKind::Unpack => Stage::Unpack,
        StageKind::LabelFilter(filter) => Stage::LabelFilter(CompiledLabelFilter::new(filter)?),
        StageKind::LineFormat(template) => Stage::LineFormat(LineFormatStage::new(template, now)?),
        StageKind::LabelFormat(formats) => Stage::LabelFormat(LabelFormatStage::new(formats, now)?),
        StageKind::Decolorize => Stage::Decolorize,
        StageKind::Drop(selections) => Stage::Select(SelectStage::drop(selections)?),
        StageKind::Keep(selections) => Stage::Select(SelectStage::keep(selections)?),
    })
}

/// Whether the stage may change the line, so that filters after it see another text.
pub(crate) fn changes_line(kind: &StageKind) -> bool {
    matches!(kind, StageKind::Unpack | StageKind::LineFormat(_) | StageKind::Decolorize)
}

/// Whether the stage asks for labels beyond the stream's, so that parsers before it matter.
pub(crate) fn uses_labels(kind: &StageKind) -> bool {
    matches!(kind, StageKind::LabelFilter(_) | StageKind::LineFormat(_) | StageKind::LabelFormat(_))
}

/// The name that a field gets as a label: as the data model has it.
pub(crate) fn sanitize_into(out: &mut String, name: &str) {
    let name = name.trim();
    if out.is_empty() && name.starts_with(|c: char| c.is_ascii_digit()) {
        out.push('_');
    }
    out.extend(name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }));
}

//! From a source's lines to what is delivered: labels by templates, text by the encoding.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use wire::delivery::{Label, Line as WireLine, SourceLines as WireLines};

use super::line::{Field, Line, Source, SourceLines};
use super::options::{Encoding, SinkOptions};
use super::template::{Fields, Template, TemplateError};

/// How many sources' rendered labels are kept.
const CACHE_MAX: usize = 2_000;
/// The label of lines for which no other one could be rendered.
const FALLBACK: (&str, &str) = ("agent", "watchbell");

/// Labels and encodes lines for one sink.
#[derive(Debug)]
pub(super) struct Labeler {
    labels: Vec<(Template, Template)>,
    encoding: Encoding,
    identity: bool,
    remove_label_fields: bool,
    /// Whether the stream, which is no label then, goes along as structured metadata.
    stream_beside: bool,
    /// Whether the labels are the same for all lines of a source.
    fixed: bool,
    cache: HashMap<(Arc<str>, u64), Arc<Prepared>>,
}

/// What is the same for all lines of a source.
#[derive(Debug)]
struct Prepared {
    source: Arc<Source>,
    labels: Vec<Label>,
    metadata: Vec<Label>,
    /// The event without its message, as far as it stands before and after it.
    before: String,
    after: String,
}

struct EventView<'a> {
    source: &'a Source,
    line: Option<&'a Line>,
}

impl Fields for EventView<'_> {
    fn field(&self, name: &str) -> Option<&Field> {
        self.source.fields.get(name)
    }

    fn message(&self) -> &str {
        self.line.map_or("", |line| &line.text)
    }

    fn timestamp_ns(&self) -> i64 {
        self.line.map_or(0, |line| line.timestamp_ns)
    }
}

impl Labeler {
    /// A labeler for a sink; `host` is the machine's name for our own set of labels.
    pub(super) fn new(sink: &SinkOptions, host: &str) -> Result<Self, TemplateError> {
        let labels = match &sink.labels {
            Some(labels) => labels.clone(),
            None => own_labels(host)?,
        };
        let names_stream = labels.iter().any(|(name, _)| name.source() == "stream");
        let fixed = labels.iter().all(|(name, value)| name.is_fixed() && value.is_fixed());
        Ok(Self {
            labels,
            encoding: sink.encoding,
            identity: sink.identity_labels,
            remove_label_fields: sink.remove_label_fields,
            stream_beside: !names_stream && sink.encoding == Encoding::Text,
            fixed,
            cache: HashMap::new(),
        })
    }

    /// Lines as they are delivered, by label set; the order within each is the source's.
    pub(super) fn label(&mut self, lines: SourceLines) -> Vec<WireLines> {
        if self.fixed {
            let prepared = self.prepared(&lines.source);
            let wire_lines = lines.lines.into_iter().map(|line| self.encode(&prepared, line)).collect();
            return vec![bundle(&prepared, prepared.labels.clone(), wire_lines)];
        }
        let mut by_labels: BTreeMap<Vec<(String, String)>, Vec<WireLine>> = BTreeMap::new();
        let prepared = self.prepared(&lines.source);
        for line in lines.lines {
            let key = self.render(&EventView { source: &lines.source, line: Some(&line) });
            by_labels.entry(key).or_default().push(self.encode(&prepared, line));
        }
        let wire = |(pairs, lines): (Vec<(String, String)>, Vec<WireLine>)| {
            bundle(&prepared, pairs.into_iter().map(|(name, value)| Label { name, value }).collect(), lines)
        };
        by_labels.into_iter().map(wire).collect()
    }

    fn prepared(&mut self, source: &Arc<Source>) -> Arc<Prepared> {
        let key = (Arc::clone(&source.key), source.generation);
        // A container that was renamed keeps its key and changes its fields.
        if let Some(prepared) = self.cache.get(&key).filter(|prepared| prepared.source == *source) {
            return Arc::clone(prepared);
        }
        if self.cache.len() >= CACHE_MAX {
            self.cache.clear();
        }
        let prepared = Arc::new(self.prepare(source));
        self.cache.insert(key, Arc::clone(&prepared));
        prepared
    }

    fn prepare(&self, source: &Arc<Source>) -> Prepared {
        let pairs = self.render(&EventView { source, line: None });
        let labels = pairs.into_iter().map(|(name, value)| Label { name, value }).collect();
        let mut metadata = Vec::new();
        if self.stream_beside
            && let Some(Field::Text(stream)) = source.fields.get("stream")
        {
            metadata.push(Label { name: "stream".to_owned(), value: stream.clone() });
        }
        let (before, after) = match self.encoding {
            Encoding::Text => (String::new(), String::new()),
            Encoding::Json => self.json_around(source),
            Encoding::Logfmt => self.logfmt_around(source),
        };
        Prepared { source: Arc::clone(source), labels, metadata, before, after }
    }

    /// The labels, sorted by name, each once.
    fn render(&self, event: &EventView<'_>) -> Vec<(String, String)> {
        let mut labels: BTreeMap<String, String> = BTreeMap::new();
        if self.identity {
            labels.extend(event.source.identity.iter().cloned());
        }
        for (name, value) in &self.labels {
            if let (Some(name), Some(value)) = (name.render(event), value.render(event))
                && !value.is_empty()
            {
                labels.insert(crate::page::sanitize_name(&name), value);
            }
        }
        if labels.is_empty() {
            labels.insert(FALLBACK.0.to_owned(), FALLBACK.1.to_owned());
        }
        labels.into_iter().collect()
    }

    /// Fields that stay in the line.
    fn kept<'a>(&self, source: &'a Source) -> impl Iterator<Item = (&'a String, &'a Field)> {
        let used: Vec<String> = match self.remove_label_fields {
            true => self.labels.iter().map(|(_, value)| value.source().to_owned()).collect(),
            false => Vec::new(),
        };
        source.fields.iter().filter(move |(name, _)| {
            !used.iter().any(|template| template.trim_matches(['{', '}', ' ']) == name.as_str())
        })
    }

    fn json_around(&self, source: &Source) -> (String, String) {
        let (mut before, mut after) = (String::from("{"), String::new());
        for (name, field) in self.kept(source) {
            let value = match field {
                Field::Text(text) => json_text(text),
                Field::Map(map) => serde_json::to_string(map).unwrap_or_default(),
            };
            let pair = format!("{}:{value}", json_text(name));
            if name.as_str() < "message" {
                before.push_str(&pair);
                before.push(',');
            } else {
                after.push(',');
                after.push_str(&pair);
            }
        }
        before.push_str("\"message\":");
        after.push('}');
        (before, after)
    }

    fn logfmt_around(&self, source: &Source) -> (String, String) {
        let (mut before, mut after) = (String::new(), String::new());
        for (name, field) in self.kept(source) {
            let Field::Text(text) = field else { continue };
            if name.as_str() < "message" {
                before.push_str(&format!("{name}={} ", logfmt_text(text)));
            } else {
                after.push_str(&format!(" {name}={}", logfmt_text(text)));
            }
        }
        before.push_str("message=");
        (before, after)
    }

    fn encode(&self, prepared: &Prepared, line: Line) -> WireLine {
        let text = match self.encoding {
            Encoding::Text => line.text,
            Encoding::Json => format!("{}{}{}", prepared.before, json_text(&line.text), prepared.after),
            Encoding::Logfmt => format!("{}{}{}", prepared.before, logfmt_text(&line.text), prepared.after),
        };
        WireLine {
            timestamp_ns: line.timestamp_ns,
            text,
            offset: line.place.offset,
            ordinal: line.place.ordinal,
            structured_metadata: prepared.metadata.clone(),
        }
    }
}

fn bundle(prepared: &Prepared, labels: Vec<Label>, lines: Vec<WireLine>) -> WireLines {
    let source = prepared.source.key.to_string();
    WireLines { labels, source, generation: prepared.source.generation, lines }
}

fn json_text(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

fn logfmt_text(text: &str) -> String {
    let plain = !text.is_empty() && !text.contains([' ', '=', '"', '\n', '\\']);
    if plain { text.to_owned() } else { json_text(text) }
}

/// The labels that lines get where no file says otherwise: those of the blog and what tells the streams of a host apart.
/// What a source does not have is left out.
fn own_labels(host: &str) -> Result<Vec<(Template, Template)>, TemplateError> {
    // A name with template signs in it would not be the machine's.
    let host = host.replace(['{', '}', '%'], "_");
    let pairs = [
        ("containers", format!("{host}/{{{{ container_name }}}}")),
        ("filename", "{{ file }}".to_owned()),
        ("stream", "{{ stream }}".to_owned()),
        ("unit", "{{ unit }}".to_owned()),
    ];
    pairs.into_iter().map(|(name, value)| Ok((Template::parse(name)?, Template::parse(&value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::line::Place;
    use super::super::options::LogOptions;
    use super::*;

    fn source() -> Arc<Source> {
        let text = |text: &str| Field::Text(text.to_owned());
        let labels = BTreeMap::from([("a.b".to_owned(), "c".to_owned())]);
        Arc::new(Source {
            key: "h/docker/1/stdout".into(),
            generation: 5,
            fields: BTreeMap::from([
                ("container_name".to_owned(), text("web")),
                ("label".to_owned(), Field::Map(labels)),
                ("source_type".to_owned(), text("docker")),
                ("stream".to_owned(), text("stdout")),
            ]),
            identity: vec![("container".to_owned(), "web".to_owned()), ("host".to_owned(), "h".to_owned())],
        })
    }

    fn label(change: impl Fn(&mut SinkOptions)) -> Vec<(String, String, usize)> {
        let mut sink = LogOptions::defaults("http://x".to_owned()).sink.unwrap();
        change(&mut sink);
        let line = |text: &str| Line {
            timestamp_ns: 7,
            text: text.to_owned(),
            place: Place { offset: 7, ordinal: 1 },
        };
        let lines = SourceLines { source: source(), lines: vec![line("GET \"/x\""), line("b")] };
        let labelled = Labeler::new(&sink, "h").unwrap().label(lines);
        labelled
            .iter()
            .map(|stream| {
                let pairs: Vec<String> =
                    stream.labels.iter().map(|l| format!("{}={}", l.name, l.value)).collect();
                let metadata = stream.lines[0].structured_metadata.len();
                (pairs.join(","), stream.lines[0].text.clone(), metadata)
            })
            .collect()
    }

    #[test]
    fn our_own_labels_are_the_metrics() {
        let expected = "container=web,containers=h/web,host=h,stream=stdout";
        assert_eq!(label(|_| ()), [(expected.to_owned(), "GET \"/x\"".to_owned(), 0)]);
    }

    #[test]
    fn the_blogs_form_gives_one_stream_per_container_and_whole_events() {
        let blog = |sink: &mut SinkOptions| {
            let template = |text: &str| Template::parse(text).unwrap();
            sink.labels = Some(vec![(template("containers"), template("host1/{{ container_name }}"))]);
        };
        let event = "{\"container_name\":\"web\",\"label\":{\"a.b\":\"c\"},\"message\":\"GET \\\"/x\\\"\",\
            \"source_type\":\"docker\",\"stream\":\"stdout\"}";
        let json = label(|sink| {
            blog(sink);
            sink.encoding = Encoding::Json;
        });
        assert_eq!(json, [("container=web,containers=host1/web,host=h".to_owned(), event.to_owned(), 0)]);
        let bare = label(|sink| {
            blog(sink);
            sink.identity_labels = false;
        });
        assert_eq!(bare, [("containers=host1/web".to_owned(), "GET \"/x\"".to_owned(), 1)]);
        let logfmt = label(|sink| {
            blog(sink);
            sink.encoding = Encoding::Logfmt;
        });
        let expected = "container_name=web message=\"GET \\\"/x\\\"\" source_type=docker stream=stdout";
        assert_eq!(logfmt[0].1, expected);
    }

    #[test]
    fn labels_of_the_message_split_a_source() {
        let split = label(|sink| {
            let template = |text: &str| Template::parse(text).unwrap();
            sink.labels =
                Some(vec![(template("m"), template("{{ message }}")), (template("x"), template("{{ no }}"))]);
            sink.identity_labels = false;
        });
        assert_eq!(split.len(), 2);
        let none = label(|sink| {
            sink.labels = Some(Vec::new());
            sink.identity_labels = false;
        });
        assert_eq!(none[0].0, "agent=watchbell");
    }
}

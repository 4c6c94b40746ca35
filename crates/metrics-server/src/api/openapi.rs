//! `/api/v1/openapi.yaml`: the HTTP API described for programs that make clients and documents of it.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Request, State as AxumState};
use axum::response::Response;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::error::ApiError;
use super::params::Params;
use crate::metrics::PROMETHEUS_VERSION;
use crate::state::State;

/// One path: its methods, the tag that it is listed under, what it does, its parameters.
#[derive(Clone, Copy)]
struct Endpoint {
    path: &'static str,
    methods: &'static [&'static str],
    tag: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
    answer: Answer,
}

/// A parameter of the query string, or of the path.
#[derive(Clone, Copy)]
struct Parameter {
    name: &'static str,
    about: &'static str,
    kind: Type,
    required: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Text,
    Number,
    Flag,
    /// May come several times.
    Texts,
    /// A part of the path.
    Path,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// The usual envelope.
    Json,
    /// Nothing, with status 204.
    Nothing,
    /// Some other content type.
    Other(&'static str),
}

const GET: &[&str] = &["get"];
const GET_POST: &[&str] = &["get", "post"];
const POST: &[&str] = &["post"];
const POST_PUT: &[&str] = &["post", "put"];

const fn text(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, about, kind: Type::Text, required: false }
}
const fn number(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, about, kind: Type::Number, required: false }
}
const fn flag(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, about, kind: Type::Flag, required: false }
}
const fn texts(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, about, kind: Type::Texts, required: false }
}
const fn needed(parameter: Parameter) -> Parameter {
    Parameter { required: true, ..parameter }
}

const QUERY: Parameter = needed(text("query", "A PromQL expression."));
const START: Parameter = text("start", "Start of the range: seconds since 1970 or RFC 3339.");
const END: Parameter = text("end", "End of the range, which belongs to it.");
const TIMEOUT: Parameter = text("timeout", "A shorter bound than --query.timeout.");
const LIMIT: Parameter = number("limit", "The most results; 0 for all.");
const LOOKBACK: Parameter = text("lookback_delta", "In place of --query.lookback-delta.");
const STATS: Parameter = text("stats", "true or all: what the query cost comes with the answer.");
const MATCH: Parameter = texts("match[]", "A selector of series; one of several has to match.");
const POOL: Parameter = text("scrapePool", "The job's name.");

/// What the three search endpoints have in common, and what only one of them has.
static SEARCH: [Parameter; 14] = [
    START,
    END,
    MATCH,
    texts("search[]", "What is searched for; one of several has to fit."),
    number("fuzz_threshold", "How well it has to fit, 0 to 100."),
    text("fuzz_alg", "subsequence or jarowinkler."),
    flag("case_sensitive", "Whether case matters; true unless set."),
    text("sort_by", "alpha or score."),
    text("sort_dir", "asc or dsc, with sort_by=alpha."),
    flag("include_score", "Adds how well each result fits."),
    number("limit", "The most results; 100 unless set."),
    number("batch_size", "Results of a line; 100 unless set."),
    flag("include_metadata", "Adds type, help and unit of metrics."),
    needed(text("label", "The label whose values are searched.")),
];
const NDJSON: Answer = Answer::Other("application/x-ndjson");
const PROTOBUF: Answer = Answer::Other("application/x-protobuf");

const fn endpoint(
    path: &'static str,
    methods: &'static [&'static str],
    tag: &'static str,
    summary: &'static str,
    parameters: &'static [Parameter],
) -> Endpoint {
    Endpoint { path, methods, tag, summary, parameters, answer: Answer::Json }
}

const fn answering(endpoint: Endpoint, answer: Answer) -> Endpoint {
    Endpoint { answer, ..endpoint }
}

static ENDPOINTS: &[Endpoint] = &[
    endpoint(
        "/query",
        GET_POST,
        "query",
        "Evaluates an expression at one point in time.",
        &[QUERY, text("time", "When; now unless set."), TIMEOUT, LIMIT, LOOKBACK, STATS],
    ),
    endpoint(
        "/query_range",
        GET_POST,
        "query",
        "Evaluates an expression at many points in time.",
        &[
            QUERY,
            needed(START),
            needed(END),
            needed(text("step", "Seconds or a duration.")),
            TIMEOUT,
            LIMIT,
            LOOKBACK,
            STATS,
        ],
    ),
    endpoint(
        "/query_exemplars",
        GET_POST,
        "query",
        "Exemplars of the series that an expression selects.",
        &[QUERY, START, END],
    ),
    endpoint("/format_query", GET_POST, "query", "Writes an expression in its usual form.", &[QUERY]),
    endpoint("/parse_query", GET_POST, "query", "The tree of an expression.", &[QUERY]),
    endpoint("/labels", GET_POST, "labels", "Label names in use.", &[START, END, MATCH, LIMIT]),
    endpoint(
        "/label/{name}/values",
        GET,
        "labels",
        "Values of a label in use.",
        &[
            Parameter { name: "name", about: "The label's name.", kind: Type::Path, required: true },
            START,
            END,
            MATCH,
            LIMIT,
        ],
    ),
    answering(
        endpoint(
            "/search/metric_names",
            GET_POST,
            "labels",
            "Metric names that resemble a text.",
            SEARCH.split_at(13).0,
        ),
        NDJSON,
    ),
    answering(
        endpoint(
            "/search/label_names",
            GET_POST,
            "labels",
            "Label names that resemble a text.",
            SEARCH.split_at(12).0,
        ),
        NDJSON,
    ),
    answering(
        endpoint(
            "/search/label_values",
            GET_POST,
            "labels",
            "Values of a label that resemble a text.",
            &SEARCH,
        ),
        NDJSON,
    ),
    endpoint("/series", GET_POST, "series", "Series that match.", &[needed(MATCH), START, END, LIMIT]),
    endpoint(
        "/metadata",
        GET,
        "metadata",
        "What is said of metrics: type, help, unit.",
        &[
            text("metric", "Only this metric."),
            LIMIT,
            number("limit_per_metric", "The most entries of a metric."),
        ],
    ),
    endpoint(
        "/targets",
        GET,
        "targets",
        "Targets, active and dropped.",
        &[text("state", "active, dropped or any."), POOL],
    ),
    endpoint(
        "/targets/metadata",
        GET,
        "targets",
        "What each target says of its metrics.",
        &[text("match_target", "A selector of targets."), text("metric", "Only this metric."), LIMIT],
    ),
    endpoint(
        "/targets/relabel_steps",
        GET,
        "targets",
        "What each rule of a job makes of labels.",
        &[needed(POOL), needed(text("labels", "Labels as a JSON object."))],
    ),
    endpoint("/scrape_pools", GET, "targets", "The names of the jobs.", &[]),
    endpoint(
        "/scrape_pools/config",
        GET,
        "targets",
        "The configuration of a job with what it inherits, secrets masked.",
        &[needed(POOL)],
    ),
    endpoint(
        "/rules",
        GET,
        "rules",
        "Groups of rules with their state.",
        &[
            text("type", "alert or record."),
            texts("rule_name[]", "Only rules of this name."),
            texts("rule_group[]", "Only this group."),
            texts("file[]", "Only this file."),
            MATCH,
            flag("exclude_alerts", "Leaves the alerts of rules out."),
            number("group_limit", "The most groups."),
            text("group_next_token", "Where the last answer ended."),
        ],
    ),
    endpoint("/alerts", GET, "alerts", "Pending and firing alerts.", &[]),
    endpoint("/alertmanagers", GET, "alerts", "Alert managers, used and dropped.", &[]),
    endpoint("/status/config", GET, "status", "The configuration, secrets masked.", &[]),
    endpoint("/status/flags", GET, "status", "The flags.", &[]),
    endpoint("/status/runtimeinfo", GET, "status", "The process and its surroundings.", &[]),
    endpoint("/status/buildinfo", GET, "status", "What this program is.", &[]),
    endpoint(
        "/status/tsdb",
        GET,
        "status",
        "How many series there are, and of what.",
        &[number("limit", "Entries of each list, 1 to 10000.")],
    ),
    endpoint("/status/tsdb/blocks", GET, "status", "The blocks on disk.", &[]),
    endpoint("/status/walreplay", GET, "status", "How far reading the log has come.", &[]),
    endpoint(
        "/status/self_metrics",
        GET,
        "status",
        "The server's own metrics.",
        &[text("metric_name_pattern", "A regular expression for whole names.")],
    ),
    endpoint("/status/queries", GET, "status", "Queries that run, and slow ones.", &[]),
    endpoint("/features", GET, "features", "What is built and what is switched on.", &[]),
    endpoint("/notifications", GET, "notifications", "What should be known of the server now.", &[]),
    answering(
        endpoint("/notifications/live", GET, "notifications", "The same as events.", &[]),
        Answer::Other("text/event-stream"),
    ),
    answering(
        endpoint(
            "/admin/tsdb/delete_series",
            POST_PUT,
            "admin",
            "Deletes samples of series that match.",
            &[needed(MATCH), START, END],
        ),
        Answer::Nothing,
    ),
    answering(
        endpoint(
            "/admin/tsdb/clean_tombstones",
            POST_PUT,
            "admin",
            "Removes deleted samples from disk.",
            &[],
        ),
        Answer::Nothing,
    ),
    endpoint(
        "/admin/tsdb/snapshot",
        POST_PUT,
        "admin",
        "Writes a snapshot of all data.",
        &[flag("skip_head", "Leaves out what is not in blocks.")],
    ),
    answering(endpoint("/read", POST, "remote", "Remote read.", &[]), PROTOBUF),
    answering(
        endpoint("/write", POST, "remote", "Remote write, where that is switched on.", &[]),
        Answer::Nothing,
    ),
    answering(
        endpoint(
            "/otlp/v1/metrics",
            POST,
            "otlp",
            "Metrics of OpenTelemetry, where that is switched on.",
            &[],
        ),
        PROTOBUF,
    ),
];

pub(crate) async fn openapi(
    AxumState(state): AxumState<Arc<State>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (params, _) = Params::read(request).await?;
    let newer = matches!(params.non_empty("openapi_version"), Some("3.2" | "3.2.0"));
    let mut response = Response::new(document(&state.external_url, newer).into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/yaml; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    Ok(response)
}

/// The document in version 3.2, or in 3.1, which has no words for a stream of events.
fn document(external_url: &str, newer: bool) -> String {
    let version = if newer { "3.2.0" } else { "3.1.0" };
    let mut out = format!(
        "openapi: {version}\ninfo:\n  title: Watchbell metrics server\n  description: The HTTP API of Prometheus.\n  \
         version: {PROMETHEUS_VERSION}\nservers:\n  - url: {}\npaths:\n",
        quoted(&format!("{external_url}/api/v1"))
    );
    for endpoint in ENDPOINTS {
        if !newer && endpoint.answer == Answer::Other("text/event-stream") {
            continue;
        }
        line(&mut out, 1, &format!("{}:", endpoint.path));
        endpoint.methods.iter().for_each(|method| operation(&mut out, endpoint, method));
    }
    out.push_str(COMPONENTS);
    out
}

fn operation(out: &mut String, endpoint: &Endpoint, method: &str) {
    let id: String = endpoint.path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    line(out, 2, &format!("{method}:"));
    line(out, 3, &format!("operationId: {method}{id}"));
    line(out, 3, &format!("tags: [{}]", endpoint.tag));
    line(out, 3, &format!("summary: {}", quoted(endpoint.summary)));
    if !endpoint.parameters.is_empty() {
        line(out, 3, "parameters:");
    }
    for parameter in endpoint.parameters {
        let (place, schema) = match parameter.kind {
            Type::Text => ("query", "{type: string}"),
            Type::Number => ("query", "{type: integer, minimum: 0}"),
            Type::Flag => ("query", "{type: boolean}"),
            Type::Texts => ("query", "{type: array, items: {type: string}}"),
            Type::Path => ("path", "{type: string}"),
        };
        line(out, 4, &format!("- name: {}", quoted(parameter.name)));
        line(out, 5, &format!("in: {place}"));
        line(out, 5, &format!("required: {}", parameter.required));
        line(out, 5, &format!("description: {}", quoted(parameter.about)));
        line(out, 5, &format!("schema: {schema}"));
    }
    line(out, 3, "responses:");
    match endpoint.answer {
        Answer::Json => line(out, 4, "\"200\": {$ref: \"#/components/responses/Success\"}"),
        Answer::Nothing => line(out, 4, "\"204\": {description: Done.}"),
        Answer::Other(kind) => {
            line(out, 4, &format!("\"200\": {{description: The answer., content: {{{kind}: {{}}}}}}"));
        }
    }
    line(out, 4, "default: {$ref: \"#/components/responses/Error\"}");
}

fn line(out: &mut String, depth: usize, text: &str) {
    // Writing to a string cannot fail.
    writeln!(out, "{:1$}{text}", "", depth * 2).ok();
}

/// A YAML string in double quotes.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

const COMPONENTS: &str = r#"components:
  responses:
    Success:
      description: The answer, with warnings and infos where there are any.
      content:
        application/json:
          schema:
            type: object
            required: [status, data]
            properties:
              status: {type: string, const: success}
              data: {}
              warnings: {type: array, items: {type: string}}
              infos: {type: array, items: {type: string}}
    Error:
      description: Why there is no answer.
      content:
        application/json:
          schema:
            type: object
            required: [status, errorType, error]
            properties:
              status: {type: string, const: error}
              errorType: {type: string, enum: [bad_data, execution, canceled, timeout, internal, unavailable, not_found, not_acceptable]}
              error: {type: string}
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_yaml_and_names_every_path() {
        for (newer, left_out) in [(false, 1), (true, 0)] {
            let text = document("http://a:1/prefix", newer);
            let parsed = ::config::Document::parse_yaml("openapi.yaml", &text).expect("YAML");
            parsed.allow_unknown_keys();
            let paths = parsed.root().map().and_then(|root| root.required("paths")).expect("paths");
            let paths = paths.map().expect("a map").keys();
            assert_eq!(paths.len(), ENDPOINTS.len() - left_out);
            assert!(text.contains("- url: \"http://a:1/prefix/api/v1\""));
        }
    }
}

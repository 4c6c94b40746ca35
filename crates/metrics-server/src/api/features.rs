//! `/api/v1/features`: what this server can do and what is switched on, for clients that ask before they use it.

use std::sync::Arc;

use axum::extract::State as AxumState;
use axum::response::Response;
use promql_syntax::FUNCTIONS;
use serde_json::{Map, Value};

use super::answer;
use crate::state::State;

const KEYWORDS: [&str; 12] = [
    "bool",
    "by",
    "end",
    "group_left",
    "group_right",
    "ignoring",
    "offset",
    "on",
    "range",
    "start",
    "step",
    "without",
];
const OPERATORS: [&str; 18] =
    ["!=", "!~", "%", "*", "+", "-", "/", "<", "<=", "==", "=~", ">", ">=", "@", "^", "and", "or", "unless"];
const AGGREGATIONS: [&str; 12] = [
    "avg",
    "bottomk",
    "count",
    "count_values",
    "group",
    "max",
    "min",
    "quantile",
    "stddev",
    "stdvar",
    "sum",
    "topk",
];
const DISCOVERIES: [&str; 9] =
    ["consul", "dns", "docker", "dockerswarm", "ec2", "file", "http", "kubernetes", "static"];
/// The functions that Prometheus' templates have.
const TEMPLATE_FUNCTIONS: [&str; 25] = [
    "args",
    "externalURL",
    "first",
    "graphLink",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "label",
    "match",
    "now",
    "parseDuration",
    "pathPrefix",
    "query",
    "reReplaceAll",
    "safeHtml",
    "sortByLabel",
    "stripDomain",
    "stripPort",
    "strvalue",
    "tableLink",
    "title",
    "toDuration",
    "value",
];

pub(crate) async fn features(AxumState(state): AxumState<Arc<State>>) -> Response {
    answer::success(&of(&state))
}

fn of(state: &State) -> Map<String, Value> {
    let (flags, engine) = (&*state.flags, state.engine.options().features);
    let (syntax, on) = (engine.syntax, |name: &str| flags.has_feature(name));
    let mut promql: Vec<(&str, bool)> = KEYWORDS.map(|name| (name, true)).to_vec();
    promql.extend([
        ("anchored", syntax.extended_range_selectors),
        ("smoothed", syntax.extended_range_selectors),
        ("fill", syntax.binop_fill_modifiers),
        ("fill_left", syntax.binop_fill_modifiers),
        ("fill_right", syntax.binop_fill_modifiers),
        ("at_modifier", true),
        ("negative_offset", true),
        ("per_query_lookback_delta", true),
        ("subqueries", true),
        ("per_step_stats", engine.per_step_stats),
        ("delayed_name_removal", engine.delayed_name_removal),
        ("type_and_unit_labels", engine.type_and_unit_labels),
        ("duration_expr", syntax.duration_expressions),
    ]);
    let mut operators: Vec<(&str, bool)> = OPERATORS.map(|name| (name, true)).to_vec();
    operators.push(("atan2", true));
    operators.extend(AGGREGATIONS.map(|name| (name, true)));
    operators.extend(["limitk", "limit_ratio"].map(|name| (name, syntax.experimental_functions)));
    let functions =
        FUNCTIONS.iter().map(|one| (one.name, !one.experimental || syntax.experimental_functions)).collect();
    let templates = TEMPLATE_FUNCTIONS
        .map(|name| (name, rules::check_template("features", &format!("{{{{ {name} }}}}")).is_ok()));
    let api = vec![
        ("admin", flags.enable_admin_api),
        ("exclude_alerts", true),
        ("label_values_match", true),
        ("lifecycle", flags.enable_lifecycle),
        ("otlp_write_receiver", flags.enable_otlp_receiver),
        ("query_stats", true),
        ("query_warnings", true),
        ("remote_write_receiver", flags.enable_remote_write_receiver),
        ("search", on("search-api")),
        ("time_range_labels", true),
        ("time_range_series", true),
    ];
    let categories: [(&str, Vec<(&str, bool)>); 11] = [
        ("api", api),
        (
            "otlp_receiver",
            vec![
                ("delta_conversion", on("otlp-deltatocumulative")),
                ("native_delta_ingestion", on("otlp-native-delta-ingestion")),
            ],
        ),
        ("prometheus", vec![("agent_mode", false), ("server_mode", true), ("auto_reload_config", false)]),
        ("promql", promql),
        ("promql_functions", functions),
        ("promql_operators", operators),
        (
            "rules",
            vec![
                // Groups are evaluated beside each other, the rules of one in turn.
                ("concurrent_rule_eval", false),
                ("keep_firing_for", true),
                ("query_offset", true),
            ],
        ),
        (
            "scrape",
            vec![("extra_scrape_metrics", true), ("type_and_unit_labels", engine.type_and_unit_labels)],
        ),
        ("service_discovery_providers", DISCOVERIES.map(|name| (name, true)).to_vec()),
        ("templating_functions", templates.to_vec()),
        (
            "tsdb",
            vec![
                ("exemplar_storage", on("exemplar-storage")),
                ("native_histograms", true),
                ("isolation", true),
            ],
        ),
    ];
    categories.into_iter().map(|(name, entries)| (name.to_owned(), Value::Object(as_map(entries)))).collect()
}

fn as_map(entries: Vec<(&str, bool)>) -> Map<String, Value> {
    entries.into_iter().map(|(name, is_on)| (name.to_owned(), Value::Bool(is_on))).collect()
}

//! What a scraper gets.

use telemetry::{Format, Kind, Registry, Sample};

fn registry() -> Registry {
    let registry = Registry::new();
    registry.counter_family("b_total", "B with a \\ and\na break.", &["path"]).with(&["a\"b\\c\nd"]).inc();
    registry.histogram("a_seconds", "A.", &[0.5, 1.0]).observe(0.7);
    registry.counter("plain", "No suffix.").add(3);
    registry.collector(|out| {
        out.gauge("g", "G.", &[("x", "2")], 2.0);
        out.gauge("g", "G.", &[("x", "1")], f64::NAN);
        let summary = Sample::Summary { quantiles: vec![(0.5, 1.5)], sum: 3.0, count: 2 };
        out.sample("s", "S.", Kind::Summary, &[], summary);
    });
    registry.gauge_family("empty", "Has no child and is not shown.", &["x"]);
    registry
}

#[test]
fn prometheus_text() {
    let expected = "# HELP a_seconds A.
# TYPE a_seconds histogram
a_seconds_bucket{le=\"0.5\"} 0
a_seconds_bucket{le=\"1\"} 1
a_seconds_bucket{le=\"+Inf\"} 1
a_seconds_sum 0.7
a_seconds_count 1
# HELP b_total B with a \\\\ and\\na break.
# TYPE b_total counter
b_total{path=\"a\\\"b\\\\c\\nd\"} 1
# HELP g G.
# TYPE g gauge
g{x=\"1\"} NaN
g{x=\"2\"} 2
# HELP plain No suffix.
# TYPE plain counter
plain 3
# HELP s S.
# TYPE s summary
s{quantile=\"0.5\"} 1.5
s_sum 3
s_count 2
";
    assert_eq!(registry().render(Format::Prometheus), expected);
}

#[test]
fn open_metrics_text() {
    let text = registry().render(Format::OpenMetrics);
    for part in
        ["# TYPE b counter\nb_total{", "# TYPE plain unknown\nplain 3\n", "a_seconds_bucket{le=\"1.0\"} 1\n"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn the_accept_header_decides() {
    for (accept, format) in [
        ("", Format::Prometheus),
        ("*/*", Format::Prometheus),
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4",
            Format::OpenMetrics,
        ),
        ("application/openmetrics-text;q=0.1, text/plain;q=0.9", Format::Prometheus),
    ] {
        assert_eq!(Format::from_accept(accept), format, "{accept}");
    }
}

#[test]
fn the_same_name_gives_the_same_metric_and_processes_show_themselves() {
    let registry = Registry::new();
    registry.counter("c_total", "C.").inc();
    registry.counter("c_total", "C.").inc();
    registry.process_metrics();
    let text = registry.render(Format::Prometheus);
    assert!(text.contains("c_total 2\n"));
    for name in [
        "process_cpu_seconds_total ",
        "process_resident_memory_bytes ",
        "process_start_time_seconds ",
        "process_open_fds ",
        "process_max_fds ",
    ] {
        assert!(text.contains(&format!("\n{name}")), "{name} in {text}");
    }
}

//! Bodies scraped one after the other, and what the store then holds.

use exposition::Format;
use metric_storage_api::{MetricReader, SampleColumns, SelectHints, SelectRequest};
use model::{MatchOp, Matcher, TimeRange, is_stale_nan};
use sys::{RealFs, SystemClock};
use telemetry::Registry;

use super::*;
use crate::config::Global;
use crate::scrape::target::{Outcome, from_groups};

struct Rig {
    env: AppendEnv,
    cache: SeriesCache,
    _dir: tempfile::TempDir,
}

fn rig(job: &str) -> Rig {
    let dir = tempfile::tempdir().expect("directory");
    let environment = tsdb::Environment::new(Arc::new(RealFs), Arc::new(SystemClock::new()));
    let db = tsdb::Db::open(dir.path(), tsdb::DbOptions::default(), environment).expect("opened");
    let text = format!("job_name: j\nstatic_configs: [{{targets: ['a:1']}}]\n{job}");
    let document = ::config::Document::parse_yaml("p.yml", &text).expect("yaml");
    let config = document.read(|root| ScrapeConfig::read(root, &Global::default())).expect("valid").value;
    let discovery::DiscoveryConfig::Static(groups) = &config.discovery[0] else { panic!("static") };
    let Some(Outcome::Active(target)) = from_groups(groups, &config).into_iter().next() else {
        panic!("active")
    };
    let env = AppendEnv {
        db: Arc::new(db),
        ctx: RequestContext::for_tests(),
        config: Arc::new(config),
        target: Arc::from(target),
        metrics: Metrics::register(&Registry::new()),
        store_exemplars: true,
        buffers: Arc::default(),
    };
    Rig { env, cache: SeriesCache::default(), _dir: dir }
}

impl Rig {
    fn scrape(&mut self, body: &str, at: TimestampMs) -> Result<(), String> {
        let body = Body { bytes: body.as_bytes().to_vec(), format: Format::Text004 };
        store_scrape(&self.env, &mut self.cache, Ok(&body), at, &|| Duration::from_millis(500))
    }

    /// All samples of a metric: `labels-without-target@timestamp=value`, the staleness marker as `stale`.
    fn stored(&self, name: &str) -> Vec<String> {
        let matcher =
            go_regex::CompiledMatcher::new(Matcher::new("__name__", MatchOp::Equal, name)).expect("matcher");
        let range = TimeRange::new(0, i64::MAX / 2);
        let request = SelectRequest {
            matchers: &[matcher],
            range,
            hints: SelectHints { sorted: true, ..SelectHints::default() },
        };
        let set = self.env.db.select(&self.env.ctx, &request).expect("selected");
        let mut lines = Vec::new();
        for series in set.series {
            let mut columns = SampleColumns::default();
            series.read(&self.env.ctx, range, &mut columns).expect("read");
            let labels = series.labels().retain(|name| !["__name__", "job", "instance"].contains(&name));
            for (at, value) in columns.timestamps.iter().zip(&columns.values) {
                let value = if is_stale_nan(*value) { "stale".to_owned() } else { value.to_string() };
                lines.push(format!("{labels}@{at}={value}"));
            }
        }
        lines
    }
}

const START: TimestampMs = 1_700_000_000_000;

fn at(seconds: i64) -> TimestampMs {
    START + seconds * 1000
}

#[test]
fn series_that_vanish_become_stale_and_come_back() {
    let mut rig = rig("");
    rig.scrape("m{l=\"a\"} 1\nm{l=\"b\"} 2\n", at(0)).expect("stored");
    rig.scrape("m{l=\"a\"} 3\n", at(1)).expect("stored");
    rig.scrape("m{l=\"a\"} 3\nm{l=\"b\"} 4\n", at(2)).expect("stored");
    let expected = [
        format!("{{l=\"a\"}}@{}=1", at(0)),
        format!("{{l=\"a\"}}@{}=3", at(1)),
        format!("{{l=\"a\"}}@{}=3", at(2)),
        format!("{{l=\"b\"}}@{}=2", at(0)),
        format!("{{l=\"b\"}}@{}=stale", at(1)),
        format!("{{l=\"b\"}}@{}=4", at(2)),
    ];
    assert_eq!(rig.stored("m"), expected);
    assert_eq!(
        rig.stored("scrape_series_added"),
        [0, 1, 2].map(|n| format!("{{}}@{}={}", at(n), [2, 0, 0][n as usize]))
    );
}

#[test]
fn a_failed_scrape_stores_nothing_but_its_failure() {
    let mut rig = rig("");
    rig.scrape("m 1\n", at(0)).expect("stored");
    let error = rig.scrape("m 2\nx{ 1\n", at(1)).expect_err("broken body");
    assert!(error.starts_with("line 2: "), "{error}");
    let refused =
        store_scrape(&rig.env, &mut rig.cache, Err("refused".to_owned()), at(2), &|| Duration::ZERO);
    assert_eq!(refused, Err("refused".to_owned()));
    rig.scrape("m 3\n", at(3)).expect("stored");
    assert_eq!(
        rig.stored("m"),
        [format!("{{}}@{}=1", at(0)), format!("{{}}@{}=stale", at(1)), format!("{{}}@{}=3", at(3))]
    );
    assert_eq!(
        rig.stored("up"),
        [0, 1, 2, 3].map(|n| format!("{{}}@{}={}", at(n), [1, 0, 0, 1][n as usize]))
    );
    store_end(&rig.env, &mut rig.cache, at(4)).expect("stored");
    assert_eq!(rig.stored("up").last(), Some(&format!("{{}}@{}=stale", at(4))));
    assert_eq!(rig.stored("m").last(), Some(&format!("{{}}@{}=stale", at(4))));
}

#[test]
fn rules_limits_and_timestamps_are_heeded() {
    let mut rig = rig(
        "sample_limit: 2\nmetric_relabel_configs: [{source_labels: [__name__], regex: drop.*, action: drop}]",
    );
    rig.scrape("drop_me 1\nm 1\nn 1 1700000000500\n", at(1)).expect("stored");
    assert_eq!(rig.stored("drop_me"), [""; 0]);
    assert_eq!(rig.stored("n"), [format!("{{}}@{}=1", START + 500)]);
    assert_eq!(rig.stored("scrape_samples_scraped"), [format!("{{}}@{}=3", at(1))]);
    assert_eq!(rig.stored("scrape_samples_post_metric_relabeling"), [format!("{{}}@{}=2", at(1))]);
    // A series with a timestamp of its own is not marked stale.
    rig.scrape("m 2\n", at(2)).expect("stored");
    assert_eq!(rig.stored("n").len(), 1);
    let error = rig.scrape("m 1\nn 1\no 1\n", at(3)).expect_err("limit");
    assert!(error.contains("sample_limit"), "{error}");
}

#[test]
fn what_a_family_is_becomes_known() {
    let mut rig = rig("");
    rig.scrape("# HELP m helps\n# TYPE m counter\nm 1\n", at(0)).expect("stored");
    let metadata = rig.env.target.metadata.lock().clone();
    assert_eq!((metadata["m"].help.as_str(), metadata["m"].kind), ("helps", model::MetricType::Counter));
}

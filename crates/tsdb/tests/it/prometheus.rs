//! The same directory under Debian's Prometheus and promtool, both ways. Runs only where these are installed.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use model::{MatchOp, TimeRange};

use crate::support::{self, Fixture, samples_of};

const HOUR: i64 = 3_600_000;
const START: i64 = 1_700_006_400_000 - 1_700_006_400_000 % (2 * HOUR);
const ALL: TimeRange = TimeRange { start: 0, end: i64::MAX };

/// The binary, if it is installed; else says so.
fn installed(name: &str) -> bool {
    let found = Path::new("/usr/bin").join(name).exists();
    if !found {
        println!("skipped: {name} is not installed in /usr/bin");
    }
    found
}

fn promtool(args: &[&str]) -> String {
    let output = Command::new("/usr/bin/promtool").args(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "promtool {args:?}: {text} {}", String::from_utf8_lossy(&output.stderr));
    text
}

/// A running Prometheus, killed with SIGKILL when dropped.
struct Prometheus {
    process: Child,
    port: u16,
    log: std::sync::Arc<std::sync::Mutex<String>>,
}

impl Prometheus {
    fn start(data: &Path) -> Self {
        let config = data.join("test-config.yml");
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let scrape = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: self, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
        );
        std::fs::write(&config, scrape).unwrap();
        let mut process = Command::new("/usr/bin/prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--storage.tsdb.retention.time=100y", "--web.enable-admin-api"])
            .args(["--enable-feature=native-histograms,exemplar-storage"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let (mut lines, copy) = (BufReader::new(process.stderr.take().unwrap()), std::sync::Arc::clone(&log));
        std::thread::spawn(move || {
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
                copy.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        let prometheus = Self { process, port, log };
        prometheus.wait_until(|p| p.get("/-/ready").contains("200 OK"));
        prometheus
    }

    fn wait_until(&self, condition: impl Fn(&Self) -> bool) {
        for _ in 0..600 {
            if condition(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("gave up waiting; log: {}", self.log.lock().unwrap());
    }

    fn get(&self, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return String::new() };
        let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok();
        answer
    }

    /// The value of an instant query with one result.
    fn value(&self, query: &str, at_ms: i64) -> String {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = self.get(&format!("/api/v1/query?query={encoded}&time={}", at_ms as f64 / 1000.0));
        let Some(at) = answer.find("\"value\":[") else { return format!("no value in {answer}") };
        let value = answer[at..].split(",\"").nth(1).unwrap_or("");
        value.split('"').next().unwrap_or("").to_owned()
    }

    fn errors(&self) -> Vec<String> {
        let log = self.log.lock().unwrap();
        log.lines()
            .filter(|line| line.contains("level=error") || line.contains("level=warn"))
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Some hours of three series, a histogram, an exemplar and a hole, in blocks, head chunks and log.
fn fill(fixture: &Fixture) -> f64 {
    let mut sum = 0.0;
    for minute in 0..(7 * 60) {
        let time = START + minute * 60_000;
        let value = (minute * minute % 977) as f64 + 0.25;
        sum += value;
        support::append(
            &fixture.db,
            &[
                (&[("__name__", "walk"), ("host", "a"), ("zone", "ä\"\\")], time, value),
                (&[("__name__", "walk"), ("host", "b")], time, -value),
                (&[("__name__", "steady")], time, 1.0),
            ],
        );
        use metric_storage_api::MetricStore;
        let ctx = resources::RequestContext::for_tests();
        let mut appender = fixture.db.appender(&ctx).unwrap();
        let set = support::labels(&[("__name__", "latency")]);
        let series = appender.resolve(b"latency", &mut || Ok(set.clone())).unwrap();
        appender.append_histogram(series, time, &support::histogram(minute as u32)).unwrap();
        appender.commit().unwrap();
        if minute % 60 == 59 {
            fixture.db.maintain().unwrap();
        }
    }
    sum
}

#[test]
fn promtool_and_prometheus_open_what_we_wrote() {
    if !installed("promtool") || !installed("prometheus") {
        return;
    }
    let fixture = Fixture::new();
    let sum = fill(&fixture);
    let steady = vec![support::matcher("__name__", MatchOp::Equal, "steady")];
    fixture.db.delete_series(&[steady], TimeRange::new(START, START + 10 * 60_000 - 1)).unwrap();
    fixture.db.close().unwrap();
    let dir = fixture.dir.path().to_str().unwrap();
    let listed = promtool(&["tsdb", "list", dir]);
    assert_eq!(listed.lines().count(), 3, "{listed}");
    let analyzed = promtool(&["tsdb", "analyze", dir]);
    assert!(analyzed.contains("Series: 4"), "{analyzed}");
    // Reads all blocks, the head chunks and the log.
    let dumped = promtool(&["tsdb", "dump", "--match={__name__=~\"walk|steady\"}", dir]);
    let (mut walk, mut lines) = (0.0, 0);
    for line in dumped.lines() {
        lines += 1;
        if line.contains("host=\"a\"") {
            assert!(line.contains("zone=\"ä\\\"\\\\\""), "{line}");
            let value: f64 = line.rsplit("} ").next().unwrap().split(' ').next().unwrap().parse().unwrap();
            walk += value;
        }
    }
    assert_eq!((walk, lines), (sum, 3 * 420 - 10));
    let prometheus = Prometheus::start(fixture.dir.path());
    let at = START + 7 * HOUR;
    assert_eq!(prometheus.value("count_over_time(walk{host='b'}[8h])", at), "420");
    assert_eq!(prometheus.value("sum_over_time(walk{host='a'}[8h])", at), format!("{sum}"));
    assert_eq!(prometheus.value("count_over_time(steady[8h])", at), "410");
    assert_eq!(prometheus.value("count_over_time(latency[8h])", at), "420");
    let expected = support::histogram(419);
    assert_eq!(prometheus.value("histogram_count(latency)", at - 60_000), format!("{}", expected.count));
    assert_eq!(prometheus.value("histogram_sum(latency)", at - 60_000), format!("{}", expected.sum));
    let errors = prometheus.errors();
    assert_eq!(errors, Vec::<String>::new());
}

#[test]
fn we_open_what_prometheus_wrote_before_it_was_killed() {
    if !installed("prometheus") {
        return;
    }
    let mut fixture = Fixture::new();
    // It goes on in a directory of ours, so that it has blocks, head chunks and a log of both.
    let sum = fill(&fixture);
    fixture.db.close().unwrap();
    let dir = fixture.dir.path().to_owned();
    let before = {
        let prometheus = Prometheus::start(&dir);
        // Its own metrics, until there are some samples of each series.
        prometheus.wait_until(|p| {
            p.value("count_over_time(up[1h])", i64::MAX / 1_000_000_000).starts_with("no value")
        });
        prometheus
            .wait_until(|p| p.get("/api/v1/query?query=count_over_time(up[1h])>4").contains("\"value\""));
        prometheus.get("/api/v1/query?query=count_over_time(up[1h])")
    };
    std::fs::remove_file(dir.join("test-config.yml")).unwrap();
    fixture.reopen_killed();
    let up = samples_of(&fixture.db, "up", ALL);
    assert!(up.len() >= 5 && up.iter().all(|sample| sample.1 == 1.0), "{up:?} {before}");
    let own = support::select(&fixture.db, &[("__name__", MatchOp::Regex, "prometheus_tsdb_head_.*")], ALL);
    assert!(own.len() > 10 && own.iter().all(|(_, samples)| samples.len() >= 4), "{}", own.len());
    let walk = support::select(&fixture.db, &[("host", MatchOp::Equal, "a")], ALL);
    assert_eq!((walk[0].1.len(), walk[0].1.iter().map(|sample| sample.1).sum::<f64>()), (420, sum));
    let latency = support::select_series(&fixture.db, &[("__name__", MatchOp::Equal, "latency")], ALL);
    assert_eq!(support::read(&*latency[0], ALL).histograms.len(), 420);
    let counters = fixture.db.counters().values();
    let damage: Vec<_> =
        counters.iter().filter(|(name, value)| name.contains("corrupt") && *value > 0).collect();
    assert_eq!(damage, Vec::<&(&str, u64)>::new());
}

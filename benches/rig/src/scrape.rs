//! `rig scrape`: many targets for a server to scrape, in one process.

use crate::metrics_gen::{Fleet, SERIES_PER_HOST};
use crate::process;
use crate::util::p50_max;
use anyhow::{Context, Result};
use flate2::{Compression, write::GzEncoder};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Labels that a target's series get from its place in the configuration, not from its answer.
const TARGET_LABELS: [&str; 6] = ["env", "host", "instance", "job", "region", "zone"];
const STACK_BYTES: usize = 256 << 10;
/// Where the values of `container_last_seen` begin.
const START_MS: i64 = 1_795_348_800_000;
/// A server that is slow to begin gets so many times the warm-up.
const WARMUPS_MAX: u32 = 2;
/// Target addresses have so many values in each of their two last bytes.
const PER_BYTE: usize = 250;

pub struct Load {
    pub targets: usize,
    pub port: u16,
    pub interval: Duration,
    pub warmup: Duration,
    pub measure: Duration,
    pub plain: bool,
}

/// One exporter.
struct Target {
    fleet: Fleet,
    /// What stands before each value: comments of a new family, then the series. With the value's place in the fleet.
    lines: Vec<(String, usize)>,
    scrapes: i64,
    last: Option<Instant>,
    values: Vec<f64>,
}

#[derive(Default)]
struct Counts {
    measuring: AtomicBool,
    samples: AtomicU64,
    wire: AtomicU64,
    /// By how much a gap between two scrapes differed from the interval, seconds.
    off: Mutex<Vec<f64>>,
}

/// The loopback address of a target.
pub fn address(target: usize) -> Ipv4Addr {
    let byte = |n: usize| (n % PER_BYTE) as u8 + 1;
    Ipv4Addr::new(127, 1, byte(target / PER_BYTE), byte(target))
}

fn target_of(address: IpAddr) -> Option<usize> {
    let IpAddr::V4(address) = address else {
        return None;
    };
    let [_, _, high, low] = address.octets();
    Some((usize::from(high).checked_sub(1)?) * PER_BYTE + usize::from(low).checked_sub(1)?)
}

pub fn run(pid: i32, load: &Load) -> Result<()> {
    let interval_ms = load.interval.as_millis() as i64;
    let targets: Vec<_> = (0..load.targets)
        .map(|n| Mutex::new(Target::new(n, interval_ms)))
        .collect();
    let (targets, counts) = (Arc::new(targets), Arc::new(Counts::default()));
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, load.port)).context("--port")?;
    let (served, counted) = (Arc::clone(&targets), Arc::clone(&counts));
    let (plain, interval) = (load.plain, load.interval);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (targets, counts) = (Arc::clone(&served), Arc::clone(&counted));
            let serve = move || drop(serve(&stream, &targets, &counts, plain, interval));
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
            thread.spawn(serve).expect("a thread for each connection");
        }
    });

    let cpu0 = process::cpu_seconds(pid);
    let started = Instant::now();
    // Under load a server may take longer until it has seen all targets; after a while it is measured as it is.
    while started.elapsed() < load.warmup
        || (started.elapsed() < load.warmup * WARMUPS_MAX
            && !targets.iter().all(|t| t.lock().unwrap().scrapes > 1))
    {
        std::thread::sleep(Duration::from_millis(500));
    }
    let warm = process::cpu_seconds(pid) - cpu0;
    counts.measuring.store(true, Relaxed);
    let (cpu0, own0) = (process::cpu_seconds(pid), process::own_cpu_seconds());
    std::thread::sleep(load.measure);
    let (cpu, own) = (
        process::cpu_seconds(pid) - cpu0,
        process::own_cpu_seconds() - own0,
    );
    counts.measuring.store(false, Relaxed);

    let samples = counts.samples.load(Relaxed) as f64;
    let (rss, hwm) = process::memory_mib(pid);
    let off = std::mem::take(&mut *counts.off.lock().unwrap());
    let late = off.iter().filter(|off| **off > 0.1).count();
    println!("samples scraped     {samples:.0}");
    println!("server CPU seconds  {cpu:.2}");
    println!("server CPU us/sample {:.3}", cpu * 1e6 / samples);
    println!("warm-up CPU seconds {warm:.2}");
    println!("rig CPU seconds     {own:.2}");
    let wire = counts.wire.load(Relaxed) as f64;
    println!("wire bytes/sample   {:.1}", wire / samples);
    println!("server RSS MiB      {rss:.0} (peak {hwm:.0})");
    println!("gaps                {}", off.len());
    println!("gaps off by over ms {late} (that is: over 100)");
    if !off.is_empty() {
        let (median, most) = p50_max(off);
        println!("gap off at most ms  {:.1}", most * 1e3);
        println!("gap off median ms   {:.2}", median * 1e3);
    }
    Ok(())
}

/// Answers a connection's requests until it ends.
fn serve(
    stream: &TcpStream,
    targets: &[Mutex<Target>],
    counts: &Counts,
    plain: bool,
    interval: Duration,
) -> Result<()> {
    stream.set_nodelay(true)?;
    let number = target_of(stream.local_addr()?.ip()).context("address")?;
    let target = targets.get(number).context("target")?;
    let mut reader = BufReader::new(stream);
    let (mut line, mut text) = (String::new(), String::new());
    loop {
        let mut gzip = false;
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim_end().is_empty() {
                break;
            }
            let header = line.to_ascii_lowercase();
            gzip |= header.starts_with("accept-encoding:") && header.contains("gzip");
        }
        let samples = target.lock().unwrap().answer(&mut text, counts, interval);
        let mut packed = Vec::new();
        let (body, encoding) = if gzip && !plain {
            let mut encoder = GzEncoder::new(&mut packed, Compression::fast());
            encoder.write_all(text.as_bytes())?;
            encoder.finish()?;
            (&packed[..], "Content-Encoding: gzip\r\n")
        } else {
            (text.as_bytes(), "")
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n{encoding}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let mut answer = head.into_bytes();
        answer.extend_from_slice(body);
        (&*stream).write_all(&answer)?;
        if counts.measuring.load(Relaxed) {
            counts.samples.fetch_add(samples, Relaxed);
            counts.wire.fetch_add(answer.len() as u64, Relaxed);
        }
    }
}

impl Target {
    fn new(number: usize, interval_ms: i64) -> Self {
        let fleet = Fleet::new(number, SERIES_PER_HOST, interval_ms);
        let mut families: BTreeMap<String, Vec<(String, usize, bool)>> = BTreeMap::new();
        for (idx, (labels, counts)) in fleet.labels().enumerate() {
            let (name, series) = text_of(labels);
            families
                .entry(name)
                .or_default()
                .push((series, idx, counts));
        }
        let mut lines = Vec::new();
        for (name, members) in families {
            let kind = if members[0].2 { "counter" } else { "gauge" };
            let mut before =
                format!("# HELP {name} What {name} says of its host.\n# TYPE {name} {kind}\n");
            for (series, idx, _) in members {
                lines.push((std::mem::take(&mut before) + &series + " ", idx));
            }
        }
        Target {
            fleet,
            lines,
            scrapes: 0,
            last: None,
            values: Vec::new(),
        }
    }

    /// Writes the next answer; the number of its samples.
    fn answer(&mut self, text: &mut String, counts: &Counts, interval: Duration) -> u64 {
        let now = Instant::now();
        if let Some(last) = self.last.replace(now)
            && counts.measuring.load(Relaxed)
        {
            let gap = (now - last).as_secs_f64() - interval.as_secs_f64();
            counts.off.lock().unwrap().push(gap.abs());
        }
        let at = START_MS + self.scrapes * interval.as_millis() as i64;
        self.scrapes += 1;
        self.fleet.step(at, &mut self.values);
        text.clear();
        for (before, idx) in &self.lines {
            text.push_str(before);
            go_float(text, self.values[*idx]);
            text.push('\n');
        }
        self.lines.len() as u64
    }
}

/// A series' name and its text, without what belongs to its target.
fn text_of(mut labels: &[u8]) -> (String, String) {
    let (mut name, mut pairs) = (String::new(), Vec::new());
    // Each label is a message of two strings, all of them shorter than 128 bytes.
    while let [_, len, rest @ ..] = labels {
        let (label, after) = rest.split_at(usize::from(*len));
        let (key, value) = label[2..].split_at(usize::from(label[1]));
        let (key, value) = (
            String::from_utf8_lossy(key),
            String::from_utf8_lossy(&value[2..]),
        );
        if key == "__name__" {
            name = value.into_owned();
        } else if !TARGET_LABELS.contains(&&*key) {
            pairs.push(format!("{key}=\"{value}\""));
        }
        labels = after;
    }
    // What a server adds for each scrape has these names.
    if name == "up" || name.starts_with("scrape_") {
        name = format!("node_{name}");
    }
    let series = if pairs.is_empty() {
        name.clone()
    } else {
        format!("{name}{{{}}}", pairs.join(","))
    };
    (name, series)
}

/// A float as exporters in Go write it: with an exponent from 1e6 (1e21 for whole numbers is not theirs).
fn go_float(out: &mut String, value: f64) {
    if value != 0.0 && !(1e-4..1e6).contains(&value.abs()) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{digits}e{sign}{:02}", exponent.abs()).expect("strings take all");
    } else {
        write!(out, "{value}").expect("strings take all");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_addresses_of_their_own() {
        for target in [0, 1, 249, 250, 1999, 62_499] {
            assert_eq!(target_of(address(target).into()), Some(target));
        }
    }

    #[test]
    fn an_answer_has_all_series_in_families() {
        let mut target = Target::new(3, 15_000);
        let mut text = String::new();
        let samples = target.answer(&mut text, &Counts::default(), Duration::from_secs(15));
        assert_eq!(samples as usize, SERIES_PER_HOST);
        let series: std::collections::BTreeSet<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.rsplit_once(' ').unwrap().0)
            .collect();
        assert_eq!(series.len(), SERIES_PER_HOST);
        assert!(text.contains("node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} "));
        assert!(!text.contains("instance="));
        let families = text
            .lines()
            .filter(|line| line.starts_with("# TYPE "))
            .count();
        assert_eq!(families, 75);
    }

    #[test]
    fn floats_are_those_of_go() {
        for (value, text) in [
            (0.0, "0"),
            (1_234_567.0, "1.234567e+06"),
            (0.25, "0.25"),
            (1e-7, "1e-07"),
        ] {
            let mut out = String::new();
            go_float(&mut out, value);
            assert_eq!(out, text);
        }
    }
}

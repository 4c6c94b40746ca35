//! Alerts as Prometheus posts them, round after round, then what users ask an alert manager for.

use crate::alerts_gen::{Alerts, time};
use crate::alerts_sink;
use crate::http::Client;
use crate::process;
use crate::util::fnv;
use anyhow::{Result, ensure};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

pub struct Load {
    pub alerts: usize,
    pub groups: usize,
    /// Alerts per post.
    pub batch: usize,
    pub rounds: u64,
    /// From the start of a round to that of the next.
    pub every: Duration,
    /// Where the receivers' messages go.
    pub sink: String,
    /// How often each question is asked.
    pub requests: usize,
    /// For how long each question is asked at most.
    pub patience: Duration,
}

/// The path and parameters of a question, and whether it is one to `/api/v2/alerts` with a filter.
struct Question {
    name: &'static str,
    path: &'static str,
    params: Vec<(&'static str, String)>,
    during_posts: bool,
}

fn questions() -> Vec<Question> {
    let (name, cluster) = (Alerts::name(7), Alerts::cluster(7));
    let filter = |text: String| ("filter", text);
    let no = |name: &'static str| (name, "false".to_string());
    let one_group = vec![
        filter(format!("alertname=\"{name}\"")),
        filter(format!("cluster=\"{cluster}\"")),
    ];
    let ask = |name, params| Question {
        name,
        path: "/api/v2/alerts",
        params,
        during_posts: false,
    };
    vec![
        ask("one group", one_group.clone()),
        ask("severity", vec![filter("severity=\"critical\"".into())]),
        ask(
            "instance regex",
            vec![filter("instance=~\"host-01[0-4].+\"".into())],
        ),
        ask(
            "receiver and team",
            vec![
                ("receiver", "storage".into()),
                filter("team=\"storage\"".into()),
            ],
        ),
        ask(
            "not kept back",
            vec![
                filter("team=\"web\"".into()),
                no("silenced"),
                no("inhibited"),
            ],
        ),
        ask(
            "kept back",
            vec![filter("cluster=~\"prod-00[0-4]\"".into()), no("active")],
        ),
        Question {
            path: "/api/v2/alerts/groups",
            ..ask(
                "groups of a cluster",
                vec![filter(format!("cluster=\"{cluster}\""))],
            )
        },
        Question {
            during_posts: true,
            ..ask("one group, during posts", one_group)
        },
    ]
}

pub fn run(url: &str, pid: i32, load: &Load) -> Result<()> {
    let sink = alerts_sink::Sink::start(&load.sink)?;
    let client = Client::new(url);
    let alerts = Alerts {
        alerts: load.alerts,
        groups: load.groups,
        start_s: unix_s(),
    };
    let peak = Peak::watch(pid);
    let began = Instant::now();
    let (cpu0, mut cpu_first, mut posted, mut posted_first) =
        (process::cpu_seconds(pid), 0.0, 0, 0);
    for round in 0..load.rounds {
        posted += post_round(&client, &alerts, round, load.batch)?;
        if round == 0 {
            silence(&client, alerts.start_s)?;
        }
        // The last round has its time too, for what it sets off.
        let until = began + load.every * (round as u32 + 1);
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        if round == 0 {
            (cpu_first, posted_first) = (process::cpu_seconds(pid) - cpu0, posted);
        }
    }
    let (cpu, wall) = (
        process::cpu_seconds(pid) - cpu0,
        began.elapsed().as_secs_f64(),
    );
    println!(
        "alerts posted              {posted} in {} rounds",
        load.rounds
    );
    println!("posting seconds            {wall:.1}");
    println!(
        "server CPU us/alert        {:.2}",
        cpu * 1e6 / posted as f64
    );
    println!(
        "CPU us/alert, first round  {:.2}",
        cpu_first * 1e6 / posted_first as f64
    );
    if posted > posted_first {
        println!(
            "CPU us/alert, posted again {:.2}",
            (cpu - cpu_first) * 1e6 / (posted - posted_first) as f64
        );
    }
    println!(
        "messages to receivers      {} ({:.1} MB)",
        sink.messages(),
        sink.bytes() as f64 / 1e6
    );
    println!("RssAnon MiB after posts    {:.1}", process::anon_mib(pid));
    println!("RssAnon MiB peak, posts    {:.1}", peak.mib());
    println!("| query | p50 ms | p99 ms | server CPU ms/query | requests | alerts | hash |");
    println!("|---|---|---|---|---|---|---|");
    let mut all = Timed::default();
    for question in questions() {
        let timed = match question.during_posts {
            false => ask(&client, &question, pid, load, &|count| {
                count >= load.requests
            })?,
            true => ask_during_posts(url, &client, &question, pid, load, &alerts)?,
        };
        timed.print(question.name);
        if question.path == "/api/v2/alerts" && !question.during_posts {
            all.add(timed);
        }
    }
    all.print("alerts by a filter, all");
    println!("RssAnon MiB peak           {:.1}", peak.mib());
    Ok(())
}

/// Posts a round; gives how many alerts it had.
fn post_round(client: &Client, alerts: &Alerts, round: u64, batch: usize) -> Result<usize> {
    let (mut posted, mut failure) = (0, None);
    alerts.posts(round, unix_s(), batch, |body, count| {
        posted += count;
        match client.post(
            "/api/v2/alerts",
            &[("Content-Type", "application/json")],
            body.as_bytes(),
        ) {
            Ok(reply) if reply.status == 200 => {}
            Ok(reply) => {
                failure = Some(format!(
                    "{}: {}",
                    reply.status,
                    String::from_utf8_lossy(&reply.body)
                ))
            }
            Err(error) => failure = Some(error.to_string()),
        }
    });
    ensure!(
        failure.is_none(),
        "a post failed: {}",
        failure.unwrap_or_default()
    );
    Ok(posted)
}

/// One silence that mutes a tenth, and twenty that mute single hosts.
fn silence(client: &Client, now_s: u64) -> Result<()> {
    for no in 0..21 {
        let (name, value) = match no {
            0 => ("env", "staging".to_string()),
            _ => (
                "instance",
                format!("host-{:03}.{}.+", no * 3, Alerts::cluster(no * 50)),
            ),
        };
        let body = serde_json::json!({
            "matchers": [{ "name": name, "value": value, "isRegex": no > 0, "isEqual": true }],
            "startsAt": time(now_s), "endsAt": time(now_s + 7200), "createdBy": "rig", "comment": "load",
        });
        let reply = client.post(
            "/api/v2/silences",
            &[("Content-Type", "application/json")],
            body.to_string().as_bytes(),
        )?;
        ensure!(
            reply.status == 200,
            "a silence failed: {}",
            String::from_utf8_lossy(&reply.body)
        );
    }
    Ok(())
}

fn ask(
    client: &Client,
    question: &Question,
    pid: i32,
    load: &Load,
    enough: &dyn Fn(usize) -> bool,
) -> Result<Timed> {
    let mut timed = Timed::default();
    let (began, cpu0) = (Instant::now(), process::cpu_seconds(pid));
    loop {
        let asked = Instant::now();
        let reply = client.get(question.path, &question.params)?;
        timed.ms.push(asked.elapsed().as_secs_f64() * 1e3);
        let body = String::from_utf8_lossy(&reply.body);
        ensure!(
            reply.status == 200,
            "{}: {} {body}",
            question.name,
            reply.status
        );
        if enough(timed.ms.len()) || began.elapsed() > load.patience {
            (timed.alerts, timed.hash) = shown(&body, question.path.ends_with("groups"));
            timed.cpu_ms = (process::cpu_seconds(pid) - cpu0) * 1e3;
            return Ok(timed);
        }
    }
}

/// Asks while rounds are posted; the CPU is both.
fn ask_during_posts(
    url: &str,
    client: &Client,
    question: &Question,
    pid: i32,
    load: &Load,
    alerts: &Alerts,
) -> Result<Timed> {
    let (over, enough) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let posting = scope.spawn(|| -> Result<()> {
            let own = Client::new(url);
            let mut result = Ok(());
            while result.is_ok() && !enough.load(Relaxed) {
                result = post_round(&own, alerts, load.rounds - 1, load.batch).map(|_| ());
            }
            over.store(true, Relaxed);
            result
        });
        let asked = ask(client, question, pid, load, &|count| {
            count >= load.requests || over.load(Relaxed)
        });
        enough.store(true, Relaxed);
        posting.join().expect("the poster does not panic")?;
        asked
    })
}

/// How many alerts an answer has, and a hash over their fingerprints and states in their order; in groups they have none.
fn shown(body: &str, in_groups: bool) -> (usize, u64) {
    let mut alerts: Vec<&str> = body.split("\"fingerprint\":\"").skip(1).collect();
    if in_groups {
        alerts.sort_unstable();
    }
    let mut seen = Vec::new();
    for alert in &alerts {
        let state = alert
            .split_once("\"state\":\"")
            .map_or("", |(_, rest)| rest);
        seen.extend(alert.bytes().take(16).chain(state.bytes().take(1)));
    }
    (alerts.len(), fnv(&seen))
}

/// The answers to a question.
#[derive(Default)]
struct Timed {
    ms: Vec<f64>,
    cpu_ms: f64,
    alerts: usize,
    hash: u64,
}

impl Timed {
    fn add(&mut self, other: Self) {
        self.ms.extend(other.ms);
        self.cpu_ms += other.cpu_ms;
        self.alerts += other.alerts;
        self.hash = self.hash.rotate_left(9) ^ other.hash;
    }

    fn print(&self, name: &str) {
        let mut ms = self.ms.clone();
        ms.sort_by(f64::total_cmp);
        let at = |part: f64| ms[((ms.len() - 1) as f64 * part).round() as usize];
        let (count, cpu) = (ms.len(), self.cpu_ms / ms.len() as f64);
        println!(
            "| {name} | {:.2} | {:.2} | {cpu:.2} | {count} | {} | {:016x} |",
            at(0.5),
            at(0.99),
            self.alerts,
            self.hash
        );
    }
}

/// The most memory that was seen.
struct Peak(std::sync::Arc<std::sync::atomic::AtomicU64>);

impl Peak {
    fn watch(pid: i32) -> Self {
        let peak = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
        let seen = peak.clone();
        std::thread::spawn(move || {
            loop {
                seen.fetch_max((process::anon_mib(pid) * 1024.0) as u64, Relaxed);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Self(peak)
    }

    fn mib(&self) -> f64 {
        self.0.load(Relaxed) as f64 / 1024.0
    }
}

fn unix_s() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

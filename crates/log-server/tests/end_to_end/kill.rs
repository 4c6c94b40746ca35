//! Killed again and again while lines are pushed: what was acknowledged is there, once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_client::HttpClient;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::server::Server;

const PUSHERS: u64 = 3;
const LINES_PER_PUSH: u64 = 25;
/// Entries are written to segments each second, so that some kills hit a flush.
const CONFIG: &str = "auth_enabled: false
ingester: {chunk_idle_period: 1s}
limits_config:
  ingestion_rate_mb: 1000
  ingestion_burst_size_mb: 1000
  max_entries_limit_per_query: 10000000
";

/// The lines of one push, told apart from all others.
fn body(at: i64, pusher: u64, push: u64) -> String {
    let line = |n: u64| {
        let at = at + (push * LINES_PER_PUSH + n) as i64;
        json!([at.to_string(), format!("pusher {pusher} push {push} line {n} took {}ms", n * 7)])
    };
    let values: Vec<Value> = (0..LINES_PER_PUSH).map(line).collect();
    json!({ "streams": [{ "stream": { "pusher": pusher.to_string() }, "values": values }] }).to_string()
}

/// Pushes until the server is gone; returns the number of the push that was not acknowledged.
async fn push(
    client: &HttpClient,
    base: &str,
    (at, pusher): (i64, u64),
    first: u64,
    acknowledged: &AtomicUsize,
) -> u64 {
    let mut next = first;
    while Server::try_push(client, base, body(at, pusher, next)).await == Some(204) {
        next += 1;
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    next
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kills_under_load() {
    let rounds: u64 = std::env::var("KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(dir.path(), CONFIG).await;
    let at = server.now_ns();
    // For each pusher the pushes that were sent so far; the last one of each round was perhaps not stored.
    let mut sent = [0; PUSHERS as usize];
    let mut unsure: Vec<(u64, u64)> = Vec::new();
    for round in 0..rounds {
        let mut pushers = JoinSet::new();
        let acknowledged = Arc::new(AtomicUsize::new(0));
        for pusher in 0..PUSHERS {
            let (client, base) = (server.client(), server.base());
            let (first, acknowledged) = (sent[pusher as usize], Arc::clone(&acknowledged));
            pushers.spawn(
                async move { (pusher, push(&client, &base, (at, pusher), first, &acknowledged).await) },
            );
        }
        // A different moment in each round.
        while acknowledged.load(Ordering::Relaxed) < 3 + (round as usize * 7) % 40 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.kill();
        while let Some(ended) = pushers.join_next().await {
            let (pusher, next) = ended.expect("a pusher");
            unsure.push((pusher, next));
            sent[pusher as usize] = next + 1;
        }
        server.restart().await;
    }
    check(&server, &sent, &unsure).await;
}

async fn check(server: &Server, sent: &[u64], unsure: &[(u64, u64)]) {
    let params = [("query", "{pusher=~\".+\"}"), ("limit", "5000000"), ("direction", "forward")];
    let answer = server.get_json("/loki/api/v1/query_range", &params).await;
    let mut found: HashMap<String, u64> = HashMap::new();
    for stream in answer["data"]["result"].as_array().expect("streams") {
        for value in stream["values"].as_array().expect("values") {
            *found.entry(value[1].as_str().expect("a line").to_owned()).or_default() += 1;
        }
    }
    assert!(found.values().all(|count| *count == 1), "a line is there more than once");
    for (pusher, pushes) in sent.iter().enumerate() {
        for push in (0..*pushes).filter(|push| !unsure.contains(&(pusher as u64, *push))) {
            for n in 0..LINES_PER_PUSH {
                let line = format!("pusher {pusher} push {push} line {n} took {}ms", n * 7);
                assert!(found.contains_key(&line), "{line:?} was acknowledged and is gone");
            }
        }
    }
}

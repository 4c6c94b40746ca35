//! The alerts of a few Prometheus servers: a fixed set of slots, of which some resolve and are taken by new alerts in each round.

use crate::util::mix;
use std::fmt::Write;

const NAMES: usize = 50;
const SUBJECTS: [&str; 10] = [
    "HostHighCpuLoad",
    "HostOutOfMemory",
    "HostDiskWillFill",
    "ContainerRestarting",
    "PodNotReady",
    "HttpErrorRate",
    "HttpLatencyHigh",
    "QueueGrowing",
    "CertificateExpiring",
    "ReplicationLag",
];
const TEAMS: [&str; 5] = ["platform", "storage", "payments", "search", "web"];
/// For how long Prometheus believes an alert that it sends: four times its resend delay.
const BELIEVED_S: u64 = 240;
/// Of so many slots one gets a new alert in a round.
const CHURN: u64 = 100;

/// What is sent.
#[derive(Clone)]
pub struct Alerts {
    /// How many fire at a time, those that inhibit aside.
    pub alerts: usize,
    /// How many groups they make by alertname and cluster.
    pub groups: usize,
    /// When the load begins, Unix seconds.
    pub start_s: u64,
}

/// Clusters that cannot be reached; their alerts with severity info are inhibited.
pub const UNREACHABLE: usize = 2;

impl Alerts {
    fn clusters(&self) -> usize {
        (self.groups / NAMES).max(1)
    }

    /// The name of a group's alerts.
    pub fn name(group: usize) -> String {
        let no = group % NAMES;
        format!("{}{}", SUBJECTS[no % SUBJECTS.len()], no / SUBJECTS.len())
    }

    /// The cluster of a group's alerts.
    pub fn cluster(group: usize) -> String {
        format!("prod-{:03}", group / NAMES)
    }

    /// The posts of a round, each a JSON array of at most `batch` alerts; `now_s`: when it is sent.
    pub fn posts(&self, round: u64, now_s: u64, batch: usize, mut post: impl FnMut(&str, usize)) {
        let (mut body, mut held) = (String::from("["), 0);
        let mut add = |write: &dyn Fn(&mut String)| {
            if held > 0 {
                body.push(',');
            }
            write(&mut body);
            held += 1;
            if held == batch {
                body.push(']');
                post(&body, held);
                body.truncate(1);
                held = 0;
            }
        };
        for no in 0..UNREACHABLE.min(self.clusters()) {
            add(&|out| self.unreachable(no, now_s, out));
        }
        let members = self.alerts / self.groups;
        for group in 0..self.groups {
            for member in 0..members {
                let changes = self.changes_in(group, member);
                let generation = u64::from(round >= changes);
                // What has resolved is sent for a quarter of an hour more.
                if round >= changes {
                    add(&|out| self.alert(group, member, 0, (round, now_s), out));
                }
                add(&|out| self.alert(group, member, generation, (round, now_s), out));
            }
        }
        if held > 0 {
            body.push(']');
            post(&body, held);
        }
    }

    /// The round in which a slot's first alert resolves and another one takes its place.
    fn changes_in(&self, group: usize, member: usize) -> u64 {
        1 + mix((group * 1_000_003 + member) as u64) % CHURN
    }

    fn alert(
        &self,
        group: usize,
        member: usize,
        generation: u64,
        at: (u64, u64),
        out: &mut String,
    ) {
        let (round, now_s) = at;
        let (name, cluster) = (Self::name(group), Self::cluster(group));
        let no = group % NAMES;
        let seed = mix((group * 7919 + member) as u64);
        let changes = self.changes_in(group, member);
        let severity = [
            "critical", "warning", "info", "warning", "warning", "info", "warning", "warning",
            "info", "warning",
        ][no % 10];
        let team = TEAMS[no % TEAMS.len()];
        let env = if member % 10 == 9 {
            "staging"
        } else {
            "production"
        };
        let pod = seed % 0xf_ffff;
        let is_over = generation == 0 && round >= changes;
        let (start_s, end_s) = match generation {
            0 if is_over => (
                self.start_s - 600 - seed % 86_400,
                now_s.min(self.start_s + changes),
            ),
            0 => (self.start_s - 600 - seed % 86_400, now_s + BELIEVED_S),
            _ => (self.start_s, now_s + BELIEVED_S),
        };
        // Descriptions with a value change with each evaluation.
        let value = if no % 3 == 0 {
            50 + mix(seed ^ round) % 50
        } else {
            50 + seed % 50
        };
        write!(
            out,
            r#"{{"annotations":{{"description":"{name} on host-{member:03} in {cluster} has been above its threshold for more than 10 minutes: {value}%.","runbook_url":"https://runbooks.example.com/{team}/{name}","summary":"{name} on host-{member:03}"}},"endsAt":"{}","startsAt":"{}","generatorURL":"http://prometheus-{cluster}.example.com:9090/graph?g0.expr=job%3A{name}%3Aratio5m+%3E+0.5\u0026g0.tab=1","labels":{{"alertname":"{name}","cluster":"{cluster}","env":"{env}","instance":"host-{member:03}.{cluster}.example.com:9100","job":"node-exporter","namespace":"{team}-{}","pod":"{team}-{pod:05x}-{generation}","severity":"{severity}","team":"{team}"}}}}"#,
            time(end_s),
            time(start_s),
            seed % 4,
        )
        .expect("a String takes all");
    }

    fn unreachable(&self, no: usize, now_s: u64, out: &mut String) {
        write!(
            out,
            r#"{{"annotations":{{"summary":"Cluster cannot be reached"}},"endsAt":"{}","startsAt":"{}","generatorURL":"http://prometheus.example.com:9090/graph","labels":{{"alertname":"ClusterUnreachable","cluster":"{}","severity":"critical","team":"platform"}}}}"#,
            time(now_s + BELIEVED_S),
            time(self.start_s - 600),
            Self::cluster(no * NAMES),
        )
        .expect("a String takes all");
    }
}

/// RFC 3339 with milliseconds.
pub fn time(unix_s: u64) -> String {
    let (days, second) = ((unix_s / 86_400) as i64, unix_s % 86_400);
    // From days to a civil date, eras of 400 years.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) = (
        day_of_year - (153 * shifted + 2) / 5 + 1,
        if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        },
    );
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.437Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(no: u64) -> Vec<serde_json::Value> {
        let load = Alerts {
            alerts: 1000,
            groups: 100,
            start_s: 1_795_348_800,
        };
        let mut all = vec![];
        load.posts(no, load.start_s + 10 * no, 64, |body, count| {
            let alerts: Vec<serde_json::Value> = serde_json::from_str(body).unwrap();
            assert!(alerts.len() == count && count <= 64);
            all.extend(alerts);
        });
        all
    }

    #[test]
    fn rounds_repeat_resolve_and_renew() {
        assert_eq!(time(1_795_348_800), "2026-11-22T12:00:00.437Z");
        let (first, second, third) = (round(0), round(1), round(2));
        assert_eq!(first.len(), 1000 + UNREACHABLE);
        assert_eq!(first, round(0));
        let firing = |alerts: &[serde_json::Value], at: &str| {
            alerts
                .iter()
                .filter(|alert| alert["endsAt"].as_str() > Some(at))
                .count()
        };
        assert_eq!(firing(&second, "2026-11-22T12:00:10.9"), 1000 + UNREACHABLE);
        assert!(second.len() > first.len() && third.len() > second.len());
        let groups: std::collections::BTreeSet<_> = first
            .iter()
            .map(|a| {
                (
                    a["labels"]["alertname"].to_string(),
                    a["labels"]["cluster"].to_string(),
                )
            })
            .collect();
        assert_eq!(groups.len(), 100 + UNREACHABLE);
    }
}

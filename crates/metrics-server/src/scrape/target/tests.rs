//! Jobs and groups as YAML, targets as text.

use ::config::Document;

use super::*;
use crate::config::Global;

fn outcomes(yaml: &str) -> Vec<String> {
    let document = Document::parse_yaml("p.yml", yaml).expect("yaml");
    let job = document.read(|root| ScrapeConfig::read(root, &Global::default())).expect("valid").value;
    let discovery::DiscoveryConfig::Static(groups) = &job.discovery[0] else { panic!("static groups") };
    from_groups(groups, &job)
        .into_iter()
        .map(|outcome| match outcome {
            Outcome::Active(target) => format!("{} {} {:?}", target.labels, target.url, target.interval),
            Outcome::Dropped(labels, _) => format!("dropped {}", labels.value(ADDRESS_LABEL)),
            Outcome::Failed(reason) => format!("failed {}", reason.rsplit("}: ").next().unwrap_or_default()),
        })
        .collect()
}

#[test]
fn targets_get_labels_url_and_times() {
    for (yaml, expected) in [
        (
            "job_name: j\nstatic_configs: [{targets: ['a:1'], labels: {x: y}}]",
            vec!["{instance=\"a:1\", job=\"j\", x=\"y\"} http://a:1/metrics 60s"],
        ),
        (
            "job_name: j\nscheme: https\nmetrics_path: /m\nparams: {p: [a, b]}\nscrape_interval: 5s\nstatic_configs: [{targets: ['a:1']}]",
            vec!["{instance=\"a:1\", job=\"j\"} https://a:1/m?p=a&p=b 5s"],
        ),
        (
            "job_name: j\nrelabel_configs: [{source_labels: [__address__], target_label: __param_target}, {target_label: __address__, replacement: 'probe:9'}, {source_labels: [__param_target], target_label: instance}]\nstatic_configs: [{targets: ['http://x/']}]",
            vec!["{instance=\"http://x/\", job=\"j\"} http://probe:9/metrics?target=http%3A%2F%2Fx%2F 60s"],
        ),
        (
            "job_name: j\nrelabel_configs: [{source_labels: [__address__], regex: 'b.*', action: drop}, {source_labels: [__address__], regex: 'c.*', replacement: '', target_label: __address__}]\nstatic_configs: [{targets: ['a:1', 'b:1', 'c:1']}]",
            vec!["{instance=\"a:1\", job=\"j\"} http://a:1/metrics 60s", "dropped b:1", "failed no address"],
        ),
        (
            "job_name: j\nstatic_configs: [{targets: [a], labels: {__scrape_interval__: 3s, __scrape_timeout__: 5s}}]",
            vec!["failed scrape timeout cannot be greater than scrape interval"],
        ),
        (
            "job_name: j\nstatic_configs: [{targets: [a], labels: {__scrape_interval__: 15s, instance: i, job: k, __tmp_x: z}}]",
            vec!["{instance=\"i\", job=\"k\"} http://a/metrics 15s"],
        ),
    ] {
        assert_eq!(outcomes(yaml), expected, "{yaml}");
    }
}

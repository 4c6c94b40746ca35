//! What is loaded and what is refused.

use super::*;

fn load(text: &str) -> Result<Config, String> {
    Config::parse("am.yml", text, MatcherMode::Fallback).map_err(|errors| errors.to_string())
}

const BLOG: &str = "global:
  smtp_smarthost: 'smtp.example.com:8825'
  smtp_from: 'no-reply@example.com'
  smtp_require_tls: false
route:
  receiver: 'team-IT-Support-mails'
  group_by: [...]
  repeat_interval: 4h
receivers:
- name: 'RECEIVER'
  email_configs:
  - to: 'firstname.lastname@example.com'";

#[test]
fn the_blog_file_is_refused_for_its_undefined_receiver_and_loads_once_mended() {
    let error = load(&BLOG.replace("RECEIVER", "team--IT-Support--mails")).unwrap_err();
    assert_eq!(error, "am.yml:6:3: route: undefined receiver \"team-IT-Support-mails\" used in route");
    let config = load(&BLOG.replace("RECEIVER", "team-IT-Support-mails")).unwrap();
    let route = &config.routes[0];
    assert_eq!(
        (&route.group_by, route.repeat_interval.as_secs(), route.key.as_str()),
        (&GroupBy::All, 14_400, "{}")
    );
    assert_eq!(route.group_wait.as_secs(), 30);
    let receiver = config.receiver("team-IT-Support-mails").unwrap();
    let IntegrationKind::Email(email) = &receiver.integrations[0].kind else { panic!("a mail") };
    assert_eq!((email.smarthost.as_str(), email.require_tls), ("smtp.example.com:8825", false));
    assert!(!receiver.integrations[0].send_resolved);
}

#[test]
fn routes_inherit_what_they_should() {
    let config = load(
        "route:
  receiver: a
  group_by: [alertname]
  group_wait: 1s
  labels: {team: ops}
  routes:
  - matchers: ['severity=\"page\"', 'x=~\"a|b\"']
    receiver: b
    continue: true
    mute_time_intervals: [night]
    group_by: []
    labels: {tier: '1'}
    routes:
    - match: {job: node}
      repeat_interval: 1h
receivers: [{name: a}, {name: b}]
time_intervals:
- name: night
  time_intervals:
  - times: [{start_time: '22:00', end_time: '24:00'}]
    weekdays: ['monday:friday', sunday]",
    )
    .unwrap();
    let [root, child, leaf] = &config.routes[..] else { panic!("three routes") };
    assert_eq!(leaf.key, r#"{}/{severity="page",x=~"a|b"}/{job="node"}"#);
    assert_eq!((leaf.receiver.as_str(), leaf.group_wait, leaf.continues), ("b", root.group_wait, false));
    assert!(leaf.mute_time_intervals.is_empty() && child.mute_time_intervals == ["night"]);
    assert_eq!(leaf.labels.len(), 2);
    assert_eq!((leaf.repeat_interval.as_secs(), child.repeat_interval.as_secs()), (3600, 14_400));
    assert!(matches!(&leaf.group_by, GroupBy::Labels(names) if names.is_empty()));
    let names = |labels: &[(&str, &str)]| -> Vec<&str> {
        let labels = model::Labels::from_pairs(labels.iter().copied());
        crate::routing::matching(&config.routes, &labels)
            .iter()
            .map(|i| config.routes[*i].key.as_str())
            .collect()
    };
    assert_eq!(names(&[("a", "b")]), ["{}"]);
    assert_eq!(names(&[("severity", "page"), ("x", "b")]), [r#"{}/{severity="page",x=~"a|b"}"#]);
    assert_eq!(names(&[("severity", "page"), ("x", "b"), ("job", "node")]), [leaf.key.as_str()]);
}

#[test]
fn bad_files_are_refused() {
    let receiver = |kind: &str| format!("route: {{receiver: a}}\nreceivers:\n- name: a\n  {kind}");
    let route = |inner: &str| format!("route: {{receiver: a, {inner}}}\nreceivers: [{{name: a}}]");
    for (text, part) in [
        ("receivers: [{name: a}]".to_owned(), "no route provided"),
        ("route: {group_wait: 1s}\nreceivers: [{name: a}]".to_owned(), "root route must specify a default receiver"),
        (route("matchers: ['a=b']"), "must not have any matchers"),
        (route("match: {a: b}"), "must not have any matchers"),
        (route("continue: true"), "cannot have continue"),
        (route("mute_time_intervals: [x]"), "must not have any mute"),
        (route("group_by: [a, a]"), "duplicated label"),
        (route("group_by: [a, ...]"), "wildcard"),
        (route("group_interval: 0s"), "cannot be zero"),
        (route("repeat_interval: 0s"), "cannot be zero"),
        (route("routes: [{receiver: b}]"), "undefined receiver \"b\""),
        (route("routes: [{mute_time_intervals: [x]}]"), "undefined time interval \"x\""),
        (route("routes: [{matchers: ['a']}]"), "bad matcher format"),
        (route("grop_by: [a]"), "unknown key \"grop_by\", did you mean \"group_by\""),
        ("route: {receiver: a}\nreceivers: [{name: a}, {name: a}]".to_owned(), "not unique"),
        ("route: {receiver: a}\nreceivers: [{}]".to_owned(), "missing name"),
        (receiver("webhook_configs: [{}]"), "one of url or url_file"),
        (receiver("webhook_configs: [{url: a, url_file: b}]"), "at most one of url, url_file"),
        (receiver("webhook_configs: [{url: 'http://{{ nope }}'}]"), "function \"nope\" not defined"),
        (receiver("webhook_configs: [null]"), "must not be null"),
        (receiver("email_configs: [{}]"), "missing to address"),
        (receiver("email_configs: [{to: a}]"), "no global SMTP from"),
        (receiver("email_configs: [{to: a, from: b}]"), "no global SMTP smarthost"),
        (receiver("email_configs: [{to: a, from: b, smarthost: host}]"), "port missing"),
        (receiver("email_configs: [{to: a, from: b, smarthost: 'h:1', headers: {X: 1, x: 2}}]"), "duplicate header"),
        (receiver("slack_configs: [{channel: x}]"), "no global Slack API URL"),
        (receiver("slack_configs: [{api_url: x, app_token: y}]"), "at most one"),
        (receiver("slack_configs: [{api_url: x, actions: [{type: button}]}]"), "missing text in Slack action"),
        (receiver("pagerduty_configs: [{}]"), "missing service or routing key"),
        (receiver("pagerduty_configs: [{routing_key: a, service_key: b}]"), "at most one"),
        (receiver("telegram_configs: [{chat_id: 1}]"), "missing bot_token"),
        (receiver("telegram_configs: [{bot_token: x}]"), "missing chat_id"),
        (receiver("telegram_configs: [{bot_token: x, chat_id: 1, parse_mode: html}]"), "expected one of"),
        (receiver("discord_configs: [{}]"), "one of webhook_url"),
        (receiver("msteamsv2_configs: [{}]"), "one of webhook_url"),
        (
            "route: {receiver: a}\nreceivers: [{name: a}]\ntime_intervals: [{name: x, time_intervals: [{times: [{start_time: '10:00', end_time: '09:00'}]}]}]".to_owned(),
            "start time cannot be",
        ),
        (
            "route: {receiver: a}\nreceivers: [{name: a}]\ntime_intervals: [{name: x}]\nmute_time_intervals: [{name: x}]".to_owned(),
            "not unique",
        ),
    ] {
        match load(&text) {
            Ok(_) => panic!("loaded: {text}"),
            Err(error) => assert!(error.contains(part), "{text}\n  {error}"),
        }
    }
}

#[test]
fn secrets_are_masked_in_what_is_shown() {
    let config = load(
        "global: {slack_api_url: 'https://hooks/secret1'}\nroute: {receiver: a}\nreceivers:\n- name: a\n  slack_configs: [{channel: c}]\n  webhook_configs: [{url: 'http://x/secret2'}]\n  pagerduty_configs: [{routing_key: secret3}]",
    )
    .unwrap();
    assert!(!config.masked.contains("secret1") && !config.masked.contains("secret3"), "{}", config.masked);
    assert!(config.masked.contains("<secret>"));
}

#[test]
fn further_receivers_are_checked() {
    for (integration, expected) in [
        ("opsgenie_configs: [{}]", "no global OpsGenie API Key"),
        ("opsgenie_configs: [{api_key: k, api_key_file: f}]", "at most one of"),
        (
            "opsgenie_configs: [{api_key: k, responders: [{type: team}]}]",
            "at least one of id, username or name",
        ),
        (
            "opsgenie_configs: [{api_key: k, responders: [{id: '1', type: nobody}]}]",
            "responder type \"nobody\"",
        ),
        ("opsgenie_configs: [{api_key: k, api_url: 'ftp://x'}]", "unsupported scheme"),
        ("victorops_configs: [{api_key: k}]", "missing Routing key"),
        ("victorops_configs: [{routing_key: r}]", "no global VictorOps API Key"),
        (
            "victorops_configs: [{api_key: k, routing_key: r, custom_fields: {entity_id: x}}]",
            "custom field entity_id",
        ),
        ("pushover_configs: [{token: t}]", "one of user_key or user_key_file"),
        ("pushover_configs: [{user_key: u}]", "one of token or token_file"),
        ("pushover_configs: [{user_key: u, token: t, html: true, monospace: true}]", "monospace & html"),
        ("wechat_configs: [{api_secret: s}]", "no global Wechat CorpID"),
        ("wechat_configs: [{corp_id: c}]", "no global Wechat Api Secret"),
        ("wechat_configs: [{api_secret: s, corp_id: c, message_type: video}]", "expected one of"),
        ("sns_configs: [{}]", "must provide either a Target ARN"),
        ("sns_configs: [{topic_arn: a, phone_number: b}]", "must provide either a Target ARN"),
        ("sns_configs: [{topic_arn: a, sigv4: {access_key: x}}]", "Access key and Secret Key"),
        ("webex_configs: [{http_config: {authorization: {credentials: c}}}]", "missing room_id"),
        ("webex_configs: [{room_id: r}]", "missing webex_configs.http_config.authorization"),
        ("msteams_configs: [{}]", "one of webhook_url or webhook_url_file"),
        ("jira_configs: [{api_url: 'http://x', issue_type: t}]", "missing project"),
        ("jira_configs: [{api_url: 'http://x', project: t}]", "missing issue_type"),
        ("jira_configs: [{project: p, issue_type: t}]", "no Jira Cloud URL"),
        (
            "jira_configs: [{api_url: 'http://x', project: p, issue_type: t, api_type: old}]",
            "expected one of",
        ),
        ("rocketchat_configs: [{token: t}]", "no global Rocketchat TokenID"),
        ("rocketchat_configs: [{token_id: t}]", "no global Rocketchat Token set"),
        ("mattermost_configs: [{}]", "missing webhook_url"),
        ("mattermost_configs: [{webhook_url: 'http://x', fields: [{title: a}]}]", "missing value"),
        ("incidentio_configs: [{alert_source_token: t}]", "one of url or url_file"),
        ("incidentio_configs: [{url: 'http://x'}]", "at least one of alert_source_token"),
        (
            "incidentio_configs: [{url: 'http://x', alert_source_token: t, http_config: {authorization: {credentials: c}}}]",
            "cannot specify alert_source_token",
        ),
        ("slack_configs: [{api_url: 'http://x', update_message: true}]", "update_message needs"),
        (
            "jira_configs: [{api_url: 'http://x', project: p, issue_type: t, description: '{{ end }}'}]",
            "am.yml:4:",
        ),
        ("webhook_configs: [{url: 'http://x', payload: {a: '{{ nope }}'}}]", "am.yml:4:"),
        ("opsgenie_configs: [null]", "must not be null"),
        ("fallback: {receiver: r}", "its own fallback"),
        ("fallback: {receiver: nobody}", "undefined receiver \"nobody\" used as fallback"),
        ("fallback: {after: 5m}", "required key \"receiver\" is missing"),
    ] {
        let text = format!("route: {{receiver: r}}\nreceivers:\n- name: r\n  {integration}\n");
        let error = load(&text).expect_err(integration);
        assert!(error.contains(expected), "{integration}: {error}");
    }
    let global = "global: {opsgenie_api_key: k, victorops_api_key: k, wechat_api_secret: s, wechat_api_corp_id: c, rocketchat_token: t,
  rocketchat_token_id: i, jira_api_url: 'http://x', mattermost_webhook_url: 'http://x'}
route: {receiver: r}
receivers:
- {name: r, opsgenie_configs: [{}], victorops_configs: [{routing_key: r}], wechat_configs: [{}], rocketchat_configs: [{}],
   jira_configs: [{project: p, issue_type: t}], mattermost_configs: [{}]}";
    let config = load(global).unwrap();
    let kinds: Vec<(&str, bool)> =
        config.receivers[0].integrations.iter().map(|one| (one.kind.name(), one.send_resolved)).collect();
    assert_eq!(
        kinds,
        [
            ("opsgenie", true),
            ("victorops", true),
            ("wechat", false),
            ("jira", true),
            ("rocketchat", false),
            ("mattermost", true)
        ]
    );
}

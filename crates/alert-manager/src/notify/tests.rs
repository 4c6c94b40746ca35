//! Each kind against a server that notes what it is sent: the payloads are the originals', byte by byte where it matters.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender as ChannelSender, channel};
use std::thread;

use serde_json::{Value, json};

use super::*;
use crate::config::Config;
use crate::data::{AlertData, Pairs};
use crate::matchers::MatcherMode;

/// A request as the server got it.
#[derive(Debug)]
struct Got {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| self.body.clone().into())
    }
}

/// A server that answers with the replies, each once and the last one for good.
fn server(replies: &'static [(u16, &'static str)]) -> (String, Receiver<Got>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for (idx, stream) in listener.incoming().flatten().enumerate() {
            let reply = replies[idx.min(replies.len() - 1)];
            // A client that has gone away is its own test's matter.
            answer(stream, reply, &sender);
        }
    });
    (url, receiver)
}

fn answer(stream: TcpStream, (status, reply): (u16, &str), sender: &ChannelSender<Got>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut got = Got { line: String::new(), headers: Vec::new(), body: String::new() };
    reader.read_line(&mut got.line).ok()?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        got.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut body = vec![0; got.header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    got.body = String::from_utf8(body).ok()?;
    got.line = got.line.trim().trim_end_matches(" HTTP/1.1").to_owned();
    // Noted before it is answered, so that who has the answer finds it noted.
    sender.send(got).ok()?;
    let answer = format!(
        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{reply}",
        reply.len()
    );
    reader.get_mut().write_all(answer.as_bytes()).ok()
}

fn pairs(text: &[(&str, &str)]) -> Pairs {
    text.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Two alerts of a group.
fn message(status: &'static str) -> Message {
    let second = 1_700_000_000 * 1_000_000_000;
    let alert = |instance: &str| AlertData {
        status,
        labels: pairs(&[("alertname", "Down"), ("instance", instance), ("severity", "critical")]),
        annotations: pairs(&[("summary", "It is <down>")]),
        starts_at: Some(second),
        ends_at: (status == "resolved").then_some(second + 60_000_000_000),
        generator_url: "http://prom/g".to_owned(),
        fingerprint: "00000000000000aa".to_owned(),
    };
    Message {
        group_key: "{}:{alertname=\"Down\"}".to_owned(),
        data: Data {
            receiver: "r".to_owned(),
            status,
            alerts: vec![alert("a"), alert("b")],
            notification_reason: "first notification",
            group_labels: pairs(&[("alertname", "Down")]),
            common_labels: pairs(&[("alertname", "Down"), ("severity", "critical")]),
            common_annotations: pairs(&[("summary", "It is <down>")]),
            route_labels: Pairs::new(),
            external_url: "http://am".to_owned(),
            ack_url: "http://am/ack".to_owned(),
        },
        date: "2023-11-14".to_owned(),
        timeout: Duration::from_secs(20),
        now: second,
        idempotency_key: "key-1".to_owned(),
        truncated: 0,
        memory: BTreeMap::new(),
    }
}

/// Sends `messages` by the one integration of a receiver; URL in its text is the server's.
fn send_all(
    integration: &str,
    replies: &'static [(u16, &'static str)],
    messages: &[Message],
) -> (Vec<Got>, Vec<Result<Told, NotifyError>>) {
    let (url, requests) = server(replies);
    let text = format!(
        "route: {{receiver: r}}\nreceivers:\n- name: r\n  {}\n",
        integration.replace("URL", &url).replace('\n', "\n    ")
    );
    let config =
        Config::parse("am.yml", &text, MatcherMode::Fallback).unwrap_or_else(|error| panic!("{error}"));
    let templates = Arc::new(Templates::shipped());
    let notifier = Notifier::new(&config.receivers[0].integrations[0], &templates).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcomes = runtime.block_on(async {
        let mut outcomes = Vec::new();
        for message in messages {
            outcomes.push(notifier.notify(message).await);
        }
        outcomes
    });
    (requests.try_iter().collect(), outcomes)
}

/// What one message makes an integration send: method and path, and the body.
fn sent(integration: &str, status: &'static str) -> Vec<(String, Value)> {
    let (got, outcomes) =
        send_all(integration, &[(200, "{\"ok\":true,\"success\":true}")], &[message(status)]);
    for outcome in &outcomes {
        assert!(outcome.is_ok(), "{outcome:?}");
    }
    got.iter().map(|got| (got.line.clone(), got.json())).collect()
}

/// The text with the group's hash for HASH.
fn hashed(text: &str) -> String {
    text.replace("HASH", &message("firing").key_hash())
}

const LIST: &str = "Labels:\n - alertname = Down\n - instance = a\n - severity = critical\nAnnotations:\n - summary = It is <down>\nSource: http://prom/g\nLabels:\n - alertname = Down\n - instance = b\n - severity = critical\nAnnotations:\n - summary = It is <down>\nSource: http://prom/g\n";
const TITLE: &str = "[FIRING:2] Down (critical)";
const LINK: &str = "http://am/#/alerts?receiver=r";

fn summary() -> String {
    format!("It is <down>\nAlerts Firing:\n{LIST}")
}

#[test]
fn opsgenie_makes_keeps_and_closes_alerts() {
    let config = "opsgenie_configs: [{api_url: 'URL/x', api_key: k, tags: 'a, b,', actions: 'go', note: n, entity: e, priority: P1,
      details: {team: '{{ .Receiver }}'}, update_alerts: true,
      responders: [{name: 'x,y', type: teams}, {id: '5', type: User}, {name: '{{ \"\" }}', type: team}]}]";
    let made = sent(config, "firing");
    let expected = json!({
        "alias": hashed("HASH"), "message": TITLE, "description": summary(), "source": LINK,
        "details": { "alertname": "Down", "severity": "critical", "team": "r" },
        "responders": [
            { "name": "x", "type": "team" }, { "name": "y", "type": "team" }, { "id": "5", "type": "user" },
        ],
        "tags": ["a", "b"], "actions": ["go"], "note": "n", "priority": "P1", "entity": "e",
    });
    assert_eq!(made[0], ("POST /x/v2/alerts".to_owned(), expected));
    assert_eq!(
        made[1],
        (hashed("PUT /x/v2/alerts/HASH/message?identifierType=alias"), json!({ "message": TITLE }))
    );
    let path = hashed("PUT /x/v2/alerts/HASH/description?identifierType=alias");
    assert_eq!(made[2], (path, json!({ "description": summary() })));
    let path = hashed("POST /x/v2/alerts/HASH/close?identifierType=alias");
    assert_eq!(sent(config, "resolved"), [(path, json!({ "source": LINK }))]);
    let (got, _) = send_all(config, &[(200, "")], &[message("firing")]);
    assert_eq!(got[0].header("authorization"), "GenieKey k");
    assert_eq!(got[0].header("idempotency-key"), "key-1");
    assert_eq!(got[0].header("user-agent"), USER_AGENT);
}

#[test]
fn victorops_pushover_webex_and_teams_get_their_forms() {
    let victorops = "victorops_configs: [{api_url: 'URL/', api_key: k, routing_key: team, custom_fields: {f: '{{ .Status }}'}}]";
    let body = |kind: &str, state: &str| {
        json!({
            "message_type": kind, "entity_id": hashed("HASH"), "monitoring_tool": "Alertmanager", "f": state,
            "entity_display_name": TITLE, "state_message": summary(),
        })
    };
    assert_eq!(sent(victorops, "firing"), [("POST /k/team".to_owned(), body("CRITICAL", "firing"))]);
    let resolved = sent(victorops, "resolved");
    assert_eq!(
        (&resolved[0].1["message_type"], &resolved[0].1["f"]),
        (&"RECOVERY".into(), &"resolved".into())
    );

    let pushover = "pushover_configs: [{api_url: 'URL/p', user_key: u, token: t, message: ' m ', ttl: 90s, monospace: true}]";
    let expected = "POST /p?device=&expire=3600&message=m&monospace=1&priority=2&retry=60&sound=&\
        title=%5BFIRING%3A2%5D+Down+%28critical%29&token=t&ttl=90&url=http%3A%2F%2Fam%2F%23%2Falerts%3Freceiver%3Dr&\
        url_title=&user=u";
    assert_eq!(sent(pushover, "firing"), [(expected.to_owned(), "".into())]);
    let empty = "pushover_configs: [{api_url: 'URL/p', user_key: u, token: t, message: '  '}]";
    assert!(sent(empty, "firing")[0].0.contains("message=%28no+details%29"));

    let webex = "webex_configs: [{api_url: 'URL/w', room_id: '{{ .Receiver }}', http_config: {authorization: {credentials: c}}}]";
    assert_eq!(
        sent(webex, "firing"),
        [("POST /w".to_owned(), json!({ "markdown": summary(), "roomId": "r" }))]
    );
    let (got, _) = send_all(webex, &[(200, "")], &[message("firing")]);
    assert_eq!(got[0].header("authorization"), "Bearer c");

    let teams = "msteams_configs: [{webhook_url: 'URL/t', text: x, summary: s}]";
    let card = |color: &str, title: &str| {
        json!({
            "@context": "http://schema.org/extensions", "type": "MessageCard", "title": title, "summary": "s",
            "text": "x", "themeColor": color,
        })
    };
    assert_eq!(sent(teams, "firing"), [("POST /t".to_owned(), card("8C1A1A", TITLE))]);
    assert_eq!(
        sent(teams, "resolved"),
        [("POST /t".to_owned(), card("2DC72D", "[RESOLVED] Down (critical)"))]
    );
}

#[test]
fn rocketchat_mattermost_and_incidentio_get_their_forms() {
    let rocket = "rocketchat_configs: [{api_url: 'URL/', token: t, token_id: i, channel: '#c', emoji: ':x:', short_fields: true,
      fields: [{title: a, value: b}, {title: c, value: d, short: false}], actions: [{text: go, url: 'http://x', msg: m}]}]";
    let attachment = json!({
        "title": TITLE, "title_link": LINK, "color": "red",
        "fields": [{ "title": "a", "value": "b", "short": true }, { "title": "c", "value": "d", "short": false }],
        "actions": [{
            "type": "button", "text": "go", "url": "http://x", "msg": "m", "is_webview": false, "msg_in_chat_window": false,
        }],
    });
    let body = json!({ "channel": "#c", "emoji": ":x:", "attachments": [attachment] });
    assert_eq!(sent(rocket, "firing"), [("POST /api/v1/chat.postMessage".to_owned(), body)]);
    let (got, outcomes) =
        send_all(rocket, &[(200, "{\"success\":false,\"error\":\"no room\"}")], &[message("firing")]);
    assert_eq!((got[0].header("x-auth-token"), got[0].header("x-user-id")), ("t", "i"));
    let error = outcomes[0].clone().unwrap_err();
    assert_eq!((error.message.as_str(), error.retry), ("error response from Rocketchat: no room", false));

    let mattermost = "mattermost_configs: [{webhook_url: 'URL/m', channel: c, text: x, fields: [{title: a, value: b, short: true}],
      props: {card: k}, priority: {priority: Important, requested_ack: true, persistent_notifications: true}}]";
    let body = json!({
        "channel": "c", "username": "Alertmanager", "props": { "card": "k" },
        "priority": { "priority": "important", "requested_ack": true },
        "attachments": [{
            "text": "x", "title": TITLE, "title_link": LINK, "color": "danger", "fallback": format!("{TITLE} | {LINK}"),
            "fields": [{ "title": "a", "value": "b", "short": true }],
        }],
    });
    assert_eq!(sent(mattermost, "firing"), [("POST /m".to_owned(), body)]);
    let own = "mattermost_configs: [{webhook_url: 'URL/m', username: '', text: x, attachments: [{text: y, footer: f}]}]";
    let body = json!({ "text": "x", "attachments": [{ "text": "y", "footer": "f" }] });
    assert_eq!(sent(own, "firing"), [("POST /m".to_owned(), body)]);

    let incident = "incidentio_configs: [{url: 'URL/i', alert_source_token: t, max_alerts: 1}]";
    let (got, _) = send_all(incident, &[(200, "")], &[message("firing")]);
    let body = got[0].json();
    assert_eq!(
        (&body["version"], &body["truncatedAlerts"], &body["groupKey"]),
        (&"1".into(), &1.into(), &"{}:{alertname=\"Down\"}".into())
    );
    assert_eq!(
        (body["alerts"].as_array().map(Vec::len), got[0].header("authorization")),
        (Some(1), "Bearer t")
    );
}

#[test]
fn a_large_incident_keeps_its_first_alert() {
    let mut large = message("firing");
    large.data.alerts[1].annotations.insert("x".to_owned(), "y".repeat(600 << 10));
    let (got, _) =
        send_all("incidentio_configs: [{url: 'URL/i', alert_source_token: t}]", &[(200, "")], &[large]);
    assert_eq!(got[0].json()["alerts"].as_array().map(Vec::len), Some(1));
}

#[test]
fn wechat_asks_for_a_token_and_again_when_it_is_too_old() {
    let config = "wechat_configs: [{api_url: 'URL/cgi-bin', api_secret: s, corp_id: c, to_user: u, agent_id: '1', message: x}]";
    let replies: &[(u16, &str)] = &[
        (200, "{\"access_token\":\"one\"}"),
        (200, "{\"errcode\":0}"),
        (200, "{\"errcode\":42001,\"errmsg\":\"expired\"}"),
        (200, "{\"access_token\":\"two\"}"),
        (200, "{\"errcode\":40003,\"errmsg\":\"bad user\"}"),
    ];
    let (got, outcomes) =
        send_all(config, replies, &[message("firing"), message("firing"), message("firing")]);
    let lines: Vec<&str> = got.iter().map(|got| got.line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "GET /cgi-bin/gettoken?corpid=c&corpsecret=s",
            "POST /cgi-bin/message/send?access_token=one",
            "POST /cgi-bin/message/send?access_token=one",
            "GET /cgi-bin/gettoken?corpid=c&corpsecret=s",
            "POST /cgi-bin/message/send?access_token=two",
        ]
    );
    let expected = json!({
        "text": { "content": "x" }, "markdown": { "content": "" }, "safe": "0", "msgtype": "text", "touser": "u", "agentid": "1",
    });
    assert_eq!(got[1].json(), expected);
    assert!(outcomes[0].is_ok());
    let errors: Vec<(bool, &str)> = outcomes[1..]
        .iter()
        .filter_map(|one| one.as_ref().err())
        .map(|error| (error.retry, error.message.as_str()))
        .collect();
    assert_eq!(errors, [(true, "expired"), (false, "bad user")]);
}

#[test]
fn sns_publishes_signed_forms() {
    let config = |target: &str| {
        format!(
            "sns_configs: [{{api_url: 'URL/', sigv4: {{region: eu-west-1, access_key: AK, secret_key: SK}}, {target}, subject: s, message: '{{{{ .Status }}}}', attributes: {{k: v}}}}]"
        )
    };
    let (got, outcomes) =
        send_all(&config("topic_arn: 'arn:x.fifo'"), &[(200, "<ok/>")], &[message("firing")]);
    assert!(outcomes[0].is_ok(), "{outcomes:?}");
    let expected = hashed(
        "Action=Publish&Version=2010-03-31&MessageDeduplicationId=HASH&MessageGroupId=HASH&TopicArn=arn%3Ax.fifo&Message=firing&\
         Subject=s&MessageAttributes.entry.1.Name=k&MessageAttributes.entry.1.Value.DataType=String&\
         MessageAttributes.entry.1.Value.StringValue=v",
    );
    assert_eq!(got[0].body, expected);
    let authorization = got[0].header("authorization");
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AK/20231114/eu-west-1/sns/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature="), "{authorization}");
    assert_eq!(got[0].header("x-amz-date"), "20231114T221320Z");
    let long = config("phone_number: '+1'").replace("{{ .Status }}", &"z".repeat(2000));
    let (got, _) = send_all(&long, &[(200, "")], &[message("firing")]);
    assert!(
        got[0].body.contains(&format!("Message={}&", "z".repeat(1600)))
            && got[0].body.contains("Name=truncated")
    );
    assert!(!got[0].body.contains(&"z".repeat(1601)));
}

const ROLE_KEYS: &str = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ROLEKEY</AccessKeyId>\
    <SecretAccessKey>s</SecretAccessKey><SessionToken>token+/=</SessionToken><Expiration>2023-11-14T23:13:20Z</Expiration>\
    </Credentials></AssumeRoleResult></AssumeRoleResponse>";

#[test]
fn sns_signs_as_a_profile_and_as_a_role() {
    let dir = tempfile::tempdir().unwrap();
    let credentials = dir.path().join("credentials");
    std::fs::write(&credentials, "[ops]\naws_access_key_id = PROFILEKEY\naws_secret_access_key = x\n")
        .unwrap();
    std::fs::write(dir.path().join("config"), "[profile ops]\nregion = eu-south-1\n").unwrap();
    let (url, requests) = server(&[(200, ROLE_KEYS), (200, "<ok/>")]);
    let variable = |name: &str| match name {
        "AWS_SHARED_CREDENTIALS_FILE" => credentials.display().to_string(),
        "AWS_CONFIG_FILE" => dir.path().join("config").display().to_string(),
        "AWS_ENDPOINT_URL_STS" => url.clone(),
        "AWS_ACCESS_KEY_ID" => "ENVKEY".to_owned(),
        _ => String::new(),
    };
    let publish = |sigv4: &str, times: usize| {
        let text = format!(
            "route: {{receiver: r}}\nreceivers: [{{name: r, sns_configs: [{{api_url: '{url}', topic_arn: t, message: m, sigv4: {sigv4}}}]}}]"
        );
        let config = Config::parse("am.yml", &text, MatcherMode::Fallback).unwrap();
        let integration = &config.receivers[0].integrations[0];
        let IntegrationKind::Sns(sns) = &integration.kind else { panic!("it is SNS") };
        let client = HttpClient::new(sns.http.clone(), ClientOptions::default()).unwrap();
        let (templates, message, roles) =
            (Templates::shipped(), message("firing"), aws::RoleCache::default());
        let sender = Sender {
            client: &client,
            message: &message,
            render: Render::new(&templates, &message.data),
            dry: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut outcome = Ok(String::new());
            for _ in 0..times {
                outcome = sns::send_as(sns, &sender, &roles, &variable).await;
            }
            outcome.map(drop).map_err(|error| error.message)
        })
    };
    // The keys of the profile take on the role; the role's keys publish, twice.
    assert_eq!(publish("{profile: ops, role_arn: 'arn:aws:iam::1:role/x', external_id: e}", 2), Ok(()));
    let got: Vec<Got> = requests.try_iter().collect();
    assert_eq!(
        got[0].body,
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fx&\
         RoleSessionName=watchbell-alerts&ExternalId=e"
    );
    let signed_by = |got: &Got| got.header("authorization").split(',').next().unwrap_or_default().to_owned();
    let by: Vec<String> = got.iter().map(signed_by).collect();
    let sns = "AWS4-HMAC-SHA256 Credential=ROLEKEY/20231114/eu-south-1/sns/aws4_request";
    assert_eq!(by, ["AWS4-HMAC-SHA256 Credential=PROFILEKEY/20231114/eu-south-1/sts/aws4_request", sns, sns]);
    assert_eq!(got[2].header("x-amz-security-token"), "token+/=");
    // The environment's keys where no profile is named; a profile that is not there is named.
    assert_eq!(publish("{region: r}", 1), Ok(()));
    assert!(signed_by(&requests.try_recv().unwrap()).contains("Credential=ENVKEY/20231114/r/sns/"));
    let missing = publish("{region: r, profile: nobody}", 1).unwrap_err();
    assert!(missing.contains("has no profile \"nobody\""), "{missing}");
    assert!(publish("{profile: nobody}", 1).unwrap_err().contains("region not configured"));
}

const JIRA: &str = "jira_configs: [{api_url: 'URL/rest/api/2', project: OPS, issue_type: Bug, labels: [x], description: d, resolve_transition: Done,
  reopen_transition: Reopen, reopen_duration: 2h, wont_fix_resolution: 'Won''t Do', summary: {template: s, enable_update: false},
  fields: {customfield_1: {value: '{{ .Status }}', count: '5'}}}]";

#[test]
fn jira_makes_a_ticket_once() {
    let (got, outcomes) =
        send_all(JIRA, &[(200, "{\"issues\":[]}"), (201, "{\"key\":\"OPS-1\"}")], &[message("firing")]);
    assert_eq!(outcomes[0].as_ref().map(|told| told.answer.as_str()), Ok("made OPS-1"));
    let jql = hashed(
        "(resolution is EMPTY or resolution != \"Won't Do\") and (resolutiondate is EMPTY OR resolutiondate >= -120m) and \
         project=\"OPS\" and labels=\"ALERT{HASH}\" order by status ASC,resolutiondate DESC",
    );
    assert_eq!(got[0].line, "POST /rest/api/2/search");
    assert_eq!(got[0].json(), json!({ "fields": ["status"], "jql": jql, "maxResults": 2 }));
    let fields = json!({
        "project": { "key": "OPS" }, "issuetype": { "name": "Bug" }, "summary": "s", "description": "d",
        "labels": [hashed("ALERT{HASH}"), "x"], "priority": { "name": "High" },
        "customfield_1": { "value": "firing", "count": 5 },
    });
    assert_eq!(
        (got[1].line.as_str(), got[1].json()),
        ("POST /rest/api/2/issue", json!({ "fields": fields }))
    );
    // Nothing is made for what is resolved.
    let (got, outcomes) = send_all(JIRA, &[(200, "{\"issues\":[]}")], &[message("resolved")]);
    assert!(outcomes[0].is_ok() && got.len() == 1);
}

#[test]
fn jira_moves_tickets_on() {
    let replies: &[(u16, &str)] = &[
        (
            200,
            "{\"issues\":[{\"key\":\"OPS-1\",\"fields\":{\"status\":{\"statusCategory\":{\"key\":\"new\"}}}}]}",
        ),
        (204, ""),
        (200, "{\"transitions\":[{\"id\":\"3\",\"name\":\"Other\"},{\"id\":\"7\",\"name\":\"Done\"}]}"),
        (204, ""),
    ];
    let (got, outcomes) = send_all(JIRA, replies, &[message("resolved")]);
    assert_eq!(outcomes[0].as_ref().map(|told| told.answer.as_str()), Ok("changed OPS-1: Done"));
    let lines: Vec<&str> = got.iter().map(|got| got.line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "POST /rest/api/2/search",
            "PUT /rest/api/2/issue/OPS-1",
            "GET /rest/api/2/issue/OPS-1/transitions",
            "POST /rest/api/2/issue/OPS-1/transitions",
        ]
    );
    assert_eq!(
        (got[1].json()["fields"].get("summary"), &got[1].json()["fields"]["description"]),
        (None, &"d".into())
    );
    assert_eq!(got[3].json(), json!({ "transition": { "id": "7" } }));
    let cloud = JIRA
        .replace("project: OPS", "api_type: cloud, project: OPS")
        .replace("URL/rest/api/2", "URL/rest/api/3");
    let (got, _) = send_all(&cloud, &[(200, "{\"issues\":[]}"), (201, "{}")], &[message("firing")]);
    assert_eq!(got[0].line, "POST /rest/api/3/search/jql");
    assert_eq!(got[1].json()["fields"]["description"]["content"][0]["content"][0]["text"], "d");
}

#[test]
fn webhooks_may_have_a_body_of_their_own() {
    let config = "webhook_configs: [{url: 'URL/{{ .Status }}', payload: {'k_{{ .Status }}': [1, '{{ .Alerts | len }}', '{{ .GroupLabels | toJson }}', 'a: text', true, null]}}]";
    let body = json!({ "k_firing": [1, 2, { "alertname": "Down" }, { "a": "text" }, true, null] });
    assert_eq!(sent(config, "firing"), [("POST /firing".to_owned(), body)]);
}

#[test]
fn slack_changes_its_first_message() {
    let config = "slack_configs: [{app_token: t, app_url: 'URL/api/chat.postMessage', channel: c, update_message: true}]";
    let mut second = message("resolved");
    let (_, outcomes) =
        send_all(config, &[(200, "{\"ok\":true,\"ts\":\"1.2\",\"channel\":\"C9\"}")], &[message("firing")]);
    second.memory = outcomes[0].clone().unwrap().memory;
    let (got, _) = send_all(config, &[(200, "{\"ok\":true,\"ts\":\"1.2\",\"channel\":\"C9\"}")], &[second]);
    let body = got[0].json();
    assert_eq!(
        (got[0].line.as_str(), &body["ts"], &body["channel"]),
        ("POST /api/chat.update", &"1.2".into(), &"C9".into())
    );
}

#[test]
fn a_template_that_fails_is_replaced_by_a_plain_message() {
    for config in [
        "slack_configs: [{api_url: 'URL/', text: '{{ template \"none\" . }}'}]",
        "opsgenie_configs: [{api_url: 'URL/', api_key: k, description: '{{ .Nope }}'}]",
        "pagerduty_configs: [{url: 'URL/', routing_key: k, description: '{{ index .Alerts 9 }}', severity: '{{ .Nope }}'}]",
        "telegram_configs: [{api_url: 'URL', bot_token: t, chat_id: 1, message: '{{ slice .Status 5 99 }}'}]",
        "discord_configs: [{webhook_url: 'URL', message: '{{ .Nope }}'}]",
        "msteamsv2_configs: [{webhook_url: 'URL', text: '{{ .Nope }}'}]",
        "webhook_configs: [{url: 'URL', payload: {text: '{{ .Nope }}'}}]",
    ] {
        let (got, outcomes) = send_all(config, &[(200, "{\"ok\":true}")], &[message("firing")]);
        let told = outcomes[0].clone().unwrap_or_else(|error| panic!("{config}: {error}"));
        assert!(told.template_error.is_some(), "{config}");
        let body = &got[0].body;
        assert!(body.contains("[FIRING:2] Down") && body.contains("instance=b"), "{config}: {body}");
    }
    // Without an address there is nowhere to send a plain message to.
    let (got, outcomes) =
        send_all("webhook_configs: [{url: 'URL/{{ .Nope }}'}]", &[(200, "")], &[message("firing")]);
    assert!(got.is_empty() && outcomes[0].is_err());
}

#[test]
fn statuses_are_retried_as_the_originals() {
    for (config, status, retry, reason) in [
        ("webhook_configs: [{url: 'URL'}]", 500, true, "serverError"),
        ("webhook_configs: [{url: 'URL'}]", 429, false, "rateLimited"),
        ("opsgenie_configs: [{api_url: 'URL', api_key: k}]", 429, true, "rateLimited"),
        ("victorops_configs: [{api_url: 'URL', api_key: k, routing_key: r}]", 404, false, "clientError"),
        ("pushover_configs: [{api_url: 'URL', user_key: u, token: t}]", 401, false, "authError"),
        ("jira_configs: [{api_url: 'URL', project: p, issue_type: t}]", 429, true, "rateLimited"),
        (
            "sns_configs: [{api_url: 'URL', topic_arn: a, sigv4: {region: r, access_key: a, secret_key: s}}]",
            503,
            true,
            "serverError",
        ),
    ] {
        let replies: &'static [(u16, &str)] = Box::leak(Box::new([(status, "no")]));
        let (_, outcomes) = send_all(config, replies, &[message("firing")]);
        let error = outcomes[0].clone().unwrap_err();
        assert_eq!((error.retry, error.reason), (retry, reason), "{config}");
        assert!(error.message.contains(&status.to_string()), "{error}");
    }
}

#[test]
fn requests_go_by_proxy_with_oauth2_and_basic_auth() {
    // The proxy is the server itself: what it gets has the whole URL in its first line.
    let proxied = "webhook_configs: [{url: 'http://hook.example/h', http_config: {proxy_url: 'URL', basic_auth: {username: u, password: p}}}]";
    let (got, outcomes) = send_all(proxied, &[(200, "")], &[message("firing")]);
    assert!(outcomes[0].is_ok(), "{outcomes:?}");
    assert_eq!(
        (got[0].line.as_str(), got[0].header("authorization")),
        ("POST http://hook.example/h", "Basic dTpw")
    );
    let oauth2 = "webhook_configs: [{url: 'URL/h', http_config: {oauth2: {client_id: i, client_secret: s, token_url: 'URL/token'}}}]";
    let (got, _) = send_all(
        oauth2,
        &[(200, "{\"access_token\":\"T\",\"token_type\":\"Bearer\",\"expires_in\":3600}")],
        &[message("firing")],
    );
    assert_eq!(got[0].line, "POST /token");
    assert_eq!((got[1].line.as_str(), got[1].header("authorization")), ("POST /h", "Bearer T"));
}

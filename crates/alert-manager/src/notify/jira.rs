//! Jira: a ticket is looked for, made or brought up to date, and moved on.

use http_client::{HeaderValue, Method, Url, header};
use serde_json::{Map, Value, json};

use super::{NotifyError, Sender, cut, join_url};
use crate::config::{JiraApi, JiraConfig};

const SUMMARY_CHARS_MAX: usize = 255;
const DESCRIPTION_CHARS_MAX: usize = 32_767;
/// A search with two tickets, or a list of transitions.
const REPLY_BYTES_MAX: usize = 1 << 20;

pub(super) async fn send(config: &JiraConfig, sender: &Sender<'_>) -> Result<String, NotifyError> {
    let jira = Jira { config, sender };
    let issue = jira.search().await?;
    if issue.is_none() && !sender.is_firing() {
        return Ok("no ticket is open, and none is made for what is resolved".to_owned());
    }
    let mut fields = jira.fields()?;
    let key = issue.as_ref().and_then(|issue| issue["key"].as_str()).map(str::to_owned);
    let Some(key) = key else {
        let reply = jira.call(Method::POST, &jira.url("issue"), Some(json!({ "fields": fields }))).await?;
        return Ok(format!("made {}", reply["key"].as_str().unwrap_or("a ticket")));
    };
    for (field, settings) in [("summary", &config.summary), ("description", &config.description)] {
        if !settings.enable_update {
            fields.remove(field);
        }
    }
    jira.call(Method::PUT, &jira.url(&format!("issue/{key}")), Some(json!({ "fields": fields }))).await?;
    let category = issue
        .as_ref()
        .map_or("", |issue| issue["fields"]["status"]["statusCategory"]["key"].as_str().unwrap_or_default());
    let transition = match (sender.is_firing(), category == "done") {
        (true, true) => config.reopen_transition.as_str(),
        (false, false) => config.resolve_transition.as_str(),
        (true, false) | (false, true) => "",
    };
    if transition.is_empty() || category.is_empty() {
        return Ok(format!("changed {key}"));
    }
    jira.transition(&key, transition).await?;
    Ok(format!("changed {key}: {transition}"))
}

struct Jira<'j> {
    config: &'j JiraConfig,
    sender: &'j Sender<'j>,
}

impl Jira<'_> {
    fn url(&self, path: &str) -> String {
        join_url(&self.config.api_url, path)
    }

    fn label(&self) -> String {
        format!("ALERT{{{}}}", self.sender.message.key_hash())
    }

    /// The open ticket of the group, or the one that was closed last.
    async fn search(&self) -> Result<Option<Value>, NotifyError> {
        let config = self.config;
        let mut jql = String::new();
        if !config.wont_fix_resolution.is_empty() {
            let resolution = quoted(&config.wont_fix_resolution);
            jql.push_str(&format!("(resolution is EMPTY or resolution != {resolution}) and "));
        }
        let reopen_minutes = config.reopen_duration.as_secs() / 60;
        if self.sender.is_firing() && !config.reopen_transition.is_empty() && reopen_minutes > 0 {
            jql.push_str(&format!("(resolutiondate is EMPTY OR resolutiondate >= -{reopen_minutes}m) and "));
        } else {
            jql.push_str("statusCategory != Done and ");
        }
        let project = self.sender.exact(config.texts.get("project"))?;
        jql.push_str(&format!(
            "project={} and labels={} order by status ASC,resolutiondate DESC",
            quoted(&project),
            quoted(&self.label())
        ));
        let host = Url::parse(&config.api_url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let is_cloud = match config.api_type {
            JiraApi::Cloud => true,
            JiraApi::Datacenter => false,
            JiraApi::Auto => host.is_some_and(|host| host.ends_with("atlassian.net")),
        };
        let url = match is_cloud {
            true => self.url("search/jql").replacen("/rest/api/2/", "/rest/api/3/", 1),
            false => self.url("search"),
        };
        let body = json!({ "fields": ["status"], "jql": jql, "maxResults": 2 });
        let mut reply = self.call(Method::POST, &url, Some(body)).await?;
        Ok(reply["issues"]
            .as_array_mut()
            .filter(|issues| !issues.is_empty())
            .map(|issues| issues.swap_remove(0)))
    }

    fn fields(&self) -> Result<Map<String, Value>, NotifyError> {
        let (config, sender) = (self.config, self.sender);
        let exact = |key: &str| sender.exact(config.texts.get(key));
        let mut labels: Vec<String> = config.labels.iter().map(|label| sender.word(label)).collect();
        labels.push(self.label());
        labels.sort();
        let mut fields = Map::new();
        fields.insert("project".to_owned(), json!({ "key": exact("project")? }));
        fields.insert("issuetype".to_owned(), json!({ "name": exact("issue_type")? }));
        fields.insert(
            "summary".to_owned(),
            cut(&sender.text(&config.summary.template), SUMMARY_CHARS_MAX).into(),
        );
        fields.insert("labels".to_owned(), labels.into());
        let priority = sender.word(config.texts.get("priority"));
        if !priority.is_empty() {
            fields.insert("priority".to_owned(), json!({ "name": priority }));
        }
        if let Some(description) = self.description() {
            fields.insert("description".to_owned(), description);
        }
        for (key, tree) in &config.fields {
            fields.insert(key.clone(), tree.render(&|text| Ok::<_, NotifyError>(sender.word(text)))?);
        }
        Ok(fields)
    }

    /// A text; for version 3 of the API a document, which a text that is none is made into.
    fn description(&self) -> Option<Value> {
        let text = cut(&self.sender.text(&self.config.description.template), DESCRIPTION_CHARS_MAX);
        if !self.config.api_url.trim_end_matches('/').ends_with("/3") {
            return (!text.is_empty()).then(|| text.into());
        }
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        Some(serde_json::from_str(text).unwrap_or_else(|_| {
            json!({
                "type": "doc", "version": 1,
                "content": [{ "type": "paragraph", "content": [{ "type": "text", "text": text }] }],
            })
        }))
    }

    async fn transition(&self, key: &str, name: &str) -> Result<(), NotifyError> {
        let url = self.url(&format!("issue/{key}/transitions"));
        let reply = self.call(Method::GET, &url, None).await?;
        let found = reply["transitions"].as_array().into_iter().flatten().find(|one| one["name"] == name);
        let Some(id) = found.and_then(|one| one["id"].as_str()) else {
            return Err(NotifyError::permanent(format!("can't find transition {name} for issue {key}")));
        };
        self.call(Method::POST, &url, Some(json!({ "transition": { "id": id } }))).await?;
        Ok(())
    }

    async fn call(&self, method: Method, url: &str, body: Option<Value>) -> Result<Value, NotifyError> {
        let mut request = self.sender.request(url, &body.clone().unwrap_or_default(), None)?;
        request.method = method;
        if body.is_none() {
            request.body = None;
        }
        request.headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static("en"));
        let (_, answer) = self.sender.exchange(request, &[429], REPLY_BYTES_MAX).await?;
        if answer.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&answer)
            .map_err(|error| NotifyError::permanent(format!("Jira's answer is no JSON: {error}")))
    }
}

/// A text in JQL.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

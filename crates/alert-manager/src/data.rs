//! What a notification's templates and its JSON see.

use std::collections::BTreeMap;
use std::sync::Arc;

use go_template::{CallError, GoTime, Object, Value};
use model::{Labels, TimestampNs};
use serde::Serialize;

use crate::alert::Alert;
use crate::times::rfc3339;

/// Labels or annotations by name.
pub type Pairs = BTreeMap<String, String>;

/// The data of one notification.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Data {
    /// The receiver's name.
    pub receiver: String,
    /// `firing` while one alert is, else `resolved`.
    pub status: &'static str,
    /// The alerts.
    pub alerts: Vec<AlertData>,
    /// Why it is sent.
    #[serde(rename = "notification_reason")]
    pub notification_reason: &'static str,
    /// What all alerts of the group were grouped by.
    pub group_labels: Pairs,
    /// Labels that all alerts have.
    pub common_labels: Pairs,
    /// Annotations that all alerts have.
    pub common_annotations: Pairs,
    /// The route's labels.
    pub route_labels: Pairs,
    /// Where the group is acknowledged; not in the original's payloads.
    #[serde(skip)]
    pub ack_url: String,
    /// Where we are.
    #[serde(rename = "externalURL")]
    pub external_url: String,
}

/// One alert of a notification.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertData {
    /// `firing` or `resolved`.
    pub status: &'static str,
    /// Its labels.
    pub labels: Pairs,
    /// Its annotations.
    pub annotations: Pairs,
    /// Since when.
    #[serde(serialize_with = "serialize_time")]
    pub starts_at: Option<TimestampNs>,
    /// When it was resolved; none while it fires.
    #[serde(serialize_with = "serialize_time")]
    pub ends_at: Option<TimestampNs>,
    /// Where it comes from.
    #[serde(rename = "generatorURL")]
    pub generator_url: String,
    /// The hash of its labels.
    pub fingerprint: String,
}

fn serialize_time<S: serde::Serializer>(
    time: &Option<TimestampNs>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), rfc3339))
}

pub(crate) fn pairs(labels: &Labels) -> Pairs {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl AlertData {
    /// An alert as it is at `now`.
    pub fn of(alert: &Alert, now: TimestampNs) -> Self {
        let resolved = alert.is_resolved(now);
        Self {
            status: if resolved { "resolved" } else { "firing" },
            labels: pairs(&alert.labels),
            annotations: pairs(&alert.annotations),
            starts_at: Some(alert.starts_at),
            ends_at: resolved.then_some(alert.ends_at),
            generator_url: alert.generator_url.clone(),
            fingerprint: alert.fingerprint.to_string(),
        }
    }
}

/// The pairs that all sets have.
pub fn common<'p>(mut sets: impl Iterator<Item = &'p Pairs>) -> Pairs {
    let mut common = sets.next().cloned().unwrap_or_default();
    for set in sets {
        common.retain(|name, value| set.get(name) == Some(value));
    }
    common
}

impl Data {
    /// The data as templates see it.
    pub fn to_value(&self) -> Value {
        Value::object(DataObject(Arc::new(self.clone())))
    }
}

#[derive(Debug)]
struct DataObject(Arc<Data>);

impl Object for DataObject {
    fn type_name(&self) -> &str {
        "*template.Data"
    }

    fn field(&self, name: &str) -> Option<Value> {
        let data = &self.0;
        Some(match name {
            "Receiver" => Value::from(data.receiver.as_str()),
            "Status" => Value::from(data.status),
            "Alerts" => alerts_value(data.alerts.clone()),
            "NotificationReason" => Value::from(data.notification_reason),
            "GroupLabels" => pairs_value(&data.group_labels),
            "CommonLabels" => pairs_value(&data.common_labels),
            "CommonAnnotations" => pairs_value(&data.common_annotations),
            "RouteLabels" => pairs_value(&data.route_labels),
            "AckURL" => Value::from(data.ack_url.as_str()),
            "ExternalURL" => Value::from(data.external_url.as_str()),
            _ => return None,
        })
    }
}

fn pairs_value(pairs: &Pairs) -> Value {
    Value::object(PairsObject(pairs.clone()))
}

fn alerts_value(alerts: Vec<AlertData>) -> Value {
    Value::object(AlertsObject(alerts))
}

/// `template.Alerts`
#[derive(Debug)]
struct AlertsObject(Vec<AlertData>);

impl Object for AlertsObject {
    fn type_name(&self) -> &str {
        "template.Alerts"
    }

    fn call(&self, name: &str, _args: &[Value]) -> Option<Result<Value, CallError>> {
        let status = match name {
            "Firing" => "firing",
            "Resolved" => "resolved",
            _ => return None,
        };
        Some(Ok(alerts_value(self.0.iter().filter(|alert| alert.status == status).cloned().collect())))
    }

    fn items(&self) -> Option<Vec<(Value, Value)>> {
        let item = |(idx, alert): (usize, &AlertData)| {
            (Value::Int(idx as i64), Value::object(AlertObject(alert.clone())))
        };
        Some(self.0.iter().enumerate().map(item).collect())
    }

    fn len(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

#[derive(Debug)]
struct AlertObject(AlertData);

impl Object for AlertObject {
    fn type_name(&self) -> &str {
        "template.Alert"
    }

    fn field(&self, name: &str) -> Option<Value> {
        let time = |time: Option<TimestampNs>| time.map_or_else(GoTime::zero, GoTime::from_ns).into_value();
        let alert = &self.0;
        Some(match name {
            "Status" => Value::from(alert.status),
            "Labels" => pairs_value(&alert.labels),
            "Annotations" => pairs_value(&alert.annotations),
            "StartsAt" => time(alert.starts_at),
            "EndsAt" => time(alert.ends_at),
            "GeneratorURL" => Value::from(alert.generator_url.as_str()),
            "Fingerprint" => Value::from(alert.fingerprint.as_str()),
            _ => return None,
        })
    }
}

/// `template.KV`
#[derive(Debug)]
struct PairsObject(Pairs);

impl Object for PairsObject {
    fn type_name(&self) -> &str {
        "template.KV"
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.0.get(name).map(|value| Value::from(value.as_str()))
    }

    fn call(&self, name: &str, args: &[Value]) -> Option<Result<Value, CallError>> {
        let sorted = SortedPairs(sorted(&self.0));
        match name {
            "SortedPairs" => Some(Ok(Value::object(sorted))),
            "Names" | "Values" => sorted.call(name, args),
            "Remove" => {
                let names = match args {
                    [list] => go_template::Args(args).list(0).map_err(|_| list.type_name().to_owned()),
                    _ => Err("no list".to_owned()),
                };
                Some(match names {
                    Ok(names) => {
                        let mut rest = self.0.clone();
                        rest.retain(|name, _| !names.iter().any(|gone| gone.as_str() == Some(name)));
                        Ok(pairs_value(&rest))
                    }
                    Err(got) => Err(format!("wrong type for value; expected []string; got {got}").into()),
                })
            }
            _ => None,
        }
    }

    fn items(&self) -> Option<Vec<(Value, Value)>> {
        Some(self.0.iter().map(|(k, v)| (Value::from(k.as_str()), Value::from(v.as_str()))).collect())
    }

    fn len(&self) -> Option<usize> {
        Some(self.0.len())
    }

    fn map_zero(&self) -> Option<Value> {
        Some(Value::from(""))
    }
}

/// The alert's name first, then by name.
fn sorted(pairs: &Pairs) -> Vec<(String, String)> {
    let mut sorted: Vec<(String, String)> = pairs.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    sorted.sort_by_key(|(name, _)| name != "alertname");
    sorted
}

/// `template.Pairs`
#[derive(Debug)]
struct SortedPairs(Vec<(String, String)>);

impl Object for SortedPairs {
    fn type_name(&self) -> &str {
        "template.Pairs"
    }

    fn call(&self, name: &str, _args: &[Value]) -> Option<Result<Value, CallError>> {
        match name {
            "Names" => Some(Ok(Value::strings(self.0.iter().map(|(name, _)| name)))),
            "Values" => Some(Ok(Value::strings(self.0.iter().map(|(_, value)| value)))),
            _ => None,
        }
    }

    fn items(&self) -> Option<Vec<(Value, Value)>> {
        let item = |(idx, (name, value)): (usize, &(String, String))| {
            (Value::Int(idx as i64), Value::object(Pair(name.clone(), value.clone())))
        };
        Some(self.0.iter().enumerate().map(item).collect())
    }

    fn len(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

#[derive(Debug)]
struct Pair(String, String);

impl Object for Pair {
    fn type_name(&self) -> &str {
        "template.Pair"
    }

    fn field(&self, name: &str) -> Option<Value> {
        match name {
            "Name" => Some(Value::from(self.0.as_str())),
            "Value" => Some(Value::from(self.1.as_str())),
            _ => None,
        }
    }

    fn display(&self) -> String {
        format!("{{{} {}}}", self.0, self.1)
    }
}

//! `ec2_sd_configs`: instances of a region of AWS.

mod credentials;
mod signature;
mod xml;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ::config::{Node, Reported, Secret};
use http_client::header::AUTHORIZATION;
use http_client::{HeaderName, HeaderValue, HttpClient, HttpClientConfig, Request, Url};
use model::Labels;
use sys::Clock;

use crate::meta::{Meta, host_port, sanitized};
use crate::refresh::{Refresh, Refreshed};
use crate::target_group::TargetGroup;
use credentials::{Credentials, MetadataService};
use xml::Element;

const PREFIX: &str = "__meta_ec2_";
const VERSION: &str = "2016-11-15";
const ANSWER_BYTES_MAX: u64 = 64 << 20;
const REASON_BYTES_MAX: usize = 512;
/// Pages of instances: a thousand each.
const PAGES_MAX: usize = 1000;

/// Instances of a region.
#[derive(Clone, Debug, PartialEq)]
pub struct Ec2Config {
    /// The region; that of this machine where empty.
    pub region: String,
    /// Where the API is; the region's where `None`.
    pub endpoint: Option<Url>,
    /// Who asks; from the environment or this machine's role where empty.
    pub access_key: String,
    /// The key's secret.
    pub secret_key: Option<Secret>,
    /// The port of all targets.
    pub port: u16,
    /// Names with values, as the API takes them.
    pub filters: Vec<(String, Vec<String>)>,
    /// How often it is asked.
    pub refresh_interval: Duration,
    /// How it is asked.
    pub client: HttpClientConfig,
}

impl Ec2Config {
    pub(crate) fn read(node: &Node) -> Result<Self, Reported> {
        let map = node.map()?;
        map.not_built(&["profile", "role_arn", "external_id"])?;
        let endpoint = map.read("endpoint", |node| {
            node.parse_with(|text| match text {
                "" => Ok(None),
                text => Url::parse(text).map(Some).map_err(|error| error.to_string()),
            })
        })?;
        let config = Self {
            region: map.read_or("region", String::new(), Node::string)?,
            endpoint: endpoint.flatten(),
            access_key: map.read_or("access_key", String::new(), Node::string)?,
            secret_key: map.read("secret_key", Node::secret)?.filter(|secret| !secret.is_empty()),
            port: map.read_or("port", 80, Node::integer)?,
            filters: map.read_or("filters", Vec::new(), |list| list.list_of(read_filter))?,
            refresh_interval: map.read_or("refresh_interval", Duration::from_secs(60), Node::duration)?,
            client: HttpClientConfig::read_inline(&map)?,
        };
        if config.access_key.is_empty() != config.secret_key.is_none() {
            return Err(map.error("access_key and secret_key belong together"));
        }
        if config.refresh_interval.is_zero() {
            return Err(map.error("refresh_interval must be above 0"));
        }
        map.finish()?;
        Ok(config)
    }
}

fn read_filter(node: &Node) -> Result<(String, Vec<String>), Reported> {
    let map = node.map()?;
    let filter = (map.required("name")?.non_empty_string()?, map.required("values")?.strings()?);
    if filter.1.is_empty() {
        return Err(map.error("EC2 SD configuration filter values cannot be empty"));
    }
    map.finish()?;
    Ok(filter)
}

/// Asks the API of a region.
#[derive(Debug)]
pub(crate) struct Ec2Discovery {
    config: Ec2Config,
    client: HttpClient,
    clock: Arc<dyn Clock>,
    metadata: MetadataService,
    /// Ids of availability zones by their names, asked for once.
    zones: Option<HashMap<String, String>>,
}

impl Refresh for Ec2Discovery {
    fn kind(&self) -> &'static str {
        "ec2"
    }

    fn interval(&self) -> Duration {
        self.config.refresh_interval
    }

    fn refresh(&mut self) -> Refreshed<'_> {
        Box::pin(self.all())
    }
}

/// A request's pairs, in order.
type Parameters = Vec<(String, String)>;

impl Ec2Discovery {
    pub(crate) fn new(config: Ec2Config, client: HttpClient, clock: Arc<dyn Clock>) -> Self {
        let metadata = MetadataService::new(client.clone());
        Self { config, client, clock, metadata, zones: None }
    }

    async fn all(&mut self) -> Result<Vec<TargetGroup>, String> {
        let region = match self.config.region.as_str() {
            "" => self.metadata.region().await?,
            region => region.to_owned(),
        };
        let credentials = self.credentials().await?;
        if self.zones.is_none() {
            // Without them only one label is missing.
            match self.ask(&region, &credentials, "DescribeAvailabilityZones", &Vec::new()).await {
                Ok(answer) => self.zones = Some(zones(&answer)),
                Err(error) => tracing::debug!(error, "availability zones cannot be listed"),
            }
        }
        let mut parameters = Parameters::new();
        for (idx, (name, values)) in self.config.filters.iter().enumerate() {
            parameters.push((format!("Filter.{}.Name", idx + 1), name.clone()));
            let named = |(at, value): (usize, &String)| {
                (format!("Filter.{}.Value.{}", idx + 1, at + 1), value.clone())
            };
            parameters.extend(values.iter().enumerate().map(named));
        }
        let (mut targets, mut next) = (Vec::new(), String::new());
        for _ in 0..PAGES_MAX {
            let mut page = parameters.clone();
            if !next.is_empty() {
                page.push(("NextToken".to_owned(), next));
            }
            let answer = self.ask(&region, &credentials, "DescribeInstances", &page).await?;
            for reservation in answer.items("reservationSet") {
                let owner = reservation.text("ownerId");
                let instances = reservation.items("instancesSet");
                targets.extend(instances.filter_map(|instance| self.target(instance, &region, owner)));
            }
            next = answer.text("nextToken").to_owned();
            if next.is_empty() {
                return Ok(vec![TargetGroup { source: region, labels: Labels::empty(), targets }]);
            }
        }
        Err(format!("more than {PAGES_MAX} pages of instances"))
    }

    async fn credentials(&self) -> Result<Credentials, String> {
        match &self.config.secret_key {
            Some(secret) => {
                Ok(Credentials { key: self.config.access_key.clone(), secret: secret.clone(), token: None })
            }
            None => match Credentials::from_environment() {
                Some(credentials) => Ok(credentials),
                None => self.metadata.credentials().await,
            },
        }
    }

    async fn ask(
        &self,
        region: &str,
        credentials: &Credentials,
        action: &str,
        parameters: &Parameters,
    ) -> Result<Element, String> {
        let mut url = match &self.config.endpoint {
            Some(url) => url.clone(),
            None => Url::parse(&format!("https://ec2.{region}.amazonaws.com/"))
                .map_err(|error| error.to_string())?,
        };
        let mut pairs =
            vec![("Action".to_owned(), action.to_owned()), ("Version".to_owned(), VERSION.to_owned())];
        pairs.extend(parameters.iter().cloned());
        let query = signature::canonical_query(&pairs);
        url.set_query(Some(&query));
        let mut request = Request::get(url.clone(), self.config.refresh_interval);
        let signed = signature::sign(&url, &query, region, credentials, self.clock.now_ms());
        for (name, value) in signed.headers {
            let value = HeaderValue::from_str(&value).map_err(|error| error.to_string())?;
            request.headers.insert(HeaderName::from_static(name), value);
        }
        let mut value = HeaderValue::from_str(&signed.authorization).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        request.headers.insert(AUTHORIZATION, value);
        let mut response = self.client.send(request).await.map_err(|error| error.chain())?;
        let status = response.status();
        if !status.is_success() {
            return Err(format!(
                "{action}: status {status}: {}",
                response.text_start(REASON_BYTES_MAX).await
            ));
        }
        let mut body = Vec::new();
        response.read_body(ANSWER_BYTES_MAX, &mut body).await.map_err(|error| error.chain())?;
        let parsing = tokio::task::spawn_blocking(move || xml::parse(&String::from_utf8_lossy(&body)));
        parsing
            .await
            .map_err(|error| error.to_string())?
            .ok_or_else(|| format!("{action}: the answer is not XML"))
    }

    /// `None` for an instance without an address.
    fn target(&self, instance: &Element, region: &str, owner: &str) -> Option<Labels> {
        let private = instance.text("privateIpAddress");
        let addresses = Ipv6Addresses::of(instance);
        let address = if private.is_empty() { addresses.default.as_deref()? } else { private };
        let zone = instance.at(&["placement", "availabilityZone"]);
        let mut meta = Meta::new(PREFIX);
        meta.address(&host_port(address, self.config.port))
            .set("instance_id", instance.text("instanceId"))
            .set("region", region)
            .set("owner_id", owner)
            .set("private_ip", private)
            .set("private_dns_name", instance.text("privateDnsName"))
            .set("platform", instance.text("platform"))
            .set("default_ipv6_address", addresses.default.as_deref().unwrap_or_default())
            .set("primary_ipv6_addresses", &joined(&addresses.primary))
            .set("ipv6_addresses", &joined(&addresses.all))
            .set("ami", instance.text("imageId"))
            .set("availability_zone", zone)
            .set("instance_state", instance.at(&["instanceState", "name"]))
            .set("instance_type", instance.text("instanceType"))
            .set("instance_lifecycle", instance.text("instanceLifecycle"))
            .set("architecture", instance.text("architecture"));
        if let Some(id) = self.zones.as_ref().and_then(|zones| zones.get(zone)) {
            meta.set("availability_zone_id", id);
        }
        let public = instance.text("ipAddress");
        if !public.is_empty() {
            meta.set("public_ip", public).set("public_dns_name", instance.text("dnsName"));
        }
        let vpc = instance.text("vpcId");
        if !vpc.is_empty() {
            let mut subnets: Vec<String> = Vec::new();
            for interface in instance.items("networkInterfaceSet") {
                let subnet = interface.text("subnetId");
                if !subnet.is_empty() && !subnets.iter().any(|known| known == subnet) {
                    subnets.push(subnet.to_owned());
                }
            }
            let subnets = if subnets.is_empty() { ",,".to_owned() } else { joined(&subnets) };
            meta.set("vpc_id", vpc)
                .set("primary_subnet_id", instance.text("subnetId"))
                .set("subnet_id", &subnets);
        }
        for tag in instance.items("tagSet") {
            meta.set(&format!("tag_{}", sanitized(tag.text("key"))), tag.text("value"));
        }
        Some(meta.build())
    }
}

/// Values with a comma between them and at both ends; nothing where there are none.
fn joined(values: &[String]) -> String {
    if values.is_empty() { String::new() } else { format!(",{},", values.join(",")) }
}

fn zones(answer: &Element) -> HashMap<String, String> {
    let zones = answer.items("availabilityZoneInfo");
    zones.map(|zone| (zone.text("zoneName").to_owned(), zone.text("zoneId").to_owned())).collect()
}

/// The IPv6 addresses of an instance's network interfaces.
#[derive(Debug, Default)]
struct Ipv6Addresses {
    default: Option<String>,
    /// In the order of the interfaces.
    primary: Vec<String>,
    all: Vec<String>,
}

impl Ipv6Addresses {
    fn of(instance: &Element) -> Self {
        let mut found = Self::default();
        let mut primary: Vec<(i64, String)> = Vec::new();
        for interface in instance.items("networkInterfaceSet") {
            let index: i64 = interface.at(&["attachment", "deviceIndex"]).parse().unwrap_or(0);
            for address in interface.items("ipv6AddressesSet") {
                let text = address.text("ipv6Address").to_owned();
                if address.text("isPrimaryIpv6") == "true" {
                    primary.push((index, text.clone()));
                }
                found.all.push(text);
            }
        }
        primary.sort();
        found.primary = primary.into_iter().map(|(_, address)| address).collect();
        found.default = found.primary.first().or(found.all.first()).cloned();
        found
    }
}

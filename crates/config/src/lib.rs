//! YAML (or TOML, JSON) text into a tree whose every node knows its place, then typed by reading it key by key.
//!
//! Invariants: a key that nobody reads is an error with its place and the nearest key that is known; a key given twice is
//! an error; all errors of a file are collected, not only the first; what was read as a secret never leaves through
//! [`Document::to_masked_yaml`], `Debug`, `Display` or `Serialize`. This crate loads types, it defines none.
//!
//! ```
//! use std::time::Duration;
//! use config::{Document, Map, Node, Reported, Secret};
//!
//! #[derive(Debug, PartialEq)]
//! struct HttpClient { bearer_token: Option<Secret>, follow_redirects: bool }
//!
//! #[derive(Debug, PartialEq)]
//! struct Scrape { job_name: String, interval: Duration, client: HttpClient }
//!
//! impl HttpClient {
//!     // An inline block takes its keys from the map of the block around it and does not finish it.
//!     fn read_inline(map: &Map) -> Result<Self, Reported> {
//!         let mut client = Self { bearer_token: None, follow_redirects: true };
//!         map.set_some(&mut client.bearer_token, "bearer_token", Node::secret);
//!         map.set(&mut client.follow_redirects, "follow_redirects", Node::bool);
//!         Ok(client)
//!     }
//! }
//!
//! impl Scrape {
//!     fn read(node: &Node) -> Result<Self, Reported> {
//!         let map = node.map()?;
//!         let job_name = map.required("job_name")?.non_empty_string()?;
//!         let mut interval = Duration::from_secs(60);
//!         map.set(&mut interval, "scrape_interval", Node::duration);
//!         map.without_meaning(&["scrape_classic_histograms"], "classic buckets are always kept");
//!         let client = HttpClient::read_inline(&map)?;
//!         map.finish()?;
//!         Ok(Self { job_name, interval, client })
//!     }
//! }
//!
//! let text = "scrape_configs:\n- job_name: node\n  scrape_interval: 15s\n  bearer_token: s3cret\n  follow_redirects: no\n";
//! let document = Document::parse_yaml("prometheus.yaml", text).expect("well formed");
//! let loaded = document.read(|root| {
//!     let map = root.map()?;
//!     let scrapes = map.read_or("scrape_configs", Vec::new(), |list| list.list_of(Scrape::read))?;
//!     map.finish()?;
//!     Ok(scrapes)
//! }).expect("valid");
//! assert_eq!(loaded.value[0].interval, Duration::from_secs(15));
//! assert!(loaded.warnings.is_empty() && document.to_masked_yaml().contains("<secret>"));
//!
//! let errors = Document::parse_yaml("p.yaml", "scrape_configs:\n- job_nam: node\n").expect("well formed")
//!     .read(|root| { let map = root.map()?; map.read_or("scrape_configs", vec![], |l| l.list_of(Scrape::read)) })
//!     .expect_err("job_name is missing");
//! assert_eq!(errors.to_string(), "p.yaml:2:3: scrape_configs[0]: required key \"job_name\" is missing");
//! ```

#![warn(missing_docs)]

mod document;
mod emit;
mod env;
mod map;
mod node;
mod place;
mod problem;
mod scalar;
mod secret;
mod suggest;
mod toml_tree;
mod tree;
mod yaml_tree;

pub use document::{Document, Loaded};
pub use env::{ExpandError, expand_braced, expand_posix};
pub use map::Map;
pub use node::{Kind, Node};
pub use place::Place;
pub use problem::{ConfigError, ConfigErrors, Reported, Warning};
pub use secret::{MASK, Secret, mask_url_password};
pub use suggest::nearest;
pub use yaml_tree::Limits;

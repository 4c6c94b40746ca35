//! `labels`

use clap::Args;
use service::Failure;

use super::{Output, ServerArgs, TimeArgs, output};

/// `labels`
#[derive(Args, Clone, Debug)]
pub struct LabelsArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    time: TimeArgs,
    /// Label whose values are listed; without it, names are
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

impl LabelsArgs {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let path = match &self.name {
            Some(name) => format!("/loki/api/v1/label/{name}/values"),
            None => "/loki/api/v1/labels".to_owned(),
        };
        let (text, answer) = self.server.get_json(&path, &self.time.params()).await?;
        let items = answer["data"].as_array().cloned().unwrap_or_default();
        output::print(&match self.server.output {
            Output::Json => format!("{text}\n"),
            Output::Jsonl => items.iter().map(|item| format!("{item}\n")).collect(),
            Output::Default | Output::Raw => {
                items.iter().map(|item| format!("{}\n", item.as_str().unwrap_or(""))).collect()
            }
        })
    }
}

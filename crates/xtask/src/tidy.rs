//! Rules that no compiler checks: the layers of ARCHITECTURE.md, sizes of files, module documents, commit hygiene of paths.

mod layers;
mod sources;

use std::path::Path;

/// Runs every check and lists all that they found.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let mut findings = layers::check(root)?;
    findings.extend(sources::check(root)?);
    anyhow::ensure!(findings.is_empty(), "tidy found {}:\n{}", findings.len(), findings.join("\n"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("xtask lies two levels down");
        if let Err(error) = run(root) {
            panic!("{error}");
        }
    }
}

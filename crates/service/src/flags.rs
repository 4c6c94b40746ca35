//! Flags in the spellings of the originals.

use clap::{ArgAction, Command};

/// Brings arguments to the form that `command` understands:
///
/// - Go's single dash: `-config.file=x` and `-config.file x` become `--config.file…` where that flag exists;
/// - `--flag=true` and `--flag=false` of a switch become `--flag` and nothing;
/// - Kingpin's `--no-flag` of a switch becomes nothing.
///
/// The first argument (the program) and all after `--` stay as they are.
pub fn normalize(command: &Command, arguments: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut normal = Vec::new();
    let mut arguments = arguments.into_iter();
    normal.extend(arguments.next());
    let mut scope = command;
    let mut verbatim = false;
    for argument in arguments {
        verbatim |= argument == "--";
        if verbatim || !argument.starts_with('-') {
            // A subcommand has its own flags.
            if !verbatim && let Some(subcommand) = scope.find_subcommand(&argument) {
                scope = subcommand;
            }
            normal.push(argument);
            continue;
        }
        normal.extend(normalize_one(&[scope, command], argument));
    }
    normal
}

/// The flag in its normal form; `None` for a switch that is turned off.
fn normalize_one(scopes: &[&Command], argument: String) -> Option<String> {
    let bare = argument.trim_start_matches('-');
    let (name, value) = match bare.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (bare, None),
    };
    let dashes = argument.len() - bare.len();
    // A single letter after one dash is a short flag.
    if dashes > 2 || (dashes == 1 && name.len() < 2) {
        return Some(argument);
    }
    match (find(scopes, name), value) {
        (Some(true), Some("true" | "1" | "t" | "T" | "TRUE" | "True")) => Some(format!("--{name}")),
        (Some(true), Some("false" | "0" | "f" | "F" | "FALSE" | "False")) => None,
        (Some(_), _) => Some(format!("--{bare}")),
        (None, None) if name.strip_prefix("no-").is_some_and(|on| find(scopes, on) == Some(true)) => None,
        (None, _) => Some(argument),
    }
}

/// Whether there is such a flag, and whether it is a switch.
fn find(scopes: &[&Command], name: &str) -> Option<bool> {
    scopes.iter().find_map(|command| {
        let argument = command.get_arguments().find(|argument| {
            argument.get_long() == Some(name)
                || argument.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
        })?;
        Some(matches!(argument.get_action(), ArgAction::SetTrue))
    })
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    #[test]
    fn all_spellings_come_to_one() {
        let command = Command::new("p")
            .arg(Arg::new("config").long("config.file"))
            .arg(Arg::new("lifecycle").long("web.enable-lifecycle").action(ArgAction::SetTrue))
            .arg(Arg::new("quiet").short('q').long("quiet").action(ArgAction::SetTrue))
            .subcommand(Command::new("query").arg(Arg::new("limit").long("limit")));
        for (given, expected) in [
            ("p -config.file=x", "p --config.file=x"),
            ("p -config.file x", "p --config.file x"),
            ("p --config.file=x -q", "p --config.file=x -q"),
            ("p --web.enable-lifecycle=true", "p --web.enable-lifecycle"),
            ("p -web.enable-lifecycle=false", "p"),
            ("p --no-web.enable-lifecycle", "p"),
            ("p -unknown=1", "p -unknown=1"),
            ("p query -limit=5 -- -config.file=x", "p query --limit=5 -- -config.file=x"),
        ] {
            let words = given.split(' ').map(str::to_owned);
            assert_eq!(normalize(&command, words).join(" "), expected);
        }
    }
}

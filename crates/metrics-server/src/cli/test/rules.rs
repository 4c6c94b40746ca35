//! `test rules`: files that say which alerts and samples rules make of which series.

mod file;
mod junit;
mod run;
mod shown;

use std::path::{Path, PathBuf};

use clap::Args;
use go_regex::Regex;
use promql::Features;
use service::Failure;

use crate::cli::console::{FAILED, complain, print};
use file::TestFile;
use junit::Suite;

/// `test rules`
#[derive(Args, Clone, Debug)]
pub(crate) struct TestFlags {
    /// Files of tests
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Run only tests whose name matches a regular expression; may be given several times
    #[arg(long, value_name = "REGEX")]
    run: Vec<String>,
    /// Show the differences instead of both sides of a failed test
    #[arg(long)]
    diff: bool,
    /// Say what is run, and show all series after each test
    #[arg(long)]
    debug: bool,
    /// Only warn of unknown keys in rule files
    #[arg(long = "ignore-unknown-fields")]
    ignore_unknown_fields: bool,
    /// PromQL features to switch on, separated by commas
    #[arg(long = "enable-feature", value_name = "NAMES", value_delimiter = ',')]
    features: Vec<String>,
}

/// How tests are run.
#[derive(Clone, Copy, Debug)]
struct RunOptions {
    diff: bool,
    debug: bool,
    ignore_unknown_fields: bool,
    features: promql::EngineFeatures,
}

pub(super) fn run(flags: &TestFlags, junit: Option<&Path>) -> Result<(), Failure> {
    let only = match flags.run.as_slice() {
        [] => None,
        patterns => {
            Some(Regex::new(&patterns.join("|")).map_err(|error| Failure::usage(format!("--run: {error}")))?)
        }
    };
    let has = |name: &str| flags.features.iter().any(|feature| feature == name);
    let features = promql::EngineFeatures {
        // What a server must be told to evaluate is in the language all the same.
        syntax: Features::all(),
        delayed_name_removal: has("promql-delayed-name-removal"),
        ..promql::EngineFeatures::default()
    };
    let options = RunOptions {
        diff: flags.diff,
        debug: flags.debug,
        ignore_unknown_fields: flags.ignore_unknown_fields,
        features,
    };
    let mut suites = Vec::new();
    let mut has_failed = false;
    for file in &flags.files {
        print(&format!("Unit Testing:  {}\n", file.display()))?;
        let mut suite = Suite::new(&file.display().to_string());
        let errors = run_file(file, only.as_ref(), options, &mut suite);
        if errors.is_empty() {
            print("  SUCCESS\n")?;
        } else {
            has_failed = true;
            complain("  FAILED:\n");
            for error in &errors {
                complain(&format!("{error}\n"));
                print("\n")?;
            }
        }
        print("\n")?;
        suites.push(suite);
    }
    if let Some(path) = junit {
        let write = std::fs::write(path, junit::render(&suites));
        write.map_err(|error| Failure::runtime(format!("cannot write {}: {error}", path.display())))?;
    }
    if has_failed { Err(Failure::told(FAILED)) } else { Ok(()) }
}

/// Runs the tests of a file; all that went wrong.
fn run_file(path: &Path, only: Option<&Regex>, options: RunOptions, suite: &mut Suite) -> Vec<String> {
    let file = match TestFile::load(path) {
        Ok(file) => file,
        Err(error) => {
            suite.abort(&error);
            return vec![error];
        }
    };
    for pattern in &file.missing {
        complain(&format!("  WARNING: no file match pattern {}\n", pattern.display()));
    }
    let mut errors = Vec::new();
    for (nth, test) in file.tests.iter().enumerate() {
        if only.is_some_and(|only| !only.is_match(&test.name)) {
            continue;
        }
        let name = if test.name.is_empty() { format!("unnamed#{nth}") } else { test.name.clone() };
        if options.debug {
            complain(&format!("DEBUG: Starting test {name}\n"));
        }
        let failures = run::run_test(&file, test, options);
        suite.case(&name, &failures);
        errors.extend(failures);
    }
    errors
}

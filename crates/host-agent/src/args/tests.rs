//! Command lines of the originals.

use clap::FromArgMatches as _;

use super::*;

fn options(line: &str) -> Result<AgentOptions, String> {
    let command = Flags::augment_args(Command::new("watchbell-agent").args_override_self(true));
    let words = std::iter::once("watchbell-agent").chain(line.split_whitespace()).map(str::to_owned);
    let arguments = service::normalize_flags(&command, words);
    let matches = command.try_get_matches_from(arguments).map_err(|error| error.to_string())?;
    let flags = Flags::from_arg_matches(&matches).map_err(|error| error.to_string())?;
    flags.into_options().map_err(|failure| failure.to_string())
}

#[test]
fn cadvisors_flags_are_taken() {
    let line = "-port=9080 --store_container_labels=true --docker_only=false -housekeeping_interval=10s \
        --disable_metrics=percpu,tcp --logtostderr --v=2 --timestamps";
    let options = options(line).unwrap();
    assert_eq!(options.listen_address, "0.0.0.0:9080");
    assert!(
        options.containers.all_labels && !options.containers.docker_only && options.containers.timestamps
    );
    assert!(options.containers.has("udp") && !options.containers.has("tcp"));
    let expected = "flags without effect here: --housekeeping_interval, --v, --logtostderr";
    assert_eq!(options.warnings, [expected]);
}

#[test]
fn node_exporters_flags_are_taken() {
    let line = "--web.listen-address=:9100 --no-collector.hwmon --collector.textfile.directory=/a \
        --collector.textfile.directory=/b --collector.filesystem.ignored-mount-points=^/x \
        --path.procfs=/host/proc --collector.systemd";
    let options = options(line).unwrap();
    assert_eq!(options.listen_address, ":9100");
    assert!(options.host.disabled.contains("hwmon") && options.host.textfile_directories.len() == 2);
    assert_eq!(options.host.filters.mounts_exclude.as_ref().map(Regex::as_str), Some("^/x"));
    assert_eq!(options.roots.procfs, PathBuf::from("/host/proc"));
    assert!(options.warnings[0].contains("--collector.systemd is not built"), "{:?}", options.warnings);
}

#[test]
fn what_is_wrong_is_named() {
    for (line, part) in [
        ("--enable_metrics=cpu,nonsense", "\"nonsense\" is no metric set"),
        ("--collector.vmstat.fields=(", "--collector.vmstat.fields=("),
        ("--collector.filesystem.mount-timeout=x", "mount-timeout=x is no duration"),
        ("--http_auth_file=/x", "use --web.config.file"),
        ("--nonsense", "--nonsense"),
    ] {
        let error = options(line).unwrap_err();
        assert!(error.contains(part), "{line}: {error}");
    }
}

#[test]
fn the_health_page_is_found() {
    let command = Flags::augment_args(Command::new("a"));
    let matches = command.try_get_matches_from(["a", "--web.listen-address", ":9081"]).unwrap();
    assert_eq!(Flags::from_arg_matches(&matches).unwrap().health_url(), "http://127.0.0.1:9081/-/healthy");
}

#[test]
fn a_named_file_or_server_comes_before_the_defaults() {
    let logs = |line: &str| options(line).unwrap().logs;
    assert_eq!(
        logs("-c /x/vector.toml --logs.server=http://a"),
        LogSetup::File(PathBuf::from("/x/vector.toml"))
    );
    assert_eq!(logs("--logs.server=http://a"), LogSetup::Defaults { server: "http://a".to_owned() });
    assert_eq!(logs("--logs.server="), LogSetup::Off);
}

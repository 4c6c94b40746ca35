//! Commands that ask a server: ours by both tools.

use super::{directory, ours, promtool};
use crate::harness::{Server, now_ms};

#[test]
fn servers_are_asked_as_by_promtool() {
    let dir = directory(&[
        ("c.yml", "rule_files: [a.rules]\n"),
        (
            "a.rules",
            "groups:\n- name: g\n  rules:\n  - {alert: High, expr: pushed > 2}\n  - {record: doubled, expr: pushed * 2}\n",
        ),
        ("m.txt", "# HELP pushed Help.\n# TYPE pushed gauge\npushed{a=\"b\"} 3.5\npushed{a=\"c\"} NaN\n"),
        ("auth.yml", "headers: {X-Test: {values: [a]}}\n"),
    ]);
    let server = Server::start(&dir.path().join("c.yml"), &dir.path().join("data"));
    let url = format!("http://{}", server.address);
    let url = url.as_str();
    for version in ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"] {
        let message = format!("--protobuf_message={version}");
        let ended = ours(dir.path(), &["push", "metrics", url, "m.txt", "--label", "job=x", &message], "");
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
        assert_eq!(
            ended.out,
            "Parsing metrics file m.txt\n  SUCCESS: metrics file m.txt pushed to remote write.\n"
        );
    }
    let ended = ours(dir.path(), &["push", "metrics", url], "from_input 1\n");
    assert!(ended.code == 0 && ended.out.contains("pushed to remote write"), "{ended:?}");
    assert_eq!(ours(dir.path(), &["push", "metrics", url], "{").code, 1);

    // The second after what was pushed.
    let now = (now_ms() / 1000 + 1).to_string();
    let start = (now_ms() / 1000 - 60).to_string();
    let (at, from) = (format!("--time={now}"), format!("--start={start}"));
    let until = format!("--end={now}");
    for arguments in [
        &["query", "instant", url, "pushed", &at][..],
        &["query", "instant", url, "sum(pushed) by (a) * 2", &at],
        &["query", "instant", url, "1.5", &at],
        &["query", "instant", url, "none", &at],
        &["query", "instant", url, "sum(", &at],
        &["query", "range", url, "vector(1)", &from, &until, "--step=15s"],
        &["query", "range", url, "vector(1)", &from, &until],
        &["query", "range", url, "vector(1)", &format!("--start={now}"), &format!("--end={start}")],
        &["query", "series", url, "--match=pushed"],
        &["query", "labels", url, "a"],
        &["query", "labels", url, "a", "--match=none"],
    ] {
        let ours = ours(dir.path(), arguments, "");
        let Some(original) = promtool(dir.path(), arguments, "") else { continue };
        assert_eq!(ours.code, original.code, "{arguments:?}: {ours:?} {original:?}");
        assert_eq!(ours.out, original.out, "{arguments:?}");
    }
    for (arguments, expected) in [
        (
            &["query", "instant", "-o", "json", url, "pushed{a=\"b\"}", &at][..],
            "[{\"metric\":{\"__name__\":\"pushed\",\"a\":\"b\",\"job\":\"x\"}",
        ),
        (&["query", "labels", url], "a\n"),
        (
            &["query", "series", "--format=json", url, "--match=pushed{a='b'}"],
            "[{\"__name__\":\"pushed\",\"a\":\"b\",\"job\":\"x\"}]",
        ),
        (&["query", "labels", "--http.config.file=auth.yml", "--header=x=y", url], ""),
        (&["query", "analyze", "--server", url, "--type=histogram", "--match=pushed"], "Bucket stats"),
        (&["test", "backtest", url, "High", "--step=1m"], "High from "),
        (&["test", "backtest", url, "--expr=pushed>2", "--json"], "{"),
    ] {
        let ended = ours(dir.path(), arguments, "");
        if expected.is_empty() {
            // An unknown key of the file, or its headers: either way it has been read.
            assert!(ended.code == 0 || ended.err.contains("auth.yml"), "{ended:?}");
            continue;
        }
        assert!(ended.code == 0 && ended.out.contains(expected), "{arguments:?}: {ended:?}");
    }
    assert_eq!(ours(dir.path(), &["test", "backtest", url, "None"], "").code, 1);

    for path in ["healthy", "ready"] {
        let ended = ours(dir.path(), &["check", path, "--url", url], "");
        assert!(ended.code == 0 && ended.err.contains("SUCCESS"), "{ended:?}");
    }
    let (bare, record) = (server.address.clone(), format!("--start={start}"));
    let blocks = [
        "tsdb",
        "create-blocks-from",
        "rules",
        "--url",
        &bare,
        &record,
        &until,
        "--eval-interval=10s",
        "--output-dir=out",
        "a.rules",
    ];
    let ended = ours(dir.path(), &blocks, "");
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
    drop(server);
    assert_eq!(ours(dir.path(), &["check", "ready", "--url", url], "").code, 1);
}

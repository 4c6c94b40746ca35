//! Loki's `Querier` over gRPC.

use futures::TryStreamExt;
use wire::loki::querier_client::QuerierClient;
use wire::loki::{
    DetectedFieldsRequest, DetectedLabelsRequest, Direction, GetChunkIDsRequest, IndexStatsRequest,
    LabelRequest, QueryRequest, SampleQueryRequest, SeriesRequest, TailRequest, TailersCountRequest,
    VolumeRequest,
};

use super::server::Server;
use super::{SELECTOR, json_push};

fn time(nanos: i64) -> Option<prost_types::Timestamp> {
    let (seconds, nanos) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000) as i32);
    Some(prost_types::Timestamp { seconds, nanos })
}

#[tokio::test]
async fn lokis_querier_is_answered() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path(), "auth_enabled: false\n").await;
    let at = server.now_ns() - 5_000_000_000;
    let pushed = json_push(at, &["code=1 a", "code=2 b", "code=3 c"]);
    assert_eq!(server.post("/loki/api/v1/push", "application/json", pushed.into()).await.0, 204);
    let mut client = QuerierClient::connect(server.base()).await.expect("connects");
    let (start, end) = (time(at - 1), time(at + 1_000_000_000));
    let query = |direction: Direction, limit| QueryRequest {
        selector: format!("{SELECTOR} | logfmt"),
        limit,
        start,
        end,
        direction: direction.into(),
        ..QueryRequest::default()
    };
    for (direction, limit, expected) in [
        (Direction::Forward, 0, &["code=1 a", "code=2 b", "code=3 c"][..]),
        (Direction::Backward, 2, &["code=3 c", "code=2 b"]),
    ] {
        let parts = client.query(query(direction, limit)).await.expect("answers").into_inner();
        let parts: Vec<_> = parts.try_collect().await.expect("parts");
        let streams: Vec<_> = parts.iter().flat_map(|part| &part.streams).collect();
        assert_eq!(streams[0].labels, "{containers=\"host1/web\", service_name=\"unknown_service\"}");
        let entries: Vec<_> = streams.iter().flat_map(|stream| &stream.entries).collect();
        let lines: Vec<&str> = entries.iter().map(|entry| entry.line.as_str()).collect();
        assert_eq!(lines, expected);
        assert_eq!(entries[0].parsed[0].name, "code");
        assert_eq!(entries[0].structured_metadata[0].name, "detected_level");
    }
    let shards = vec!["0_of_2".to_owned()];
    let refused = client.query(QueryRequest { shards, ..query(Direction::Forward, 1) }).await;
    assert_eq!(refused.map(|_| ()).map_err(|status| status.code()), Err(tonic::Code::Unimplemented));
    let selector = format!("sum by (code) (bytes_over_time({SELECTOR} |= \"b\" [5m]))");
    let sample = SampleQueryRequest { selector, start, end, ..SampleQueryRequest::default() };
    let parts = client.query_sample(sample).await.expect("answers").into_inner();
    let parts: Vec<_> = parts.try_collect().await.expect("parts");
    let samples: Vec<_> = parts
        .iter()
        .flat_map(|part| &part.series)
        .flat_map(|series| &series.samples)
        .map(|sample| (sample.timestamp, sample.value))
        .collect();
    assert_eq!(samples, [(at + 1, 8.0)]);
    let label =
        LabelRequest { name: "containers".to_owned(), values: true, start, end, query: String::new() };
    assert_eq!(client.label(label).await.expect("values").into_inner().values, ["host1/web"]);
    let label = LabelRequest { start, end, ..LabelRequest::default() };
    let names = client.label(label).await.expect("names").into_inner().values;
    assert_eq!(names, ["containers", "service_name"]);
    let series = SeriesRequest { start, end, groups: vec![SELECTOR.to_owned()], shards: Vec::new() };
    let series = client.series(series).await.expect("series").into_inner().series;
    assert_eq!((series.len(), series[0].labels[0].value.as_str()), (1, "host1/web"));
    let (from, through) = (at / 1_000_000 - 1, at / 1_000_000 + 1000);
    let stats = IndexStatsRequest { from, through, matchers: SELECTOR.to_owned() };
    let stats = client.get_stats(stats).await.expect("stats").into_inner();
    assert_eq!((stats.streams, stats.entries, stats.bytes), (1, 3, 24));
    let volume = VolumeRequest { from, through, matchers: SELECTOR.to_owned(), ..VolumeRequest::default() };
    let volumes = client.get_volume(volume).await.expect("volumes").into_inner().volumes;
    assert_eq!((volumes[0].name.as_str(), volumes[0].volume), ("{containers=\"host1/web\"}", 24));
    let fields = DetectedFieldsRequest { start, end, query: SELECTOR.to_owned(), ..Default::default() };
    let found = client.get_detected_fields(fields.clone()).await.expect("fields").into_inner().fields;
    let code = found.iter().find(|field| field.label == "code").expect("a field");
    assert_eq!(
        (code.r#type.as_str(), code.cardinality, &*code.parsers),
        ("int", 3, &["logfmt".to_owned()][..])
    );
    let values = DetectedFieldsRequest { values: true, name: "code".to_owned(), ..fields };
    assert_eq!(
        client.get_detected_fields(values).await.expect("values").into_inner().values,
        ["1", "2", "3"]
    );
    let labels = DetectedLabelsRequest { start, end, query: String::new() };
    let labels = client.get_detected_labels(labels).await.expect("labels").into_inner().labels;
    assert_eq!(labels["containers"].values, ["host1/web"]);
    let chunks = client.get_chunk_i_ds(GetChunkIDsRequest::default()).await;
    assert_eq!(chunks.map(|_| ()).map_err(|status| status.code()), Err(tonic::Code::Unimplemented));
    let tail = TailRequest { query: SELECTOR.to_owned(), limit: 1, start, ..TailRequest::default() };
    let mut tail = client.tail(tail).await.expect("tails").into_inner();
    let first = tail.message().await.expect("a message").expect("lines").stream.expect("a stream");
    assert_eq!(first.entries[0].line, "code=3 c");
    let count = client.tailers_count(TailersCountRequest {}).await.expect("a count").into_inner().count;
    assert_eq!(count, 1);
    let more = json_push(at + 100, &["code=4 d"]);
    server.post("/loki/api/v1/push", "application/json", more.into()).await;
    let next = tail.message().await.expect("a message").expect("lines").stream.expect("a stream");
    assert_eq!(next.entries[0].line, "code=4 d");
}

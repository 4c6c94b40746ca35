//! A database as its users see it: append, commit, select, reopen.

use crate::support::{self, Fixture, labels, matcher, read, samples_of, select};
use metric_storage_api::{AppendRejection, MetricReader, MetricStore};
use model::{Exemplar, FloatHistogram, Labels, MatchOp, MetricMetadata, MetricType, TimeRange};
use resources::RequestContext;

const START: i64 = 1_700_000_000_000;

#[test]
fn what_is_committed_is_selected_and_survives_a_kill() {
    let mut fixture = Fixture::new();
    for step in 0..500 {
        fixture.append(&[
            (&[("__name__", "up"), ("job", "a"), ("instance", "1")], START + step * 15_000, step as f64),
            (
                &[("__name__", "up"), ("job", "b"), ("instance", "2")],
                START + step * 15_000,
                2.0 * step as f64,
            ),
            (&[("__name__", "cpu"), ("job", "a")], START + step * 15_000, 0.5),
        ]);
    }
    let check = |fixture: &Fixture| {
        let up = select(
            &fixture.db,
            &[("__name__", MatchOp::Equal, "up")],
            TimeRange::new(START, START + 500 * 15_000),
        );
        assert_eq!(up.len(), 2);
        assert_eq!(up[0].0, labels(&[("__name__", "up"), ("instance", "1"), ("job", "a")]));
        let expected: Vec<_> = (0..500).map(|step| (START + step * 15_000, 2.0 * step as f64)).collect();
        assert_eq!(up[1].1, expected);
        let range = TimeRange::new(START + 30_000, START + 60_000);
        let some = select(
            &fixture.db,
            &[("job", MatchOp::Regex, "a|c"), ("instance", MatchOp::NotEqual, "")],
            range,
        );
        assert_eq!(some.len(), 1);
        assert_eq!(some[0].1, [(START + 30_000, 2.0), (START + 45_000, 3.0), (START + 60_000, 4.0)]);
        assert_eq!(select(&fixture.db, &[("job", MatchOp::Equal, "zz")], range), []);
        assert_eq!(
            select(
                &fixture.db,
                &[("__name__", MatchOp::Regex, ".+"), ("instance", MatchOp::Equal, "")],
                range
            )
            .len(),
            1
        );
    };
    check(&fixture);
    // Killed: nothing is closed.
    fixture.reopen_killed();
    check(&fixture);
    fixture.append(&[(&[("__name__", "up"), ("job", "a"), ("instance", "1")], START + 500 * 15_000, 500.0)]);
    fixture.reopen_closed();
    let up = select(&fixture.db, &[("instance", MatchOp::Equal, "1")], TimeRange::new(0, i64::MAX));
    assert_eq!(up[0].1.len(), 501);
    assert!(
        fixture.db.stats(10).cardinality.series_by_metric_name.iter().any(|c| c.name == "up" && c.value == 2)
    );
}

#[test]
fn a_batch_is_invisible_until_committed_and_gone_when_dropped() {
    let fixture = Fixture::new();
    let ctx = RequestContext::for_tests();
    let set = labels(&[("__name__", "m")]);
    let mut appender = fixture.db.appender(&ctx).unwrap();
    let series = appender.resolve(b"key", &mut || Ok(set.clone())).unwrap();
    assert_eq!(appender.resolve(b"other key", &mut || Ok(set.clone())), Ok(series));
    assert_eq!(appender.resolve(b"key", &mut || panic!("the key is known")), Ok(series));
    appender.append(series, START, 1.0).unwrap();
    let all = TimeRange::new(0, i64::MAX);
    assert_eq!(samples_of(&fixture.db, "m", all), []);
    drop(appender);
    assert_eq!(samples_of(&fixture.db, "m", all), []);
    let mut appender = fixture.db.appender(&ctx).unwrap();
    appender.append(series, START + 1, 2.0).unwrap();
    let summary = appender.commit().unwrap();
    assert_eq!((summary.samples, summary.series_created), (1, 0));
    assert_eq!(samples_of(&fixture.db, "m", all), [(START + 1, 2.0)]);
}

#[test]
fn samples_are_refused_with_their_reason() {
    let mut fixture = Fixture::new();
    fixture.append(&[(&[("__name__", "m")], START, 1.0)]);
    let ctx = RequestContext::for_tests();
    let mut appender = fixture.db.appender(&ctx).unwrap();
    let series = appender.resolve(b"m", &mut || Ok(labels(&[("__name__", "m")]))).unwrap();
    assert_eq!(appender.append(series, START, 1.0), Ok(()));
    assert_eq!(appender.append(series, START, 2.0), Err(AppendRejection::DuplicateTimestamp));
    assert_eq!(appender.append(series, START - 1, 2.0), Err(AppendRejection::OutOfOrder));
    assert_eq!(appender.append(series, START - 7_200_000, 2.0), Err(AppendRejection::OutOfBounds));
    assert_eq!(
        appender.append(metric_storage_api::SeriesRef(77 << 32), START, 1.0),
        Err(AppendRejection::UnknownSeries)
    );
    let mut empty = || Ok(Labels::empty());
    assert!(matches!(appender.resolve(b"", &mut empty), Err(AppendRejection::InvalidLabels(_))));
    let bad = FloatHistogram { positive_buckets: vec![1.0], ..FloatHistogram::default() };
    let refused = appender.append_histogram(series, START + 5, &bad);
    assert!(matches!(refused, Err(AppendRejection::InvalidHistogram(_))));
}

#[test]
fn limits_refuse_new_series_and_let_old_ones_flow() {
    let mut fixture = Fixture::with_options(|options| {
        options.limits.series_per_metric_max = 2;
        options.limits.label_value_bytes_max = 10;
    });
    fixture.append(&[
        (&[("__name__", "m"), ("i", "1")], START, 1.0),
        (&[("__name__", "m"), ("i", "2")], START, 1.0),
    ]);
    let ctx = RequestContext::for_tests();
    let mut appender = fixture.db.appender(&ctx).unwrap();
    let refused = appender.resolve(b"", &mut || Ok(labels(&[("__name__", "m"), ("i", "3")]))).unwrap_err();
    assert!(refused.to_string().contains("metric m has 2 series"), "{refused}");
    let long = appender.resolve(b"", &mut || Ok(labels(&[("__name__", "o"), ("i", "12345678901")])));
    assert!(matches!(long, Err(AppendRejection::LimitReached { .. })));
    let old = appender.resolve(b"", &mut || Ok(labels(&[("__name__", "m"), ("i", "2")]))).unwrap();
    assert_eq!(appender.append(old, START + 1, 1.0), Ok(()));
}

#[test]
fn histograms_exemplars_and_metadata_survive_a_kill() {
    let mut fixture = Fixture::new();
    let ctx = RequestContext::for_tests();
    let set = labels(&[("__name__", "h")]);
    let exemplar = Exemplar { labels: labels(&[("trace_id", "abc")]), value: 0.3, timestamp: START };
    let metadata =
        MetricMetadata { kind: MetricType::Histogram, unit: "seconds".into(), help: "How long.".into() };
    for step in 0..300u32 {
        let mut appender = fixture.db.appender(&ctx).unwrap();
        let series = appender.resolve(b"h", &mut || Ok(set.clone())).unwrap();
        appender
            .append_histogram(series, START + i64::from(step) * 15_000, &support::histogram(step))
            .unwrap();
        if step == 0 {
            appender.append_exemplar(series, exemplar.clone()).unwrap();
            appender.update_metadata(series, &metadata).unwrap();
        }
        appender.commit().unwrap();
    }
    for _ in 0..2 {
        let all = TimeRange::new(0, i64::MAX);
        let series = support::select_series(&fixture.db, &[("__name__", MatchOp::Equal, "h")], all);
        let columns = read(&*series[0], all);
        assert_eq!(columns.len(), 300);
        for (step, histogram) in columns.histograms.iter().enumerate() {
            let (got, want) = (histogram.as_ref().unwrap(), support::histogram(step as u32));
            assert_eq!(
                (got.count, got.sum, &got.positive_buckets),
                (want.count, want.sum, &want.positive_buckets)
            );
        }
        let exemplars =
            fixture.db.exemplars(&ctx, &[vec![matcher("__name__", MatchOp::Equal, "h")]], all).unwrap();
        assert_eq!(exemplars[0].exemplars, std::slice::from_ref(&exemplar));
        assert_eq!(fixture.db.metadata(&ctx, Some("h")).unwrap(), [("h".to_owned(), vec![metadata.clone()])]);
        fixture.reopen_killed();
    }
}

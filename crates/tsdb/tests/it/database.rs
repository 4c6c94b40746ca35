//! A database as its users see it: append, commit, select, reopen.

use crate::support::{self, Fixture, labels, matcher, read, samples_of, select};
use metric_storage_api::{AppendRejection, KeyedSample, KeyedStop, MetricReader, MetricStore};
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

#[test]
fn samples_by_key_are_added_until_one_cannot_be() {
    let fixture = Fixture::new();
    let keys: Vec<String> = (0..300).map(|n| format!("m{n}")).collect();
    let sample = |n: usize, timestamp, value| KeyedSample { key: keys[n].as_bytes(), timestamp, value };
    let ctx = RequestContext::for_tests();
    let all = TimeRange::new(0, i64::MAX);
    for round in 0..3i64 {
        let time = START + round * 1000;
        // A key that comes twice, and one that means the series of another.
        let mut samples: Vec<_> = (0..300).map(|n| sample(n, time, n as f64)).collect();
        samples.push(KeyedSample { key: b"other spelling", timestamp: time + 1, value: 7.0 });
        samples.push(sample(4, time + 1, 8.0));
        let mut asked = 0;
        let mut appender = fixture.db.appender(&ctx).unwrap();
        let outcome = appender.append_keyed(&samples, &mut |idx| {
            asked += 1;
            let name = if idx == 300 { "m3" } else { &keys[idx] };
            Ok(Some(labels(&[("__name__", name)])))
        });
        assert_eq!(outcome, Ok(()));
        assert_eq!(asked, if round == 0 { 301 } else { 0 });
        assert_eq!(appender.commit().unwrap().samples, 302);
    }
    for (n, count) in [(0, 3), (3, 6), (4, 6), (299, 3)] {
        let found = samples_of(&fixture.db, &keys[n], all);
        assert_eq!(found.len(), count, "{n}");
        assert!(found.iter().step_by(count / 3).all(|(_, value)| *value == n as f64), "{n}: {found:?}");
    }
    // Stops at what is no key, at what has no labels, and at a sample that is too old; what lies before is added.
    let no_labels = AppendRejection::InvalidLabels("none".into());
    let stops = [
        (sample(9, START + 9000, 0.0), KeyedStop::UnknownKey),
        (sample(9, START + 9000, 0.0), KeyedStop::Rejected(no_labels.clone())),
        (sample(5, START, 1.0), KeyedStop::Rejected(AppendRejection::OutOfOrder)),
    ];
    for (round, (mut last, stop)) in (0..).zip(stops) {
        if last.key == keys[9].as_bytes() {
            last.key = b"new";
        }
        let time = START + 10_000 + round * 1000;
        let samples: Vec<_> =
            (100..200).map(|n| sample(n, time, 1.0)).chain([last, sample(0, time, 1.0)]).collect();
        let mut appender = fixture.db.appender(&ctx).unwrap();
        let outcome = appender.append_keyed(&samples, &mut |_| match &stop {
            KeyedStop::UnknownKey => Ok(None),
            KeyedStop::Rejected(_) => Err(no_labels.clone()),
        });
        assert_eq!(outcome, Err((100, stop)));
        assert_eq!(appender.commit().unwrap().samples, 100);
    }
}

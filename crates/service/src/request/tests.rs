//! Contexts across a service boundary.

use super::*;

fn contexts(tenancy: Tenancy) -> Contexts {
    let memory = MemoryBudget::unlimited("test");
    Contexts::new(tenancy, memory, CpuPools::inline(), Some(Duration::from_secs(120)), "i")
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let parse = |text: &str| HeaderValue::from_str(text).expect("a header value");
    pairs.iter().map(|(name, value)| (HeaderName::from_static(name), parse(value))).collect()
}

#[test]
fn a_context_crosses_a_boundary_whole() {
    let mut context = RequestContext::for_tests();
    context.tenant = TenantId::parse("site-1").unwrap();
    context.principal = Principal::User("alice".into());
    context.timeout = Some(Duration::from_millis(1500));
    context.enforced_matchers = Arc::new([Matcher::new("site", MatchOp::Regex, "é\"|b\n")]);
    context.query_id = QueryId("q-7".into());
    let mut map = HeaderMap::new();
    inject_context(&context, &mut map);
    let scope = contexts(Tenancy::Multiple).from_headers(&map, None, CpuClass::Query).unwrap();
    let got = scope.context;
    assert_eq!(
        (got.tenant, got.principal, got.timeout),
        (context.tenant, context.principal, context.timeout)
    );
    assert_eq!((got.enforced_matchers, got.query_id), (context.enforced_matchers, context.query_id));
}

#[test]
fn wrong_headers_are_refused_by_name() {
    for (pairs, error) in [
        (vec![], "no org id"),
        (vec![("x-scope-orgid", "a/b")], "header X-Scope-OrgID is not valid"),
        (vec![("x-scope-orgid", "a"), ("grpc-timeout", "5x")], "header grpc-timeout is not valid"),
        (vec![("x-scope-orgid", "a"), ("grpc-timeout", "")], "header grpc-timeout is not valid"),
        (
            vec![("x-scope-orgid", "a"), ("x-watchbell-matchers", "[[1]]")],
            "header X-Watchbell-Matchers is not valid",
        ),
    ] {
        let refused = contexts(Tenancy::Multiple).from_headers(&headers(&pairs), None, CpuClass::Query);
        assert_eq!(refused.unwrap_err().to_string(), error);
    }
}

#[test]
fn the_shortest_time_counts() {
    let contexts = contexts(Tenancy::Single);
    let of = |pairs: &[(&'static str, &str)]| {
        contexts.from_headers(&headers(pairs), None, CpuClass::Query).unwrap().context.timeout.unwrap()
    };
    assert_eq!(of(&[]), Duration::from_secs(120));
    assert_eq!(of(&[("grpc-timeout", "10H")]), Duration::from_secs(120));
    assert_eq!(of(&[("grpc-timeout", "3S"), ("x-watchbell-timeout-ms", "20")]), Duration::from_millis(20));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_and_a_leaving_client_cancel() {
    let contexts = contexts(Tenancy::Single);
    let scope = || contexts.from_headers(&HeaderMap::new(), None, CpuClass::Query).unwrap();
    let timed = scope().with_timeout(Some(Duration::from_millis(10)));
    let context = timed.context.clone();
    let seen = timed
        .run(async {
            while context.check().is_ok() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            context.check()
        })
        .await;
    assert_eq!(seen.unwrap_err().0, CancelReason::TimedOut);

    let left = scope();
    let context = left.context.clone();
    drop(tokio::time::timeout(Duration::from_millis(1), left.run(std::future::pending::<()>())).await);
    assert_eq!(context.check().unwrap_err().0, CancelReason::Cancelled);

    let done = scope();
    let context = done.context.clone();
    done.run(async {}).await;
    assert!(context.check().is_ok());
}

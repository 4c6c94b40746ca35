//! The order of an end, and what goes wrong in it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use telemetry::Registry;

use super::{Lifecycle, Readiness, StopWish};

fn lifecycle() -> Lifecycle {
    Lifecycle::new("test", &Registry::new())
}

#[tokio::test]
async fn tasks_end_before_cleanups_and_cleanups_run_in_reverse() {
    let lifecycle = lifecycle();
    let order = Arc::new(Mutex::new(Vec::new()));
    for name in ["store", "sender"] {
        let order = Arc::clone(&order);
        lifecycle.on_stop(name, move || async move {
            order.lock().push(name);
            if name == "sender" { Err("queue not empty".into()) } else { Ok(()) }
        });
    }
    let (stopping, seen) = (lifecycle.stopping().clone(), Arc::clone(&order));
    lifecycle.spawn("loop", async move {
        stopping.cancelled().await;
        seen.lock().push("task");
    });
    lifecycle.set_ready();
    let report = lifecycle.stop(Duration::from_secs(5)).await;
    assert_eq!(*order.lock(), ["task", "sender", "store"]);
    assert_eq!(report.failed, [("sender".to_owned(), "queue not empty".to_owned())]);
    assert_eq!(lifecycle.readiness(), Readiness::Stopping);
    assert_eq!(lifecycle.stop(Duration::from_secs(5)).await.failed, []);
}

#[tokio::test(start_paused = true)]
async fn what_hangs_is_named_and_left() {
    let lifecycle = lifecycle();
    lifecycle.spawn("hangs", std::future::pending());
    lifecycle.on_stop("hangs too", std::future::pending);
    let report = lifecycle.stop(Duration::from_secs(4)).await;
    let names: Vec<_> = report.failed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["tasks", "hangs too"]);
}

#[tokio::test]
async fn a_panicking_task_ends_the_service() {
    let lifecycle = lifecycle();
    lifecycle.spawn("bad", async { panic!("boom") });
    let wish = lifecycle.wants_to_stop().await;
    assert_eq!(wish, StopWish::Panicked("task bad panicked: boom".to_owned()));
    lifecycle.ask_to_stop();
    assert_eq!(lifecycle.wants_to_stop().await, wish, "the first reason stays");
}

#[tokio::test]
async fn a_bad_reload_is_kept_for_the_status_page() {
    let lifecycle = lifecycle();
    lifecycle.reload().await.unwrap();
    let bad = Arc::new(Mutex::new(true));
    let state = Arc::clone(&bad);
    lifecycle.on_reload(move || {
        let bad = *state.lock();
        async move { if bad { Err("line 3 is wrong".into()) } else { Ok(()) } }
    });
    assert!(lifecycle.reload().await.is_err());
    assert_eq!(lifecycle.last_reload_error().as_deref(), Some("line 3 is wrong"));
    *bad.lock() = false;
    lifecycle.reload().await.unwrap();
    assert_eq!(lifecycle.last_reload_error(), None);
}

struct Panicking(Lifecycle);

impl crate::App for Panicking {
    fn lifecycle(&self) -> &Lifecycle {
        &self.0
    }

    fn start(&self) -> futures::future::BoxFuture<'_, Result<(), crate::Failure>> {
        self.0.spawn("bad", async { panic!("boom") });
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test]
async fn a_panic_stops_the_service_in_order_and_goes_on_to_its_driver() {
    use futures::FutureExt as _;
    let app = Panicking(lifecycle());
    let stopped = Arc::new(Mutex::new(false));
    let seen = Arc::clone(&stopped);
    app.0.on_stop("store", move || async move {
        *seen.lock() = true;
        Ok(())
    });
    let run = crate::App::run(&app, Box::pin(std::future::pending()), Duration::from_secs(5));
    let panic = std::panic::AssertUnwindSafe(run).catch_unwind().await.unwrap_err();
    assert_eq!(super::panic_text(panic.as_ref()), "task bad panicked: boom");
    assert!(*stopped.lock());
}

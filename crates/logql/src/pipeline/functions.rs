//! What templates of a pipeline may call, beside Go's builtins.

mod dates;
mod numbers;
mod texts;

use std::sync::{Arc, Mutex, PoisonError};

use go_template::{CallError, Functions, GoTime, Value};
use model::TimestampNs;

/// The line that a template is rendered for; shared by the template's functions.
#[derive(Clone, Debug, Default)]
pub(super) struct CurrentLine(Arc<Mutex<(TimestampNs, Arc<str>)>>);

impl CurrentLine {
    pub(super) fn set(&self, timestamp: TimestampNs, line: &str) {
        // A panic while the lock was held cannot leave half a pair: it is replaced whole.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (timestamp, line.into());
    }

    fn get(&self) -> (TimestampNs, Arc<str>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The table of functions, with `__line__` and `__timestamp__` bound to `current`. `now` is the end of the query's range: an
/// answer must not depend on when it was computed.
pub(super) fn functions(current: &CurrentLine, now: TimestampNs) -> Functions {
    let mut functions = Functions::builtins();
    let line = current.clone();
    functions.add("__line__", 0, 0, move |_| Ok(Value::String(line.get().1)));
    let time = current.clone();
    functions.add("__timestamp__", 0, 0, move |_| Ok(GoTime::from_ns(time.get().0).into_value()));
    functions.add("now", 0, 0, move |_| Ok(GoTime::from_ns(now).into_value()));
    texts::register(&mut functions);
    numbers::register(&mut functions);
    dates::register(&mut functions);
    functions
}

fn fail<T>(message: impl Into<String>) -> Result<T, CallError> {
    Err(CallError::Message(message.into()))
}

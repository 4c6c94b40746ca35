//! One sync for all writers that wait for one.

use parking_lot::{Condvar, Mutex};

use crate::error::Result;

/// Lets one writer at a time flush for all that came before it.
#[derive(Debug, Default)]
pub(crate) struct GroupFlush {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    running: bool,
    /// How many flushes were begun.
    begun: u64,
    /// The latest begun flush that ended well: everything applied before it began is durable.
    succeeded: u64,
}

impl GroupFlush {
    /// Returns when a flush that began after this call has ended well. Runs it itself where nobody else is flushing, so a
    /// failure is seen by who ran it, and the writers that waited for it try again themselves.
    pub(crate) fn wait(&self, flush: impl Fn() -> Result<()>) -> Result<()> {
        let mut state = self.state.lock();
        let needed = state.begun + 1;
        while state.succeeded < needed {
            if state.running {
                self.ended.wait(&mut state);
                continue;
            }
            state.running = true;
            state.begun += 1;
            let own = state.begun;
            drop(state);
            let result = flush();
            state = self.state.lock();
            state.running = false;
            self.ended.notify_all();
            result?;
            state.succeeded = state.succeeded.max(own);
        }
        Ok(())
    }
}

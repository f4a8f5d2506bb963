//! The end of a client. Dropping one waits for the broker without limit, so it happens on a thread that somebody else
//! can give up waiting for.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use rdkafka::consumer::BaseConsumer;

use super::context::PollContext;
use super::{clock, commits, drain, threads};

/// How long answers to the last commits are waited for.
const LAST_COMMITS: Duration = Duration::from_secs(2);
/// How long a broken client may take to go before the next one is built without waiting for it.
const DISCARD: Duration = Duration::from_secs(5);
/// One wait for events between two looks at the clock.
const EVENT_TURN: Duration = Duration::from_millis(20);

/// Commits what is settled and leaves the group. Returns when the broker has let go, which may be never.
pub(super) fn close(context: &PollContext, consumer: BaseConsumer<PollContext>, deadline: Instant) {
    let until = deadline.min(clock::now() + LAST_COMMITS);
    while !context.table().is_committed() && clock::now() < until {
        commits::send_due(context, &consumer);
        if drain::serve_events(&consumer, EVENT_TURN).is_some() {
            context.take_reason();
        }
    }
    if !context.table().is_committed() {
        tracing::warn!(group = &*context.group, "closed without an answer to the last commits");
    }
    context.begin_closing();
    drop(consumer);
}

/// Gets rid of a broken client. False when it did not go in time; its threads are then left behind.
pub(super) fn discard(context: &PollContext, consumer: BaseConsumer<PollContext>) -> bool {
    context.begin_closing();
    let (gone, waiting) = mpsc::sync_channel(1);
    let spawned = threads::spawn(&format!("{}-end", context.group), move || {
        drop(consumer);
        // Nobody may be waiting any more.
        let _ = gone.send(());
    });
    spawned.is_ok() && waiting.recv_timeout(DISCARD).is_ok()
}

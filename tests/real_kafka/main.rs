//! The service on a real Apache Kafka: in this process, with modules of the tests' own, and as the binary that users
//! run. One broker serves all tests that do not stop, freeze or secure theirs; names keep them apart.

#![allow(clippy::disallowed_methods, reason = "tests spawn, wait and read the clock as they need")]

mod blocking;
mod dead_letters;
mod exit_codes;
mod follow;
mod gaps;
mod groups;
mod healing;
mod lives;
mod misbehaving;
mod outage;
mod place;
mod process;
mod rebalance;
mod recording;
mod restart;
mod results;
mod running;
mod scripted;
mod starvation;
mod stopping;
mod tasks;
mod transactions;

//! The binary that users run, on a real Apache Kafka, while things fail around it; what came of it is judged by a
//! checker that knows every record produced and reads what was published on its own. Row numbers of the fault matrix
//! stand in the names. `QUORATE_FAULT_SEED` repeats a run, `QUORATE_FAULT_ROUNDS` makes it longer.

#![allow(clippy::disallowed_methods, reason = "tests spawn, wait and read the clock as they need")]

mod brokers;
mod checker;
mod clock;
mod config;
mod downtime;
mod history;
mod kills;
mod lost;
mod members;
mod model;
mod network;
mod observer;
mod poison;
mod population;
mod process;
mod remains;
mod scenario;
mod seed;
mod service;
mod sizes;
mod soak;
mod starts;
mod state;
mod stops;
mod topics;
mod watch;
mod workload;

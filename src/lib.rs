//! quorate consumes many Kafka topics at once, assembles complete inputs per station, and calls modules with them.
//!
//! This crate is the shell around [`quorate_core`]: it performs IO and decides nothing.

pub mod config;
pub mod kafka;
pub mod pipeline;

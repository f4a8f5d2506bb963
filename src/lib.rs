//! quorate consumes many Kafka topics at once, assembles complete inputs per station, and calls modules with them.
//!
//! This crate is the shell around [`quorate_core`]: it performs IO and decides nothing.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests spawn, wait and read the clock as they need"))]

pub mod app;
pub mod cli;
pub mod config;
pub mod demo;
pub mod fleet;
pub mod kafka;
pub mod pipeline;
pub mod runtime;
pub mod telemetry;

#[cfg(doctest)]
#[doc = include_str!("../docs/modules.md")]
struct ModuleGuide;

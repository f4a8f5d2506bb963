//! quorate consumes many Kafka topics at once, assembles complete inputs per station, and calls modules with them.
//!
//! Three ways in: [`command`] is the whole program, with modules of one's own; [`Service::builder`] is a service inside
//! another program; [`testing::Scenario`] drives either without Kafka. A module is written against [`contract`].

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests spawn, wait and read the clock as they need"))]

pub mod app;
pub mod cli;
pub mod config;
pub mod demo;
mod fault;
pub mod fleet;
pub mod kafka;
pub mod pipeline;
pub mod runtime;
pub mod telemetry;
pub mod testing;

pub use app::{Service, ServiceBuilder};
pub use async_trait::async_trait;
pub use cli::{CommandLine, command};
pub use quorate_core::contract::{self, Module, ModuleError, ModuleInput, Output, Status, Value};
pub use quorate_core::ident::{Millis, Station};

#[cfg(doctest)]
#[doc = include_str!("../docs/modules.md")]
struct ModuleGuide;

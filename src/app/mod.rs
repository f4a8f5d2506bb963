//! The composition root: names every room, builds a service from settings, and ends it. Decides nothing else.

mod service;

pub use service::{Ended, Service, StartError};

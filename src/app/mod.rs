//! The composition root: names every room, builds a service from settings, and ends it. Decides nothing else.

mod builder;
mod offline;
mod registry;
mod service;
mod state;
mod translated;

pub use builder::{ServiceBuilder, SetupError};
pub use registry::{Registry, RegistryError};
pub use service::{Doomed, Ended, Service, StartError};

pub(crate) use builder::sources;
pub(crate) use offline::call_in_place;

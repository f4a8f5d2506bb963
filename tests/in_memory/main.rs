//! The whole service in memory: real pipeline, real core, virtual time, scripted consumers, faults injected through the
//! traits that production uses.

mod assembly;
mod clock;
mod failures;
mod fairness;
mod kept;
mod loading;
mod once;
mod parts;
mod queues;
mod settlement;
mod sinks;
mod standing_still;
mod standstill;
mod station_rows;
mod support;

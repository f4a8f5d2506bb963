//! The whole service in memory: real pipeline, real core, virtual time, scripted consumers, faults injected through the
//! traits that production uses.

mod assembly;
mod failures;
mod fairness;
mod kept;
mod loading;
mod once;
mod settlement;
mod sinks;
mod standing_still;
mod standstill;
mod station_rows;
mod support;

//! Calls modules where the caller stands, one after another, and tells what came of it in the words of a replay. No
//! threads, no time-outs, no second attempts: whoever wants those runs the service.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use futures::executor::block_on;
use quorate_core::contract::{ModuleError, ModuleInput, Output};
use quorate_core::decode::Reason;
use quorate_core::replay::ReplayEvent;

use super::Registry;
use crate::config::ModuleSettings;

/// Calls the module that `input` is for. `tell` hears of each result, or of the failure.
///
/// Returns the results, for the modules that depend on this one; none when it failed or is not in `chosen`.
pub(crate) fn call_in_place(
    registry: &Registry,
    chosen: &[ModuleSettings],
    input: &ModuleInput,
    mut tell: impl FnMut(ReplayEvent),
) -> Vec<Output> {
    let chosen = chosen.iter().find(|chosen| chosen.name == input.module);
    let (Some(module), Some(chosen)) = (registry.find(&input.module), chosen) else { return Vec::new() };
    let (reason, detail) = match block_on(AssertUnwindSafe(module.invoke(input)).catch_unwind()) {
        Ok(Ok(outputs)) => {
            outputs.iter().filter_map(|output| ReplayEvent::output(input, &chosen.output_topic, output)).for_each(tell);
            return outputs;
        }
        Ok(Err(ModuleError::Rejected(detail))) => (Reason::ModuleRejected, detail),
        Ok(Err(ModuleError::Retriable(detail))) => (Reason::ModuleFailed, detail),
        Err(_) => (Reason::ModulePanicked, String::new()),
    };
    tell(ReplayEvent::run_failed(input, reason, detail));
    Vec::new()
}

//! From settings to what the pipeline is told about itself: the same things in the words of another room.

use std::sync::Arc;

use quorate_core::ident::TopicId;
use quorate_core::plan::{ModulePlan, Source, Trigger};

use crate::config::{self, BreakerSettings, ModuleSettings, Settings, Undecodable};
use crate::failures::{CallbackSettings, HttpCallback, TargetError};
use crate::pipeline::ports::FailureSink;
use crate::pipeline::{BreakerPolicy, FailureSinks, MAX_UNSETTLED, OnFailure, PipelineSettings, RunSettings};

pub(super) fn pipeline_settings(settings: &Settings) -> Result<PipelineSettings, TargetError> {
    let modules = settings.modules.iter().zip(&settings.plan.modules);
    let runs = modules.map(|(module, plan)| run(module, is_for_tasks(plan, settings))).collect::<Result<_, _>>()?;
    Ok(PipelineSettings {
        quotas: settings.topics.iter().map(|topic| topic.quota).collect(),
        runs,
        lane_bytes: settings.service.lane_bytes,
        flush_interval: settings.service.flush_interval,
        max_pending: max_pending(settings),
        stops_undecodable: settings.topics.iter().map(|topic| topic.on_failure == Undecodable::Halt).collect(),
        dead_letter_topic: settings.dead_letter_topic.as_str().into(),
        shards: std::thread::available_parallelism().map_or(1, |cores| cores.get().min(8)),
    })
}

/// How one module is run.
fn run(module: &ModuleSettings, tells_of_tasks: bool) -> Result<RunSettings, TargetError> {
    let breaker = module.breaker.map(|BreakerSettings { failure_ratio, of, pause }| {
        let pause_ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        let of = usize::try_from(of).unwrap_or(usize::MAX);
        BreakerPolicy { failure_ratio, of, pause_ms }
    });
    Ok(RunSettings {
        concurrency: module.concurrency,
        attempts: module.retry.attempts,
        backoff: module.retry.backoff,
        max_backoff: module.retry.max_backoff,
        output_topic: module.output_topic.as_str().into(),
        on_failure: match module.on_failure {
            config::OnFailure::RetryThenDeadLetter => OnFailure::RetryThenDeadLetter,
            config::OnFailure::Commit => OnFailure::Commit,
            config::OnFailure::Halt => OnFailure::Halt,
        },
        deadline: module.deadline,
        breaker,
        sinks: sinks(&module.failure)?,
        tells_of_tasks,
    })
}

/// Whether a module works on the tasks of a queue.
fn is_for_tasks(module: &ModulePlan, settings: &Settings) -> bool {
    let is_queue = |topic: TopicId| settings.topics[topic.ix()].is_queue;
    match &module.trigger {
        Trigger::Each { on } => on.iter().any(|source| matches!(source, Source::Topic(topic) if is_queue(*topic))),
        Trigger::Every { .. } | Trigger::Changes { .. } => false,
    }
}

fn sinks(settings: &config::FailureSettings) -> Result<FailureSinks, TargetError> {
    let callback = settings.callback.clone().map(|callback| -> Result<Arc<dyn FailureSink>, TargetError> {
        let config::CallbackSettings { url, timeout, attempts, backoff } = callback;
        let callback = HttpCallback::new(CallbackSettings { url, timeout, attempts, backoff })?;
        Ok(Arc::new(callback))
    });
    Ok(FailureSinks { topic: settings.topic, log: settings.log, callback: callback.transpose()? })
}

/// Of a topic of which each reading is a run of its own as much may wait as its most modest module says.
fn max_pending(settings: &Settings) -> Vec<usize> {
    let asks = |topic: TopicId, module: &ModulePlan| match &module.trigger {
        Trigger::Each { on } => on.contains(&Source::Topic(topic)),
        Trigger::Every { .. } | Trigger::Changes { .. } => false,
    };
    let limit = |topic| {
        let modules = settings.plan.modules.iter().zip(&settings.modules);
        let limits = modules.filter(|(plan, _)| asks(topic, plan)).map(|(_, module)| module.max_pending);
        limits.min().unwrap_or(MAX_UNSETTLED)
    };
    settings.plan.topics().map(|(topic, _)| limit(topic)).collect()
}

//! The whole service as `quorate run` starts it, in this process, watched through what it tells about itself.

use std::error::Error;
use std::time::{Duration, Instant};

use quorate::app::Service;
use quorate::telemetry;

use crate::child::{ChildArgs, Contender, Measured, PATIENCE, Watch};
use crate::{gauges, setup};

/// How often the service is asked where it stands.
const GLANCE: Duration = Duration::from_millis(1);

/// Applies everything, and waits until the groups show it.
///
/// # Errors
/// The service does not start, or does not come to the end.
pub fn run(args: &ChildArgs) -> Result<Measured, Box<dyn Error>> {
    let settings = setup::settings(&args.servers, &args.group)?;
    telemetry::install(settings.log_format, "warn");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let service = Service::start(settings, &quorate_modules::all()).await?;
        let measured = measure(&service, args.records).await;
        let ended = service.drain().await;
        if !ended.drained {
            return Err("the service did not drain".into());
        }
        measured
    })
}

async fn measure(service: &Service, records: u64) -> Result<Measured, Box<dyn Error>> {
    reaches(1, || polled(service)).await?;
    let watch = Watch::start();
    reaches(records, || service.pipeline().tally().records).await?;
    // A cut is answered after everything that was handed out before it has been applied.
    service.pipeline().settle_now(PATIENCE).await;
    let lap = watch.lap();
    reaches(records, || committed(service)).await?;
    let at_end = watch.lap();
    let tally = service.pipeline().tally();
    if let Some((reason, count)) = tally.dead_letters.iter().next() {
        return Err(format!("{count} dead letters ({reason})").into());
    }
    Ok(Measured {
        contender: Contender::Quorate,
        records: tally.records,
        seconds: lap.seconds,
        committed_seconds: at_end.seconds,
        cpu_seconds: lap.cpu_seconds,
        peak_bytes: gauges::own_peak_bytes().unwrap_or(0),
        results: tally.results,
    })
}

/// Waits until a number that only grows has reached `goal`.
async fn reaches(goal: u64, number: impl Fn() -> u64) -> Result<(), Box<dyn Error>> {
    let (mut before, mut since) = (0, Instant::now());
    loop {
        let at = number();
        if at >= goal {
            return Ok(());
        }
        if at != before {
            (before, since) = (at, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            return Err(format!("stands at {at} of {goal}").into());
        }
        tokio::time::sleep(GLANCE).await;
    }
}

fn polled(service: &Service) -> u64 {
    service.health().snapshot().iter().map(|topic| topic.records).sum()
}

/// Committed offsets, summed; every partition begins at 0 and holds nothing but records.
fn committed(service: &Service) -> u64 {
    let topics = service.health().snapshot();
    let partitions = topics.iter().flat_map(|topic| topic.partitions.values());
    partitions.filter_map(|partition| u64::try_from(partition.committed?.0).ok()).sum()
}

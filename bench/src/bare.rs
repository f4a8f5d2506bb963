//! The bare client: one thread that polls one record after the other and only counts.

use std::error::Error;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};

use crate::backlog::{HOT, SLOW};
use crate::child::{ChildArgs, Contender, Measured, PATIENCE, Watch};
use crate::{gauges, setup};

/// Reads everything.
///
/// # Errors
/// The client fails, or the records do not come.
pub fn run(args: &ChildArgs) -> Result<Measured, Box<dyn Error>> {
    let settings = setup::settings(&args.servers, &args.group)?;
    let config: ClientConfig = setup::bare_properties(&settings, &args.group).0.into_iter().collect();
    let consumer: BaseConsumer = config.create()?;
    let topics: Vec<&str> = std::iter::once(HOT).chain(SLOW).collect();
    consumer.subscribe(&topics)?;
    let mut watch = None;
    let mut records = 0;
    let mut last = Instant::now();
    while records < args.records {
        match consumer.poll(Duration::from_millis(100)) {
            Some(message) => {
                message?;
                if records == 0 {
                    watch = Some(Watch::start());
                }
                records += 1;
            }
            None if last.elapsed() > PATIENCE => return Err(format!("stands at {records} records").into()),
            None => continue,
        }
        if records % 1_000 == 0 {
            last = Instant::now();
        }
    }
    let watch = watch.ok_or("no records were asked for")?;
    let lap = watch.lap();
    consumer.commit(&consumer.position()?, CommitMode::Sync)?;
    let committed = watch.lap();
    Ok(Measured {
        contender: Contender::Bare,
        records,
        seconds: lap.seconds,
        committed_seconds: committed.seconds,
        cpu_seconds: lap.cpu_seconds,
        peak_bytes: gauges::own_peak_bytes().unwrap_or(0),
        results: 0,
    })
}

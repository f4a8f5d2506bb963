//! Queues of tasks that take long, are large, or whose worker freezes, and what the log tells of each task.

use std::time::{Duration, Instant};

use quorate_testkit::{Compression, require_broker, within};
use rdkafka::consumer::Consumer as _;
use rdkafka::producer::BaseRecord;
use serde_json::Value;

use crate::follow::Results;
use crate::place::{Config, PATIENCE, Place, reading, stations, text};
use crate::process::{Process, Signal};
use crate::rebalance::join;
use crate::running::Running;
use crate::scripted::{Gate, Scripted};

/// The shortest session that a broker grants, in milliseconds; the longest pause between polls may be no shorter.
const SESSION_MS: u64 = 6000;

/// Makes a topic a queue of tasks, of which `module` has one in hand at a time.
fn queue(place: &Place<'_>, config: &mut Config, topic: &str, module: &str) {
    place.reads(config, &[topic]);
    place.requires(config, module, &[topic]);
    let table = format!("topics.{}", place.topic(topic));
    config.set(&table, "profile", text("exclusive_task"));
    config.set(&table, "auto_offset_reset", text("earliest"));
    config.set(&table, "session_timeout_ms", SESSION_MS.to_string());
    config.set(&table, "heartbeat_interval_ms", "500");
    let table = format!("modules.{module}");
    config.set(&table, "trigger", format!("{{ each = true, on = [{}] }}", text(&place.topic(topic))));
    config.set(&table, "concurrency", "1");
    config.set(&table, "timeout", text("10m"));
}

#[test]
fn row_1_08_and_1_09_a_task_longer_than_the_poll_interval_costs_no_rebalance_and_delays_no_other_queue() {
    let broker = require_broker!();
    let place = Place::new(broker, "row_1_08");
    place.create(&["TASKS", "RESULTS"]);
    let mut config = place.config();
    queue(&place, &mut config, "TASKS", "processor");
    queue(&place, &mut config, "RESULTS", "uploader");
    let interval = Duration::from_millis(SESSION_MS);
    // Each queue has a value of its own: here that of the processor is as short as may be.
    config.set(&format!("topics.{}", place.topic("TASKS")), "max_poll_interval_ms", SESSION_MS.to_string());
    let gate = Gate::shut();
    let (processor, uploader) = (Scripted::gated("processor", &gate), Scripted::echo("uploader"));
    place.produce("TASKS", [reading("S0", 1)]);
    let running = Running::start(&config, &[&processor, &uploader]);
    within(PATIENCE, "the task to be in hand", || (processor.calls() == 1).then_some(()));
    let (began, assignments) = (Instant::now(), running.health(&place, "TASKS").rebalances);

    let mut n = 0;
    while began.elapsed() < interval * 5 / 2 {
        n += 1;
        place.produce("RESULTS", [reading("S0", n)]);
        within(PATIENCE, "the other queue to be worked on", || (uploader.calls() as u64 == n).then_some(()));
    }
    gate.open();
    Results::of(&place).until_last(&place, "processor", &stations(1), &[("TASKS", 1)]);
    ["TASKS", "RESULTS"].iter().for_each(|topic| place.until_all_committed(&place.group(topic), topic));
    let health = running.health(&place, "TASKS");
    assert_eq!((health.rebalances, health.rebuilds, processor.calls()), (assignments, 0, 1));
    assert!(running.stop().drained);
}

#[test]
fn row_1_12_and_1_23_the_log_tells_when_a_task_was_received_started_ended_and_committed() {
    let broker = require_broker!();
    let place = Place::new(broker, "row_1_12");
    place.create(&["TASKS"]);
    let mut config = place.config();
    queue(&place, &mut config, "TASKS", "echo");
    config.set("log", "format", text("json"));
    place.produce("TASKS", [reading("S7", 1), ("S8".to_owned(), "no task".to_owned())]);
    let mut process = Process::run(&config);
    place.until_all_committed(&place.group("TASKS"), "TASKS");
    process.until_logged("tasks committed", 1);
    process.signal(Signal::TERM);
    assert_eq!(process.until_ended(PATIENCE).0, Some(0));

    let topic = place.topic("TASKS");
    let log = process.log();
    let events: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let said = |what: &str| events.iter().filter(|event| event["message"] == what).collect::<Vec<_>>();
    let at = |what: &str| events.iter().position(|event| event["message"] == what);
    let received: Vec<_> = said("task received");
    assert_eq!(received.len(), 2, "{log}");
    for (event, (offset, key)) in received.iter().zip([(0, "S7"), (1, "S8")]) {
        assert_eq!((&event["topic"], &event["partition"]), (&topic.as_str().into(), &0.into()));
        assert_eq!((&event["offset"], &event["key"]), (&offset.into(), &key.into()));
    }
    let (started, ended) = (said("task started"), said("task ended"));
    assert_eq!((started.len(), ended.len()), (1, 1), "what cannot be read is no run:\n{log}");
    for event in [started[0], ended[0]] {
        assert_eq!((&event["module"], &event["station"]), (&"echo".into(), &"S7".into()));
        assert_eq!(event["task"], format!("{topic}/0/0/0"));
    }
    assert_eq!(ended[0]["outcome"], "done");
    assert!(ended[0]["took"].is_string(), "{}", ended[0]);
    assert_eq!(said("tasks committed").last().expect("a commit")["next"], 2);
    assert!(at("task received") < at("task started") && at("task started") < at("task ended"));
}

#[test]
fn row_1_10_and_1_26_a_worker_frozen_past_its_session_loses_its_queue_to_another_and_joins_again_by_itself() {
    let broker = require_broker!();
    let place = Place::new(broker, "row_1_10");
    place.create(&["TASKS"]);
    let mut config = place.config();
    queue(&place, &mut config, "TASKS", "echo");
    let mut process = Process::run(&config);
    process.until_logged("topic started", 1);
    place.produce("TASKS", [reading("S0", 1)]);
    place.until_all_committed(&place.group("TASKS"), "TASKS");

    process.signal(Signal::STOP);
    let frozen = Instant::now();
    let other = join(broker, &place.group("TASKS"), &place.topic("TASKS"));
    let after = frozen.elapsed();
    // Heartbeats are 500 ms apart, and the broker looks at sessions now and then.
    assert!(after >= Duration::from_millis(SESSION_MS - 1000), "given up after {after:?}");
    assert!(after <= Duration::from_millis(SESSION_MS * 3), "given up after {after:?}");
    process.signal(Signal::CONT);
    process.until_logged("partitions revoked", 1);
    other.unsubscribe();
    drop(other);
    process.until_logged("topic started", 2);
    place.produce("TASKS", [reading("S0", 2)]);
    Results::of(&place).until_last(&place, "echo", &stations(1), &[]);
    place.until_all_committed(&place.group("TASKS"), "TASKS");
    process.signal(Signal::TERM);
    assert_eq!(process.until_ended(PATIENCE).0, Some(0));
    assert!(process.log().contains("lost=true"), "the reason is in the log:\n{}", process.log());
}

#[test]
fn row_1_20_and_4_30_large_tasks_and_ten_backlogs_are_read_within_the_memory_that_was_granted() {
    /// Tasks of the queue and bytes of each, and records of each of ten other topics and bytes of these.
    const TASKS: usize = 400;
    const TASK: usize = 600_000;
    const OTHERS: usize = 10;
    const RECORDS: usize = 2000;
    const RECORD: usize = 10_000;
    let broker = require_broker!();
    let place = Place::new(broker, "row_1_20");
    let others: Vec<String> = (0..OTHERS).map(|n| format!("T{n}")).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    place.create(&[&["TASKS"], &others[..]].concat());
    let mut config = place.config();
    queue(&place, &mut config, "TASKS", "echo");
    config.set("modules.echo", "max_pending", "1000");
    place.reads(&mut config, &others);
    place.requires(&mut config, "probe", &others);
    config.set("kafka.consumer", "prefetch_total_mb", "32");

    // Nothing is compressed: a client holds what it fetched unpacked, however small it was on the wire.
    let mut loader = broker.loader(Compression::None);
    let mut fill = |topic: &str, records: usize, bytes: usize| {
        let (topic, data) = (place.topic(topic), "x".repeat(bytes));
        for n in 0..records {
            let value = format!(r#"{{"s":"S{}","n":{n},"data":"{data}"}}"#, n % 50);
            loader.send(BaseRecord::to(&topic).key("k").payload(&value));
        }
    };
    fill("TASKS", TASKS, TASK);
    others.iter().for_each(|topic| fill(topic, RECORDS, RECORD));
    loader.finish();
    // The allocator keeps no large block that was freed: what is measured is what the service holds.
    let mut process = Process::run_with(&config, &[("MALLOC_MMAP_THRESHOLD_", "131072")]);
    place.until_all_committed(&place.group("TASKS"), "TASKS");
    others.iter().for_each(|topic| place.until_all_committed(&place.group(topic), topic));
    let peak = process.peak_mib();
    process.signal(Signal::TERM);
    assert_eq!(process.until_ended(PATIENCE).0, Some(0));
    let backlog = (TASKS * TASK + OTHERS * RECORDS * RECORD) as u64 >> 20;
    eprintln!("{backlog} MiB were read with {peak} MiB at the most");
    // What clients hold, what lanes hold, what may wait, and a debug build with eleven consumers.
    let granted = 32 + 32 + 16 + 140;
    assert!(peak < granted, "{peak} MiB instead of {granted}");
    assert!(backlog > granted * 3 / 2, "it would fit into memory");
}

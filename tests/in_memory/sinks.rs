//! Where runs that failed for good are recorded: dead letters, the log, and callbacks, those over HTTP with real time.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use quorate::failures::{CallbackSettings, HttpCallback};
use quorate::pipeline::ports::{Failure, FailureSink, SinkError};
use quorate::pipeline::{FailureSinks, RunSettings};
use quorate::testing::Reason;
use quorate_core::contract::{InputHash, LineageRange, ModuleInput, Quality};
use quorate_core::ident::{Millis, Station};
use serde_json::Value;

use crate::support::{Reply, Scripted, World, header};

const CONFIG: &str = r#"
[kafka]
bootstrap_servers = ["localhost:9092"]
[kafka.consumer]
group_id = "test"
multi_consumer_mode = true
[topics.A]
station = "/s"
[modules.m]
enabled = true
requires = ["A"]
retry = { attempts = 3, backoff = "1s", max_backoff = "30s" }
"#;

const OUT: &str = "MODULE-OUTPUT-M";
const DEAD: &str = "test-dead-letters";

/// Remembers what it is told.
#[derive(Debug, Default)]
struct Told {
    failures: Mutex<Vec<Failure>>,
    takes: Duration,
    /// What goes wrong with it.
    trouble: Option<Trouble>,
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    Fails,
    Panics,
}

#[async_trait]
impl FailureSink for Told {
    async fn record(&self, failure: &Failure) -> Result<(), SinkError> {
        self.failures.lock().expect("failures").push(failure.clone());
        tokio::time::sleep(self.takes).await;
        match self.trouble {
            None => Ok(()),
            Some(Trouble::Fails) => Err(SinkError("failed by the test".to_owned())),
            Some(Trouble::Panics) => panic!("panicked by the test"),
        }
    }
}

/// Failures go to nobody else.
fn only(callback: &Arc<Told>) -> impl Fn(&str, &mut RunSettings) + use<> {
    let callback = Arc::clone(callback);
    move |_, runs| {
        let callback: Arc<dyn FailureSink> = callback.clone();
        runs.sinks = FailureSinks { topic: false, log: true, callback: Some(callback) };
    }
}

#[tokio::test(start_paused = true)]
async fn row_1_17_after_the_last_attempt_the_callback_is_told_once_and_then_the_record_is_committed() {
    let told = Arc::new(Told { takes: Duration::from_secs(20), ..Told::default() });
    let module = Scripted::new("m", |_| Reply::Fail);
    let mut world = World::with(CONFIG, vec![module.clone()], only(&told));
    world.assign_all().await;
    world.send("A", &[r#"{"s":"S1"}"#]).await;
    world.pass(15_000).await;
    let failures = told.failures.lock().expect("failures").clone();
    assert_eq!((failures.len(), world.committed("A")), (1, Some(0)), "it is told before the record is committed");
    let failure = &failures[0];
    assert_eq!((failure.attempts, failure.reason, &*failure.detail), (3, Reason::ModuleFailed, "failed by the test"));
    assert_eq!(failure.input.station.as_str(), "S1");
    assert_eq!(failure.origin().map(|newest| (&*newest.topic, newest.to_offset)), Some(("A", 0)));
    assert_eq!(failure.id(), failure.input.input_hash.to_string());
    world.pass(60_000).await;
    assert_eq!(module.seen().len(), 3);
    assert_eq!(told.failures.lock().expect("failures").len(), 1);
    assert_eq!(world.committed("A"), Some(1));
    assert!(world.publisher.of(DEAD).is_empty());
    assert_eq!(world.handle.tally().callbacks.get("ok"), Some(&1));
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn row_1_17_a_callback_that_fails_leaves_a_dead_letter_even_where_none_is_asked_for() {
    for trouble in [Trouble::Fails, Trouble::Panics] {
        let told = Arc::new(Told { trouble: Some(trouble), ..Told::default() });
        let mut world = World::with(CONFIG, vec![Scripted::new("m", |_| Reply::Reject)], only(&told));
        world.assign_all().await;
        world.send("A", &[r#"{"s":"S1"}"#]).await;
        world.pass(5_000).await;
        let letters = world.publisher.of(DEAD);
        assert_eq!(letters.len(), 1, "{trouble:?}");
        let failures = told.failures.lock().expect("failures").clone();
        assert_eq!(header(&letters[0], "quorate-input-hash"), Some(failures[0].id()));
        assert_eq!(world.committed("A"), Some(1));
        assert_eq!(world.handle.tally().callbacks.get("failed"), Some(&1));
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn row_1_18_a_slow_callback_delays_its_own_station_only_and_failure_there_is_no_failure_of_others() {
    let told = Arc::new(Told { takes: Duration::from_secs(3_600), ..Told::default() });
    let module = Scripted::new("m", |input| if input.station.as_str() == "bad" { Reply::Reject } else { Reply::Echo });
    let mut world = World::with(CONFIG, vec![module], only(&told));
    world.assign_all().await;
    world.send("A", &[r#"{"s":"bad"}"#]).await;
    for n in 0..100 {
        world.send("A", &[&format!(r#"{{"s":"S{n}"}}"#)]).await;
    }
    world.pass(1_000).await;
    assert_eq!(world.publisher.of(OUT).len(), 100);
    assert_eq!(world.committed("A"), Some(0), "the first record is not recorded yet");
    world.stop().await;
}

/// A server on a free port that gives each request the next of these statuses, the last one for ever, and hands the
/// requests on. Status 0 is no answer at all.
fn server(statuses: Vec<u16>) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}/hook?key=s3cret", listener.local_addr().expect("an address"));
    let (requests, received) = std::sync::mpsc::sync_channel(100);
    let serve = move || {
        let mut silent = Vec::new();
        for (n, stream) in listener.incoming().flatten().enumerate() {
            let status = statuses[n.min(statuses.len() - 1)];
            if let Some(silent_stream) = answer(stream, status, &requests) {
                silent.push(silent_stream);
            }
        }
    };
    thread::Builder::new().name("server".to_owned()).spawn(serve).expect("a thread");
    (url, received)
}

fn answer(mut stream: TcpStream, status: u16, requests: &std::sync::mpsc::SyncSender<String>) -> Option<TcpStream> {
    let (mut text, mut part) = (String::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut part).expect("a request");
        text.push_str(std::str::from_utf8(&part[..read]).expect("text"));
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.and_then(|length| length.parse().ok()).expect("a length") {
            break;
        }
    }
    requests.send(text).expect("somebody listens");
    if status == 0 {
        return Some(stream);
    }
    let answer = format!("HTTP/1.1 {status} Whatever\r\ncontent-length: 2\r\n\r\nok");
    stream.write_all(answer.as_bytes()).expect("an answer");
    None
}

fn failure() -> Failure {
    let quality = Quality {
        complete: true,
        total_topics: 0,
        available_topics: Vec::new(),
        missing_topics: Vec::new(),
        stale_topics: Vec::new(),
        availability_ratio: 1.0,
    };
    let input = ModuleInput {
        at: Millis(5),
        module: "m".into(),
        station: Station::from("S1"),
        inputs: Vec::new(),
        quality,
        lineage: vec![LineageRange { topic: "A".into(), partition: 2, from_offset: 3, to_offset: 7, incarnation: 0 }],
        input_hash: InputHash(255),
        bucket: Some(Millis(60_000)),
        reading: None,
    };
    Failure::new(Arc::new(input), Reason::ModulePanicked, "boom", 3, Millis(9))
}

fn callback(url: &str) -> HttpCallback {
    let (timeout, backoff) = (Duration::from_millis(500), Duration::from_millis(10));
    HttpCallback::new(CallbackSettings { timeout, backoff, ..CallbackSettings::to(url) }).expect("an address")
}

#[tokio::test]
async fn row_1_18_a_failure_is_posted_as_json_under_an_id_that_stays_the_same() {
    let (url, requests) = server(vec![204]);
    let callback = callback(&url);
    assert_eq!(callback.record(&failure()).await, Ok(()));
    let request = requests.recv().expect("a request");
    let (head, body) = request.split_once("\r\n\r\n").expect("a body");
    assert!(head.starts_with("POST /hook?key=s3cret HTTP/1.1\r\n"), "{head}");
    let id = "000000000000000000000000000000ff-60000";
    assert!(head.contains(&format!("idempotency-key: {id}\r\n")), "{head}");
    let body: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!((&body["id"], &body["input"]["station"]), (&id.into(), &"S1".into()));
    assert_eq!(body["origin"], serde_json::json!({ "topic": "A", "partition": 2, "offset": 7 }));
    for (name, wanted) in [("module", "m"), ("station", "S1"), ("reason", "module_panicked"), ("detail", "boom")] {
        assert_eq!(body[name], wanted, "{name}");
    }
    assert_eq!((&body["attempts"], &body["at"], &body["trigger"]), (&3.into(), &9.into(), &"60000".into()));
    assert!(!format!("{callback:?}").contains("s3cret"));
}

#[tokio::test]
async fn row_1_18_what_may_pass_is_posted_three_times_and_no_more() {
    let (url, requests) = server(vec![503, 0, 200]);
    assert_eq!(callback(&url).record(&failure()).await, Ok(()), "the third is answered");
    assert_eq!(requests.try_iter().count(), 3);

    let (url, requests) = server(vec![500]);
    let error = callback(&url).record(&failure()).await.expect_err("never answered");
    assert!(error.0.contains("500") && error.0.ends_with("request 3 of 3"), "{error}");
    assert_eq!(requests.try_iter().count(), 3);
}

#[tokio::test]
async fn row_1_18_what_will_not_pass_is_posted_once() {
    for status in [400, 404, 301] {
        let (url, requests) = server(vec![status]);
        let error = callback(&url).record(&failure()).await.expect_err("refused");
        assert!(error.0.contains(&status.to_string()), "{error}");
        assert_eq!(requests.try_iter().count(), 1);
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_an_error_after_three_requests() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    drop(listener);
    let error = callback(&url).record(&failure()).await.expect_err("nobody there");
    assert!(error.0.starts_with("not reachable: ") && error.0.ends_with("request 3 of 3"), "{error}");
}

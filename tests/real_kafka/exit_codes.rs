//! The exit codes that need no running service, as a table.

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use quorate_testkit::{Broker, BrokerOptions, User, require_broker};

use crate::place::{Config, text};
use crate::process::quorate;

/// A configuration without errors or warnings, whose broker is `servers`.
fn sound(servers: &str) -> Config {
    let mut config = Config::default();
    config.set("kafka", "bootstrap_servers", text(servers));
    config.set("kafka", "startup_timeout", text("2s"));
    config.set("kafka.consumer", "group_id", text("exit-codes"));
    config.set("kafka.consumer", "multi_consumer_mode", "true");
    config.set("topics.A", "station", text("/s"));
    config.set("modules.probe", "enabled", "true");
    config.set("modules.probe", "requires", "[\"A\"]");
    config
}

fn code_of(arguments: &[&str]) -> (Option<i32>, String) {
    let output = quorate(arguments).output().expect("the program runs");
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

#[test]
fn check_and_the_command_line_end_with_the_documented_codes() {
    let dir = tempfile::tempdir().expect("a folder");
    let write = |name: &str, config: &Config| {
        let path = dir.path().join(name);
        std::fs::write(&path, config.toml()).expect("a file");
        path.to_str().expect("a Unicode path").to_owned()
    };
    let good = write("good.toml", &sound("127.0.0.1:1"));
    let mut config = sound("127.0.0.1:1");
    config.set("kafka.consumer", "auto_offset_reset", text("latest"));
    let suspicious = write("suspicious.toml", &config);
    config.set("kafka.consumer", "group_idd", text("x"));
    let bad = write("bad.toml", &config);
    let missing = dir.path().join("missing.toml");
    let missing = missing.to_str().expect("a Unicode path");
    assert!(!Path::new(missing).exists());

    for (arguments, code) in [
        (vec!["check", "-c", &good], 0),
        (vec!["check", "--strict", "-c", &good], 0),
        (vec!["check", "-c", &suspicious], 0),
        (vec!["check", "--strict", "-c", &suspicious], 3),
        (vec!["check", "-c", &bad], 3),
        (vec!["check", "-c", missing], 3),
        (vec!["check", "-c", &good, "--set", "kafka.consumer.max_poll_records=0"], 3),
        (vec!["config", "show", "-c", &good], 0),
        (vec!["config", "show", "-c", &bad], 3),
        (vec!["run", "-c", &bad], 3),
        (vec!["run", "-c", missing], 3),
        (vec!["run", "--no-such-flag"], 2),
        (vec!["no-such-command"], 2),
        (vec![], 2),
        (vec!["--help"], 0),
        (vec!["--version"], 0),
    ] {
        let (ended, said) = code_of(&arguments);
        assert_eq!(ended, Some(code), "{arguments:?}: {said}");
    }
}

#[test]
fn row_0_22_a_start_without_a_broker_ends_with_4_after_the_startup_timeout() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("config.toml");
    // A port that was free a moment ago, and below which nobody listens now.
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
    std::fs::write(&path, sound(&format!("127.0.0.1:{port}")).toml()).expect("a file");

    let began = Instant::now();
    let (code, said) = code_of(&["run", "-c", path.to_str().expect("a Unicode path")]);

    let took = began.elapsed();
    assert_eq!(code, Some(4), "{said}");
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(6), "{took:?}");
    assert!(said.contains(&port.to_string()), "the broker is named: {said}");
}

#[test]
fn a_start_with_a_refused_login_ends_with_4_and_tells_no_secret() {
    let broker = &require_broker!(Broker::start(BrokerOptions::secured()));
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("config.toml");
    let mut config = sound(&broker.sasl_bootstrap());
    // The first login costs a broker that has just started its time.
    config.set("kafka", "startup_timeout", text("15s"));
    config.set("kafka.security", "protocol", text("sasl_plaintext"));
    config.set("kafka.security", "sasl_mechanism", text("PLAIN"));
    config.set("kafka.security", "username", text(User::Svc.name()));
    config.set("kafka.security", "password", "{ env = \"SVC_PASSWORD\" }");
    std::fs::write(&path, config.toml()).expect("a file");

    let mut command = quorate(&["run", "-c", path.to_str().expect("a Unicode path")]);
    let output = command.env("SVC_PASSWORD", "canary-7431").output().expect("the program runs");

    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("refuses the login"), "{said}");
    assert!(!said.contains("canary-7431"), "{said}");
}

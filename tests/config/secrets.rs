//! Secrets: referred to, looked up, never shown.

use quorate::config::{self, Look, Purpose, Sources};

use super::{MODULES, SMALL, bad, small_and};

const CANARY: &str = "c4n4ry-hunter2";
const LOGIN: &str = "[kafka.security]\nprotocol = 'sasl_ssl'\nsasl_mechanism = 'SCRAM-SHA-512'\nusername = 'svc'\n";

#[test]
fn a_referenced_secret_reaches_the_clients_and_nothing_else() {
    let dir = tempfile::tempdir().expect("directory");
    let (path, secret) = (dir.path().join("config.toml"), dir.path().join("secret"));
    std::fs::write(&secret, format!("{CANARY}\n")).expect("file");
    let of_file = format!("password = {{ file = {:?} }}", secret.display().to_string());
    for password in ["password = { env = 'KAFKA_PASSWORD' }", of_file.as_str()] {
        let properties = "[kafka.properties]\n\"ssl.key.password\" = { env = 'KAFKA_PASSWORD' }";
        std::fs::write(&path, format!("{SMALL}{LOGIN}{password}\n{properties}\n")).expect("file");
        let env = [("KAFKA_PASSWORD".to_owned(), CANARY.to_owned())];
        let sources = Sources { path: path.clone(), env, set: vec![] };
        let loaded = config::load(sources, Purpose::service(MODULES)).unwrap_or_else(|report| panic!("{report}"));
        for properties in [&loaded.settings.client, &loaded.settings.producer, &loaded.settings.consumers[0].properties]
        {
            assert_eq!(properties.0["sasl.password"], CANARY);
            assert_eq!(properties.0["ssl.key.password"], CANARY);
        }
        let seen = format!("{loaded:?}{:?}{}", loaded.settings, loaded.shown.render(true));
        assert!(!seen.contains(CANARY), "{seen}");
    }
}

#[test]
fn a_secret_that_was_written_down_is_refused_and_blotted_out_of_every_report() {
    for more in [
        format!("{LOGIN}password = '{CANARY}'"),
        format!("{LOGIN}password = {{ value = '{CANARY}' }}"),
        format!("{LOGIN}pasword = '{CANARY}'"),
        format!("{LOGIN}password = ['{CANARY}']"),
        format!("{LOGIN}password = '{CANARY}"),
        format!("[kafka.properties]\n\"sasl.password\" = '{CANARY}'"),
        format!("[kafka.properties]\nsasl.password = '{CANARY}'"),
        format!("[kafka.properties]\n\"sasl.jaas.config\" = '{CANARY}'"),
        format!("[kafka.properties]\n\"ssl.truststore.password\" = '{CANARY}'"),
        format!("[kafka.consumer.x]\nsasl_plain_password = '{CANARY}'"),
        format!("[http]\ntoken = '{CANARY}'"),
    ] {
        let report = bad(&small_and(&more));
        for look in [Look::Plain, Look::Narrated, Look::Drawn { colour: true }, Look::Drawn { colour: false }] {
            let seen = format!("{}{report:?}", report.render(look));
            assert!(!seen.contains(CANARY), "{more}\n{seen}");
        }
    }
}

#[test]
fn a_secret_on_the_command_line_is_refused_and_in_the_environment_is_fine() {
    let dir = tempfile::tempdir().expect("directory");
    let path = dir.path().join("config.toml");
    std::fs::write(&path, format!("{SMALL}{LOGIN}")).expect("file");
    let set = vec![format!("kafka.security.password={CANARY}")];
    let env: [(String, String); 0] = [];
    let refused =
        config::load(Sources { path: path.clone(), env, set }, Purpose::service(MODULES)).expect_err("refused");
    assert!(!format!("{refused}{refused:?}").contains(CANARY), "{refused}");
    let env = [("QUORATE__KAFKA__SECURITY__PASSWORD".to_owned(), CANARY.to_owned())];
    let loaded = config::load(Sources { path, env, set: vec![] }, Purpose::service(MODULES)).expect("loads");
    assert_eq!(loaded.settings.client.0["sasl.password"], CANARY);
    assert!(!loaded.shown.render(true).contains(CANARY));
}

#[test]
fn a_secret_that_cannot_be_found_is_an_error_for_the_service_and_nothing_to_replay() {
    let text = small_and(&format!("{LOGIN}password = {{ env = 'QUORATE_TEST_UNSET' }}"));
    let report = bad(&text);
    assert!(report.to_string().contains("QUORATE_TEST_UNSET, which is not set"), "{report}");
    assert!(config::from_str("c", &text, Purpose::replay(MODULES)).is_ok());
}

/// What is added to [`SMALL`], words of the message.
const LOGINS: &[(&str, &str)] = &[
    ("[kafka.security]\nprotocol = 'sasl_ssl'\nsasl_mechanism = 'PLANE'", "unknown value `PLANE`"),
    ("[kafka.security]\nprotocol = 'sasl_ssl'\nsasl_mechanism = 'GSSAPI'", "`GSSAPI` is not available in this version"),
    ("[kafka.security]\nprotocol = 'sasl_ssl'", "needs `sasl_mechanism`"),
    ("[kafka.security]\nusername = 'svc'", "a login is configured"),
    ("[kafka.security]\nprotocol = 'ssl'\nca = '/nowhere/ca.pem'", "there is no file /nowhere/ca.pem"),
    ("[kafka.security]\nprotocol = 'ssl'\ncertificate = '/nowhere/c.pem'", "belong together"),
    ("[kafka.security]\nssl_cafile = 'x'", "unknown key `kafka.security.ssl_cafile`"),
];

#[test]
fn a_login_that_cannot_work_is_refused() {
    for (more, words) in LOGINS {
        let report = bad(&small_and(more));
        assert!(report.problems().iter().any(|problem| problem.message.contains(words)), "{more}\n{report}");
    }
}

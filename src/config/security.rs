//! `[kafka.security]`: from the keys of the contract to the native properties of every client.

use std::path::Path;

use super::reader::{Placed, Reader};
use super::scalar::{choice, name};
use super::secret::Vault;

/// A native property that a key of ours sets: its name, our key, its value.
pub(super) type Setting = (&'static str, &'static str, Placed<String>);

/// Reads the table; nothing when it is absent.
pub(super) fn read(table: &Reader<'_>, vault: &Vault<'_>, brokers: &str) -> Vec<Setting> {
    let words = |words: &[&'static str]| words.iter().map(|word| (*word, (*word).to_owned())).collect::<Vec<_>>();
    let protocols = words(&["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]);
    let mechanisms = words(&["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]);
    let found = [
        ("security.protocol", "protocol", table.optional("protocol", choice(protocols, &[]))),
        (
            "sasl.mechanisms",
            "sasl_mechanism",
            table.optional("sasl_mechanism", choice(mechanisms, &["GSSAPI", "OAUTHBEARER"])),
        ),
        ("sasl.username", "username", table.optional("username", name)),
        ("sasl.password", "password", password(table, vault)),
        ("ssl.ca.location", "ca", table.optional("ca", name)),
        ("ssl.certificate.location", "certificate", table.optional("certificate", name)),
        ("ssl.key.location", "key", table.optional("key", name)),
    ];
    let settings: Vec<Setting> = found.into_iter().filter_map(|(native, key, set)| Some((native, key, set?))).collect();
    if table.is_present() {
        check(table, &settings, brokers);
        if vault.open {
            check_files(table, &settings);
        }
    }
    settings
}

fn password(table: &Reader<'_>, vault: &Vault<'_>) -> Option<Placed<String>> {
    let entry = table.entry("password")?;
    vault.read(table.notes, &table.path_of("password"), &entry.node)
}

fn check(table: &Reader<'_>, settings: &[Setting], brokers: &str) {
    let notes = table.notes;
    let get = |key: &str| settings.iter().find(|(_, found, _)| *found == key).map(|(_, _, set)| set);
    let written = |key: &str| table.entries().any(|(found, _)| found == key);
    let protocol = get("protocol").map_or("plaintext", |set| set.value.as_str());
    let mechanism = get("sasl_mechanism").map(|set| set.value.as_str());
    let protocol_at = get("protocol").map_or(&table.origin, |set| &set.origin);
    if protocol.starts_with("sasl_") {
        if mechanism.is_none() && !written("sasl_mechanism") {
            notes.missing(
                protocol_at,
                format!("`protocol = \"{protocol}\"` needs `sasl_mechanism`"),
                "e.g. \"SCRAM-SHA-512\"",
            );
        }
        for key in ["username", "password"].into_iter().filter(|key| !written(key)) {
            let message = format!("`protocol = \"{protocol}\"` needs `{key}`");
            notes.missing(protocol_at, message, "add it to [kafka.security]");
        }
    } else if let Some(set) = ["sasl_mechanism", "username", "password"].into_iter().find_map(get) {
        let help = "set `protocol` to \"sasl_ssl\" or \"sasl_plaintext\"";
        notes.error(&set.origin, format!("a login is configured, but `protocol = \"{protocol}\"` uses none"), help);
    }
    if protocol == "sasl_plaintext" && mechanism == Some("PLAIN") && !loopback(brokers) {
        notes.warn(protocol_at, "the password crosses the network in clear", "set `protocol` to \"sasl_ssl\"");
    }
    if let (Some(one), None) | (None, Some(one)) = (get("certificate"), get("key")) {
        notes.error(&one.origin, "`certificate` and `key` belong together", "set both, or neither");
    }
    let files = ["ca", "certificate", "key"].into_iter().find_map(get);
    if let Some(set) = files.filter(|_| !protocol.contains("ssl")) {
        let help = "set `protocol` to \"ssl\" or \"sasl_ssl\"";
        notes.warn(
            &set.origin,
            format!("certificates are configured, but `protocol = \"{protocol}\"` uses none"),
            help,
        );
    }
}

fn check_files(table: &Reader<'_>, settings: &[Setting]) {
    for (_, key, set) in settings.iter().filter(|(_, key, _)| matches!(*key, "ca" | "certificate" | "key")) {
        if !Path::new(&set.value).exists() {
            let message = format!("`{}`: there is no file {}", table.path_of(key), set.value);
            table.notes.error(&set.origin, message, "paths are relative to the directory the service starts in");
        }
    }
}

/// Whether every broker is this very machine.
fn loopback(brokers: &str) -> bool {
    brokers.split(',').all(|broker| {
        let host = broker.trim().rsplit_once(':').map_or(broker, |(host, _)| host).trim_matches(['[', ']']);
        host == "localhost" || host == "::1" || host.starts_with("127.")
    })
}
